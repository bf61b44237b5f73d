//! The totals of a campaign: one shape for the row, the copy in Redis and the answer. All amounts are in centavos.

use time::OffsetDateTime;

/// The totals of a campaign, at most a second old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = Totais)]
pub struct Totals {
    /// All that was confirmed. What went back is not taken off.
    pub arrecadado_centavos: i64,
    /// Of what did not go back, the part that rests on the organizadora's word alone.
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

impl Totals {
    /// The sum by which campaigns are ranked, in centavos (column `comprovado_centavos`): what was confirmed, less what went back,
    /// less what rests on the organizadora's word alone.
    pub const fn proven(&self) -> i64 {
        self.arrecadado_centavos - self.devolvido_centavos - self.declarado_centavos
    }
}
