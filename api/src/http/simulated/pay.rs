//! `POST /simulado/pagamentos/{txid}`

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::donation::{DonationStatus, Evidence, Reconciliation};
use crate::domain::money::Centavos;
use crate::domain::pasted;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::txid::Txid;
use crate::http::extract::body::ApiJson;
use crate::http::extract::path::parameter;
use crate::http::problem::{Problem, Violations};
use crate::service::settle::{self, Proof, Settled};
use crate::state::AppState;

/// The path's parameter `txid`.
pub struct TxidPath(Txid);

impl FromRequestParts<AppState> for TxidPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Txid::parse(&pasted::id(&parameter(parts, state, "txid").await?)).map(Self).map_err(|_| Problem::not_found())
    }
}

/// A payment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PagamentoSimulado)]
pub struct SimulatedPaymentBody {
    /// What is paid, in whole centavos; any amount, as with a real bank.
    #[schema(minimum = 1, maximum = 100_000_000, example = 5000)]
    valor_centavos: i64,
    /// The bank's end-to-end id. The same one told twice counts once.
    #[schema(pattern = "^E[0-9]{20}[A-Za-z0-9]{11}$", example = "E12345678202611241030abcdefghijk")]
    e2eid: String,
}

/// What became of it; nothing about the donor.
#[derive(Serialize, ToSchema)]
#[schema(as = RecebimentoSimulado)]
pub struct PaidBody {
    txid: String,
    e2eid: String,
    valor_centavos: i64,
    situacao: DonationStatus,
    conciliacao: Reconciliation,
}

/// Pay a charge (Development only)
#[utoipa::path(post, path = "/simulado/pagamentos/{txid}", tag = "simulado", operation_id = "pagarSimulado", request_body = SimulatedPaymentBody,
    params(("txid" = String, Path, description = "O txid da cobrança")),
    responses((status = 200, description = "O recebimento", body = PaidBody)))]
pub async fn pay(
    State(state): State<AppState>,
    TxidPath(txid): TxidPath,
    ApiJson(body, _): ApiJson<SimulatedPaymentBody>,
) -> Result<Json<PaidBody>, Problem> {
    let mut wrong = Violations::default();
    let valor = wrong.check("valor_centavos", Centavos::try_from(body.valor_centavos));
    let e2eid = wrong.check("e2eid", EndToEndId::parse(&pasted::id(&body.e2eid)));
    let (Some(valor), Some(e2eid)) = (valor, e2eid) else { return Err(wrong.problem()) };
    let settled = receive(&state, txid.clone(), valor, e2eid).await?;
    Ok(Json(PaidBody {
        txid: txid.as_str().to_owned(),
        e2eid: settled.receipt.e2eid,
        valor_centavos: settled.receipt.valor_centavos,
        situacao: settled.donation.situacao,
        conciliacao: settled.receipt.conciliacao,
    }))
}

/// Lets `valor` arrive for the charge of `txid`, as the simulated bank tells it.
pub async fn receive(state: &AppState, txid: Txid, valor: Centavos, e2eid: EndToEndId) -> Result<Settled, Problem> {
    let proof = Proof {
        valor,
        horario: state.clock.now(),
        e2eid: Some(e2eid),
        evidencia: Evidence::Psp,
        justificativa: None,
        registrado_por: None,
    };
    let work = settle::by_provider(state.clone(), txid, proof);
    Ok(state.shutdown.complete(work).await??)
}
