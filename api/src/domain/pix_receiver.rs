//! The receiver of a PIX payment.

use super::br_code::{City, ReceiverName};
use super::pix_key::PixKey;

/// A PIX key with the name and the city that a BR Code carries beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixReceiver {
    /// The key that the money goes to.
    pub key: PixKey,
    /// The receiver's name (field 59 of the BR Code).
    pub name: ReceiverName,
    /// The receiver's city (field 60 of the BR Code).
    pub city: City,
}
