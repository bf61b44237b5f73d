//! Codes and ids that people copy from a letter, a statement or a chat. Characters that get copied along are removed: line ends,
//! spaces of every kind, zero-width characters, the `>` of a quoted letter, the `=` of a soft line break.

/// The ASCII letters and digits of `input`, in lower case, for codes that consist of nothing else.
pub fn code(input: &str) -> String {
    input.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `input` without spaces, controls, zero-width characters and `>`, for ids in which case and punctuation matter. Visible
/// characters outside of ASCII stay, so that an id that contains one is refused.
pub fn id(input: &str) -> String {
    input.chars().filter(|c| *c != '>' && !c.is_whitespace() && !c.is_control() && !is_zero_width(*c)).collect()
}

/// Whether `c` is invisible: the characters of Unicode's `Default_Ignorable_Code_Point` that occur in pasted texts.
fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_code_is_the_code() {
        for pasted in [
            "0a1b2c",
            "0a1b2c\n",
            " 0a1b2c\r\n",
            "0A1B2C",
            "0a1\u{a0}b2c\u{2003}",
            "\u{feff}0a\u{200b}1b\u{2060}2c\u{ad}",
            "> 0a1b\r\n> 2c",
            "0a1=\r\nb2c",
            "\"0a1b2c\"",
            "<0a1b2c>.",
            "\t0a1-b2c",
        ] {
            assert_eq!(code(pasted), "0a1b2c", "{pasted:?}");
        }
        // A digit outside of ASCII is removed, not converted.
        assert_eq!(code("\u{ff10}a"), "a");
    }

    #[test]
    fn a_pasted_id_keeps_its_case_and_punctuation() {
        for pasted in ["k1.Ab", " k1.Ab\n", "k1.\r\n> Ab", "\u{a0}k1\u{200b}.Ab\u{feff}"] {
            assert_eq!(id(pasted), "k1.Ab", "{pasted:?}");
        }
        assert_eq!(id("k1.Áb"), "k1.Áb");
    }
}
