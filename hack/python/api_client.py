"""What the Python programs do alike with the API: requests, accounts, an organizer with a campaign, mail and metrics.

The end-to-end tests, the tests with Schemathesis and the benchmark have this folder in PYTHONPATH; the scripts in hack/ put it
there. Only the standard library is needed.
"""

import email
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

PASSWORD = "uma frase longa"
PRIVACY_NOTICE = "2026-11"
# A one-time code as a letter has it.
CODE = re.compile(r"\b[0-9a-f]{64}\b")
WEIGHTS = [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]


def eventually(what: str, condition: Callable, seconds: float = 120, pause: float = 0.2):
    """The first true value of `condition`, which is asked until then; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return value


def with_check_digits(base: str) -> str:
    """A CNPJ of twelve characters and its two check digits; characters count as their distance from "0"."""
    for weights in WEIGHTS:
        rest = sum((ord(char) - ord("0")) * weight for char, weight in zip(base, weights, strict=True)) % 11
        base += str(0 if rest < 2 else 11 - rest)
    return base


def new_cnpj() -> str:
    """A CNPJ that no other organizer has."""
    return with_check_digits(uuid.uuid4().hex[:12].upper())


def new_e2eid() -> str:
    """The end-to-end id of a payment that no bank has told yet."""
    return f"E{datetime.now(UTC):12345678%Y%m%d%H%M}{uuid.uuid4().hex[:11]}"


def metric(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels, in the text that Prometheus reads.

    LookupError if there is no such series: a name that is misspelt, or was renamed, is not taken for 0.
    """
    found = []
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        told, _, rest = series.partition("{")
        # Of a label's whole name: `class` is no `storageclass`.
        if told == name and all(re.search(rf'(^|,){re.escape(label)}="{re.escape(wanted)}"', rest) for label, wanted in labels.items()):
            found.append(float(value))
    if not found:
        raise LookupError(f"the metrics have no series {name} with {labels}")
    return sum(found)


class MailFolder:
    """The letters that an API whose MAIL_URL is file:// has delivered."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.read: set[Path] = set()

    def code(self, address: str) -> str:
        """The one-time code in the next letter to an address, which may be on its way."""
        return eventually(f"a letter with a code for {address}", lambda: self.next_code(address), 20, 0.05)

    def next_code(self, address: str) -> str | None:
        for path in set(self.folder.glob("*.eml")) - self.read:
            letter = email.message_from_bytes(path.read_bytes())
            if "@" not in (letter["To"] or ""):
                # Still being written.
                continue
            found = CODE.search(letter.get_payload(decode=True).decode())
            if address not in letter["To"] or found:
                self.read.add(path)
            if address in letter["To"] and found:
                return found[0]
        return None


@dataclass
class Answer:
    """An answer; names of headers in any case."""

    status: int
    headers: Message
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body) if self.body else None


class Refused(Exception):
    """An answer of another status than the one that had to come."""


class Api:
    """Requests to the API of one site. A path without a leading slash is below /api/v1/."""

    def __init__(self, url: str):
        self.url = url
        # Whatever proxy the machine has, the site is on it.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], timeout: float) -> Answer:
        """One request; OSError where no answer comes."""
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            answer = self.opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Answer(answer.status, answer.headers, answer.read())

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        cookie: str | None = None,
        headers: dict[str, str] | None = None,
        query: dict | None = None,
        timeout: float = 20,
    ) -> Answer:
        """Whatever the answer is. `cookie` is a session's, as `log_in` gives it; `body` is sent as JSON."""
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        if cookie:
            headers["Cookie"] = cookie
        url = self.url + (path if path.startswith("/") else f"/api/v1/{path}")
        if query:
            url += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        return self.exchange(method, url, data, headers, timeout)

    def must(self, status: int, method: str, path: str, body: object = None, **options) -> Answer:
        """The answer, which must be of that status."""
        answer = self.ask(method, path, body, **options)
        if answer.status != status:
            raise Refused(f"{method} {path} answered {answer.status}, not {status}: {answer.text[:500]}")
        return answer

    def sign_up(self, address: str) -> None:
        """Begins an account of Ana Souza, to whom a letter with a code is sent."""
        person = {"nome": "Ana Souza", "email": address, "senha": PASSWORD, "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True}
        self.must(202, "POST", "pessoas", person)

    def verify(self, code: str) -> None:
        """Proves the address; the account's password is PASSWORD."""
        self.must(201, "POST", "emails/verificacoes", {"codigo": code, "senha": PASSWORD})

    def log_in(self, address: str) -> str:
        """A new session of an account whose password is PASSWORD; the name and value of its cookie."""
        answer = self.must(201, "POST", "sessoes", {"email": address, "senha": PASSWORD})
        return answer.headers["Set-Cookie"].split(";")[0]

    def new_account(self, address: str, read_code: Callable[[str], str]) -> str:
        """An account that is logged in; its cookie. `read_code` gives the code in the letter to an address."""
        self.sign_up(address)
        self.verify(read_code(address))
        return self.log_in(address)

    def new_organizadora(self, cookie: str) -> str:
        """An organizer that pays to a key of its own; its slug."""
        cnpj = new_cnpj()
        key = {"tipo": "aleatoria", "chave": str(uuid.uuid4()), "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}
        body = {"nome": f"Casa do Caminho {cnpj}", "cnpj": cnpj, "chave_pix": key}
        return self.must(201, "POST", "organizadoras", body, cookie=cookie).json()["slug"]

    def new_campaign(self, cookie: str, organizadora: str, *, published: bool = True, **fields: object) -> str:
        """A campaign of that organizer with `fields` in place of the usual ones; its slug."""
        body = {
            "organizadora": organizadora,
            "titulo": f"Campanha {uuid.uuid4().hex[:8]}",
            "descricao": "Cestas para cem famílias.",
            "categoria": "social",
        }
        slug = self.must(201, "POST", "campanhas", body | fields, cookie=cookie).json()["slug"]
        if published:
            self.must(200, "POST", f"campanhas/{slug}/publicacao", {}, cookie=cookie)
        return slug
