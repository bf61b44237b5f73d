//! PIX without a provider: a static BR Code to the organizadora's own key, confirmed by the organizadora.

use time::Duration;

use super::{ChargeError, ChargeRequest, PayableCharge, PaymentGateway, static_charge};
use crate::domain::donation::Visibility;
use crate::domain::provider::Provider;

/// Static PIX.
pub struct StaticPix;

impl PaymentGateway for StaticPix {
    fn provider(&self) -> Provider {
        Provider::StaticPix
    }

    fn lifetime(&self) -> Duration {
        Duration::hours(72)
    }

    fn refuses(&self, visibility: Visibility) -> Option<&'static str> {
        (visibility == Visibility::Secret)
            .then_some("com PIX estático o extrato bancário mostra o nome de quem paga à organizadora; escolha `anonima` ou `publica`")
    }

    fn charge(&self, request: &ChargeRequest<'_>) -> Result<PayableCharge, ChargeError> {
        Ok(static_charge(request, request.receiver.ok_or(ChargeError::NoPixKey)?))
    }
}
