//! The BR Code: the text of a PIX charge, shown as a QR Code or copied and pasted.
//!
//! Sources: BCB, Manual de Padrões para Iniciação do Pix and Manual do BR Code; `EMVCo`, QR Code
//! Specification for Payment Systems, Merchant-Presented Mode, which the BR Code profiles.

use std::fmt;

use crc::{CRC_16_IBM_3740, Crc};
use thiserror::Error;

use super::money::Centavos;
use super::pix_key::PixKey;
use super::txid::Txid;

mod name;
mod tlv;

pub use name::{City, NameError, ReceiverName, strip_accents};
pub use tlv::FieldId;
use tlv::{DataObject, find_template, find_text};

/// Fields of the root, by the specification's numbers.
mod tag {
    pub(super) const FORMAT: u8 = 0;
    pub(super) const INITIATION: u8 = 1;
    pub(super) const ACCOUNT: u8 = 26;
    pub(super) const CATEGORY: u8 = 52;
    pub(super) const CURRENCY: u8 = 53;
    pub(super) const AMOUNT: u8 = 54;
    pub(super) const COUNTRY: u8 = 58;
    pub(super) const NAME: u8 = 59;
    pub(super) const CITY: u8 = 60;
    pub(super) const POSTAL_CODE: u8 = 61;
    pub(super) const ADDITIONAL: u8 = 62;
    pub(super) const CRC: u8 = 63;
}

/// Fields of the PIX templates: the account (26) and the recurrence (80).
mod pix_tag {
    pub(super) const GUI: u8 = 0;
    pub(super) const KEY: u8 = 1;
    pub(super) const URL: u8 = 25;
}

/// The reference label, inside the additional data.
const REFERENCE: u8 = 5;

/// What marks a template as PIX's. The manuals write it in both cases.
const PIX_GUI: &str = "br.gov.bcb.pix";

/// ISO 18245 code of a merchant whose category is not told.
const NO_CATEGORY: &str = "0000";

/// ISO 4217 number of the real.
const REAL: &str = "986";

const BRAZIL: &str = "BR";

/// What stands for a txid when there is none.
const NO_TXID: &str = "***";

/// The longest text the API Pix gives in `pixCopiaECola`.
const MAX_CODE_CHARS: usize = 512;

/// The identifier and length of the CRC field, which the CRC itself covers.
const CRC_HEADER: &str = "6304";

const CRC_DIGITS: usize = 4;

/// CRC-16 with polynomial 0x1021 and initial value 0xFFFF, not reflected (`EMVCo`
/// Merchant-Presented Mode, field 63).
static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Why a text is not a BR Code of PIX.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BrCodeError {
    /// A character is not printable ASCII.
    #[error("o BR Code só tem letras sem acento, algarismos e sinais do ASCII")]
    Alphabet,
    /// The text is longer than PIX allows.
    #[error("o BR Code tem no máximo 512 caracteres")]
    TooLong,
    /// A field does not begin with two pairs of digits.
    #[error("cada campo do BR Code deve começar com dois algarismos de código e dois de tamanho")]
    Header,
    /// A field's length is zero or runs past the end of what contains it.
    #[error("o tamanho escrito no campo {0} do BR Code deve conferir com o conteúdo")]
    Length(FieldId),
    /// A field appears twice in the same place.
    #[error("o campo {0} deve aparecer uma só vez no BR Code")]
    Repeated(FieldId),
    /// The first field is not the format indicator.
    #[error("o BR Code deve começar com o campo 00, de valor 01")]
    First,
    /// The last field is not the CRC.
    #[error("o BR Code deve terminar com o campo 63, de quatro caracteres")]
    Last,
    /// The CRC is not that of the text.
    #[error("o CRC do BR Code deve conferir com o texto")]
    Crc,
    /// A mandatory field is missing.
    #[error("o campo {0} do BR Code é obrigatório")]
    Missing(FieldId),
    /// A field's value breaks its rule.
    #[error("o campo {field} do BR Code deve ter {rule}")]
    Value {
        /// The field.
        field: FieldId,
        /// What the field has to hold.
        rule: &'static str,
    },
    /// No account template is PIX's, or two templates for one purpose are.
    #[error("o BR Code deve ter uma única conta do arranjo br.gov.bcb.pix")]
    Account,
    /// There is nothing to pay to, or both a key and a URL.
    #[error("o BR Code deve ter uma chave PIX ou uma URL, e não as duas")]
    Destination,
}

/// A PIX charge that needs no one but the payer's bank: the key, the amount and the txid are in the
/// text itself.
pub struct StaticCharge<'a> {
    /// The receiver's key.
    pub key: &'a PixKey,
    /// The receiver's name.
    pub receiver_name: &'a ReceiverName,
    /// The receiver's city.
    pub city: &'a City,
    /// What to pay.
    pub amount: Centavos,
    /// What the bank repeats to the receiver when the charge is paid.
    pub txid: &'a Txid,
}

impl StaticCharge<'_> {
    /// The text of the charge's BR Code, in ASCII.
    pub fn encode(&self) -> String {
        // The types bound every value, so no length needs a third digit: the longest is that of
        // the account, 99 with a key of 77 characters.
        seal(&[
            DataObject::text(tag::FORMAT, "01"),
            DataObject::template(
                tag::ACCOUNT,
                vec![DataObject::text(pix_tag::GUI, PIX_GUI), DataObject::text(pix_tag::KEY, self.key.as_str())],
            ),
            DataObject::text(tag::CATEGORY, NO_CATEGORY),
            DataObject::text(tag::CURRENCY, REAL),
            DataObject::text(tag::AMOUNT, write_amount(self.amount)),
            DataObject::text(tag::COUNTRY, BRAZIL),
            DataObject::text(tag::NAME, self.receiver_name.as_str()),
            DataObject::text(tag::CITY, self.city.as_str()),
            DataObject::template(tag::ADDITIONAL, vec![DataObject::text(REFERENCE, self.txid.as_str())]),
        ])
    }
}

/// A BR Code of PIX that has been read and found right, static or dynamic.
///
/// `Display` writes the text it was read from. `Debug` hides the contents, which may hold personal
/// data.
#[derive(Clone, PartialEq, Eq)]
pub struct BrCode {
    key: Option<PixKey>,
    url: Option<String>,
    recurrence_url: Option<String>,
    amount: Option<Centavos>,
    receiver_name: String,
    city: String,
    txid: Option<Txid>,
    /// Everything but the CRC, in the order read.
    objects: Vec<DataObject>,
}

impl BrCode {
    /// Reads a BR Code, without forgiving anything: lengths, repetitions, order, CRC and the value
    /// of every field that PIX uses.
    pub fn parse(text: &str) -> Result<Self, BrCodeError> {
        if text.len() > MAX_CODE_CHARS {
            return Err(BrCodeError::TooLong);
        }
        if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(BrCodeError::Alphabet);
        }
        let mut objects = tlv::read(text)?;
        let first = objects.first().filter(|object| object.tag == tag::FORMAT);
        if first.and_then(DataObject::as_text) != Some("01") {
            return Err(BrCodeError::First);
        }
        let crc = objects.pop().filter(|object| object.tag == tag::CRC);
        let crc = crc.as_ref().and_then(DataObject::as_text);
        let crc = crc.filter(|crc| crc.len() == CRC_DIGITS);
        let crc = crc.ok_or(BrCodeError::Last)?;
        if text.strip_suffix(crc).map(checksum).as_deref() != Some(crc) {
            return Err(BrCodeError::Crc);
        }
        Self::read_fields(objects)
    }

    fn read_fields(objects: Vec<DataObject>) -> Result<Self, BrCodeError> {
        check_constants(&objects)?;
        let account = find_pix(&objects, 26..=51)?.ok_or(BrCodeError::Account)?;
        let key = find_text(account.objects, pix_tag::KEY).map(|text| read_key(text, account.tag)).transpose()?;
        let url = read_url(&account)?;
        let recurrence_url = match find_pix(&objects, 80..=99)? {
            Some(recurrence) => read_url(&recurrence)?,
            None => None,
        };
        match (&key, &url, &recurrence_url) {
            (Some(_), Some(_), _) | (None, None, None) => return Err(BrCodeError::Destination),
            _ => {}
        }
        let amount = find_text(&objects, tag::AMOUNT).map(read_amount).transpose()?;
        let receiver_name = read_name(&objects, tag::NAME, 25, "de 1 a 25 caracteres")?;
        let city = read_name(&objects, tag::CITY, 15, "de 1 a 15 caracteres")?;
        let txid = read_txid(&objects)?;
        Ok(Self { key, url, recurrence_url, amount, receiver_name, city, txid, objects })
    }

    /// The receiver's key, in a static code.
    pub const fn key(&self) -> Option<&PixKey> {
        self.key.as_ref()
    }

    /// Where the charge is to be fetched, in a dynamic code; without the scheme.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Where an offer of Pix Automático is to be fetched; without the scheme.
    pub fn recurrence_url(&self) -> Option<&str> {
        self.recurrence_url.as_deref()
    }

    /// What to pay, unless the payer types it or the URL tells it.
    pub const fn amount(&self) -> Option<Centavos> {
        self.amount
    }

    /// The receiver's name.
    pub fn receiver_name(&self) -> &str {
        &self.receiver_name
    }

    /// The receiver's city.
    pub fn city(&self) -> &str {
        &self.city
    }

    /// The txid, unless the code says there is none or leaves it to the URL.
    pub const fn txid(&self) -> Option<&Txid> {
        self.txid.as_ref()
    }
}

impl fmt::Display for BrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seal(&self.objects))
    }
}

impl fmt::Debug for BrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrCode(***)")
    }
}

/// The text of the objects with their CRC at the end.
fn seal(objects: &[DataObject]) -> String {
    let mut text: String = objects.iter().map(ToString::to_string).collect();
    text.push_str(CRC_HEADER);
    let crc = checksum(&text);
    text + &crc
}

fn checksum(text: &str) -> String {
    format!("{:04X}", CRC.checksum(text.as_bytes()))
}

/// Reais, a point and two digits of centavos (API Pix, `valor.original`: `\d{1,10}\.\d{2}`).
fn write_amount(amount: Centavos) -> String {
    let centavos = amount.get();
    format!("{}.{:02}", centavos / 100, centavos % 100)
}

fn read_amount(text: &str) -> Result<Centavos, BrCodeError> {
    let refused = BrCodeError::Value { field: FieldId::root(tag::AMOUNT), rule: "um valor de 0.01 a 1000000.00, com duas casas decimais" };
    let centavos = text.split_once('.').and_then(|(reais, centavos)| {
        let shaped =
            (1..=10).contains(&reais.len()) && centavos.len() == 2 && reais.bytes().chain(centavos.bytes()).all(|b| b.is_ascii_digit());
        if !shaped {
            return None;
        }
        let reais: i64 = reais.parse().ok()?;
        let centavos: i64 = centavos.parse().ok()?;
        reais.checked_mul(100)?.checked_add(centavos)
    });
    centavos.and_then(|centavos| Centavos::try_from(centavos).ok()).ok_or(refused)
}

/// The fields whose value PIX fixes or that it does not use.
fn check_constants(objects: &[DataObject]) -> Result<(), BrCodeError> {
    let optional = |tag, legal: fn(&str) -> bool, rule| match find_text(objects, tag) {
        Some(text) if !legal(text) => Err(BrCodeError::Value { field: FieldId::root(tag), rule }),
        found => Ok(found),
    };
    let mandatory = |tag, legal, rule| match optional(tag, legal, rule)? {
        Some(_) => Ok(()),
        None => Err(BrCodeError::Missing(FieldId::root(tag))),
    };
    optional(tag::INITIATION, |text| matches!(text, "11" | "12"), "o valor 11 ou 12")?;
    mandatory(tag::CATEGORY, |text| text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()), "quatro algarismos")?;
    mandatory(tag::CURRENCY, |text| text == REAL, "o valor 986, o real")?;
    mandatory(tag::COUNTRY, |text| text == BRAZIL, "o valor BR")?;
    optional(tag::POSTAL_CODE, |text| text.len() <= 10, "no máximo 10 caracteres")?;
    Ok(())
}

/// A template of PIX's, and the field it was found in.
struct PixTemplate<'a> {
    tag: u8,
    objects: &'a [DataObject],
}

/// The template of PIX's among the fields of a range, of which there must not be two.
fn find_pix(objects: &[DataObject], tags: std::ops::RangeInclusive<u8>) -> Result<Option<PixTemplate<'_>>, BrCodeError> {
    let mut found = objects.iter().filter_map(|object| {
        let inside = object.as_template()?;
        let gui = find_text(inside, pix_tag::GUI)?;
        (tags.contains(&object.tag) && gui.eq_ignore_ascii_case(PIX_GUI)).then_some(PixTemplate { tag: object.tag, objects: inside })
    });
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(BrCodeError::Account),
        (template, None) => Ok(template),
    }
}

fn read_key(text: &str, template: u8) -> Result<PixKey, BrCodeError> {
    PixKey::detect(text).map_err(|_| BrCodeError::Value { field: FieldId::within(template, pix_tag::KEY), rule: "uma chave PIX válida" })
}

fn read_url(template: &PixTemplate<'_>) -> Result<Option<String>, BrCodeError> {
    let Some(url) = find_text(template.objects, pix_tag::URL) else {
        return Ok(None);
    };
    let (host, _) = url.split_once('/').unwrap_or((url, ""));
    let legal = url.len() <= 77 && !url.contains(' ') && host.contains('.') && !host.contains(':');
    if legal {
        Ok(Some(url.to_owned()))
    } else {
        Err(BrCodeError::Value { field: FieldId::within(template.tag, pix_tag::URL), rule: "uma URL de até 77 caracteres, sem https://" })
    }
}

fn read_name(objects: &[DataObject], tag: u8, max: usize, rule: &'static str) -> Result<String, BrCodeError> {
    let field = FieldId::root(tag);
    let text = find_text(objects, tag).ok_or(BrCodeError::Missing(field))?;
    if text.len() <= max && !text.trim().is_empty() { Ok(text.to_owned()) } else { Err(BrCodeError::Value { field, rule }) }
}

fn read_txid(objects: &[DataObject]) -> Result<Option<Txid>, BrCodeError> {
    let field = FieldId::within(tag::ADDITIONAL, REFERENCE);
    let text = find_template(objects, tag::ADDITIONAL)
        .and_then(|additional| find_text(additional, REFERENCE))
        .ok_or(BrCodeError::Missing(field))?;
    if text == NO_TXID {
        return Ok(None);
    }
    match Txid::parse(text) {
        Ok(txid) => Ok(Some(txid)),
        Err(_) => Err(BrCodeError::Value { field, rule: "*** ou um txid de 1 a 25 letras e algarismos" }),
    }
}

#[cfg(test)]
mod tests;
