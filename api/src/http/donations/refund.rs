//! `POST /doacoes/{id}/devolucoes`: money that went back.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::created;
use crate::domain::donation::DonationStatus;
use crate::domain::ids::{DonationId, RefundId};
use crate::domain::money::Centavos;
use crate::domain::pasted;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::text::Reason;
use crate::http::extract::body::{ApiJson, present, present_text};
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::extract::member::{Member, OfDonation, Refunder};
use crate::http::extract::path::IdPath;
use crate::http::problem::{Problem, Violations};
use crate::service::refunds::{self, RefundOrder, Refunded};
use crate::state::AppState;

/// What goes back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaDevolucao)]
pub struct NewRefundBody {
    /// How much, in whole centavos; all that is left where it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 100_000_000, example = 2000)]
    valor_centavos: Option<i64>,
    /// Why.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, format = "linha", max_length = 500, example = "a pedido da doadora")]
    motivo: Option<String>,
    /// Of which receipt; the credited one where it is not given.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(
        nullable = false,
        pattern = "^(E[0-9]{20}[A-Za-z0-9]{11}|manual:[0-9a-f-]{36})?$",
        example = "E12345678202611241030abcdefghijk"
    )]
    e2eid: Option<String>,
}

/// A refund, and what became of the donation.
#[derive(Serialize, ToSchema)]
#[schema(as = Devolucao)]
pub struct RefundBody {
    id: RefundId,
    doacao_id: DonationId,
    /// The donation's state.
    situacao: DonationStatus,
    e2eid: String,
    /// The id to give to the bank.
    id_devolucao: String,
    valor_centavos: i64,
    /// What went back of the donation so far.
    devolvido_centavos: i64,
    motivo: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    criada_em: OffsetDateTime,
}

/// Record a refund
///
/// With `pix_estatico` the organizadora returns the money at its bank and records it here.
#[utoipa::path(post, path = "/doacoes/{id}/devolucoes", tag = "doacoes", operation_id = "devolver", request_body = NewRefundBody, security(("sessao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação"), ("idempotency-key" = uuid::Uuid, Header, description = "UUID novo por devolução")),
    responses((status = 201, description = "A devolução", body = RefundBody, headers(("location" = String)))))]
pub async fn refund(
    State(state): State<AppState>,
    member: Member<OfDonation, Refunder>,
    IdPath(id): IdPath,
    key: IdempotencyKey,
    ApiJson(body, bytes): ApiJson<NewRefundBody>,
) -> Result<Response, Problem> {
    let order = body.parse()?;
    let attempt = key.attempt(&id.to_string(), &bytes);
    let work = refunds::refund(state.clone(), DonationId(id), member.person, order, attempt);
    let refunded = state.shutdown.complete(work).await??.into_result();
    created(DonationId(id), RefundBody::from(refunded), None)
}

impl From<Refunded> for RefundBody {
    fn from(refunded: Refunded) -> Self {
        let Refunded { devolucao: refund, situacao, devolvido_centavos, excedente: _ } = refunded;
        Self {
            id: refund.id,
            doacao_id: refund.doacao_id,
            situacao,
            e2eid: refund.e2eid,
            id_devolucao: refund.id_devolucao,
            valor_centavos: refund.valor_centavos,
            devolvido_centavos,
            motivo: refund.motivo,
            criada_em: refund.criada_em,
        }
    }
}

impl NewRefundBody {
    fn parse(self) -> Result<RefundOrder, Problem> {
        let mut wrong = Violations::default();
        let valor = wrong.check_optional("valor_centavos", self.valor_centavos, Centavos::try_from);
        let motivo = wrong.check_optional("motivo", self.motivo, |text| Reason::parse(&text));
        let e2eid = wrong.check_optional("e2eid", self.e2eid, |text| EndToEndId::parse_stored(&pasted::id(&text)));
        wrong.finish()?;
        Ok(RefundOrder { valor, motivo, e2eid })
    }
}
