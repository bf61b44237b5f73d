//! Text that people type: trimmed, bounded, and without characters that could hide or reorder what is shown.

/// One line of `MIN` to `MAX` characters.
pub type Line<const MIN: usize, const MAX: usize> = Text<MIN, MAX, false>;
/// Text of `MIN` to `MAX` characters that may have line breaks.
pub type Paragraphs<const MIN: usize, const MAX: usize> = Text<MIN, MAX, true>;

/// A person's or organisation's name.
pub type Name = Line<1, 120>;
/// The name a donor is shown under.
pub type DisplayName = Line<1, 80>;
/// A campaign's title.
pub type Title = Line<3, 120>;
/// A campaign's text.
pub type Description = Paragraphs<1, 20_000>;
/// A donor's message.
pub type Message = Paragraphs<1, 280>;
/// Why something was done, for the audit.
pub type Reason = Line<1, 500>;
/// What is searched for.
pub type SearchTerm = Line<1, 100>;

/// Validated text; see [`Line`] and [`Paragraphs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize, const BREAKS: bool>(String);

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Fewer or more characters than the field takes.
    #[error("o texto tem de {min} a {max} caracteres")]
    Length {
        /// The least number of characters.
        min: usize,
        /// The largest number of characters.
        max: usize,
    },
    /// A control or text-direction character.
    #[error("o texto não pode ter caracteres de controle")]
    Control,
}

impl<const MIN: usize, const MAX: usize, const BREAKS: bool> Text<MIN, MAX, BREAKS> {
    /// Trims `input` and checks it.
    pub fn parse(input: &str) -> Result<Self, TextError> {
        let text = input.trim();
        if text.chars().any(|c| !(BREAKS && c == '\n') && is_hidden(c)) {
            return Err(TextError::Control);
        }
        if !(MIN..=MAX).contains(&text.chars().count()) {
            return Err(TextError::Length { min: MIN, max: MAX });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and the marks that reorder or hide what follows (Unicode TR36, bidirectional spoofing).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn text_is_trimmed_and_counted_in_characters() {
        assert_eq!(Line::<1, 5>::parse("  ação  ").unwrap().as_str(), "ação");
        assert_eq!(Line::<1, 3>::parse("ação"), Err(TextError::Length { min: 1, max: 3 }));
        assert_eq!(Line::<1, 3>::parse("   "), Err(TextError::Length { min: 1, max: 3 }));
    }

    #[test]
    fn hidden_characters_are_refused() {
        for bad in ["a\0b", "a\u{202E}b", "a\u{200B}b", "a\tb", "a\nb", "a\u{7f}b"] {
            assert_eq!(Line::<1, 9>::parse(bad), Err(TextError::Control), "{bad:?}");
        }
        assert!(Paragraphs::<1, 9>::parse("a\nb").is_ok());
        assert_eq!(Paragraphs::<1, 9>::parse("a\0b"), Err(TextError::Control));
    }
}
