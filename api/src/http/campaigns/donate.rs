//! `POST /campanhas/{slug}/doacoes`: donating.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::donation::Visibility;
use crate::domain::email::Email;
use crate::domain::money::Centavos;
use crate::domain::provider::Provider;
use crate::domain::slug::Slug;
use crate::domain::text::{DisplayName, Message};
use crate::http::donations::{DonationBody, created};
use crate::http::extract::body::{ApiJson, present, present_text};
use crate::http::extract::client_ip::ClientIp;
use crate::http::extract::device::{Device, DeviceHeader};
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::extract::load_shed::QueueHasRoom;
use crate::http::extract::path::SlugPath;
use crate::http::extract::session::SignedIn;
use crate::http::notice;
use crate::http::problem::{Code, Problem, Violations};
use crate::limits::{Allowance, Rule, Use};
use crate::service::donations::{self, Donated, DonationOrder, Giver, Sender, guest_token};
use crate::service::idempotency::{Attempt, Outcome};
use crate::state::AppState;

/// A new donation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaDoacao)]
pub struct NewDonationBody {
    /// Amount in whole centavos.
    #[schema(minimum = 1, maximum = 100_000_000, example = 5000)]
    valor_centavos: i64,
    /// Name to show.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, format = "linha", max_length = 80, example = "Ana")]
    nome_exibicao: Option<String>,
    /// Where news of the donation goes; the account's address where it is not given.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, format = "email", max_length = 254, example = "ana@exemplo.org.br")]
    email: Option<String>,
    /// `publica` where it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    visibilidade: Option<Visibility>,
    /// Hides the amount in the feed.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    oculta_valor: Option<bool>,
    /// A message for the feed.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, format = "texto", max_length = 280, example = "Força!")]
    mensagem: Option<String>,
    /// The payment provider; the platform's first one where it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    provedor: Option<Provider>,
    /// Version of the privacy notice that was shown.
    #[schema(example = "2026-11")]
    aviso_privacidade: String,
    /// Consent to the notice.
    #[schema(example = true)]
    consentimento: bool,
}

/// Who sends a request for a donation.
#[derive(Clone, Debug)]
pub struct Donating {
    sender: Sender,
    /// The subject of the limit of donations: the person, or the device.
    limited_by: String,
}

impl Donating {
    /// Whether the sender is logged in.
    pub const fn has_account(&self) -> bool {
        self.sender.giver.person().is_some()
    }
}

impl FromRequestParts<AppState> for Donating {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let who = <SignedIn as OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        let Ok(ClientIp(ip)) = ClientIp::from_request_parts(parts, state).await;
        let device = Device::from_request_parts(parts, state).await?;
        let (giver, limited_by) = match who.map(|who| who.person()) {
            Some(person_id) => (Giver::Person(person_id), format!("pessoa:{person_id}")),
            None => (Giver::Guest { device: device.hash }, device.limited_by),
        };
        Ok(Self { sender: Sender { giver, ip }, limited_by })
    }
}

/// Donate
///
/// Made once per `Idempotency-Key`; sent again with the same key and body, the answer is the same byte for byte. Guests get
/// the donation's capability token in `Doacao-Token`. A front end sends the `Dispositivo` that it made and keeps, or all of
/// its donors behind one address and browser name share a limit. Sending a donation again costs nothing of it.
#[utoipa::path(post, path = "/campanhas/{slug}/doacoes", tag = "campanhas", operation_id = "doar", request_body = NewDonationBody, security((), ("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha"),
           ("idempotency-key" = uuid::Uuid, Header, description = "UUID novo por doação; o mesmo só para repetir a mesma requisição"),
           DeviceHeader),
    responses((status = 201, description = "A doação com sua cobrança", body = DonationBody, headers(("location" = String), ("doacao-token" = String)))))]
pub async fn donate(
    State(state): State<AppState>,
    _: QueueHasRoom,
    SlugPath(slug): SlugPath,
    (from, key): (Donating, IdempotencyKey),
    ApiJson(body, bytes): ApiJson<NewDonationBody>,
) -> Result<Response, Problem> {
    let order = body.parse(from.has_account())?;
    let attempt = key.attempt(slug.as_str(), &bytes);
    let (allowance, made) = make(&state, &slug, from, order, attempt).await?;
    let id = made.donated.doacao.id;
    Ok((allowance, created(id, DonationBody::new(&made.donated.doacao, &[made.donated.cobranca]), made.token)?).into_response())
}

/// A donation that was made, now or by an earlier request with the same key and body.
#[derive(Clone, Debug)]
pub struct Made {
    /// The donation with its first charge.
    pub donated: Donated,
    /// The capability token of a guest's donation.
    pub token: Option<String>,
}

/// Makes a donation within the limits, once per key; what the JSON endpoint and the form do.
pub async fn make(
    state: &AppState,
    slug: &Slug,
    from: Donating,
    order: DonationOrder,
    attempt: Attempt,
) -> Result<(Allowance, Made), Problem> {
    let Donating { sender, limited_by } = from;
    let Sender { giver, ip } = sender;
    let uses = [Use::of(Rule::DonationDevice, limited_by), Use::from_address(Rule::DonationIp, ip)];
    let work = {
        let (state, slug) = (state.clone(), slug.as_str().to_owned());
        async move {
            // On the heap, since the future is large and what surrounds it would each hold a copy.
            let create = Box::pin(donations::create(state.clone(), slug, sender, order, attempt));
            let create = async { create.await.map_err(Problem::from) };
            state.limits.count(&uses, create, |made| counts(&state, ip, made)).await
        }
    };
    // Once begun it is carried through, whether or not the donor's phone stays on the line; so is giving back what it cost.
    let (allowance, donated) = match state.shutdown.complete(work).await? {
        Ok((allowance, made)) => (allowance, made?.into_result()),
        // A donor who got no answer must not be told to wait for the one that there is.
        Err(exceeded) if may_look_up(state, ip) => match donations::kept_donation(state, slug.as_str(), giver, &attempt).await? {
            Some(donated) => (exceeded.waived(), donated),
            None => return Err(exceeded.into()),
        },
        Err(exceeded) => return Err(exceeded.into()),
    };
    Ok((allowance, Made::of(state, giver, donated)))
}

/// The donation that the sender made before with this key, from whatever order.
pub async fn earlier(state: &AppState, slug: &Slug, from: &Donating, key: Uuid) -> Result<Option<Made>, Problem> {
    let giver = from.sender.giver;
    let donated = donations::earlier_donation(state, slug.as_str(), giver, key).await?;
    Ok(donated.map(|donated| Made::of(state, giver, donated)))
}

impl Made {
    fn of(state: &AppState, giver: Giver, donated: Donated) -> Self {
        let token = giver.person().is_none().then(|| guest_token(&state.keys.token, donated.doacao.id.0));
        Self { donated, token }
    }
}

/// Whether what came of a request uses up some of the donor's limit.
fn counts(state: &AppState, ip: IpAddr, made: &Result<Outcome<Donated>, Problem>) -> bool {
    match made {
        Ok(donated) => donated.as_new().is_some() || !may_repeat(state, ip),
        // The first request with the key counts by itself.
        Err(problem) if problem.code == Code::KeyInFlight => !may_repeat(state, ip),
        Err(_) => Problem::uses_up(made),
    }
}

/// Whether a repetition costs nothing. Beyond this it counts like a donation. By address, since devices and keys are whatever the
/// client says.
fn may_repeat(state: &AppState, ip: IpAddr) -> bool {
    state.limits.take_here(Use::from_address(Rule::RepeatIp, ip))
}

/// Whether to look for a kept donation although the limit is reached. New donations that are refused use this quota up as well,
/// since it is not known beforehand whether one was kept. So [`may_repeat`] has a quota of its own, which they do not take from
/// their neighbours.
fn may_look_up(state: &AppState, ip: IpAddr) -> bool {
    state.limits.take_here(Use::from_address(Rule::LookUpIp, ip))
}

impl NewDonationBody {
    fn parse(self, has_account: bool) -> Result<DonationOrder, Problem> {
        let mut wrong = Violations::default();
        let valor = wrong.check("valor_centavos", Centavos::try_from(self.valor_centavos));
        let nome_exibicao = wrong.check_optional("nome_exibicao", self.nome_exibicao, |text| DisplayName::parse(&text));
        let email = wrong.check_optional("email", self.email, |text| Email::parse(&text));
        let mensagem = wrong.check_optional("mensagem", self.mensagem, |text| Message::parse(&text));
        if has_account && email.is_some() {
            wrong.add("email", "quem entrou com sua conta doa com o e-mail dela");
        }
        notice::check(&mut wrong, &self.aviso_privacidade, self.consentimento);
        wrong.finish()?;
        let Some(valor) = valor else { return Err(wrong.problem()) };
        Ok(DonationOrder {
            valor,
            nome_exibicao,
            email,
            visibilidade: self.visibilidade.unwrap_or(Visibility::Public),
            oculta_valor: self.oculta_valor.unwrap_or(false),
            mensagem,
            provedor: self.provedor,
        })
    }
}
