//! `GET /organizadoras/{slug}/pagamentos-pendentes`

use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domain::ids::{ChargeId, DonationId};
use crate::domain::provider::Provider;
use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::member::{AnyRole, Member, OfOrganizadora};
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::charges::{self, PaymentStatus, PendingPayment};

/// What is listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PendingPaymentsQuery {
    /// Also charges whose time is over: money that comes late still counts.
    #[param(default = false)]
    vencidos: Option<bool>,
    /// `proximo_cursor` of the page before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Items of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limite: Option<u8>,
}

/// A charge that waits for its payment.
#[derive(Serialize, ToSchema)]
#[schema(as = PagamentoPendente)]
pub struct Item {
    pagamento_id: ChargeId,
    doacao_id: DonationId,
    campanha: String,
    /// The donor's name, unless the donation is secret.
    nome_exibicao: Option<String>,
    provedor: Provider,
    txid: String,
    valor_centavos: i64,
    situacao: PaymentStatus,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    criado_em: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expira_em: OffsetDateTime,
}

impl From<PendingPayment> for Item {
    fn from(row: PendingPayment) -> Self {
        Self {
            pagamento_id: row.pagamento_id,
            doacao_id: row.doacao_id,
            campanha: row.campanha_slug,
            nome_exibicao: row.nome_exibicao,
            provedor: row.provedor,
            txid: row.txid,
            valor_centavos: row.valor_centavos,
            situacao: row.situacao,
            criado_em: row.criado_em,
            expira_em: row.expira_em,
        }
    }
}

/// Charges that wait for their payment
#[utoipa::path(get, path = "/organizadoras/{slug}/pagamentos-pendentes", tag = "organizadoras", operation_id = "listarPagamentosPendentes",
    params(("slug" = String, Path, description = "O endereço da organizadora"), PendingPaymentsQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<Item>)))]
pub async fn list(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, AnyRole>,
    ApiQuery(query): ApiQuery<PendingPaymentsQuery>,
    uri: OriginalUri,
) -> Result<Linked<Item>, Problem> {
    let expired = query.vencidos.unwrap_or_default();
    let filter = if expired { "vencidos=true" } else { "" };
    let list = List::new(uri.path(), filter, &member.person.to_string());
    let page = PageQuery { cursor: query.cursor, limite: query.limite };
    let (before, limit) = list.start::<Uuid>(&state, &page)?;
    let mut db = state.db.connection().await?;
    let found = charges::pending(&mut db, member.organizadora, expired, before, rows(limit)).await?;
    Ok(list.page(&state, found, limit, |row| row.pagamento_id.0).map(Item::from))
}
