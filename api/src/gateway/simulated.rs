//! Payments that a developer confirms with one request.

use time::Duration;

use super::{ChargeError, ChargeRequest, PayableCharge, PaymentGateway, static_charge};
use crate::domain::br_code::{City, ReceiverName};
use crate::domain::cnpj::Cnpj;
use crate::domain::donation::Visibility;
use crate::domain::pix_receiver::PixReceiver;
use crate::domain::provider::Provider;

/// The simulated provider. Its BR Codes are well formed; paying one for real is prevented by nothing but its name, so
/// production refuses to start with it.
pub struct Simulated;

impl PaymentGateway for Simulated {
    fn provider(&self) -> Provider {
        Provider::Simulated
    }

    fn lifetime(&self) -> Duration {
        Duration::hours(72)
    }

    fn refuses(&self, _: Visibility) -> Option<&'static str> {
        None
    }

    fn charge(&self, request: &ChargeRequest<'_>) -> Result<PayableCharge, ChargeError> {
        Ok(match request.receiver {
            Some(receiver) => static_charge(request, receiver),
            None => static_charge(request, &stand_in(request.cnpj)),
        })
    }
}

/// The receiver for an organizadora without a PIX key: its CNPJ as the key, with an invented name and city.
fn stand_in(cnpj: &Cnpj) -> PixReceiver {
    PixReceiver { key: cnpj.into(), name: ReceiverName::simulated(), city: City::simulated() }
}
