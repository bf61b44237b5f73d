//! How donors pay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How donors pay.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Payments {
    /// Who confirms a payment: `PixEstatico`, a PIX code that donors pay in their own bank's app and an organizer confirms; or
    /// `Simulado`, a bank that exists only inside the API and is refused in profile Production. Default: `PixEstatico` in
    /// profile Production, `Simulado` in profile Development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// Who confirms a payment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Gateway {
    /// A bank that exists only inside the API.
    Simulado,
    /// A PIX code, and an organizer who confirms what arrived.
    PixEstatico,
}
