//! The end-to-end id that identifies a PIX payment between banks.

/// `E`, eight digits of the payer's bank, `yyyyMMddHHmm`, and eleven letters or digits (BCB, API Pix, `EndToEndId`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndToEndId(String);

/// Not an end-to-end id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("o e2eid tem 32 caracteres: `E`, 20 dígitos e 11 letras ou dígitos")]
pub struct EndToEndIdError;

impl EndToEndId {
    /// Checks `input`. A small first letter becomes the `E` that it stands for; the case of the others is part of the id.
    pub fn parse(input: &str) -> Result<Self, EndToEndIdError> {
        let input = input.strip_prefix('e').map_or_else(|| input.to_owned(), |rest| format!("E{rest}"));
        let bytes = input.as_bytes();
        let legal = bytes.len() == 32
            && bytes.first() == Some(&b'E')
            && bytes.iter().skip(1).take(20).all(u8::is_ascii_digit)
            && bytes.iter().skip(21).all(u8::is_ascii_alphanumeric);
        if legal { Ok(Self(input)) } else { Err(EndToEndIdError) }
    }

    /// Checks the name of a stored receipt: the bank's id, or one that [`EndToEndId::manual`] made.
    pub fn parse_stored(input: &str) -> Result<Self, EndToEndIdError> {
        match input.strip_prefix("manual:") {
            Some(id) if id.len() == 36 && uuid::Uuid::try_parse(id).is_ok() => Ok(Self(input.to_lowercase())),
            _ => Self::parse(input),
        }
    }

    /// The name of a receipt for which nobody gave an id: one per charge, so it counts once.
    pub fn manual(payment: crate::domain::ids::ChargeId) -> Self {
        Self(format!("manual:{payment}"))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bank_format_is_taken() {
        for typed in ["E12345678202611241030abcdefghijK", "e12345678202611241030abcdefghijK"] {
            let parsed = EndToEndId::parse(typed).map(|id| id.as_str().to_owned());
            assert_eq!(parsed.as_deref(), Ok("E12345678202611241030abcdefghijK"));
        }
        for bad in [
            "",
            "E1",
            "D12345678202611241030abcdefghijk",
            "E1234567820261124103Xabcdefghijk",
            "E12345678202611241030abcdefghij-",
            "manual:x",
        ] {
            assert!(EndToEndId::parse(bad).is_err(), "{bad}");
        }
    }
}
