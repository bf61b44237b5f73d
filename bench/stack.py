"""What is measured: PostgreSQL, Redis and the API's processes, on loopback."""

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import api_client
from processes import BenchError, Process, wait_until
from settings import ROOT

WORDS_OF_ENV = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER"}


def clean_env(**extra) -> dict:
    """Without the caller's own settings of databases and of the API."""
    kept = {name: value for name, value in os.environ.items() if name in WORDS_OF_ENV}
    return kept | {name: str(value) for name, value in extra.items()}


class Services:
    """hack/services: PostgreSQL and Redis, gone with the harness however it ends."""

    def __init__(self, folder: Path, fast: bool, logs: Path):
        command = [ROOT / "hack" / "services", "--ephemeral", *(["--fast"] if fast else []), folder]
        self.process = Process(
            "hack/services", command, logs / "services.log", clean_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.folder = folder
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.popen.stdout, selectors.EVENT_READ)
            if not selector.select(180) or self.process.popen.stdout.readline() != b"ready\n":
                self.stop()
                raise BenchError(f"PostgreSQL and Redis did not start; {self.process.last_words()}")
        lines = (folder / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)
        self.postgres_pid = int(self.env["PG_PID"])
        self.redis_pid = int(self.env["REDIS_PID"])
        self.bin = Path(self.env["PG_BIN"])

    @property
    def postgres_log(self) -> Path:
        return self.folder / "postgres.log"

    def url(self, role: str, database: str) -> str:
        """The URL of `app`, `dono` or `postgres` for a database."""
        name = {"app": "DATABASE_URL", "dono": "MIGRATION_DATABASE_URL", "postgres": "PG_SUPERUSER_URL"}[role]
        return urllib.parse.urlsplit(self.env[name])._replace(path=f"/{database}").geturl()

    def pg_env(self, role: str, database: str) -> dict:
        """libpq's variables; a password among the arguments is anybody's to read."""
        url = urllib.parse.urlsplit(self.url(role, database))
        return clean_env(
            PGHOST=url.hostname, PGPORT=url.port, PGUSER=url.username, PGPASSWORD=url.password, PGDATABASE=database
        )

    def sql(self, statement: str, database: str = "doacoes", role: str = "postgres", patience: float = 600) -> str:
        """What psql answers, one line a row."""
        done = subprocess.run(
            [self.bin / "psql", "--no-psqlrc", "-qtA", "-v", "ON_ERROR_STOP=1"],
            input=statement, env=self.pg_env(role, database), capture_output=True, text=True, timeout=patience,
        )
        if done.returncode != 0:
            raise BenchError(f"psql: {done.stderr.strip()} (in: {statement.strip()[:200]})")
        return done.stdout.strip()

    def redis(self, *words: str) -> None:
        """One command to Redis, which answers OK."""
        url = urllib.parse.urlsplit(self.env["REDIS_URL"])
        with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
            for command in (("AUTH", url.password), words):
                parts = [f"*{len(command)}\r\n"] + [f"${len(word)}\r\n{word}\r\n" for word in command]
                connection.sendall("".join(parts).encode())
                answer = connection.recv(200)
                if answer != b"+OK\r\n":
                    raise BenchError(f"Redis answered {answer!r}")

    def stop(self) -> None:
        self.process.popen.stdin.close()
        try:
            self.process.popen.wait(90)
        except subprocess.TimeoutExpired:
            self.process.stop()


@dataclass
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return dict(self.headers)[name]

    def json(self):
        return json.loads(self.body)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def http(url: str, body=None, expect: int | None = 200, **headers) -> Answer:
    """One request; with a body it is a POST of JSON."""
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if data is not None:
        names["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, names)
    try:
        answer = OPENER.open(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = Answer(answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read())
    if expect is not None and found.status != expect:
        raise BenchError(f"{url} answered {found.status}, not {expect}: {found.body[:300]!r}")
    return found


class Api:
    """One `api serve`."""

    def __init__(self, name: str, binary: Path, env: dict, logs: Path):
        log = logs / f"{name}.log"
        log.unlink(missing_ok=True)
        self.process = Process(name, [binary, "serve"], log, env)
        self.public = self.admin = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def await_ready(self) -> None:
        def addresses():
            return re.search(r'"public":"([^"]+)".*"admin":"([^"]+)"|"admin":"([^"]+)".*"public":"([^"]+)"',
                             self.process.log.read_text(errors="replace"))

        found = wait_until(f"{self.process.name} listens", 60, addresses, self.process)
        self.public = found[1] or found[4]
        self.admin = found[2] or found[3]
        wait_until(f"{self.process.name} is ready", 60, self.is_ready, self.process)

    def is_ready(self) -> bool:
        try:
            return http(f"http://{self.admin}/readyz", expect=None).status == 200
        except OSError:
            return False

    def metric(self, name: str, **labels) -> float:
        """The sum of a metric's series that have these labels; there must be one."""
        try:
            return api_client.metric(http(f"http://{self.admin}/metrics").body.decode(), name, **labels)
        except LookupError as error:
            raise BenchError(f"{self.process.name}: {error}") from None


class Stack:
    """The servers of one run, with everything that has to be stopped in the end."""

    def __init__(self, settings, folder: Path, logs: Path):
        self.settings = settings
        self.folder = folder
        self.logs = logs
        self.services = Services(folder / "services", settings.smoke, logs)
        self.secrets = folder / "secrets"
        self.mail = folder / "mail"
        self.limits = folder / "limits.json"
        # The load comes from one address and would be refused for that alone.
        self.limits.write_text('{"*": null}\n')
        self.running: list[Process] = []
        self.apis: list[Api] = []
        self.run_api("admin", "create-keys", self.secrets)

    def api_env(self, database: str = "doacoes") -> dict:
        return clean_env(
            DATABASE_URL=self.services.url("app", database),
            MIGRATION_DATABASE_URL=self.services.url("dono", database),
            REDIS_URL=self.services.env["REDIS_URL"],
            REDIS_PREFIX=f"{database}:",
            DRAIN_SECONDS=0,
            DATABASE_POOL_SIZE=self.settings.pool_size,
            POOLER="direct",
            PROFILE="development",
            PAYMENTS="simulado,pix_estatico",
            PUBLIC_URL="http://localhost",
            SECRETS_DIR=self.secrets,
            MAIL_URL=f"file://{self.mail}",
            RATE_LIMITS=self.limits,
            TRUSTED_PROXIES="127.0.0.0/8",
            LISTEN_ADDR="127.0.0.1:0",
            ADMIN_ADDR="127.0.0.1:0",
            # Four processes share the cores with nginx and PostgreSQL; more threads would only take turns.
            TOKIO_WORKER_THREADS=1,
        )

    def run_api(self, *words, database: str = "doacoes", patience: float = 300) -> str:
        """A subcommand of the API that ends by itself."""
        command = [str(word) for word in (self.settings.api, *words)]
        done = subprocess.run(command, env=self.api_env(database), capture_output=True, text=True, timeout=patience)
        if done.returncode != 0:
            raise BenchError(f"api {' '.join(command[1:])}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_apis(self, count: int, database: str = "doacoes", name: str = "api") -> list[Api]:
        apis = []
        for number in range(1, count + 1):
            api = Api(f"{name}-{number}", self.settings.api, self.api_env(database), self.logs)
            self.running.append(api.process)
            apis.append(api)
        for api in apis:
            api.await_ready()
        return apis

    def start(self, name: str, command: list) -> Process:
        process = Process(name, command, self.logs / f"{name}.log", clean_env())
        self.running.append(process)
        return process

    def stop_one(self, process: Process) -> None:
        process.stop()
        self.running.remove(process)

    def stop(self) -> None:
        # All are told first, so that their patience is spent at the same time.
        for process in self.running:
            if process.alive():
                process.popen.send_signal(signal.SIGTERM)
        for process in reversed(self.running):
            process.stop()
        self.services.stop()

    def settle_down(self) -> None:
        """Statistics for the planner, and no checkpoint left over from loading."""
        self.services.sql("VACUUM ANALYZE; CHECKPOINT;")
        time.sleep(0.5)
