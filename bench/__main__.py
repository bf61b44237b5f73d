"""Runs the rows and prints the table. Started by hack/bench, which says what the environment can hold."""

import datetime
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import growth
import machine
import mixes
import peer
import plots
import report
import rows
import settings as environment
from api_client import PASSWORD, Api, MailFolder
from processes import BenchError, wait_until
from stack import Stack, http

DESCRIPTORS = 8_192
START = time.monotonic()


def say(words: str) -> None:
    print(f"bench: {time.monotonic() - START:5.0f} s: {words}", file=sys.stderr, flush=True)


def allow_descriptors() -> None:
    """A thousand clients have a socket each, and nginx two for each of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise SystemExit(f"bench: {DESCRIPTORS} open files are needed, and the limit is {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


def small_world(stack: Stack, api) -> tuple[str, rows.Account]:
    """One organizer with one campaign, made by the front door, where seeding would take too long."""
    client, address = Api(f"http://{api.public}"), "ana@exemplo.org.br"
    cookie = client.new_account(address, MailFolder(stack.mail).code)
    organizadora = client.new_organizadora(cookie)
    slug = client.new_campaign(cookie, organizadora, descricao="Cestas para cem famílias. " * 30, meta_centavos=500_000)
    return slug, rows.Account(PASSWORD, address, 1)


def wait_for_campaign(apis: list, slug: str) -> None:
    """Until every process has heard of it, and of its being open."""
    def is_open(api) -> bool:
        answer = http(f"http://{api.public}{rows.API}/campanhas/{slug}", expect=None)
        return answer.status == 200 and answer.json()["situacao"] == "publicada"

    for api in apis:
        wait_until(f"{api.process.name} knows the campaign", 10, lambda api=api: is_open(api), api.process)


def build_world(settings, stack: Stack) -> rows.World:
    say("migrating" + ("" if settings.smoke else " and seeding"))
    stack.run_api("migrate")
    if not settings.smoke:
        say(stack.run_api("seed", patience=900).strip().splitlines()[-1])
        stack.settle_down()
    apis = stack.apis = stack.start_apis(settings.processes)
    if settings.smoke:
        slug, account = small_world(stack, apis[0])
        wait_for_campaign(apis, slug)
    else:
        slug, account = rows.hot_slug(stack), rows.Account("demonstracao", "pessoa%d@exemplo.org.br", 1_000)
    campaign = f"{rows.API}/campanhas/{slug}"
    edge, files, listeners = rows.build_edge(stack, apis, [campaign, f"{campaign}/totais"], rows.cores())
    return rows.World(settings, stack, apis, slug, account, edge, files, listeners, [])


# In this order: reads want answers that nobody changes meanwhile, and memory comes after the loads that it is held to.
GROUPS = {
    "hot": lambda world: rows.hot_reads(world, cached=False),
    "cache": lambda world: rows.hot_reads(world, cached=True),
    "herd": rows.herd,
    "processes": growth.processes,
    "created": rows.created,
    "confirmed": rows.confirmed,
    "memory": rows.memory,
    "mixes": mixes.every,
    "books": rows.books,
    "peer": peer.compare,
    "data": growth.data,
}


def measure(world: rows.World, found: list[report.Row], failures: list[str]) -> None:
    """Every group; one that fails does not keep the others from being measured. What was found is in `found` as soon as it is."""
    for name, group in GROUPS.items():
        if not world.settings.only.search(name):
            continue
        say(name)
        try:
            for api in world.apis:
                api.process.require_alive()
            for row in group(world):
                if world.settings.smoke:
                    row.reached = None
                say(" | ".join(cell for cell in report.cells(row) if cell))
                found.append(row)
        except BenchError as error:
            failures.append(f"{name}: {error}")
            say(f"FAILED in {failures[-1]}")
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {error}")
            say(f"FAILED in {name}:\n{traceback.format_exc()}")


def prepare_folders() -> tuple[Path, Path]:
    """Where results go, and where the servers work."""
    results = environment.ROOT / "target" / "bench" / datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    (results / "logs").mkdir(parents=True)
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=results.parent))
    # Passable, for the user that runs PostgreSQL; see hack/services.
    scratch.chmod(0o711)
    return results, scratch


def remove_left_overs(folder: Path) -> None:
    """Of runs that were killed: their servers have ended with them, hack/services takes what PostgreSQL left."""
    for scratch in folder.glob("run-*"):
        pid = scratch / "pid"
        if pid.exists() and Path(f"/proc/{pid.read_text()}").exists():
            continue
        if (scratch / "services").exists():
            os.spawnlp(os.P_WAIT, environment.ROOT / "hack" / "services", "services", "--remove", str(scratch / "services"))
        shutil.rmtree(scratch, ignore_errors=True)


def run(settings) -> int:
    allow_descriptors()
    (environment.ROOT / "target" / "bench").mkdir(parents=True, exist_ok=True)
    remove_left_overs(environment.ROOT / "target" / "bench")
    results, scratch = prepare_folders()
    (scratch / "pid").write_text(str(os.getpid()))
    stack = None
    try:
        stack = Stack(settings, scratch, results / "logs")
        about = machine.describe(settings, stack)
        world = build_world(settings, stack)
        found, failures = [], []
        try:
            measure(world, found, failures)
        except KeyboardInterrupt:
            # Hours of measuring are not lost with the rest.
            failures.append("stopped before the end")
        table = report.markdown(about, found, failures, world.notes)
        drawn = plots.every(found)
        report.save(results, about, found, failures, table, drawn)
        print(table)
        say(f"saved in {results.relative_to(environment.ROOT)}")
        if settings.save and not failures:
            report.save_docs(table, drawn)
        return 1 if failures else 0
    finally:
        # A second Ctrl-C must not leave servers behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if stack is not None:
            stack.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def terminated(*_) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGHUP, terminated)
    try:
        sys.exit(run(environment.read()))
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
