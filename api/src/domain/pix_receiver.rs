//! Who receives a PIX payment.

use super::br_code::{City, ReceiverName};
use super::pix_key::PixKey;

/// A PIX key with what a BR Code says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixReceiver {
    /// The key that the money goes to.
    pub key: PixKey,
    /// The receiver's name.
    pub name: ReceiverName,
    /// The receiver's city.
    pub city: City,
}
