//! The totals of a campaign: one shape for the row, the copy in Redis and the answer.

use time::OffsetDateTime;

/// The totals of a campaign, at most a second old. All amounts are in centavos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = Totais)]
pub struct Totals {
    /// All that was confirmed. What went back is not taken off.
    pub arrecadado_centavos: i64,
    /// The part of it that rests on the organizadora's word.
    pub declarado_centavos: i64,
    /// What went back to donors.
    pub devolvido_centavos: i64,
    /// Confirmed donations.
    pub doacoes_qtd: i64,
    /// Different donors.
    pub doadores_qtd: i64,
    /// Grows with each change.
    pub seq: i64,
    /// When that was.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub atualizado_em: OffsetDateTime,
}
