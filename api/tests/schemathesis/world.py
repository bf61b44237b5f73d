"""People, organisations, campaigns and donations to test with, made by the API's front door."""

import time
import uuid
from itertools import count
from pathlib import Path

import requests
from api_client import PASSWORD, PRIVACY_NOTICE, Answer, Api, MailFolder, Refused, new_cnpj, new_e2eid

# Ten minutes after the password was given, the API asks for it again before what is sensitive.
FRESH_SECONDS = 300


class World(Api):
    """Everything that the requests of one role are about."""

    def __init__(self, url: str, mail: Path, role: str):
        super().__init__(url)
        self.mail, self.role = MailFolder(mail), role
        self.http = requests.Session()
        self.serial = count(1)
        self.owner = self.address()
        self.session, self.logged_in_at = self.new_account(self.owner, self.mail.code), time.monotonic()
        self.organizadora = self.new_organizadora(self.owner_cookie)
        self.campaign = self.campaign_after()
        for _ in range(3):
            self.new_donation()
            self.paid_donation()
        other = self.new_account(self.address(), self.mail.code)
        self.other_id = self.must(200, "GET", "eu", cookie=other).json()["id"]

    @property
    def owner_cookie(self) -> str:
        """The owner's session, with a fresh password however slow the machine is."""
        if time.monotonic() - self.logged_in_at > FRESH_SECONDS:
            self.session, self.logged_in_at = self.log_in(self.owner), time.monotonic()
        return self.session

    def exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], timeout: float) -> Answer:
        """Over connections that are kept, because there are thousands of requests."""
        response = self.http.request(method, url, data=body, headers=headers, timeout=timeout)
        self.http.cookies.clear()
        return Answer(response.status_code, response.headers, response.content)

    def cursor(self, path: str, query: dict, cookie: str | None) -> str | None:
        """Where the second item of a list begins."""
        answer = self.ask("GET", path, cookie=cookie, query={**query, "limite": 1})
        return answer.json().get("proximo_cursor") if answer.ok else None

    def address(self) -> str:
        """An address that no other call in any role gives."""
        return f"{self.role}{next(self.serial)}@exemplo.org.br"

    def cnpj(self) -> str:
        """A CNPJ that no other organizer has."""
        return new_cnpj()

    def pix_key(self) -> dict[str, str]:
        return {"tipo": "aleatoria", "chave": str(uuid.uuid4()), "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}

    def sign_up_code(self) -> str:
        """The code of a sign-up whose e-mail is not proven yet."""
        address = self.address()
        self.sign_up(address)
        return self.mail.code(address)

    def reset_code(self) -> str:
        """A code that sets a new password of an account that nothing else needs."""
        address = self.address()
        self.new_account(address, self.mail.code)
        self.must(202, "POST", "senhas/pedidos", {"email": address})
        return self.mail.code(address)

    def session_id(self) -> str:
        """A further session of the owner."""
        return self.must(201, "POST", "sessoes", {"email": self.owner, "senha": PASSWORD}).json()["id"]

    def campaign_after(self, *steps: str, published: bool = True) -> str:
        """A campaign that has gone through `steps`; its slug. Drafts are not published."""
        slug = self.new_campaign(self.owner_cookie, self.organizadora, published=published, minimo_centavos=1)
        for step in steps:
            self.must(200, "POST", f"campanhas/{slug}/{step}", {}, cookie=self.owner_cookie)
        return slug

    def new_donation(self, *, own: bool = False) -> tuple[dict, str | None]:
        """A donation that awaits its payment, a guest's with its token, or the owner's `own`."""
        answer = self.donate(own)
        if answer.status == 409:
            # A request under test has closed the campaign.
            self.campaign = self.campaign_after()
            answer = self.donate(own)
        if answer.status != 201:
            raise Refused(f"no donation was made: {answer.status} {answer.text}")
        return answer.json(), answer.headers.get("Doacao-Token")

    def donate(self, own: bool) -> Answer:
        body = {"valor_centavos": 5000, "nome_exibicao": "Bia", "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True}
        cookie = self.owner_cookie if own else None
        return self.ask("POST", f"campanhas/{self.campaign}/doacoes", body, cookie=cookie, headers={"Idempotency-Key": str(uuid.uuid4())})

    def paid_donation(self) -> tuple[dict, str]:
        """A confirmed donation of 5000 centavos and the end-to-end id of its payment."""
        donation, _ = self.new_donation()
        e2eid = self.e2eid()
        self.must(200, "POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", {"valor_centavos": 5000, "e2eid": e2eid})
        return donation, e2eid

    def e2eid(self) -> str:
        """The end-to-end id of a payment that no bank has told yet."""
        return new_e2eid()

    def membership(self, wanted: bool) -> None:
        """Makes the other account a member of the organizadora, or not."""
        members = f"organizadoras/{self.organizadora}/membros"
        if wanted:
            self.ask("POST", members, {"pessoa_id": self.other_id, "papel": "leitura"}, cookie=self.owner_cookie)
        else:
            self.ask("DELETE", f"{members}/{self.other_id}", headers={"Content-Type": "application/json"}, cookie=self.owner_cookie)
