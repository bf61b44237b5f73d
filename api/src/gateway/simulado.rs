//! Payments that a developer confirms with one request.

use time::Duration;

use super::{Charge, ChargeError, ChargeRequest, PaymentGateway, cnpj_as_key, static_charge};
use crate::domain::doacao::Visibility;
use crate::domain::provider::Provider;

/// The simulated provider. Its BR Codes are well formed; paying one for real is prevented by nothing but its name, so
/// production refuses to start with it.
pub struct Simulado;

impl PaymentGateway for Simulado {
    fn provider(&self) -> Provider {
        Provider::Simulado
    }

    fn lifetime(&self) -> Duration {
        Duration::hours(72)
    }

    fn refuses(&self, _: Visibility) -> Option<&'static str> {
        None
    }

    fn charge(&self, request: &ChargeRequest<'_>) -> Result<Charge, ChargeError> {
        match request.pix_key {
            Some(key) => static_charge(request, key),
            None => static_charge(request, &cnpj_as_key(request.cnpj)?),
        }
    }
}
