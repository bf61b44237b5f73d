"""The rows of the table, each with what it is held to."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import ceiling
import load
from edge import Listener, require_same, start_edge, start_files
from processes import BenchError, Process, memory_mib
from report import Row, count, median, share, spread
from settings import Settings
from stack import Answer, Api, Stack, http

API = "/api/v1"


@dataclass
class Account:
    """Who logs in."""

    password: str
    email_pattern: str
    people: int


@dataclass
class World:
    """What every row works on."""

    settings: Settings
    stack: Stack
    apis: list[Api]
    slug: str
    account: Account
    edge: Process
    files: list[Process]
    listeners: dict[str, Listener]
    notes: list[str]

    @property
    def campaign(self) -> str:
        return f"{API}/campanhas/{self.slug}"

    def groups(self) -> dict[str, list[int]]:
        """Processes whose CPU time is told apart."""
        return {
            "api": [api.pid for api in self.apis],
            "nginx": [self.edge.pid],
            "files": [process.pid for process in self.files],
            "postgres": [self.stack.services.postgres_pid],
            "redis": [self.stack.services.redis_pid],
        }


def interleaved(pairs: int, one, other) -> tuple[list, list]:
    """Runs both in the order A B B A A B …, so that a machine that gets slower or faster favours neither."""
    ones, others = [], []
    for number in range(pairs):
        steps = [(one, ones), (other, others)]
        for run, results in steps if number % 2 == 0 else reversed(steps):
            results.append(run())
    return ones, others


def capture(listener: Listener, path: str) -> Answer:
    """The answer as a reader gets it once it is warm."""
    http(listener.url(path))
    return http(listener.url(path))


def build_edge(stack: Stack, apis: list[Api], paths: list[str], workers: int):
    """The edge, the files behind it with the very bytes that the API answers, and proof that they are the same."""
    addresses = [api.public for api in apis]
    probes = [Listener("api", addresses), Listener("cached", addresses, cached=True)]
    first = start_edge(stack, "edge-to-look", workers, probes)
    plain, cached = ({path: capture(listener, path) for path in paths} for listener in probes)
    stack.stop_one(first)

    file_addresses, files = start_files(stack, len(apis), plain)
    listeners = [
        Listener("api", addresses),
        Listener("files", file_addresses),
        Listener("cached", addresses, cached=True),
        Listener("own_files", [], files=cached),
        *(Listener(f"api_{number}", addresses[:number]) for number in (1, 2)),
    ]
    edge = start_edge(stack, "edge", workers, listeners)
    by_name = {listener.name: listener for listener in listeners}
    for path in paths:
        for real, copy in (("api", "files"), ("cached", "own_files")):
            require_same(path, capture(by_name[real], path), http(by_name[copy].url(path)))
    return edge, files, by_name


def hot_reads(world: World, cached: bool) -> list[Row]:
    """a, b and g: reads of one campaign against files of the same bytes."""
    settings = world.settings
    real, copy = ("cached", "own_files") if cached else ("api", "files")
    title, target = ("hot read, micro-cache", 0.60) if cached else ("hot read", 0.85)
    rows = []
    paths = [("campaign", world.campaign), ("totals", f"{world.campaign}/totais")]
    # Totals come from no edge's cache.
    for what, path in paths[:1] if settings.smoke or cached else paths:
        for connections in (settings.few, settings.many):
            def run(listener: str) -> load.Run:
                # Hot from the first request on: nginx lets others wait half a second for the one that fills its cache. With
                # wrk's headers, since Vary gives those who accept other encodings an entry of their own.
                load.herd(world.listeners[listener].url(path), 1)
                done = load.wrk(world.listeners[listener].url(path), connections, settings.seconds, groups=world.groups())
                return done.require_clean(f"{title}: {what} ({listener}, {connections} connections)")

            if not settings.smoke:
                run(real)
                run(copy)
            ours, theirs = interleaved(settings.pairs, lambda: run(real), lambda: run(copy))
            ratios = [a.rate / b.rate for a, b in zip(ours, theirs)]
            ratio, rate = median(ratios), median(run.rate for run in ours)
            rows.append(Row(
                f"{title}: {what}", connections,
                f"{count(rate)}/s, p99 {median(run.p99 for run in ours):.1f} ms",
                f"{spread([run.rate for run in ours])}; ratio {spread(ratios, share)}",
                f"{count(median(run.rate for run in theirs))}/s, p99 {median(run.p99 for run in theirs):.1f} ms",
                share(ratio), f"≥ {share(target)}", ratio >= target,
                {"rate": rate, "ratio": ratio, "ratios": ratios, "target": target, "p99": median(run.p99 for run in ours)},
            ))
            rows.append(cpu_row(title, what, connections, ours, theirs))
    return rows


def cpu_row(title: str, what: str, connections: int, ours: list[load.Run], theirs: list[load.Run]) -> Row:
    """CPU of nginx and of what is behind it."""
    sides = ("nginx", "api", "postgres", "redis")
    split = {side: median(run.cpu_per_request_us(side) for run in ours) for side in sides}
    total = [run.cpu_per_request_us(*sides) for run in ours]
    files = median(run.cpu_per_request_us("nginx", "files") for run in theirs)
    parts = ", ".join(f"{side} {value:.1f}" for side, value in split.items())
    return Row(
        f"{title}: {what}, CPU per request", connections, f"{median(total):.1f} µs ({parts})",
        spread(total, lambda value: f"{value:.1f}"), f"{files:.1f} µs", f"{median(total) / files:.2f} ×" if files else "",
        data={"cpu_us": median(total), "split": split},
    )


def herd(world: World) -> list[Row]:
    """e: everybody at once on a campaign that no cache knows."""
    settings, worst, times = world.settings, 0.0, []

    def loads() -> list[float]:
        labels = {"layer": "postgres", "entity": "campanha", "result": "hit"}
        return [api.metric("doacoes_cache_requests_total", **labels) for api in world.apis]

    for _ in range(settings.herd_times):
        # Longer than a process keeps an answer for itself.
        time.sleep(5)
        world.stack.services.redis("FLUSHALL")
        before = loads()
        times += load.herd(world.listeners["api"].url(world.campaign), settings.herd_clients).times
        grown = [after - earlier for earlier, after in zip(before, loads())]
        if sum(grown) < 1:
            raise BenchError("herd: no process says that it asked the database, so the count cannot be believed")
        worst = max(worst, *grown)
    p99 = load.Timed(times).percentile(0.99)
    return [Row(
        "cold herd, one request each", settings.herd_clients,
        f"at most {worst:.0f} load(s) a process; p99 {p99:.0f} ms", f"{settings.herd_times} herds, longest {max(times):.0f} ms",
        target="≤ 1 load a process; p99 < 300 ms", reached=worst <= 1 and p99 < 300, data={"loads": worst, "p99": p99},
    )]


def created(world: World) -> list[Row]:
    """c: guests who donate."""
    settings, stack = world.settings, world.stack
    path = f"{world.campaign}/doacoes"
    url = world.listeners["api"].url("/")
    with ceiling.Capture(stack) as capture_api:
        made = [donate(capture_api.api, world.slug) for _ in range(3)]
        pair = capture_api.transactions("doacoes", 2)
    head = ["\\set n :n + 1", "\\set txid (:base + :n) * 100000 + :client_id"]
    known = tuple({answer["pagamento"]["txid"]: "'PGBENCH' || lpad((:txid)::text, 18, '0')"} for answer in made[1:])
    script = stack.folder / "created.sql"
    script.write_text(ceiling.Script(stack, head, known).write(*pair))
    keep(world, script)
    rows_of = ceiling.Rows(stack, ceiling.inserted_tables(pair[0]), "doacoes")
    shapes: dict[str, dict] = {}

    def ours() -> load.Run:
        run = load.wrk(url, settings.few, settings.write_seconds, "create", (path,), world.groups())
        run.require_deliberate("donation created")
        shapes["API"] = rows_of.require("donation created", run.success, run.success + settings.few)
        return run

    def theirs() -> ceiling.PgbenchRun:
        run = ceiling.run_pgbench(
            stack, script, ["-T", str(settings.write_seconds)], settings.write_seconds + 60, {"n": 0, "base": int(time.time() * 1000)}
        )
        shapes["pgbench"] = rows_of.require("pgbench", run.transactions, run.transactions)
        return run

    runs, ceilings = interleaved(settings.write_pairs, ours, theirs)
    require_same_rows("donation created", shapes)
    ratios = [run.success_rate / other.rate for run, other in zip(runs, ceilings)]
    rate, p99 = median(run.success_rate for run in runs), median(run.p99 for run in runs)
    row = write_row("donation created", settings.few, runs, ceilings, ratios, "; p99 < 250 ms")
    # This many are no overload: none may be sent away.
    row.reached = row.reached and p99 < 250 and not any(run.busy for run in runs)
    rows = [row]

    crowded = []
    for _ in range(min(3, settings.write_pairs)):
        run = load.wrk(url, settings.many, settings.write_seconds, "create", (path,), world.groups())
        if run.other or run.socket_errors or not run.success:
            run.require_deliberate("donation created, crowd")
        rows_of.require("donation created, crowd", run.success, run.success + settings.many)
        crowded.append(run)
    crowd_rate, late = median(run.success_rate for run in crowded), sum(run.late for run in crowded)
    busy, longest = sum(run.busy for run in crowded), max(run.max for run in crowded)
    rows.append(Row(
        "donation created, crowd", settings.many,
        f"{count(crowd_rate)}/s, p50 {median(run.p50 for run in crowded):.0f} ms, p99 {median(run.p99 for run in crowded):.0f} ms, "
        f"longest {longest:.0f} ms; {count(busy)} deliberate 503, {late} late",
        spread([run.success_rate for run in crowded]), f"{count(rate)}/s at {settings.few}", share(crowd_rate / rate),
        "≥ 90 % of the rate at 64; none later than 2 s", crowd_rate >= 0.9 * rate and late == 0,
        {"rate": crowd_rate, "busy": busy, "late": late, "longest": longest},
    ))
    return rows


def write_row(name: str, connections: int, runs: list[load.Run], ceilings: list, ratios: list[float], more: str = "") -> Row:
    rate, ratio = median(run.success_rate for run in runs), median(ratios)
    p50, p99 = median(run.p50 for run in runs), median(run.p99 for run in runs)
    busy = sum(run.busy for run in runs)
    cpu = median(run.cpu_per_request_us("api", "nginx", "postgres", "redis") for run in runs)
    postgres = median(run.cpu_per_request_us("postgres") for run in runs)
    pgbench = median(run.cpu * 1e6 / run.transactions for run in ceilings)
    return Row(
        name, connections,
        f"{count(rate)}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms" + (f", {busy} deliberate 503" if busy else "")
        + f"; CPU {cpu:.0f} µs each, PostgreSQL's {postgres:.0f}",
        f"{spread([run.success_rate for run in runs])}; ratio {spread(ratios, share)}",
        f"{count(median(run.rate for run in ceilings))}/s; PostgreSQL's CPU {pgbench:.0f} µs", share(ratio), f"≥ 50 %{more}", ratio >= 0.5,
        {"rate": rate, "ratio": ratio, "ratios": ratios, "target": 0.5, "p99": p99, "cpu_us": cpu},
    )


def donate(api: Api, slug: str) -> dict:
    """One donation, as create.lua makes them."""
    body = {
        "valor_centavos": 5000, "nome_exibicao": "Bia", "mensagem": "Força!", "provedor": "simulado",
        "aviso_privacidade": "2026-11", "consentimento": True,
    }
    key = Path("/proc/sys/kernel/random/uuid").read_text().strip()
    return http(f"http://{api.public}{API}/campanhas/{slug}/doacoes", body, 201, Idempotency_Key=key).json()


def pay(api: Api, txid: str, e2eid: str) -> None:
    http(f"http://{api.public}{API}/simulado/pagamentos/{txid}", {"valor_centavos": 5000, "e2eid": e2eid})


def require_same_rows(what: str, shapes: dict[str, dict]) -> None:
    if shapes["API"] != shapes["pgbench"]:
        raise BenchError(f"{what}: rows per transaction differ: {shapes}")


def keep(world: World, script: Path) -> None:
    """Beside the results, for whoever wants to see what the ceiling ran."""
    (world.stack.logs / script.name).write_text(script.read_text())


def confirmed(world: World) -> list[Row]:
    """d: payments that arrive."""
    settings, stack = world.settings, world.stack
    clients = settings.database_clients
    with ceiling.Capture(stack) as capture_api:
        template = donate(capture_api.api, world.slug)
        examples = []
        for number in range(3):
            donation, e2eid = donate(capture_api.api, world.slug), f"E99000003202611240000{number:011d}"
            pay(capture_api.api, donation["pagamento"]["txid"], e2eid)
            examples.append((donation, e2eid))
        pair = capture_api.transactions("pix_recebidos", 2)
    base = int(time.time() * 1000)
    expressions = ceiling.clone_expressions()

    def known(donation: dict, e2eid: str) -> dict[str, str]:
        key = stack.services.sql(f"SELECT '\\x' || encode(doador_chave, 'hex') FROM doacoes WHERE id = '{donation['id']}'")
        names = {
            donation["id"]: "donation", donation["pagamento"]["id"]: "payment", donation["pagamento"]["txid"]: "txid",
            e2eid: "e2eid", key: "donor",
        }
        return {value: expressions[name] for value, name in names.items()}

    # Movements get ids of their own, in the order of time like the API's.
    head = ceiling.clone_settings(base, clients) + [f"\\set base {base}"]
    script = stack.folder / "confirmed.sql"
    script.write_text(ceiling.Script(stack, head, tuple(known(*example) for example in examples[1:])).write(*pair))
    keep(world, script)
    each = settings.confirmations
    total = each * 2 * settings.write_pairs
    ceiling.clone_charges(stack, template["id"], 0, total - 1, base)
    stack.settle_down()
    blocks = iter(range(0, total, each))
    rows_of = ceiling.Rows(stack, ceiling.inserted_tables(pair[0]), "pix_recebidos")
    shapes: dict[str, dict] = {}

    def ours() -> load.Run:
        first = next(blocks)
        run = load.wrk(world.listeners["api"].url("/"), settings.few, 120, "confirm", (first, first + each - 1), world.groups())
        run.require_clean("donation confirmed")
        shapes["API"] = rows_of.require("donation confirmed", max(run.success - settings.few, each - settings.few), each)
        return run

    def theirs() -> ceiling.PgbenchRun:
        run = ceiling.run_pgbench(stack, script, ["-t", str(each // clients)], 120, {"first": next(blocks), "turn": 0})
        shapes["pgbench"] = rows_of.require("pgbench", each, each)
        return run

    runs, ceilings = interleaved(settings.write_pairs, ours, theirs)
    require_same_rows("donation confirmed", shapes)
    ratios = [run.success_rate / other.rate for run, other in zip(runs, ceilings)]
    return [write_row("donation confirmed", settings.few, runs, ceilings, ratios)]


def books(world: World) -> list[Row]:
    """Whatever was done, by the API and by pgbench, has to add up."""
    check_books(world, "after all donations and confirmations", "doacoes", 600)
    return []


def check_books(world: World, when: str, database: str, patience: int) -> None:
    started = time.monotonic()
    answer = world.stack.run_api("admin", "check-books", database=database, patience=patience)
    took = time.monotonic() - started
    world.notes.append(f"{when} `api admin check-books`: {answer.strip().splitlines()[-1]}; {took:.0f} s")


def memory(world: World) -> list[Row]:
    """f: the highest that any process got to, with log-ins beside reads."""
    settings = world.settings
    url = world.listeners["api"].url
    idle = load.wrk(url(world.campaign), settings.few, settings.seconds).require_clean("reads alone")
    reads: list = []

    def read() -> None:
        try:
            reads.append(load.wrk(url(world.campaign), settings.few, settings.write_seconds).require_clean("reads beside log-ins"))
        except BenchError as error:
            reads.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    account = world.account
    arguments = (account.password, account.email_pattern, account.people)
    try:
        log_ins = load.wrk(url("/"), settings.few, settings.write_seconds, "log_in", arguments).require_deliberate("log-in")
    finally:
        reader.join()
    (beside,) = reads
    if isinstance(beside, BenchError):
        raise beside
    now = [memory_mib(api.pid) for api in world.apis]
    peaks = [found["VmHWM"] for found in now]
    return [Row(
        "memory of an API process, log-ins included", settings.few,
        f"at most {max(peaks):.1f} MiB, now {max(found['VmRSS'] for found in now):.1f} MiB",
        spread(peaks, lambda value: f"{value:.1f}"), target="< 64 MiB", reached=max(peaks) < 64,
        data={"peak_mib": max(peaks)},
    ), Row(
        "hot read beside log-ins", settings.few, f"{count(beside.rate)}/s, p99 {beside.p99:.1f} ms; "
        f"{log_ins.success_rate:.0f} log-ins/s, {count(log_ins.busy / log_ins.seconds)}/s told to come back",
        ceiling=f"{count(idle.rate)}/s, p99 {idle.p99:.1f} ms alone", ratio=f"p99 {beside.p99 / idle.p99:.1f} ×",
        data={"p99": beside.p99, "idle_p99": idle.p99, "log_ins": log_ins.success_rate},
    )]


def read_many(world: World, listener: Listener, slugs: list[str], kinds: tuple[str, ...], order: str, connections: int, seconds: int) -> load.Run:
    """Pages of many campaigns: `zipf`, the n-th campaign as often as 1/n of the first, or all in `turn`."""
    paths = world.stack.folder / "paths"
    paths.write_text("".join(f"{API}/campanhas/{slug}{kind}\n" for slug in slugs for kind in kinds))
    return load.wrk(listener.url("/"), connections, seconds, "read_many", (paths, order))


def hot_slug(stack: Stack, database: str = "doacoes") -> str:
    """The campaign that most people gave to."""
    found = stack.services.sql(
        "SELECT c.slug FROM campanhas c JOIN campanha_totais t ON t.campanha_id = c.id WHERE c.situacao = 'publicada' "
        "ORDER BY t.doacoes_qtd DESC, c.id LIMIT 1", database,
    )
    if not found:
        raise BenchError(f"no published campaign in {database}")
    return found


def cores() -> int:
    """Workers of the edge: as many as there are cores, like nginx's own `auto`, but no more than API processes."""
    return min(os.cpu_count() or 1, 4)
