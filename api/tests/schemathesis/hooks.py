"""What Schemathesis cannot know from the OpenAPI document: who sends a request, and which ids, tags and codes exist.

A generated value gives way to a real one only where the document allows it; what is wrong on purpose stays wrong, and
Schemathesis notices what was replaced. In the stateful phase, ids that the API told in an earlier answer stay as well.

Environment: API_URL, MAIL_FOLDER, and ROLE, one of:
  nobody   no credentials
  donor    the token of each guest's donation
  dona     the session of somebody who owns an organizadora, with a fresh password
"""

import os
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import schemathesis
from api_client import PASSWORD, PRIVACY_NOTICE
from hypothesis import strategies
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from world import World

ROLE = os.environ["ROLE"]
world = World(os.environ["API_URL"], Path(os.environ["MAIL_FOLDER"]), ROLE)
told: set[str] = set()
turns: Counter[str] = Counter()


# domain::text of the API. The bounds fit the fields that are shortest and longest.
hidden = ["\u200b", "\u200e", "\u200f", "\ufeff", *map(chr, [*range(0x2028, 0x202F), *range(0x2060, 0x206A)])]
shown = strategies.characters(exclude_categories=["Cc", "Cs"], exclude_characters=hidden)
edge = strategies.characters(exclude_categories=["Cc", "Cs", "Z"], exclude_characters=hidden)
line = strategies.builds("{}{}{}".format, edge, strategies.text(shown, min_size=1, max_size=60), edge)
schemathesis.openapi.format("linha", line)
schemathesis.openapi.format("texto", strategies.builds("{}\n{}".format, line, strategies.just("fim")))
# domain::calendar
times = strategies.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=strategies.just(UTC))
schemathesis.openapi.format("date-time", times.map(datetime.isoformat))


class Feed:
    """Puts real values into one request."""

    def __init__(self, case, operation: str):
        self.case, self.operation = case, operation
        self.token: str | None = None
        self.cookie = world.owner_cookie if ROLE == "dona" else None

    def legal(self, location: ParameterLocation) -> bool:
        return not self.case.meta.is_negative_at(location)

    def path(self, *, always: bool = False, **values: str) -> None:
        """Puts `values` into the path, unless it is wrong on purpose or follows from an earlier answer; or `always`."""
        given = self.case.path_parameters or {}
        stateful = self.case.meta.phase.name == TestPhase.STATEFUL
        follows = stateful and not always and told.intersection(map(str, given.values()))
        if self.legal(ParameterLocation.PATH) and not follows:
            self.case.path_parameters = {**given, **values}

    def cursor(self) -> None:
        """A cursor that the list has given, if it has one."""
        query = self.case.query
        if self.legal(ParameterLocation.QUERY) and "cursor" in (query or {}):
            path = "/" + self.case.formatted_path.lstrip("/")
            rest = {key: value for key, value in query.items() if key not in ("cursor", "limite")}
            given = world.cursor(path, rest, self.cookie)
            self.case.query = {**query, "cursor": given}
            if given is None:
                del self.case.query["cursor"]

    def new_key(self) -> None:
        """A key of its own, since one key takes only one body."""
        if self.legal(ParameterLocation.HEADER) and "idempotency-key" in self.case.headers:
            self.case.headers["idempotency-key"] = str(uuid.uuid4())

    def blank_parameters(self) -> None:
        """A parameter without a value counts as absent, whatever its type: what was meant to be wrong gets a value that is."""
        if not self.legal(ParameterLocation.QUERY):
            self.case.query = {name: "-" if str(value).strip() == "" and name != "q" else value for name, value in self.case.query.items()}

    def whole_numbers(self) -> None:
        """729.0 is an integer to JSON Schema; the API reads amounts of digits only."""
        body = self.body()
        for name, value in (body or {}).items():
            if isinstance(value, float) and value.is_integer():
                body[name] = int(value)

    def if_match(self) -> None:
        """The tag of what the path names."""
        if self.legal(ParameterLocation.HEADER) and "if-match" in self.case.headers:
            token = {"Doacao-Token": self.token} if self.token else {}
            response = world.ask("GET", "/" + self.case.formatted_path.lstrip("/"), cookie=self.cookie, headers=token)
            self.case.headers["if-match"] = response.headers.get("ETag", '"1"')

    def body(self, **values: object) -> dict | None:
        """The body with `values` in it, if it is one that the document allows."""
        if not self.legal(ParameterLocation.BODY) or not isinstance(self.case.body, dict):
            return None
        self.case.body = {**self.case.body, **values}
        return self.case.body

    def every(self, nth: int) -> bool:
        """Whether it is the first, or the first after `nth` others, of the operation's requests."""
        turns[self.operation] += 1
        return turns[self.operation] % nth == 1

    def donation(self) -> dict:
        """A donation of whoever asks."""
        donation, self.token = world.new_donation(own=ROLE == "dona")
        return donation


def organizadora(feed: Feed) -> None:
    feed.path(slug=world.organizadora)


def change_key(feed: Feed) -> None:
    feed.path(slug=world.organizadora)
    feed.body(chave_pix=world.pix_key())
    if feed.body() and not feed.every(4):
        feed.body(senha=PASSWORD)


def new_organizadora(feed: Feed) -> None:
    if (body := feed.body(cnpj=world.cnpj())) and "chave_pix" in body:
        feed.body(chave_pix=world.pix_key())


def member(feed: Feed) -> None:
    world.membership(True)
    # Never the owner.
    feed.path(always=True, slug=world.organizadora, pessoa_id=world.other_id)


def new_member(feed: Feed) -> None:
    world.membership(False)
    feed.path(slug=world.organizadora)
    feed.body(pessoa_id=world.other_id)


def campaign(feed: Feed) -> None:
    feed.path(slug=world.campaign)


def campaign_after(*steps: str, published: bool = True):
    def feed_it(feed: Feed) -> None:
        feed.path(slug=world.campaign_after(*steps, published=published))

    return feed_it


def new_campaign(feed: Feed) -> None:
    body = feed.body(organizadora=world.organizadora)
    if body is None:
        return
    least, most = body.get("minimo_centavos") or 100, body.get("maximo_centavos") or 100_000_000
    if least > most:
        feed.body(minimo_centavos=most, maximo_centavos=least)
    if body.get("inicio_em") and body.get("fim_em"):
        feed.body(inicio_em=None)


def change_campaign(feed: Feed) -> None:
    feed.path(slug=world.campaign_after(published=False))
    if (body := feed.body()) and "minimo_centavos" in body:
        feed.body(minimo_centavos=1)


def donate(feed: Feed) -> None:
    feed.path(slug=world.campaign)
    body = feed.body(aviso_privacidade=PRIVACY_NOTICE, consentimento=True)
    if body is None:
        return
    if ROLE == "dona":
        body.pop("email", None)
    if body.get("visibilidade") == "secreta":
        body["provedor"] = "simulado"
    target = world.ask("GET", f"campanhas/{quote(str(feed.case.path_parameters['slug']), safe='')}")
    if target.ok:
        limits = target.json()
        body["valor_centavos"] = max(limits["minimo_centavos"], min(body["valor_centavos"], limits["maximo_centavos"]))


def own_donation(feed: Feed) -> None:
    feed.path(id=feed.donation()["id"])


def qr_code(feed: Feed) -> None:
    donation = feed.donation()
    feed.path(id=donation["id"], pid=donation["pagamento"]["id"])


def confirm(feed: Feed) -> None:
    feed.path(id=world.new_donation()[0]["id"])
    if "e2eid" in (feed.body(recebido_em=datetime.now(UTC).isoformat()) or {}):
        feed.body(e2eid=world.e2eid())


def refund(feed: Feed) -> None:
    donation, e2eid = world.paid_donation()
    # What is left of another one, if anything, is not known.
    feed.path(always=True, id=donation["id"])
    if body := feed.body():
        if "e2eid" in body:
            body["e2eid"] = e2eid
        if "valor_centavos" in body:
            body["valor_centavos"] = min(body["valor_centavos"], 5000)


def pay(feed: Feed) -> None:
    feed.path(txid=world.new_donation()[0]["pagamento"]["txid"])
    feed.body(e2eid=world.e2eid())


def claim(feed: Feed) -> None:
    donation, token = world.new_donation()
    feed.body(doacao_id=donation["id"], token=token)


def verify(feed: Feed) -> None:
    # Not each time, since a mail takes a second.
    if feed.body() and feed.every(4):
        feed.body(codigo=world.sign_up_code(), senha=PASSWORD)


def reset(feed: Feed) -> None:
    if feed.body() and feed.every(4):
        feed.body(codigo=world.reset_code())


def sign_up(feed: Feed) -> None:
    feed.body(aviso_privacidade=PRIVACY_NOTICE, consentimento=True)


def log_in(feed: Feed) -> None:
    if feed.body() and feed.every(2):
        feed.body(email=world.owner, senha=PASSWORD)


def log_out(feed: Feed) -> None:
    if feed.cookie:
        feed.cookie = world.log_in(world.owner)


def reauthenticate(feed: Feed) -> None:
    log_out(feed)
    if feed.body() and not feed.every(4):
        feed.body(senha=PASSWORD)


def end_session(feed: Feed) -> None:
    # Never the one that all others are sent with.
    feed.path(always=True, id=world.session_id())


FEEDS = {
    "criarPessoa": sign_up,
    "entrar": log_in,
    "sair": log_out,
    "redefinirSenha": reset,
    "verificarEmail": verify,
    "encerrarSessao": end_session,
    "reautenticar": reauthenticate,
    "reivindicarDoacao": claim,
    "criarOrganizadora": new_organizadora,
    "lerOrganizadora": organizadora,
    "alterarOrganizadora": organizadora,
    "lerChavePix": organizadora,
    "trocarChavePix": change_key,
    "listarCampanhasDaOrganizadora": organizadora,
    "listarPagamentosPendentes": organizadora,
    "listarMembros": organizadora,
    "adicionarMembro": new_member,
    "alterarMembro": member,
    "removerMembro": member,
    "criarCampanha": new_campaign,
    "lerCampanha": campaign,
    "alterarCampanha": change_campaign,
    "publicarCampanha": campaign_after(published=False),
    "pausarCampanha": campaign_after(),
    "retomarCampanha": campaign_after("pausa"),
    "encerrarCampanha": campaign_after(),
    "lerTotais": campaign,
    "acompanharTotais": campaign,
    "listarDoacoesDaCampanha": campaign,
    "doar": donate,
    "lerDoacao": own_donation,
    "alterarDoacao": own_donation,
    "cancelarDoacao": own_donation,
    "novaCobranca": own_donation,
    "lerQrCode": qr_code,
    "confirmarPagamento": confirm,
    "devolver": refund,
    "pagarSimulado": pay,
}


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = context.operation.definition.raw["operationId"]
    feed = Feed(case, operation)
    if operation in FEEDS:
        FEEDS[operation](feed)
    feed.if_match()
    feed.cursor()
    feed.new_key()
    feed.blank_parameters()
    feed.whole_numbers()
    if ROLE == "donor" and feed.token:
        case.headers["doacao-token"] = feed.token
    if feed.cookie:
        name, _, value = feed.cookie.partition("=")
        case.cookies[name] = value
        # As a browser does; without it and without a JSON body the API refuses cookies.
        case.headers["sec-fetch-site"] = "same-origin"


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code in (200, 201) and (response.headers.get("content-type") or [""])[0] == "application/json":
        remember(response.json())


def remember(value: object) -> None:
    """Keeps the ids and slugs of an answer."""
    if isinstance(value, list):
        for item in value:
            remember(item)
    elif isinstance(value, dict):
        told.update(item for key, item in value.items() if key in ("id", "slug", "txid") and isinstance(item, str))
        for item in value.values():
            remember(item)
