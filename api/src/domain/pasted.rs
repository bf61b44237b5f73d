//! Codes and ids that people copy from a letter, a statement or a chat. What comes along with them is left out: line ends, spaces of
//! every kind, zero-width characters, the `>` of a quoted letter, the `=` of a soft line break.

/// The ASCII letters and digits of a code, in lower case: enough for codes that have nothing else in them.
pub fn code(input: &str) -> String {
    input.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The printable ASCII characters of an id in which case and punctuation matter, without space and without the `>` before a quoted
/// line. What is not ASCII stays if it can be seen, so that an id with it is refused.
pub fn id(input: &str) -> String {
    input.chars().filter(|c| *c != '>' && !c.is_whitespace() && !c.is_control() && !is_zero_width(*c)).collect()
}

/// Characters that take no room (Unicode `Default_Ignorable_Code_Point`, those that texts are pasted with).
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
        // What can be seen and is no digit of ours is not taken for one.
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
