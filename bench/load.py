"""Closed-loop load with wrk, single requests one after the other, and a herd of clients with one request each."""

import contextlib
import http.client
import json
import selectors
import socket
import subprocess
import time
import urllib.parse
from dataclasses import dataclass, field

from processes import BenchError, cpu_seconds
from settings import ROOT
from stack import clean_env

LUA = ROOT / "bench" / "wrk"
# What counts as too late. wrk itself waits longer, so that late answers are seen and not just missed.
LATE_SECONDS = 2


@dataclass
class Run:
    """What one run of wrk saw. Times in milliseconds; a late answer took more than 2 s or did not come."""

    requests: int
    seconds: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    late: int
    status_errors: int
    socket_errors: int
    timeouts: int
    success: int
    busy: int
    other: int
    sample: int
    # CPU seconds of each group of processes during the run.
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def good_rate(self) -> float:
        """Of answers that are no errors, for loads that are not told apart further."""
        return (self.requests - self.status_errors) / self.seconds

    @property
    def success_rate(self) -> float:
        return self.success / self.seconds

    def cpu_per_request_us(self, *groups: str) -> float:
        return sum(self.cpu[group] for group in groups) * 1e6 / self.requests

    def require_clean(self, what: str) -> "Run":
        """For loads that every answer of has to be a good one."""
        if self.status_errors or self.socket_errors or self.late or self.busy or self.other or not self.requests:
            raise BenchError(
                f"{what}: of {self.requests} answers {self.status_errors} were errors ({self.busy} deliberate 503, "
                f"{self.other} others, first {self.sample}); {self.socket_errors} socket errors, {self.late} late"
            )
        return self

    def require_deliberate(self, what: str) -> "Run":
        """For overload: what is not a success is a 503 that says when to come back."""
        if self.other or self.socket_errors or self.late or not self.success:
            raise BenchError(
                f"{what}: {self.success} successes, {self.busy} deliberate 503, {self.other} others (first {self.sample}), "
                f"{self.socket_errors} socket errors, {self.late} later than {LATE_SECONDS} s (longest {self.max:.0f} ms)"
            )
        return self


def wrk(url: str, connections: int, seconds: int, script: str = "read", args: tuple = (), groups: dict | None = None,
        lua=None) -> Run:
    """Runs wrk. `groups` names processes whose CPU time is counted meanwhile."""
    groups = groups or {}
    script = lua or LUA / f"{script}.lua"
    # One thread: a second one would take a core away from what is measured.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s", str(script), url]
    if args:
        command += ["--", *(str(arg) for arg in args)]
    before = {name: cpu_seconds(pids) for name, pids in groups.items()}
    done = subprocess.run(
        command, env=clean_env(BENCH_LUA=LUA), capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    after = {name: cpu_seconds(pids) for name, pids in groups.items()}
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT {")), None)
    if done.returncode != 0 or line is None:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return Run(**json.loads(line[7:]), cpu={name: after[name] - before[name] for name in groups})


@dataclass
class Timed:
    """Times of single requests in milliseconds."""

    times: list[float]

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50(self) -> float:
        return self.percentile(0.5)


class Client:
    """One connection, on which one request follows the other; each has to be answered with 200."""

    def __init__(self, url: str):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
        self.timed = Timed([])

    def get(self, target: str) -> bytes:
        start = time.monotonic()
        self.connection.request("GET", target)
        answer = self.connection.getresponse()
        body = answer.read()
        self.timed.times.append((time.monotonic() - start) * 1e3)
        if answer.status != 200:
            raise BenchError(f"{target} answered {answer.status}: {body[:300]!r}")
        return body


def walk(url: str, pages: int) -> tuple[Timed, list[dict]]:
    """A list page by page, to its end or so many pages far; the items too."""
    client, path, items, cursor = Client(url), urllib.parse.urlsplit(url).path, [], None
    with contextlib.closing(client.connection):
        for _ in range(pages):
            page = json.loads(client.get(f"{path}?{urllib.parse.urlencode({'cursor': cursor})}" if cursor else path))
            items += page["itens"]
            cursor = page.get("proximo_cursor")
            if not page["tem_mais"]:
                break
    return client.timed, items


def each(urls: list[str]) -> Timed:
    """One after the other."""
    client = Client(urls[0])
    with contextlib.closing(client.connection):
        for url in urls:
            client.get(urllib.parse.urlsplit(url).path)
    return client.timed


def herd(url: str, clients: int, seconds: float = 10) -> Timed:
    """`clients` connections, opened beforehand, send one GET each at the same moment; all must get the same 200.

    Times are from the moment that the first client sent its request.
    """
    parts = urllib.parse.urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    sockets = []
    try:
        for _ in range(clients):
            # In turn, so that no connection is lost to a full queue of the kernel.
            sockets.append(socket.create_connection((parts.hostname, parts.port), timeout=5))
        for connection in sockets:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, bytearray())
        start = time.monotonic()
        for connection in sockets:
            connection.send(request)
        times, bodies = [], set()
        while len(times) < clients:
            if time.monotonic() - start > seconds:
                raise BenchError(f"herd: {clients - len(times)} of {clients} clients got no answer within {seconds:.0f} s")
            for key, _ in selector.select(0.5):
                chunk = key.fileobj.recv(65_536)
                if chunk:
                    key.data.extend(chunk)
                    continue
                # Closed by the server after a whole answer, as asked for.
                times.append((time.monotonic() - start) * 1e3)
                selector.unregister(key.fileobj)
                head, _, body = bytes(key.data).partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200 "):
                    raise BenchError(f"herd: a client got {bytes(key.data[:200])!r}")
                bodies.add(body)
        if len(bodies) != 1:
            raise BenchError(f"herd: {len(bodies)} different answers")
        return Timed(times)
    finally:
        selector.close()
        for connection in sockets:
            connection.close()
