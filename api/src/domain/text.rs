//! Text that people type or paste. Line ends and tabs of every system become the same characters, the length is bounded, and
//! characters that could hide or reorder what is shown are refused. The same rules hold for all texts.

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
    /// Cleans `input` and checks it.
    ///
    /// # Errors
    /// [`TextError::Control`] if `input` has a control or a character that hides or reorders others; [`TextError::Length`] if the
    /// cleaned text has fewer than `MIN` or more than `MAX` characters.
    pub fn parse(input: &str) -> Result<Self, TextError> {
        let text = clean(input, BREAKS)?;
        if !(MIN..=MAX).contains(&text.chars().count()) {
            return Err(TextError::Length { min: MIN, max: MAX });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `input` is empty or only white space, which forms send for an empty field.
pub fn is_blank(input: &str) -> bool {
    input.trim().is_empty()
}

/// The kinds of characters, by what becomes of one in a text that is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CharKind {
    /// A line end of any system (Unicode Line Breaking Algorithm, UAX #14, classes BK, CR, LF and NL); becomes `\n`.
    Break,
    /// A tab; becomes a space.
    Tab,
    /// A control, or a mark that reorders or hides what follows (Unicode TR36, bidirectional spoofing); is refused.
    Hidden,
    /// Any other character; stays as it is.
    Shown,
}

impl CharKind {
    fn of(c: char) -> Self {
        match c {
            // Word writes U+000B for a line end within a paragraph and U+000C for a new page; NEL is U+0085.
            '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Self::Break,
            '\t' => Self::Tab,
            '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => Self::Hidden,
            c if c.is_control() => Self::Hidden,
            _ => Self::Shown,
        }
    }
}

/// `input` with `\n` for each line end and a space for each tab, trimmed. If `breaks` is false, line ends and the spaces around
/// them become one space. Fails if `input` has a [`CharKind::Hidden`] character.
fn clean(input: &str, breaks: bool) -> Result<String, TextError> {
    let mut text = String::with_capacity(input.len());
    let mut chars = input.chars().peekable();
    while let Some(c) = chars.next() {
        match CharKind::of(c) {
            CharKind::Break => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                text.push('\n');
            }
            CharKind::Tab => text.push(' '),
            CharKind::Hidden => return Err(TextError::Control),
            CharKind::Shown => text.push(c),
        }
    }
    let text = text.trim();
    if breaks {
        return Ok(text.to_owned());
    }
    Ok(text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
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
        for bad in ["a\0b", "a\u{202E}b", "a\u{200B}b", "a\u{1b}b", "a\u{7f}b", "a\u{86}b", "a\u{8}b", "a\u{feff}b"] {
            assert_eq!(Line::<1, 9>::parse(bad), Err(TextError::Control), "{bad:?}");
            assert_eq!(Paragraphs::<1, 9>::parse(bad), Err(TextError::Control), "{bad:?}");
        }
    }

    #[test]
    fn line_ends_of_every_system_are_one_and_a_tab_is_a_space() {
        let paragraphs = |input: &str| Paragraphs::<1, 99>::parse(input).unwrap().as_str().to_owned();
        for end in ["\n", "\r\n", "\r", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(paragraphs(&format!("Linha 1{end}Linha 2{end}{end}Linha 4{end}")), "Linha 1\nLinha 2\n\nLinha 4", "{end:?}");
            let line = format!("Natal{end}solidário {end}{end} 2026{end}");
            assert_eq!(Line::<1, 99>::parse(&line).unwrap().as_str(), "Natal solidário 2026", "{end:?}");
        }
        assert_eq!(paragraphs("a\tb\t"), "a b");
        assert_eq!(paragraphs("a\r\r\nb"), "a\n\nb");
        assert_eq!(Line::<1, 99>::parse("\ta\tb").unwrap().as_str(), "a b");
    }

    #[test]
    fn what_is_counted_is_what_is_kept() {
        assert!(Paragraphs::<1, 3>::parse("a\r\nb").is_ok());
        assert!(Paragraphs::<1, 3>::parse("\r\n a\r\nb \r\n").is_ok());
        assert_eq!(Paragraphs::<1, 3>::parse("a\r\nbc"), Err(TextError::Length { min: 1, max: 3 }));
        assert_eq!(Line::<3, 9>::parse("a\r\n\r\n\r\n"), Err(TextError::Length { min: 3, max: 9 }));
        for blank in ["", " ", "\r\n", "\t", "\u{a0}", "\u{2028}"] {
            assert!(is_blank(blank), "{blank:?}");
            assert_eq!(Paragraphs::<1, 3>::parse(blank), Err(TextError::Length { min: 1, max: 3 }), "{blank:?}");
        }
    }
}
