//! Payment providers. A gateway makes charges; what it needs from outside the process it does outside of transactions.

mod simulated;
mod static_pix;

pub use simulated::Simulated;
pub use static_pix::StaticPix;

use time::Duration;

use crate::domain::br_code::StaticCharge;
use crate::domain::cnpj::Cnpj;
use crate::domain::donation::Visibility;
use crate::domain::ids::ChargeId;
use crate::domain::money::Centavos;
use crate::domain::pix_receiver::PixReceiver;
use crate::domain::provider::Provider;
use crate::domain::txid::Txid;

/// What is to be paid, and to whom.
#[derive(Clone, Debug)]
pub struct ChargeRequest<'a> {
    /// The charge's id, from which its txid is made.
    pub id: ChargeId,
    /// How much.
    pub amount: Centavos,
    /// The organizadora's PIX key in force.
    pub receiver: Option<&'a PixReceiver>,
    /// The organizadora's CNPJ.
    pub cnpj: &'a Cnpj,
}

/// A charge that can be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayableCharge {
    /// What the bank tells the receiver with the payment.
    pub txid: Txid,
    /// The text behind the QR code.
    pub br_code: String,
}

/// Why no charge was made.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// The organizadora has no PIX key in force.
    #[error("the organizadora has no PIX key in force")]
    NoPixKey,
}

/// A payment provider.
pub trait PaymentGateway: Send + Sync {
    /// Which.
    fn provider(&self) -> Provider;
    /// How long a charge can be paid.
    fn lifetime(&self) -> Duration;
    /// Why a donation of this visibility cannot be made with this provider, for the donor.
    fn refuses(&self, visibility: Visibility) -> Option<&'static str>;
    /// Makes a charge.
    fn charge(&self, request: &ChargeRequest<'_>) -> Result<PayableCharge, ChargeError>;
}

/// The providers in use; the first is the default.
pub struct Gateways(Vec<Box<dyn PaymentGateway>>);

impl Gateways {
    /// The gateways of `providers`.
    pub fn new(providers: &[Provider]) -> Self {
        Self(
            providers
                .iter()
                .map(|provider| -> Box<dyn PaymentGateway> {
                    match provider {
                        Provider::Simulated => Box::new(Simulated),
                        Provider::StaticPix => Box::new(StaticPix),
                    }
                })
                .collect(),
        )
    }

    /// The gateway of `provider`, or the default one; nothing where it is not in use.
    pub fn get(&self, provider: Option<Provider>) -> Option<&dyn PaymentGateway> {
        match provider {
            Some(provider) => self.0.iter().find(|gateway| gateway.provider() == provider),
            None => self.0.first(),
        }
        .map(AsRef::as_ref)
    }

    /// Whether every gateway in use needs the organizadora's PIX key.
    pub fn all_need_pix_key(&self) -> bool {
        self.0.iter().all(|gateway| gateway.provider() == Provider::StaticPix)
    }
}

/// A charge with a static BR Code that pays the requested amount to `receiver`.
fn static_charge(request: &ChargeRequest<'_>, receiver: &PixReceiver) -> PayableCharge {
    let txid = Txid::from_uuid(request.id.0.as_u128());
    let PixReceiver { key, name, city } = receiver;
    let br_code = StaticCharge { key, receiver_name: name, city, amount: request.amount, txid: &txid }.encode();
    PayableCharge { txid, br_code }
}
