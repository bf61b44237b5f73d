"""How long and how often things are measured. The only reader of the environment."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Every run of a row is bounded by these, in time or in number."""

    api: Path
    smoke: bool
    full: bool
    save: bool
    only: re.Pattern
    peer: Path | None
    # Seconds of one closed-loop run, and pairs of runs of which the median is taken.
    seconds: int
    pairs: int
    write_seconds: int
    write_pairs: int
    # The two numbers of connections that every load is put on with.
    few: int
    many: int
    # Confirmations in one run: both sides work on the same number of prepared charges.
    confirmations: int
    herd_clients: int
    herd_times: int
    growth_seconds: int
    # How many times the demo data is there in the row of growth.
    growth_data: tuple[int, ...]

    # API processes and each one's database connections, as the design has them.
    processes: int = 4
    pool_size: int = 12

    @property
    def database_clients(self) -> int:
        """What pgbench gets: as many connections as the API's pools have together."""
        return self.processes * self.pool_size


def flag(name: str) -> bool:
    """Whether a switch is on."""
    return os.environ.get(name, "") not in ("", "0")


def number(name: str, default: int, most: int) -> int:
    """A whole number within its bounds."""
    value = int(os.environ.get(name) or default)
    if not 1 <= value <= most:
        raise SystemExit(f"bench: {name} must be from 1 to {most}")
    return value


def peer_folder() -> Path | None:
    """The stack to compare with, if there is one; PEER= without a value means none."""
    named = os.environ.get("PEER")
    if named is None:
        folder = ROOT.parent / "shared" / "peer"
    elif named == "":
        return None
    else:
        folder = Path(named)
    if (folder / "run.sh").exists():
        return folder.resolve()
    if named:
        raise SystemExit(f"bench: PEER={named} has no run.sh")
    return None


def read() -> Settings:
    """The settings of this run."""
    smoke = flag("SMOKE")
    full = flag("FULL")
    common = dict(
        api=Path(os.environ["API"]).resolve(),
        smoke=smoke,
        full=full,
        save=flag("SAVE"),
        only=re.compile(os.environ.get("ONLY", "")),
    )
    if smoke:
        return Settings(
            **common, peer=None, seconds=1, pairs=1, write_seconds=1, write_pairs=1, few=8, many=64,
            confirmations=96, herd_clients=100, herd_times=1, growth_seconds=1, growth_data=(),
        )
    return Settings(
        **common,
        peer=peer_folder(),
        seconds=number("SECONDS_EACH", 4, 60),
        pairs=number("PAIRS", 9, 51),
        write_seconds=number("WRITE_SECONDS", 6, 60),
        write_pairs=number("WRITE_PAIRS", 5, 51),
        few=64,
        many=1000,
        confirmations=4_800,
        herd_clients=1000,
        herd_times=5,
        growth_seconds=5,
        growth_data=(10, 100) if full else (10,),
    )
