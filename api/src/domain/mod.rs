//! What doacoes is about, without IO: money, names, states and the PIX formats.
//!
//! Every type here is parsed at the edge; inside, an invalid value cannot exist.

pub mod br_code;
pub mod calendar;
pub mod campaign;
pub mod cnpj;
pub mod cpf;
pub mod donation;
pub mod email;
pub mod ids;
pub mod markdown;
pub mod money;
pub mod money_text;
pub mod network;
pub mod organizadora;
pub mod pasted;
pub mod pix_key;
pub mod pix_receipt;
pub mod pix_receiver;
pub mod provider;
pub mod qr;
pub mod role;
pub mod slug;
pub mod text;
pub(crate) mod text_enum;
pub mod totals;
pub mod txid;
