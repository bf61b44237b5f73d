//! The data objects of an EMV QR Code: two digits of identifier, two of length and a value, which
//! in some fields is itself a sequence of data objects.
//!
//! Source: `EMVCo`, QR Code Specification for Payment Systems, Merchant-Presented Mode; BCB, Manual
//! do BR Code.

use std::fmt;

use super::BrCodeError;

/// A field of a BR Code, named in error messages as the manual does: `54`, or `26-01` within a
/// template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldId {
    template: Option<u8>,
    tag: u8,
}

impl FieldId {
    pub(super) const fn root(tag: u8) -> Self {
        Self { template: None, tag }
    }

    pub(super) const fn within(template: u8, tag: u8) -> Self {
        Self { template: Some(template), tag }
    }
}

impl fmt::Display for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(template) = self.template {
            write!(f, "{template:02}-")?;
        }
        write!(f, "{:02}", self.tag)
    }
}

/// One data object. Its value must not exceed 99 bytes; whoever builds one answers for that.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct DataObject {
    pub(super) tag: u8,
    value: Value,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Template(Vec<DataObject>),
}

impl DataObject {
    pub(super) fn text(tag: u8, text: impl Into<String>) -> Self {
        Self { tag, value: Value::Text(text.into()) }
    }

    pub(super) const fn template(tag: u8, objects: Vec<DataObject>) -> Self {
        Self { tag, value: Value::Template(objects) }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Template(_) => None,
        }
    }

    pub(super) fn as_template(&self) -> Option<&[DataObject]> {
        match &self.value {
            Value::Text(_) => None,
            Value::Template(objects) => Some(objects),
        }
    }
}

impl fmt::Display for DataObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.value {
            Value::Text(text) => text.clone(),
            Value::Template(objects) => objects.iter().map(ToString::to_string).collect(),
        };
        write!(f, "{:02}{:02}{value}", self.tag, value.len())
    }
}

/// The text of a field, if it is there.
pub(super) fn find_text(objects: &[DataObject], tag: u8) -> Option<&str> {
    objects.iter().find(|object| object.tag == tag).and_then(DataObject::as_text)
}

/// The objects inside a template, if it is there.
pub(super) fn find_template(objects: &[DataObject], tag: u8) -> Option<&[DataObject]> {
    objects.iter().find(|object| object.tag == tag).and_then(DataObject::as_template)
}

/// Reads a whole BR Code into its data objects, checking identifiers and lengths at every depth.
/// The text must be ASCII, so that a byte, a character and the specification's unit of length are
/// one thing.
pub(super) fn read(text: &str) -> Result<Vec<DataObject>, BrCodeError> {
    read_level(text, Nesting::Root)
}

/// How deep the reader is. The specification nests templates twice at most.
#[derive(Clone, Copy)]
enum Nesting {
    Root,
    Template(u8),
    SystemTemplate(u8),
}

impl Nesting {
    const fn field(self, tag: u8) -> FieldId {
        match self {
            Self::Root => FieldId::root(tag),
            Self::Template(template) | Self::SystemTemplate(template) => FieldId::within(template, tag),
        }
    }

    /// The level inside a field, if the specification makes it a template: accounts (26 to 51),
    /// additional data (62) and, inside it, those of a payment system (62-50 to 62-99), the second
    /// language (64) and unreserved templates (80 to 99).
    const fn inside(self, tag: u8) -> Option<Self> {
        match (self, tag) {
            (Self::Root, 26..=51 | 62 | 64 | 80..=99) => Some(Self::Template(tag)),
            (Self::Template(62), 50..=99) => Some(Self::SystemTemplate(tag)),
            _ => None,
        }
    }
}

fn read_level(text: &str, level: Nesting) -> Result<Vec<DataObject>, BrCodeError> {
    let mut objects: Vec<DataObject> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (tag, after_tag) = take_number(rest).ok_or(BrCodeError::Header)?;
        let (length, after_length) = take_number(after_tag).ok_or(BrCodeError::Header)?;
        let field = level.field(tag);
        if length == 0 {
            return Err(BrCodeError::Length(field));
        }
        let (value, after_value) = after_length.split_at_checked(usize::from(length)).ok_or(BrCodeError::Length(field))?;
        if objects.iter().any(|object| object.tag == tag) {
            return Err(BrCodeError::Repeated(field));
        }
        objects.push(match level.inside(tag) {
            Some(inside) => DataObject::template(tag, read_level(value, inside)?),
            None => DataObject::text(tag, value),
        });
        rest = after_value;
    }
    Ok(objects)
}

/// Two digits, and what follows them.
fn take_number(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}
