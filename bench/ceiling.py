"""What the database could do at most: the statements of a request, captured from the API, sent by pgbench.

A request is made twice while PostgreSQL logs the statements of its transaction. What is the same both times stays as it
is; what differs is made fresh for each transaction of pgbench, in the form that the API gives it, so that the same rows
are inserted into the same places of the same indexes.
"""

import re
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from processes import BenchError, cpu_seconds
from stack import Stack

ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \S+ \[(\d+)\] (\w+):  (.*)", re.DOTALL)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')", re.DOTALL)
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
# sqlx asks a connection whether it is alive before use. That is no statement of the request, so the ceiling is without it.
PING = "/* SQLx ping */"


@dataclass
class Statement:
    """One statement with its parameters as PostgreSQL logged them; None is NULL."""

    sql: str
    parameters: list[str | None] = field(default_factory=list)


def read_log(text: str) -> list[tuple[int, Statement]]:
    """Backend and statement, in order."""
    # A message of several lines goes on after a tab.
    entries = re.split(r"\n(?!\t)", text)
    found: list[tuple[int, Statement]] = []
    for entry in entries:
        match = ENTRY.match(entry.replace("\n\t", "\n"))
        if not match:
            continue
        backend, level, message = int(match[1]), match[2], match[3]
        if level == "LOG" and message.startswith("statement: "):
            found.append((backend, Statement(message.removeprefix("statement: "))))
        elif level == "LOG" and (execute := re.match(r"execute [^:]+: (.*)", message, re.DOTALL)):
            found.append((backend, Statement(execute[1])))
        elif level == "DETAIL" and message.startswith("parameters: "):
            statement = next(statement for other, statement in reversed(found) if other == backend)
            for number, literal in PARAMETER.findall(message):
                if int(number) != len(statement.parameters) + 1:
                    raise BenchError(f"a parameter is missing in {message[:200]}")
                value = None if literal == "NULL" else literal[1:-1].replace("''", "'")
                statement.parameters.append(value)
    return found


def transactions(text: str, marker: str) -> list[list[Statement]]:
    """The committed transactions that insert into the table `marker`, without BEGIN and COMMIT."""
    running: dict[int, list[Statement]] = {}
    found = []
    for backend, statement in read_log(text):
        word = statement.sql.strip().upper().rstrip(";")
        if word.startswith("BEGIN"):
            running[backend] = []
        elif word == "COMMIT":
            body = running.pop(backend, [])
            if any(re.search(rf"\bINSERT INTO {marker}\b", each.sql) for each in body):
                found.append(body)
        elif word == "ROLLBACK":
            running.pop(backend, None)
        elif backend in running and statement.sql != PING:
            running[backend].append(statement)
    return found


class Capture:
    """Logs what role `app` sends, for as long as it lasts, with an API process of its own."""

    def __init__(self, stack: Stack):
        self.stack = stack

    def __enter__(self):
        services = self.stack.services
        services.sql("ALTER ROLE app IN DATABASE doacoes SET log_statement = 'all'")
        self.start = services.postgres_log.stat().st_size
        try:
            (self.api,) = self.stack.start_apis(1, name="capture")
        except BaseException:
            self.__exit__()
            raise
        return self

    def transactions(self, marker: str, count: int) -> list[list[Statement]]:
        """The last `count` of them."""
        with self.stack.services.postgres_log.open(errors="replace") as log:
            log.seek(self.start)
            found = transactions(log.read(), marker)
        if len(found) < count:
            raise BenchError(f"{len(found)} transactions with INSERT INTO {marker} in PostgreSQL's log, not {count}")
        return found[-count:]

    def __exit__(self, *_):
        self.stack.services.sql("ALTER ROLE app IN DATABASE doacoes RESET log_statement")
        for process in [process for process in self.stack.running if process.name.startswith("capture")]:
            self.stack.stop_one(process)


def literal(text: str) -> str:
    """A quoted literal in which pgbench finds no variable."""
    quoted = text.replace("'", "''")
    if re.search(r":[A-Za-z_]", quoted):
        return "U&'" + re.sub(r":(?=[A-Za-z_])", r"\\003a", quoted.replace("\\", "\\\\")) + "'"
    return f"'{quoted}'"


def uuid_expression(high: str, low: str) -> str:
    return f"encode(int8send({high}) || int8send({low}), 'hex')::uuid"


class Script:
    """Writes pgbench's script for a transaction of which two examples are given.

    `known` maps values of the examples to SQL expressions, for what the script's caller decides: which charge is paid.
    """

    def __init__(self, stack: Stack, settings: list[str], known: tuple[dict[str, str], dict[str, str]]):
        self.stack = stack
        self.settings = list(settings)
        self.known = known
        self.fresh: dict[tuple[str, str], str] = {}

    def variable(self, expression: str) -> str:
        name = f"v{len(self.settings)}"
        self.settings.append(f"\\set {name} {expression}")
        return f":{name}"

    def write(self, first: list[Statement], second: list[Statement]) -> str:
        if [each.sql for each in first] != [each.sql for each in second]:
            raise BenchError("two requests of one kind sent different statements")
        body = ["BEGIN;"]
        for a, b in zip(first, second):
            expressions = [
                f"({self.expression(one, other)})::{kind}"
                for one, other, kind in zip(a.parameters, b.parameters, parameter_types(self.stack, a), strict=True)
            ]
            # From the end, or $1 would be found in $10.
            sql = a.sql
            for number in range(len(expressions), 0, -1):
                sql = re.sub(rf"\${number}(?!\d)", lambda _, n=number: expressions[n - 1], sql)
            # pgbench ends a statement at a semicolon; the text is kept readable otherwise.
            body.append(re.sub(r"\n\s*", "\n    ", sql.strip().rstrip(";")) + ";")
        body.append("COMMIT;")
        return "\n".join([*self.settings, *body]) + "\n"

    def expression(self, a: str | None, b: str | None) -> str:
        if a is None or b is None:
            if a is not b:
                raise BenchError(f"a parameter is NULL only once: {a} {b}")
            return "NULL"
        if a in self.known[0]:
            return self.known[0][a]
        if a == b:
            return literal(a)
        if (a, b) not in self.fresh:
            self.fresh[a, b] = self.make(a, b)
        return self.fresh[a, b]

    def make(self, a: str, b: str) -> str:
        if form := UUID.match(a):
            return self.uuid(int(form[1]))
        if TIMESTAMP.match(a):
            return literal(a)
        if re.fullmatch(r"-?\d+", a):
            return f"{self.variable('random(-2147483648, 2147483647)')}"
        if a.startswith("\\x"):
            # Short ones are keys; a long one is a sealed text, as good as random and of the same length each time.
            return f"sha256(int8send({self.variable('random(0, 4611686018427387904)')}))" if len(a) <= 66 else literal(a)
        return self.composed(a, b)

    def uuid(self, version: int) -> str:
        low = self.variable("random(-9223372036854775807, -4611686018427387905)")
        if version == 7:
            # As the API's: in the order of time, so that they go to the right end of each index.
            return uuid_expression(self.variable("(:base + :n) * 65536 + 28672 + random(0, 4095)"), low)
        return uuid_expression(self.variable(f"random(0, 140737488355327) * 65536 + {version * 4096} + random(0, 4095)"), low)

    def composed(self, a: str, b: str) -> str:
        """A text that holds a fresh or known value, which is made again around the new one."""
        made = {old: new for (old, other), new in self.fresh.items() if old in a and other in b}
        made |= {old: new for old, new in self.known[0].items() if old in a}
        for old, new in sorted(made.items(), key=lambda item: -len(item[0])):
            before, _, after = a.partition(old)
            return f"({literal(before)} || ({new})::text || {literal(after)})"
        # Nothing that has to be unique, or the insertion fails and says so.
        return literal(a)


def parameter_types(stack: Stack, statement: Statement) -> list[str]:
    """What PostgreSQL takes the parameters for; where it cannot tell, whole numbers are bigint, as the API's amounts are."""
    if not statement.parameters:
        return []
    guesses = ["bigint" if re.fullmatch(r"-?\d+", value or "") else "unknown" for value in statement.parameters]
    for declared in (["unknown"] * len(guesses), guesses):
        try:
            return stack.services.sql(
                f"PREPARE s ({', '.join(declared)}) AS {statement.sql};\n"
                "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 's'", role="app",
            ).splitlines()
        except BenchError as error:
            refused = error
    raise refused


@dataclass
class PgbenchRun:
    """What pgbench did."""

    transactions: int
    rate: float
    seconds: float
    cpu: float


def run_pgbench(stack: Stack, script: Path, bound: list[str], seconds: int, variables: dict | None = None) -> PgbenchRun:
    """Runs a script as role app. `bound` says how long or how often; any failed transaction is an error."""
    services = stack.services
    command = [services.bin / "pgbench", "-n", "-M", "prepared", "-c", stack.settings.database_clients, "-j", 2, "-f", script]
    for name, value in (variables or {}).items():
        command += ["-D", f"{name}={value}"]
    pids = [services.postgres_pid]
    before, start = cpu_seconds(pids), time.monotonic()
    done = subprocess.run(
        [str(word) for word in [*command, *bound]],
        env=services.pg_env("app", "doacoes"), capture_output=True, text=True, timeout=seconds, check=False,
    )
    took, after = time.monotonic() - start, cpu_seconds(pids)
    processed = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    failed = re.search(r"number of failed transactions: ([1-9]\d*)", done.stdout)
    if done.returncode != 0 or not processed or not rate or failed:
        raise BenchError(f"pgbench ended with {done.returncode}: {done.stdout[-300:]} {done.stderr[:1500]}")
    return PgbenchRun(int(processed[1]), float(rate[1]), took, after - before)


def inserted_tables(transaction: list[Statement]) -> list[str]:
    tables = {table for statement in transaction for table in re.findall(r"\bINSERT INTO (\w+)", statement.sql)}
    # These two are emptied in the background, so counting them says nothing.
    return sorted(tables - {"totais_delta", "caixa_saida"})


class Rows:
    """Counts rows, to see that pgbench inserts what the API inserts."""

    def __init__(self, stack: Stack, tables: list[str], leading: str):
        self.stack, self.tables, self.leading = stack, tables, leading
        self.before = self.count()

    def count(self) -> dict[str, int]:
        columns = ", ".join(f"(SELECT count(*) FROM {table})" for table in self.tables)
        return dict(zip(self.tables, map(int, self.stack.services.sql(f"SELECT {columns}").split("|"))))

    def grown(self) -> dict[str, int]:
        now = self.count()
        grown = {table: now[table] - self.before[table] for table in self.tables}
        self.before = now
        return grown

    def require(self, what: str, least: int, most: int) -> dict[str, float]:
        """Rows of each table per row of the leading one, of which between `least` and `most` must have come."""
        grown = self.grown()
        lead = grown[self.leading]
        if not least <= lead <= most:
            raise BenchError(f"{what}: {lead} rows came to {self.leading}, not {least} to {most}")
        return {table: count / lead for table, count in grown.items()}


def clone_charges(stack: Stack, template: str, first: int, last: int, base: int) -> None:
    """Copies a donation that awaits its payment, with its events and its charge, whatever columns they have.

    Copy n has ids of its own that follow from n, and the txid BENCH and n, so that wrk and pgbench know them.
    """
    high = f"(({base} + n) * 65536 + 28672)"
    donation, payment = uuid_expression(f"{high}::bigint", f"({LOW})::bigint"), uuid_expression(f"{high}::bigint", f"({LOW + 1})::bigint")
    uuid.UUID(template)
    copy = "INSERT INTO {table} SELECT (jsonb_populate_record(t, {changes})).* FROM {table} t, generate_series({first}, {last}) n WHERE {where}"
    statements = ["SET statement_timeout = 0"]
    for table, changes, where in (
        ("doacoes", f"jsonb_build_object('id', {donation}, 'doador_chave', sha256(uuid_send({donation})))", f"t.id = '{template}'"),
        ("doacao_eventos", f"jsonb_build_object('doacao_id', {donation})", f"t.doacao_id = '{template}'"),
        (
            "pagamentos",
            f"jsonb_build_object('id', {payment}, 'doacao_id', {donation}, 'txid', 'BENCH' || lpad(n::text, 20, '0'))",
            f"t.doacao_id = '{template}'",
        ),
    ):
        statements.append(copy.format(table=table, changes=changes, where=where, first=first, last=last))
    stack.services.sql(";\n".join(statements) + ";", role="dono")


# The lower halves of copied donations' ids; their charges' follow.
LOW = -9_000_000_000_000_000_000


def clone_expressions() -> dict[str, str]:
    """What identifies the charge number :n in pgbench's script, from variables that `clone_settings` sets."""
    donation, payment = uuid_expression(":high", ":low_donation"), uuid_expression(":high", ":low_payment")
    return {
        "donation": donation,
        "payment": payment,
        "txid": "('BENCH' || lpad((:n)::text, 20, '0'))",
        "e2eid": "('E99000002202611240000' || lpad((:n)::text, 11, '0'))",
        "donor": f"sha256(uuid_send({donation}))",
    }


def clone_settings(base: int, clients: int) -> list[str]:
    """Each client takes every `clients`-th charge from :first on."""
    return [
        f"\\set n :first + :turn * {clients} + :client_id",
        "\\set turn :turn + 1",
        f"\\set high ({base} + :n) * 65536 + 28672",
        f"\\set low_donation {LOW}",
        f"\\set low_payment {LOW + 1}",
    ]
