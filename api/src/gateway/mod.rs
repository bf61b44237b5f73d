//! Payment providers. A gateway makes charges; what it needs from outside the process it does outside of transactions.

mod pix_estatico;
mod simulado;

pub use pix_estatico::PixEstatico;
pub use simulado::Simulado;

use time::Duration;

use crate::domain::br_code::{City, ReceiverName, StaticCharge};
use crate::domain::cnpj::Cnpj;
use crate::domain::doacao::Visibility;
use crate::domain::ids::PagamentoId;
use crate::domain::money::Centavos;
use crate::domain::pix_key::{PixKey, PixKeyType};
use crate::domain::provider::Provider;
use crate::domain::txid::Txid;
use crate::store::organizadoras::StoredPixKey;

/// What is to be paid, and to whom.
#[derive(Clone, Debug)]
pub struct ChargeRequest<'a> {
    /// The charge's id, from which its txid is made.
    pub id: PagamentoId,
    /// How much.
    pub amount: Centavos,
    /// The organizadora's PIX key in force.
    pub pix_key: Option<&'a StoredPixKey>,
    /// The organizadora's CNPJ.
    pub cnpj: &'a str,
}

/// A charge that can be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
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
    /// What is stored about the organizadora makes no BR Code.
    #[error("the stored PIX key makes no BR Code: {0}")]
    Stored(String),
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
    fn charge(&self, request: &ChargeRequest<'_>) -> Result<Charge, ChargeError>;
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
                        Provider::Simulado => Box::new(Simulado),
                        Provider::PixEstatico => Box::new(PixEstatico),
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
        self.0.iter().all(|gateway| gateway.provider() == Provider::PixEstatico)
    }
}

/// A static BR Code to the organizadora's key.
fn static_charge(request: &ChargeRequest<'_>, key: &StoredPixKey) -> Result<Charge, ChargeError> {
    let stored = |error: &dyn std::fmt::Display| ChargeError::Stored(error.to_string());
    let kind = PixKeyType::parse(&key.tipo).map_err(|error| stored(&error))?;
    let txid = Txid::from_uuid(request.id.0.as_u128());
    let br_code = StaticCharge {
        key: &PixKey::parse(kind, &key.chave).map_err(|error| stored(&error))?,
        receiver_name: &ReceiverName::parse(&key.nome_recebedor).map_err(|error| stored(&error))?,
        city: &City::parse(&key.cidade).map_err(|error| stored(&error))?,
        amount: request.amount,
        txid: &txid,
    }
    .encode();
    Ok(Charge { txid, br_code })
}

/// The key that stands in where an organizadora has none: its CNPJ, which is a legal PIX key.
fn cnpj_as_key(cnpj: &str) -> Result<StoredPixKey, ChargeError> {
    let cnpj = Cnpj::parse(cnpj).map_err(|error| ChargeError::Stored(error.to_string()))?;
    Ok(StoredPixKey {
        tipo: PixKeyType::Cnpj.as_str().to_owned(),
        chave: cnpj.as_str().to_owned(),
        nome_recebedor: "PAGAMENTO SIMULADO".to_owned(),
        cidade: "BRASILIA".to_owned(),
        vigora_em: time::OffsetDateTime::UNIX_EPOCH,
    })
}
