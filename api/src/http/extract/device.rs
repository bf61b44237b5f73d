//! Which device sends a request. It says so itself, since addresses are shared by thousands of phones.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use utoipa::IntoParams;
use uuid::Uuid;

use super::client_ip::ClientIp;
use crate::domain::network::customer_network;
use crate::http::problem::{Code, Problem};
use crate::state::AppState;

/// The header with a UUID that the front end makes once and keeps.
pub const DEVICE_HEADER: &str = "dispositivo";

/// How the contract describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct DeviceHeader {
    /// UUID que o site cria uma vez por aparelho e guarda; o limite de doações é por aparelho.
    #[param(nullable = false)]
    pub dispositivo: Option<Uuid>,
}

/// What tells one device from another; where it names none, its address and browser together.
#[derive(Clone, Debug)]
pub struct Device(pub String);

impl FromRequestParts<AppState> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if let Some(value) = parts.headers.get(DEVICE_HEADER) {
            let id = value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
            let id = id.ok_or_else(|| Problem::new(Code::Malformed, "O cabeçalho Dispositivo é um UUID que o site cria e guarda."))?;
            return Ok(Self(format!("dispositivo:{id}")));
        }
        let Ok(ClientIp(ip)) = ClientIp::from_request_parts(parts, state).await;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self(format!("{} {agent}", customer_network(ip))))
    }
}
