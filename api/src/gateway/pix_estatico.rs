//! PIX without a provider: a static BR Code to the organizadora's own key, confirmed by the organizadora.

use time::Duration;

use super::{Charge, ChargeError, ChargeRequest, PaymentGateway, static_charge};
use crate::domain::doacao::Visibility;
use crate::domain::provider::Provider;

/// Static PIX.
pub struct PixEstatico;

impl PaymentGateway for PixEstatico {
    fn provider(&self) -> Provider {
        Provider::PixEstatico
    }

    fn lifetime(&self) -> Duration {
        Duration::hours(72)
    }

    fn refuses(&self, visibility: Visibility) -> Option<&'static str> {
        (visibility == Visibility::Secreta)
            .then_some("com PIX estático o extrato bancário mostra o nome de quem paga à organizadora; escolha `anonima` ou `publica`")
    }

    fn charge(&self, request: &ChargeRequest<'_>) -> Result<Charge, ChargeError> {
        Ok(static_charge(request, request.receiver.ok_or(ChargeError::NoPixKey)?))
    }
}
