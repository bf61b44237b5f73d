"""Processes that the harness starts, what they use, and their end. Nothing else is ever signalled."""

import ctypes
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from api_client import eventually

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that has to go well did not."""


def end_with_parent() -> None:
    """For the case that the harness is killed and cannot stop what it started."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A server that runs until it is stopped."""

    def __init__(self, name: str, command: list, log: Path, env: dict | None = None, **options):
        self.name = name
        self.log = log
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the harness alone, which then stops everything in order.
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=options.pop("stdin", subprocess.DEVNULL),
                stdout=options.pop("stdout", output),
                stderr=output,
                env=env,
                start_new_session=True,
                preexec_fn=end_with_parent,
                **options,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def require_alive(self) -> None:
        if not self.alive():
            raise BenchError(f"{self.name} has ended with status {self.popen.returncode}; {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "its last words: " + " / ".join(lines[-5:])

    def stop(self, patience: float = 30) -> None:
        """By pid; the number cannot be another's, since the process is not reaped before."""
        if not self.alive():
            return
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(10)


def wait_until(what: str, seconds: float, check, process: Process | None = None):
    """The first true answer of `check`, if the process that it waits for stays alive."""
    def answer():
        if not (found := check()) and process is not None:
            process.require_alive()
        return found

    try:
        return eventually(what, answer, seconds, 0.05)
    except AssertionError as error:
        raise BenchError(str(error)) from None


def free_port() -> int:
    """Below the range that the kernel takes outgoing connections' ports from, of which a thousand come and go here."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BenchError("no free port")


def stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; the name before it may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()


def children(parents: Iterable[int]) -> list[int]:
    """Direct children: nginx's workers, PostgreSQL's backends."""
    parents = {str(pid) for pid in parents}
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(int(entry))
            if fields and fields[1] in parents:
                found.append(int(entry))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes, their children, and children of theirs that have ended."""
    pids = list(pids)
    ticks = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            # utime, stime, cutime, cstime
            ticks += sum(int(field) for field in fields[11:15])
    for pid in children(pids):
        fields = stat_fields(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory now and at its highest, in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) / 1024
    return found
