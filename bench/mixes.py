"""Loads as a day brings them: what is read while people give, lists to their end, followers in a rush, and a start with empty caches.

They have no ceiling to be compared with; every answer has to be right, and the table says what it took.
"""

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import load
from edge import Listener, start_edge
from processes import BenchError
from report import Row, count
from rows import API, World, cores, donate, pay, read_many
from stack import http

KINDS = ("", "/totais", "/doacoes")
# More than any list has.
PAGES = 100_000
# As many streams as one address may have; each address of loopback counts for itself.
STREAMS_OF_ADDRESS = 50


def every(world: World) -> list[Row]:
    slugs = [item["slug"] for item in load.walk(world.listeners["api"].url(f"{API}/campanhas"), PAGES)[1]]
    return [*reads_beside_donations(world, slugs), *walks(world), *followers(world), *cold_start(world, slugs)]


def donations_wrk(world: World, connections: int) -> load.Run:
    settings = world.settings
    arguments = (f"{world.campaign}/doacoes",)
    return load.wrk(world.listeners["api"].url("/"), connections, settings.write_seconds, "create", arguments)


def by_zipf(world: World, listener: Listener, slugs: list[str], connections: int, what: str) -> load.Run:
    """Three pages of each campaign."""
    return read_many(world, listener, slugs, KINDS, "zipf", connections, world.settings.write_seconds).require_clean(what)


def reads_beside_donations(world: World, slugs: list[str]) -> list[Row]:
    settings, listener, what = world.settings, world.listeners["api"], "reads by Zipf's law beside donations"
    # The first time each page is loaded; that has a row of its own.
    for _ in range(2):
        alone = by_zipf(world, listener, slugs, settings.few, "reads by Zipf's law")
    with ThreadPoolExecutor() as pool:
        donations = pool.submit(donations_wrk, world, settings.few)
        beside = by_zipf(world, listener, slugs, settings.few, what)
        given = donations.result().require_deliberate("donations beside reads")
    return [Row(
        what, settings.few,
        f"{count(beside.rate)}/s, p99 {beside.p99:.1f} ms; {count(given.success_rate)} donations/s, p99 {given.p99:.0f} ms, "
        f"{count(given.busy)} told to come back",
        ceiling=f"{count(alone.rate)}/s, p99 {alone.p99:.1f} ms alone", ratio=f"p99 {beside.p99 / alone.p99:.1f} ×",
        data={"rate": beside.rate, "p99": beside.p99, "donations": given.success_rate},
    )]


class Donors:
    """One after the other gives to the hot campaign and pays."""

    def __init__(self, world: World):
        self.world, self.paid = world, 0
        self.stopped = threading.Event()

    def run(self) -> None:
        apis, base = self.world.apis, int(time.time() * 1000) % 10**10
        while not self.stopped.is_set():
            api = apis[self.paid % len(apis)]
            donation = self.patiently(lambda: donate(api, self.world.slug))
            self.patiently(lambda: pay(api, donation["pagamento"]["txid"], f"E99000004202611240000{base + self.paid:011d}"))
            self.paid += 1

    @staticmethod
    def patiently(request: Callable):
        """In a rush some are told to come back, and do."""
        end = time.monotonic() + 30
        while True:
            try:
                return request()
            except BenchError as error:
                if "answered 503" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(0.2)


@contextmanager
def donors(world: World):
    """What they did not manage to do is this side's failure as well."""
    them = Donors(world)
    with ThreadPoolExecutor() as pool:
        work = pool.submit(them.run)
        try:
            yield them
        finally:
            them.stopped.set()
    work.result()


def walks(world: World) -> list[Row]:
    """Both lists to their end while donations are confirmed: nothing twice, nothing left out."""
    listener, services, rows = world.listeners["api"], world.stack.services, []
    feed = (
        f"SELECT count(*) FROM doacoes d JOIN campanhas c ON c.id = d.campanha_id WHERE c.slug = '{world.slug}' "
        "AND d.situacao IN ('confirmada', 'parcialmente_devolvida') AND d.visibilidade <> 'secreta'"
    )
    campaigns = "SELECT count(*) FROM campanhas WHERE situacao = 'publicada'"
    for what, path, shown, key in (("campaigns", "", campaigns, "slug"), ("donations", f"/{world.slug}/doacoes", feed, "id")):
        with donors(world) as them:
            before = int(services.sql(shown))
            # Every process shows within a second what any of them was told.
            time.sleep(1.5)
            walk, items = load.walk(listener.url(f"{API}/campanhas{path}"), PAGES)
            after = int(services.sql(shown))
        if not before <= len(items) <= after:
            raise BenchError(f"list of {what}: {len(items)} items on all pages, and there were {before} before and {after} after")
        # Donations of the anonymous are shown without an id.
        names = [item[key] for item in items if item.get(key)]
        if len(set(names)) != len(names):
            raise BenchError(f"list of {what}: some are on it twice")
        last = load.Timed(walk.times[-10:])
        rows.append(Row(
            f"list of {what} to its end", 1,
            f"{count(len(walk.times))} pages, {count(len(items))} items; p50 {walk.p50:.1f} ms, p99 {walk.percentile(0.99):.1f} ms, "
            f"the last ten {last.p50:.1f} ms; {count(them.paid)} donations paid meanwhile",
            data={"p50": walk.p50, "p99": walk.percentile(0.99), "last_p50": last.p50},
        ))
    return rows


class Followers:
    """Streams of one campaign's totals, read by one thread."""

    SEQ = re.compile(rb"id: ?(\d+)\n")

    def __init__(self, url: str, number: int):
        parts = urlsplit(url)
        request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode()
        self.selector = selectors.DefaultSelector()
        self.sockets, self.seen, self.events = [], [0] * number, [0] * number
        # What came of a line whose end is still on its way.
        self.rest = [b""] * number
        for index in range(number):
            source = (f"127.0.1.{1 + index // STREAMS_OF_ADDRESS}", 0)
            connection = socket.create_connection((parts.hostname, parts.port), timeout=5, source_address=source)
            connection.sendall(request)
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, index)
            self.sockets.append(connection)

    def read_until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise BenchError(f"followers: not done after {seconds:.0f} s; the last totals seen are {sorted(set(self.seen))}")
            for key, _ in self.selector.select(0.05):
                chunk = key.fileobj.recv(65_536)
                if not chunk:
                    raise BenchError("followers: a stream was closed")
                whole, _, self.rest[key.data] = (self.rest[key.data] + chunk).rpartition(b"\n")
                for seq in map(int, self.SEQ.findall(whole + b"\n")):
                    if seq < self.seen[key.data]:
                        raise BenchError(f"followers: total {seq} came after {self.seen[key.data]}")
                    self.seen[key.data] = seq
                    self.events[key.data] += 1

    def close(self) -> None:
        self.selector.close()
        for connection in self.sockets:
            connection.close()


def followers(world: World) -> list[Row]:
    """Those who watch the total while everybody gives."""
    settings, listener = world.settings, world.listeners["api"]
    number = settings.few if settings.smoke else settings.many
    them = Followers(listener.url(f"{world.campaign}/eventos"), number)
    try:
        # Each is told the total at once.
        them.read_until(lambda: all(them.events), 15)
        with ThreadPoolExecutor() as pool, donors(world) as paid:
            rush = pool.submit(donations_wrk, world, settings.many)
            them.read_until(rush.done, settings.write_seconds + 60)
            given = rush.result().require_deliberate("donations in front of followers")
        ended = shown = time.monotonic()
        last = 0

        def told_all() -> bool:
            nonlocal last, shown
            # Until nothing is left to fold, the total may still grow.
            last = max(last, http(listener.url(f"{world.campaign}/totais")).json()["seq"])
            if min(them.seen) < last:
                shown = time.monotonic()
            return time.monotonic() > ended + 3 and min(them.seen) >= last

        them.read_until(told_all, 15)
    finally:
        them.close()
    return [Row(
        "followers of a total in a rush of donations", number,
        f"{min(them.events)}–{max(them.events)} totals each, the last was everyone's {shown - ended:.1f} s after the rush; "
        f"{count(given.success_rate)} donations/s by {count(settings.many)}, p99 {given.p99:.0f} ms, longest {given.max:.0f} ms; "
        f"{count(paid.paid)} paid",
        data={"donations": given.success_rate, "p99": given.p99},
    )]


def cold_start(world: World, slugs: list[str]) -> list[Row]:
    """New processes, an empty Redis, and everybody there from the first moment on."""
    settings, stack = world.settings, world.stack
    apis = stack.start_apis(settings.processes, name="api-cold")
    listener = Listener("api", [api.public for api in apis])
    edge = start_edge(stack, "edge-cold", cores(), [listener])
    try:
        stack.services.redis("FLUSHALL")
        cold = by_zipf(world, listener, slugs, settings.many, "a cold start")
        hot = by_zipf(world, listener, slugs, settings.many, "the same, warm")
        loads = sum(api.metric("doacoes_cache_requests_total", layer="postgres", result="hit") for api in apis)
    finally:
        for process in (edge, *(api.process for api in apis)):
            stack.stop_one(process)
    return [Row(
        "cold start: reads by Zipf's law, everything empty", settings.many,
        f"{count(cold.rate)}/s, p99 {cold.p99:.0f} ms, longest {cold.max:.0f} ms; {count(loads)} loads by all processes",
        ceiling=f"{count(hot.rate)}/s, p99 {hot.p99:.0f} ms warm", ratio=f"p99 {cold.p99 / hot.p99:.1f} ×",
        data={"rate": cold.rate, "p99": cold.p99, "hot_p99": hot.p99},
    )]
