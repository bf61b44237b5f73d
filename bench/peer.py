"""The peer: the original drawing's stack, built well, run beside the API on the same machine.

Its folder is not part of this project. It has run.sh (up, down), load.lua for wrk, and manage.py; see its README.
"""

import subprocess
from pathlib import Path

import load
from processes import BenchError
from report import Row, count, median, share, spread
from rows import World, interleaved
from stack import clean_env

# Fixed by its run.sh.
HOME = Path("/tmp/django_peer")
URL = "http://127.0.0.1:58080"
PAIRS = 5


def command(folder: Path, *words, patience: float, env: dict | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=clean_env() | (env or {}), capture_output=True, text=True,
        timeout=patience, stdin=subprocess.DEVNULL, check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"peer: {' '.join(map(str, words))}: {done.stdout[-300:]}{done.stderr[-700:]}")
    return done.stdout


def pids() -> list[int]:
    """What its run.sh has started."""
    return [int(file.read_text().split()[0]) for file in (HOME / "run").glob("*.pid")]


def sql(folder: Path, statement: str) -> None:
    command(folder, "psql", "-qtAXh", HOME / "run", "-p", "55432", "-U", "peer", "-d", "peer", "-c", statement, patience=120)


def compare(world: World) -> list[Row]:
    """i: the same kind of reads and donations on both."""
    folder = world.settings.peer
    if folder is None:
        world.notes.append("no peer to compare with (PEER=/path/to/its/folder)")
        return []
    try:
        # The first time it installs its packages.
        command(folder, "./run.sh", "up", patience=600)
        tokens = HOME / "run" / "bench-tokens.txt"
        env = {"PEER_RUN": str(HOME / "run"), "PYTHONDONTWRITEBYTECODE": "1"}
        tokens.write_text(command(folder, HOME / "venv" / "bin" / "python", "manage.py", "abrir_sessoes", "1000", patience=60, env=env))
        rows = [row for connections in (world.settings.few, world.settings.many) for row in reads(world, folder, connections)]
        rows.append(donations(world, folder, tokens))
        sql(folder, "DELETE FROM doacoes WHERE id > 200000")
        return rows
    finally:
        command(folder, "./run.sh", "down", patience=120)


def peer_run(world: World, folder: Path, connections: int, seconds: int, *arguments) -> load.Run:
    # Its own script prints another line; the request it makes is what counts, so it is wrapped by ours.
    wrapper = world.stack.folder / "peer.lua"
    wrapper.write_text(
        f"dofile('{folder}/load.lua')\nlocal theirs = setup\ndofile('{load.LUA}/report.lua')\nlocal ours = setup\n"
        "function setup(thread) theirs(thread) ours(thread) end\n"
    )
    return load.wrk(URL, connections, seconds, args=arguments, groups={"peer": pids()}, lua=wrapper)


def reads(world: World, folder: Path, connections: int) -> list[Row]:
    settings = world.settings
    url = world.listeners["api"].url(world.campaign)

    def run() -> load.Run:
        load.herd(url, 1)
        return load.wrk(url, connections, settings.seconds, groups=world.groups()).require_clean("hot read")

    # After it the answers of its thousand campaigns are hot as well.
    peer_run(world, folder, connections, settings.seconds, "single")
    ours, theirs = interleaved(PAIRS, run, lambda: peer_run(world, folder, connections, settings.seconds, "single"))
    ratios = [a.rate / b.good_rate for a, b in zip(ours, theirs)]
    own_cpu = median(run.cpu_per_request_us("api", "nginx", "postgres", "redis") for run in ours)
    peer_cpu = median(run.cpu_per_request_us("peer") for run in theirs)
    return [Row(
        "hot read against the peer", connections, f"{count(median(run.rate for run in ours))}/s", f"ratio {spread(ratios, lambda r: f'{r:.1f} ×')}",
        f"peer {count(median(run.good_rate for run in theirs))}/s, p99 {median(run.p99 for run in theirs):.0f} ms", f"{median(ratios):.1f} ×", "≥ 10 ×",
        median(ratios) >= 10, {"ratios": ratios},
    ), Row(
        "hot read against the peer, CPU per request", connections, f"{own_cpu:.0f} µs", "", f"peer {peer_cpu:.0f} µs",
        share(own_cpu / peer_cpu), "≤ 1/8 (12.5 %)", own_cpu <= peer_cpu / 8,
    )]


def donations(world: World, folder: Path, tokens: Path) -> Row:
    settings = world.settings
    url, path = world.listeners["api"].url("/"), f"{world.campaign}/doacoes"
    ours, theirs = interleaved(
        PAIRS,
        lambda: load.wrk(url, settings.few, settings.write_seconds, "create", (path,)).require_deliberate("donation created"),
        lambda: peer_run(world, folder, settings.few, settings.write_seconds, "post", tokens),
    )
    ratios = [a.success_rate / b.good_rate for a, b in zip(ours, theirs)]
    return Row(
        "donation created against the peer", settings.few, f"{count(median(run.success_rate for run in ours))}/s",
        f"ratio {spread(ratios, lambda r: f'{r:.1f} ×')}", f"peer {count(median(run.good_rate for run in theirs))}/s", f"{median(ratios):.1f} ×",
        "≥ 2 ×", median(ratios) >= 2, {"ratios": ratios},
    )
