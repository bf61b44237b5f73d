//! `POST /doacoes/{id}/confirmacoes`: the organizadora saw the money.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::created;
use crate::domain::calendar::within_calendar;
use crate::domain::donation::{DonationStatus, Evidence, Reconciliation};
use crate::domain::ids::DonationId;
use crate::domain::money::Centavos;
use crate::domain::pasted;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::text::Reason;
use crate::http::extract::body::{ApiJson, present_text, timestamp};
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::extract::member::{Confirmer, Member, OfDonation};
use crate::http::extract::path::IdPath;
use crate::http::problem::{Problem, Violations};
use crate::service::settle::{self, Confirmed, Proof};
use crate::state::AppState;

/// What was received.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Confirmacao)]
pub struct ConfirmationBody {
    /// What the bank statement says, in whole centavos; this is what is credited.
    #[schema(minimum = 1, maximum = 100_000_000, example = 5000)]
    valor_recebido_centavos: i64,
    /// When; not in the future, and not before the day of the donation.
    #[serde(deserialize_with = "timestamp")]
    #[schema(value_type = String, format = DateTime)]
    recebido_em: OffsetDateTime,
    /// The bank's end-to-end id. Without it a charge can be confirmed once.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, pattern = "^(E[0-9]{20}[A-Za-z0-9]{11})?$", example = "E12345678202611241030abcdefghijk")]
    e2eid: Option<String>,
    /// Why it is confirmed by hand.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, format = "linha", max_length = 500, example = "extrato de hoje")]
    justificativa: Option<String>,
}

/// A receipt, and what became of the donation.
#[derive(Serialize, ToSchema)]
#[schema(as = Recebimento)]
pub struct ReceiptBody {
    doacao_id: DonationId,
    situacao: DonationStatus,
    e2eid: String,
    valor_centavos: i64,
    evidencia: Evidence,
    /// `duplicada` is held for return and is not in the campaign's total.
    conciliacao: Reconciliation,
}

/// Confirm that a payment arrived
///
/// Takes the role `dona` or `financeiro` and a password entered within ten minutes.
#[utoipa::path(post, path = "/doacoes/{id}/confirmacoes", tag = "doacoes", operation_id = "confirmarPagamento", request_body = ConfirmationBody,
    security(("sessao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação"), ("idempotency-key" = uuid::Uuid, Header, description = "UUID novo por confirmação")),
    responses((status = 201, description = "O recebimento", body = ReceiptBody, headers(("location" = String)))))]
pub async fn confirm(
    State(state): State<AppState>,
    member: Member<OfDonation, Confirmer>,
    IdPath(id): IdPath,
    key: IdempotencyKey,
    ApiJson(body, bytes): ApiJson<ConfirmationBody>,
) -> Result<Response, Problem> {
    let mut proof = body.parse()?;
    proof.registrado_por = Some(member.person);
    let attempt = key.attempt(&id.to_string(), &bytes);
    let work = settle::by_member(state.clone(), DonationId(id), member.person, proof, attempt);
    let confirmed = state.shutdown.complete(work).await??.into_result();
    created(DonationId(id), ReceiptBody::from(confirmed), None)
}

impl From<Confirmed> for ReceiptBody {
    fn from(confirmed: Confirmed) -> Self {
        let Confirmed { doacao: donation_id, situacao, recebimento: receipt } = confirmed;
        Self {
            doacao_id: donation_id,
            situacao,
            e2eid: receipt.e2eid,
            valor_centavos: receipt.valor_centavos,
            evidencia: receipt.evidencia,
            conciliacao: receipt.conciliacao,
        }
    }
}

impl ConfirmationBody {
    fn parse(self) -> Result<Proof, Problem> {
        let mut wrong = Violations::default();
        let valor = wrong.check("valor_recebido_centavos", Centavos::try_from(self.valor_recebido_centavos));
        let recebido_em = wrong.check("recebido_em", within_calendar(self.recebido_em));
        let e2eid = wrong.check_optional("e2eid", self.e2eid, |text| EndToEndId::parse(&pasted::id(&text)));
        let justificativa = wrong.check_optional("justificativa", self.justificativa, |text| Reason::parse(&text));
        wrong.finish()?;
        let (Some(valor), Some(horario)) = (valor, recebido_em) else { return Err(wrong.problem()) };
        Ok(Proof { valor, horario, e2eid, evidencia: Evidence::Declared, justificativa, registrado_por: None })
    }
}
