//! `GET` and `PUT /organizadoras/{slug}/chave-pix`

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::br_code::{City, ReceiverName};
use crate::domain::pix_key::{PixKey, PixKeyType};
use crate::domain::text::Name;
use crate::http::extract::body::{ApiJson, object};
use crate::http::extract::member::{AnyRole, Member, OfOrganizadora, Owner};
use crate::http::problem::{Problem, Violations};
use crate::limits::{Rule, Use};
use crate::service::organizadoras::{self as service, NewKey, SetPixKeyError};
use crate::state::AppState;
use crate::store::organizadoras::{self as store, StoredPixKey};

/// A PIX key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChavePix)]
pub struct PixKeyInput {
    /// `cpf`, `cnpj`, `telefone`, `email` or `aleatoria`.
    #[schema(pattern = "^(cpf|cnpj|telefone|email|aleatoria)$", example = "email")]
    tipo: String,
    /// The key, check digits included.
    #[schema(max_length = 77, example = "doe@casadocaminho.org.br")]
    chave: String,
    /// Who receives, as the payer's bank shows it; accents are dropped and 25 characters kept.
    #[schema(format = "linha", min_length = 1, max_length = 120, example = "Casa do Caminho")]
    nome_recebedor: String,
    /// Where; accents are dropped and 15 characters kept.
    #[schema(format = "linha", min_length = 1, max_length = 120, example = "São Paulo")]
    cidade: String,
}

impl PixKeyInput {
    /// The key, or notes on what is wrong under names that begin with `prefix`.
    pub fn parse(self, wrong: &mut Violations, prefix: &str) -> Option<NewKey> {
        let field = |name: &str| format!("{prefix}{name}");
        let kind = wrong.check(&field("tipo"), PixKeyType::parse(&self.tipo));
        let key = kind.and_then(|kind| wrong.check(&field("chave"), PixKey::parse(kind, &self.chave)));
        let receiver = wrong
            .check(&field("nome_recebedor"), Name::parse(&self.nome_recebedor))
            .and_then(|name| wrong.check(&field("nome_recebedor"), ReceiverName::parse(name.as_str())));
        let city = wrong
            .check(&field("cidade"), Name::parse(&self.cidade))
            .and_then(|name| wrong.check(&field("cidade"), City::parse(name.as_str())));
        Some(NewKey { key: key?, receiver: receiver?, city: city? })
    }
}

/// A change of the PIX key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrocaDeChavePix)]
pub struct PixKeyChangeBody {
    /// The new key.
    #[serde(deserialize_with = "object")]
    chave_pix: PixKeyInput,
    /// The password of whoever asks, once more.
    #[schema(value_type = String, format = "password", example = "uma frase longa")]
    senha: SecretString,
}

/// A stored PIX key.
#[derive(Serialize, ToSchema)]
#[schema(as = ChavePixRegistrada)]
pub struct PixKeyBody {
    #[schema(value_type = String)]
    tipo: &'static str,
    chave: String,
    nome_recebedor: String,
    cidade: String,
    /// From when it is used. A change waits 24 hours in production.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    vigora_em: OffsetDateTime,
}

/// Stored PIX keys.
#[derive(Serialize, ToSchema)]
#[schema(as = ChavesPix)]
pub struct PixKeysBody {
    /// Those that wait for their time, newest first, and last the one in force.
    chaves: Vec<PixKeyBody>,
}

impl From<Vec<StoredPixKey>> for PixKeysBody {
    fn from(keys: Vec<StoredPixKey>) -> Self {
        let body = |key: StoredPixKey| PixKeyBody {
            tipo: key.receiver.key.kind().as_str(),
            chave: key.receiver.key.as_str().to_owned(),
            nome_recebedor: key.receiver.name.as_str().to_owned(),
            cidade: key.receiver.city.as_str().to_owned(),
            vigora_em: key.vigora_em,
        };
        Self { chaves: keys.into_iter().map(body).collect() }
    }
}

/// The PIX keys of an organizadora
#[utoipa::path(get, path = "/organizadoras/{slug}/chave-pix", tag = "organizadoras", operation_id = "lerChavePix", security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da organizadora")),
    responses((status = 200, description = "A chave em vigor e as que esperam", body = PixKeysBody)))]
pub async fn get(State(state): State<AppState>, member: Member<OfOrganizadora, AnyRole>) -> Result<Json<PixKeysBody>, Problem> {
    let mut db = state.db.connection().await?;
    Ok(Json(store::pix_keys(&mut db, member.organizadora, state.clock.now()).await?.into()))
}

/// Set the PIX key of an organizadora
///
/// Every `dona` is told by e-mail.
#[utoipa::path(put, path = "/organizadoras/{slug}/chave-pix", tag = "organizadoras", operation_id = "trocarChavePix", request_body = PixKeyChangeBody,
    security(("sessao" = [])), params(("slug" = String, Path, description = "O endereço da organizadora")),
    responses((status = 200, description = "A chave em vigor e as que esperam", body = PixKeysBody)))]
pub async fn put(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, Owner>,
    ApiJson(body, _): ApiJson<PixKeyChangeBody>,
) -> Result<Json<PixKeysBody>, Problem> {
    let mut wrong = Violations::default();
    let Some(key) = body.chave_pix.parse(&mut wrong, "chave_pix.") else { return Err(wrong.problem()) };
    let uses = [Use::of(Rule::Password, member.person)];
    let work = service::set_pix_key(&state, member.organizadora, member.person, body.senha, &key);
    let (_, change) = state.limits.count_failures(&uses, work, |error| matches!(error, SetPixKeyError::WrongPassword)).await?;
    Ok(Json(change?.into()))
}
