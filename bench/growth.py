"""The rows of growth: more processes, and more data."""

import load
from edge import Listener, start_edge
from processes import memory_mib
from report import Row, count, spread
from rows import API, World, cores, hot_slug
from stack import Api

READS = (("hot read", None), ("list of campaigns", f"{API}/campanhas"))
# Campaigns that nobody has asked for before.
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


def data(world: World) -> list[Row]:
    """h: the same processes on ten and a hundred times the data, each in a database of its own."""
    settings, stack, rows = world.settings, world.stack, []
    first: dict[str, float] = {}
    for times in (1, *settings.growth_data):
        if times == 1:
            listener, campaign, apis, started = world.listeners["api"], world.campaign, world.apis, []
        else:
            database = f"doacoes_{times}"
            stack.services.sql(f"CREATE DATABASE {database} OWNER dono")
            stack.run_api("migrate", database=database)
            stack.run_api("seed", "--times", times, database=database, patience=600 * times)
            stack.services.sql("VACUUM ANALYZE; CHECKPOINT;", database=database, patience=60 * times)
            campaign = f"{API}/campanhas/{hot_slug(stack, database)}"
            apis = stack.start_apis(settings.processes, database, f"api-{times}x")
            listener = Listener("api", [api.public for api in apis])
            edge = start_edge(stack, f"edge-{times}x", cores(), [listener])
            started = [edge, *(api.process for api in apis)]
        label = f"{times} × the data"
        found, slugs = measured(world, listener, campaign, label, first)
        rows += found
        rows.append(full_caches(world, listener, slugs, apis, label))
        for process in started:
            stack.stop_one(process)
        if times != 1:
            stack.services.sql(f"DROP DATABASE doacoes_{times} WITH (FORCE)")
    return rows


def measured(world: World, listener: Listener, campaign: str, label: str, first: dict[str, float]):
    """Rows of what is asked of each amount of data, and the campaigns there are.

    `first` holds the least amount's numbers, and is filled with them.
    """
    settings, rows = world.settings, []

    def rate(what: str, run: load.Run, value: float) -> None:
        rows.append(of_rate(f"growth: {what}, {label}", settings.few, run, value, first.setdefault(what, value)))

    def time(what: str, timed: load.Timed, more: str) -> None:
        rows.append(of_time(f"growth: {what}, {label}", timed, first.setdefault(what, timed.p50), more))

    for what, path in READS:
        run = load.wrk(listener.url(path or campaign), settings.few, settings.growth_seconds)
        rate(what, run.require_clean(f"growth: {what}, {label}"), run.rate)

    # One request at a time from here on, each for something that no cache holds: PostgreSQL answers.
    slugs: list[str] = []
    for what, path in (("page of campaigns", f"{API}/campanhas"), ("page of donations", f"{campaign}/doacoes")):
        walk, items = load.walk(listener.url(path), PAGES)
        time(what, walk, f"{len(walk.times)} pages by cursor, the last ten {load.Timed(walk.times[-10:]).p50:.1f} ms")
        slugs = slugs or [item["slug"] for item in items if not campaign.endswith("/" + item["slug"])]
    cold = load.each([listener.url(f"{API}/campanhas/{slug}") for slug in slugs[-COLD_CAMPAIGNS:]])
    time("cold campaign", cold, f"{len(cold.times)} campaigns")

    # Popularity as it is: the ones at the top are in every cache, the long tail in none.
    paths = world.stack.folder / "paths"
    paths.write_text("".join(f"{API}/campanhas/{slug}\n" for slug in slugs))
    run = load.wrk(listener.url("/"), settings.few, settings.growth_seconds, "read_many", (paths, "zipf"))
    rate(f"Zipf's share of {count(len(slugs))} campaigns", run.require_clean(f"growth: many campaigns, {label}"), run.rate)

    run = load.wrk(listener.url("/"), settings.few, settings.write_seconds, "create", (f"{campaign}/doacoes",))
    rate("donation created", run.require_deliberate(f"growth: donation created, {label}"), run.success_rate)
    return rows, slugs


def full_caches(world: World, listener: Listener, slugs: list[str], apis: list[Api], label: str) -> Row:
    """f: the memory of processes that were asked for more than their caches hold."""
    paths = world.stack.folder / "paths"
    kinds = ("", "/totais", "/doacoes")
    paths.write_text("".join(f"{API}/campanhas/{slug}{kind}\n" for kind in kinds for slug in slugs))
    run = load.wrk(listener.url("/"), world.settings.few, world.settings.growth_seconds, "read_many", (paths, "turn"))
    run.require_clean(f"all campaigns in turn, {label}")
    peaks = [memory_mib(api.pid)["VmHWM"] for api in apis]
    return Row(
        f"memory of an API process, {count(len(slugs) * len(kinds))} subjects in turn, {label}", world.settings.few,
        f"at most {max(peaks):.1f} MiB; {count(run.rate)}/s, p99 {run.p99:.1f} ms", spread(peaks, lambda value: f"{value:.1f}"),
        target="< 64 MiB", reached=max(peaks) < 64, data={"peak_mib": max(peaks)},
    )


def of_rate(name: str, connections: int, run: load.Run, rate: float, first: float) -> Row:
    return Row(
        name, connections, f"{count(rate)}/s, p50 {run.p50:.1f} ms, p99 {run.p99:.1f} ms",
        ratio=f"{rate / first:.2f} × the first", data={"growth": rate, "p99": run.p99},
    )


def of_time(name: str, timed: load.Timed, first: float, more: str) -> Row:
    return Row(
        name, 1, f"p50 {timed.p50:.1f} ms, p99 {timed.percentile(0.99):.1f} ms; {more}",
        ratio=f"{timed.p50 / first:.2f} × the first", data={"p50": timed.p50},
    )
