"""People, organisations, campaigns and donations to test with, made by the API's front door."""

import email
import re
import time
import uuid
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import requests

PASSWORD = "uma frase longa"
PRIVACY_NOTICE = "2026-11"
CODE = re.compile(r"\b[0-9a-f]{64}\b")


class World:
    """Everything that the requests of one role are about."""

    def __init__(self, url: str, mail: Path, role: str):
        self.url, self.mail, self.role = url, mail, role
        self.http = requests.Session()
        self.serial = count(1)
        self.read_mail: set[Path] = set()
        self.owner = self.new_account()
        self.owner_cookie = self.log_in(self.owner)
        self.organizadora = self.make("organizadoras", {"nome": "Casa do Caminho", "cnpj": self.cnpj(), "chave_pix": self.pix_key()})["slug"]
        self.campaign = self.new_campaign()["slug"]
        for _ in range(3):
            self.new_donation()
            self.paid_donation()
        self.other = self.new_account()
        self.other_id = self.send("GET", "eu", cookie=self.log_in(self.other))["id"]

    def send(self, method: str, path: str, body: object = None, *, cookie: str | None = None, headers: dict[str, str] | None = None):
        """The JSON of an answer that must be 2xx."""
        response = self.raw(method, path, body, cookie=cookie, headers=headers)
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def raw(self, method: str, path: str, body: object = None, *, cookie: str | None = None, headers: dict[str, str] | None = None, query=None):
        """Whatever the answer is. A path without a leading slash is below /api/v1/."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        if cookie:
            headers["Cookie"] = f"sessao={cookie}"
        url = self.url + (path if path.startswith("/") else f"/api/v1/{path}")
        response = self.http.request(method, url, json=body, headers=headers, params=query, timeout=10)
        self.http.cookies.clear()
        return response

    def make(self, path: str, body: object = None, **headers: str):
        """POST by the owner."""
        return self.send("POST", path, {} if body is None else body, cookie=self.owner_cookie, headers=headers)

    def cursor(self, path: str, query: dict, cookie: str | None) -> str | None:
        """Where the second item of a list begins."""
        response = self.raw("GET", path, cookie=cookie, query={**query, "limite": 1})
        return response.json().get("proximo_cursor") if response.ok else None

    def number(self) -> str:
        """Different in every call and every role."""
        return f"{self.role}{next(self.serial)}"

    def cnpj(self) -> str:
        """A CNPJ that is in nobody's use."""
        return with_check_digits(uuid.uuid4().hex[:12].upper())

    def pix_key(self) -> dict[str, str]:
        return {"tipo": "aleatoria", "chave": str(uuid.uuid4()), "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}

    def new_account(self) -> str:
        """An account; its address. The password is PASSWORD."""
        address, code = self.sign_up()
        self.send("POST", "emails/verificacoes", {"codigo": code, "senha": PASSWORD})
        return address

    def sign_up(self) -> tuple[str, str]:
        """A sign-up that waits for its e-mail to be proven: address and code."""
        address = f"{self.number()}@exemplo.org.br"
        body = {"nome": "Ana Souza", "email": address, "senha": PASSWORD, "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True}
        self.send("POST", "pessoas", body)
        return address, self.code(address)

    def reset_code(self) -> str:
        """A code that sets a new password of an account that nothing else needs."""
        address = self.new_account()
        self.send("POST", "senhas/pedidos", {"email": address})
        return self.code(address)

    def code(self, address: str) -> str:
        """The code in the newest mail to an address, which is on its way."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for path in set(self.mail.glob("*.eml")) - self.read_mail:
                message = email.message_from_bytes(path.read_bytes())
                if "@" not in (message["To"] or ""):
                    # Still being written.
                    continue
                found = CODE.search(message.get_payload(decode=True).decode())
                if address not in message["To"] or found:
                    self.read_mail.add(path)
                if address in message["To"] and found:
                    return found[0]
            time.sleep(0.05)
        raise RuntimeError(f"no code came for {address}")

    def log_in(self, address: str) -> str:
        """The cookie of a new session."""
        response = self.raw("POST", "sessoes", {"email": address, "senha": PASSWORD})
        if response.status_code != 201:
            raise RuntimeError(f"nobody was logged in: {response.status_code} {response.text}")
        return response.headers["Set-Cookie"].split(";")[0].removeprefix("sessao=")

    def session_id(self) -> str:
        """A further session of the owner."""
        return self.send("POST", "sessoes", {"email": self.owner, "senha": PASSWORD})["id"]

    def new_campaign(self, *steps: str, published: bool = True):
        """A campaign that has gone through `steps`; drafts are not published."""
        body = {
            "organizadora": self.organizadora,
            "titulo": f"Campanha {self.number()}",
            "descricao": "Cestas para cem famílias.",
            "categoria": "social",
            "minimo_centavos": 1,
        }
        campaign = self.make("campanhas", body)
        for step in (["publicacao"] if published else []) + list(steps):
            campaign = self.make(f"campanhas/{campaign['slug']}/{step}")
        return campaign

    def new_donation(self, *, own: bool = False) -> tuple[dict, str | None]:
        """A donation that awaits its payment, a guest's with its token, or the owner's `own`."""
        body = {"valor_centavos": 5000, "nome_exibicao": "Bia", "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        cookie = self.owner_cookie if own else None
        response = self.raw("POST", f"campanhas/{self.campaign}/doacoes", body, cookie=cookie, headers=headers)
        if response.status_code == 409:
            # A request under test has closed the campaign.
            self.campaign = self.new_campaign()["slug"]
            response = self.raw("POST", f"campanhas/{self.campaign}/doacoes", body, cookie=cookie, headers=headers)
        if response.status_code != 201:
            raise RuntimeError(f"no donation was made: {response.status_code} {response.text}")
        return response.json(), response.headers.get("Doacao-Token")

    def paid_donation(self) -> tuple[dict, str]:
        """A confirmed donation of 5000 centavos and the end-to-end id of its payment."""
        donation, _ = self.new_donation()
        e2eid = self.e2eid()
        self.send("POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", {"valor_centavos": 5000, "e2eid": e2eid})
        return donation, e2eid

    def e2eid(self) -> str:
        """The end-to-end id of a payment that was never told."""
        return f"E{datetime.now(UTC):00000000%Y%m%d%H%M}{uuid.uuid4().hex[:11]}"

    def membership(self, wanted: bool) -> None:
        """Makes the other account a member of the organizadora, or not."""
        if wanted:
            body = {"pessoa_id": self.other_id, "papel": "leitura"}
            self.raw("POST", f"organizadoras/{self.organizadora}/membros", body, cookie=self.owner_cookie)
        else:
            self.raw("DELETE", f"organizadoras/{self.organizadora}/membros/{self.other_id}", cookie=self.owner_cookie)


def with_check_digits(base: str) -> str:
    """A CNPJ with its two check digits; characters count as their distance from "0"."""
    for weights in ([5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]):
        rest = sum((ord(char) - ord("0")) * weight for char, weight in zip(base, weights, strict=True)) % 11
        base += str(0 if rest < 2 else 11 - rest)
    return base
