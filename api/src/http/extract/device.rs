//! Which device sends a request. It says so itself, since addresses are shared by thousands of phones.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use utoipa::IntoParams;
use uuid::Uuid;

use super::client_ip::ClientIp;
use super::cookies::{self, Cookie};
use crate::config::keys::sha256;
use crate::domain::ids::client_uuid;
use crate::domain::network::customer_network;
use crate::http::problem::{Code, Problem};
use crate::state::{AppState, Core};

/// The header with a UUID that the front end makes once and keeps.
pub const DEVICE_HEADER: &str = "dispositivo";
/// The cookie with the same UUID, of pages that send forms.
const DEVICE_COOKIE: &str = "dispositivo";

/// How the contract describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct DeviceHeader {
    /// UUID que o site cria uma vez por aparelho e guarda, aqui ou no cookie `dispositivo`. O limite de doações é por aparelho, e a
    /// Idempotency-Key de quem doa sem conta vale para o aparelho.
    #[param(nullable = false)]
    pub dispositivo: Option<Uuid>,
}

/// The device that sends a request.
#[derive(Clone, Debug)]
pub struct Device {
    /// The subject of the device's limits: its id, or its network and browser if it names none.
    pub limited_by: String,
    /// SHA-256 of the device's id; `None` if it names none. Address and browser do not take its place, since a phone may repeat a
    /// request from another network.
    pub hash: Option<[u8; 32]>,
}

/// How long a browser keeps the cookie, in seconds.
const COOKIE_LIFE: i64 = 365 * 24 * 60 * 60;

/// The `Set-Cookie` that names a browser's device to the pages below `path`; `None` where the request brought one along.
pub fn new_cookie(core: &Core, request: &HeaderMap, path: &str) -> Option<HeaderValue> {
    if in_cookie(request).is_some() {
        return None;
    }
    let id = Uuid::new_v4().to_string();
    Some(cookies::set(core, &Cookie { name: DEVICE_COOKIE, value: &id, path, max_age: COOKIE_LIFE }))
}

/// The device that a page's cookie names. A cookie that is no UUID is another site's.
fn in_cookie(headers: &HeaderMap) -> Option<Uuid> {
    cookies::values(headers, DEVICE_COOKIE).find_map(parse)
}

fn parse(bytes: &[u8]) -> Option<Uuid> {
    std::str::from_utf8(bytes).ok().and_then(client_uuid)
}

impl FromRequestParts<AppState> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let header = parts.headers.get(DEVICE_HEADER).filter(|value| !value.as_bytes().trim_ascii().is_empty());
        let id = match header {
            Some(value) => Some(parse(value.as_bytes().trim_ascii()).ok_or_else(|| {
                Problem::new(Code::Malformed, "O cabeçalho Dispositivo é um UUID aleatório que o site cria uma vez por aparelho e guarda.")
            })?),
            // A form cannot send the header, so the page that shows it sets the cookie.
            None => in_cookie(&parts.headers),
        };
        if let Some(id) = id {
            return Ok(Self { limited_by: format!("dispositivo:{id}"), hash: Some(sha256(id.as_bytes())) });
        }
        let Ok(ClientIp(ip)) = ClientIp::from_request_parts(parts, state).await;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self { limited_by: format!("{} {agent}", customer_network(ip)), hash: None })
    }
}
