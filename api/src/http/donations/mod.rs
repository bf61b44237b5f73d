//! `/doacoes`

pub mod cancel;
pub mod charge;
pub mod confirm;
pub mod get;
pub mod qr;
pub mod refund;
pub mod update;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::donation::{DonationStatus, Visibility};
use crate::domain::ids::{ChargeId, DonationId};
use crate::domain::provider::Provider;
use crate::http::extract::donor::TOKEN_HEADER;
use crate::http::problem::Problem;
use crate::store::charges::{Charge, PaymentStatus};
use crate::store::donations::Donation;

/// A donation as its donor sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Doacao)]
pub struct DonationBody {
    pub(crate) id: DonationId,
    pub(crate) campanha: CampaignRef,
    pub(crate) nome_exibicao: Option<String>,
    pub(crate) email: Option<String>,
    /// What was promised.
    pub(crate) valor_centavos: i64,
    /// What was received and credited.
    pub(crate) recebido_centavos: i64,
    /// What went back.
    pub(crate) devolvido_centavos: i64,
    pub(crate) visibilidade: Visibility,
    pub(crate) oculta_valor: bool,
    pub(crate) mensagem: Option<String>,
    pub(crate) situacao: DonationStatus,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expira_em: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) confirmada_em: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) criada_em: OffsetDateTime,
    pub(crate) versao: i32,
    /// The newest charge.
    pub(crate) pagamento: Option<ChargeBody>,
}

/// Which campaign.
#[derive(Serialize, ToSchema)]
#[schema(as = CampanhaDaDoacao)]
pub struct CampaignRef {
    pub(crate) slug: String,
    pub(crate) titulo: String,
}

/// A charge.
#[derive(Serialize, ToSchema)]
#[schema(as = Pagamento)]
pub struct ChargeBody {
    pub(crate) id: ChargeId,
    pub(crate) provedor: Provider,
    pub(crate) txid: String,
    pub(crate) valor_centavos: i64,
    pub(crate) situacao: PaymentStatus,
    /// The text behind the QR code, to copy into a bank's app.
    pub(crate) pix_copia_e_cola: String,
    /// The QR code as an image, for whoever may see the donation.
    pub(crate) qr_svg_url: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expira_em: OffsetDateTime,
}

impl From<&Charge> for ChargeBody {
    fn from(row: &Charge) -> Self {
        Self {
            id: row.id,
            provedor: row.provedor,
            txid: row.txid.clone(),
            valor_centavos: row.valor_centavos,
            situacao: row.situacao,
            pix_copia_e_cola: row.br_code.clone(),
            qr_svg_url: format!("/api/v1/doacoes/{}/pagamentos/{}/qr.svg", row.doacao_id, row.id),
            expira_em: row.expira_em,
        }
    }
}

impl DonationBody {
    /// A donation with the newest of those `charges` that are its own.
    pub fn new(row: &Donation, charges: &[Charge]) -> Self {
        Self {
            id: row.id,
            campanha: CampaignRef { slug: row.campanha_slug.clone(), titulo: row.campanha_titulo.clone() },
            nome_exibicao: row.nome_exibicao.clone(),
            email: row.email_contato.clone(),
            valor_centavos: row.valor_centavos,
            recebido_centavos: row.recebido_centavos,
            devolvido_centavos: row.devolvido_centavos,
            visibilidade: row.visibilidade,
            oculta_valor: row.oculta_valor,
            mensagem: row.mensagem.clone(),
            situacao: row.situacao,
            expira_em: row.expira_em,
            confirmada_em: row.confirmada_em,
            criada_em: row.criada_em,
            versao: row.versao,
            pagamento: charges.iter().rfind(|charge| charge.doacao_id == row.id).map(ChargeBody::from),
        }
    }
}

/// The answer 201 with `body` and the address of donation `id`; `token` is the capability token of a guest's donation.
pub fn created(id: DonationId, body: impl Serialize, token: Option<String>) -> Result<Response, Problem> {
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let location = HeaderValue::from_str(&format!("/api/v1/doacoes/{id}")).map_err(Problem::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    if let Some(token) = token {
        response.headers_mut().insert(TOKEN_HEADER, HeaderValue::from_str(&token).map_err(Problem::internal)?);
    }
    Ok(response)
}
