"""The rows of growth: more processes, and more data."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import load
from edge import Listener, start_edge
from processes import memory_mib
from report import Row, count, spread
from rows import API, World, check_books, cores, hot_slug, read_many
from stack import Api

# What is read again and again; None is the campaign that most people gave to.
READS = (("hot read", None), ("list of campaigns", f"{API}/campanhas"))
# Campaigns that are read one after the other, each for the first time.
COLD_CAMPAIGNS = 400
# Pages of a list at most, enough that the last ones are far from the start.
PAGES = 400


def processes(world: World) -> list[Row]:
    """h: the same machine with one, two and four processes."""
    settings, rows = world.settings, []
    for what, path in READS:
        first = None
        for number in (1, 2, settings.processes):
            listener = world.listeners["api" if number == settings.processes else f"api_{number}"]
            run = load.wrk(listener.url(path or world.campaign), settings.few, settings.growth_seconds)
            run.require_clean(f"growth: {what}, {number} processes")
            first = first or run.rate
            rows.append(of_rate(f"growth: {what}, {number} process(es)", settings.few, run, run.rate, first))
    return rows


def data(world: World) -> Iterator[Row]:
    """h: the same processes on several times the data, each amount in a database of its own."""
    settings, stack = world.settings, world.stack
    first: dict[str, float] = {}
    for times in (1, *settings.growth_data):
        database, campaign, listener, apis, started = "doacoes", world.campaign, world.listeners["api"], world.apis, []
        if times != 1:
            database = f"doacoes_{times}"
            stack.services.sql(f"CREATE DATABASE {database} OWNER dono")
            stack.run_api("migrate", database=database)
            seeded = stack.run_api("seed", "--times", times, database=database, patience=600 * times)
            world.notes.append(f"{times} × the data: {seeded.strip().splitlines()[-1]}")
            stack.services.sql("VACUUM ANALYZE; CHECKPOINT;", database=database, patience=60 * times)
            campaign = f"{API}/campanhas/{hot_slug(stack, database)}"
            apis = stack.start_apis(settings.processes, database, f"api-{times}x")
            listener = Listener("api", [api.public for api in apis])
            edge = start_edge(stack, f"edge-{times}x", cores(), [listener])
            started = [edge, *(api.process for api in apis)]
        yield from Amount(world, listener, campaign, apis, f"{times} × the data", first).measure()
        check_books(world, f"{times} × the data, after all donations", database, 600 * times)
        for process in started:
            stack.stop_one(process)
        if times != 1:
            stack.services.sql(f"DROP DATABASE {database} WITH (FORCE)")


@dataclass
class Amount:
    """What is asked of one amount of data. `first` holds the numbers of the least amount, which fills it."""

    world: World
    listener: Listener
    campaign: str
    apis: list[Api]
    label: str
    first: dict[str, float]
    rows: list[Row] = field(default_factory=list)

    def measure(self) -> list[Row]:
        settings = self.world.settings
        postgres = {"postgres": [self.world.stack.services.postgres_pid]}
        for what, path in READS:
            run = load.wrk(self.listener.url(path or self.campaign), settings.few, settings.growth_seconds, groups=postgres)
            busy = f"; PostgreSQL takes {run.cpu['postgres'] / run.seconds * 100:.0f} % of a core beside it"
            self.add_rate(what, run.require_clean(f"growth: {what}, {self.label}"), run.rate, busy)
        slugs = self.walk_campaigns()
        self.walk_donations()
        self.read_cold(slugs)
        self.read_many(slugs)
        what = "donation created"
        run = load.wrk(self.listener.url("/"), settings.few, settings.write_seconds, "create", (f"{self.campaign}/doacoes",))
        self.add_rate(what, run.require_deliberate(f"growth: {what}, {self.label}"), run.success_rate)
        self.fill_caches(slugs)
        return self.rows

    def walk_campaigns(self) -> list[str]:
        """The list of campaigns page by page. The slugs that are on it, without the hot campaign's if there are others."""
        walk, items = load.walk(self.listener.url(f"{API}/campanhas"), PAGES)
        self.add_pages("page of campaigns", walk)
        slugs = [item["slug"] for item in items]
        return [slug for slug in slugs if not self.campaign.endswith(f"/{slug}")] or slugs

    def walk_donations(self) -> None:
        walk, _ = load.walk(self.listener.url(f"{self.campaign}/doacoes"), PAGES)
        self.add_pages("page of donations", walk)

    def read_cold(self, slugs: list[str]) -> None:
        """One request at a time, each for a campaign that no cache holds: PostgreSQL answers."""
        cold = load.each([self.listener.url(f"{API}/campanhas/{slug}") for slug in slugs[-COLD_CAMPAIGNS:]])
        self.add_time("cold campaign", cold, f"{len(cold.times)} campaigns")

    def read_many(self, slugs: list[str]) -> None:
        """All campaigns, the n-th of the list 1/n as often as the first: a few are in every cache, most in none for long."""
        settings = self.world.settings
        what = "campaigns by Zipf's law"
        run = self.read(slugs, ("",), "zipf", settings.growth_seconds)
        self.add_rate(what, run.require_clean(f"growth: {what}, {self.label}"), run.rate, f"; {count(len(slugs))} campaigns")

    def fill_caches(self, slugs: list[str]) -> None:
        """f: the memory of processes that are asked for everything in turn, with log-ins beside it."""
        world, kinds = self.world, ("", "/totais", "/doacoes")
        settings, account = world.settings, world.account
        arguments = (account.password, account.email_pattern, account.people)
        url = self.listener.url("/")
        with ThreadPoolExecutor() as pool:
            log_ins = pool.submit(load.wrk, url, settings.few, settings.growth_seconds, "log_in", arguments)
            run = self.read(slugs, kinds, "turn", settings.growth_seconds)
            log_ins.result().require_deliberate("log-in beside reads of everything")
        run.require_clean(f"everything in turn, {self.label}")
        subjects = len(slugs) * len(kinds)
        peaks = [memory_mib(api.pid)["VmHWM"] for api in self.apis]
        self.rows.append(Row(
            f"memory of an API process, caches filled and log-ins, {self.label}", settings.few,
            f"at most {max(peaks):.1f} MiB; {count(min(run.requests, subjects))} of {count(subjects)} subjects, {count(run.rate)}/s",
            spread(peaks, lambda value: f"{value:.1f}"), target="< 64 MiB", reached=max(peaks) < 64, data={"peak_mib": max(peaks)},
        ))

    def read(self, slugs: list[str], kinds: tuple[str, ...], order: str, seconds: int) -> load.Run:
        return read_many(self.world, self.listener, slugs, kinds, order, self.world.settings.few, seconds)

    def add_rate(self, what: str, run: load.Run, rate: float, more: str = "") -> None:
        first = self.first.setdefault(what, rate)
        self.rows.append(of_rate(f"growth: {what}, {self.label}", self.world.settings.few, run, rate, first, more))

    def add_pages(self, what: str, walk: load.Timed) -> None:
        last = load.Timed(walk.times[-10:])
        self.add_time(f"{what} by cursor", walk, f"{len(walk.times)} pages, p50 of the last ten {last.p50:.1f} ms")

    def add_time(self, what: str, timed: load.Timed, more: str) -> None:
        first = self.first.setdefault(what, timed.p50)
        self.rows.append(Row(
            f"growth: {what}, {self.label}", 1, f"p50 {timed.p50:.1f} ms, p99 {timed.percentile(0.99):.1f} ms; {more}",
            ratio=f"{timed.p50 / first:.2f} × the first", data={"p50": timed.p50},
        ))


def of_rate(name: str, connections: int, run: load.Run, rate: float, first: float, more: str = "") -> Row:
    return Row(
        name, connections, f"{count(rate)}/s, p50 {run.p50:.1f} ms, p99 {run.p99:.1f} ms{more}",
        ratio=f"{rate / first:.2f} × the first", data={"growth": rate, "p99": run.p99},
    )
