//! The name of a campaign or organisation in a URL.

/// Lower-case ASCII words joined by single hyphens, 3 to 80 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

/// Not a slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use de 3 a 80 letras minúsculas sem acento, dígitos e hífens simples, como `natal-solidario`")]
pub struct SlugError;

const MIN_CHARS: usize = 3;
const MAX_CHARS: usize = 80;

impl Slug {
    /// Checks `input`, which is taken as it is.
    pub fn parse(input: &str) -> Result<Self, SlugError> {
        let words = input.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if words && (MIN_CHARS..=MAX_CHARS).contains(&input.len()) { Ok(Self(input.to_owned())) } else { Err(SlugError) }
    }

    /// A slug made from a title. Accents are dropped; a title without usable letters gives `fallback`.
    pub fn from_title(title: &str, fallback: &'static str) -> Self {
        let plain = crate::domain::br_code::strip_accents(title).to_lowercase();
        let mut slug = String::new();
        for word in plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            if slug.len() + word.len() >= MAX_CHARS - SUFFIX_CHARS {
                break;
            }
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(word);
        }
        Self(if slug.len() < MIN_CHARS { fallback.to_owned() } else { slug })
    }

    /// The slug with the end of `id` behind it, for when the plain one is taken.
    #[must_use]
    pub fn with_suffix(&self, id: uuid::Uuid) -> Self {
        let hex = id.simple().to_string();
        let tail = hex.get(hex.len() - (SUFFIX_CHARS - 1)..).unwrap_or_default();
        Self(format!("{}-{tail}", self.0))
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The length of a hyphen and the random digits behind it.
const SUFFIX_CHARS: usize = 9;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_title_becomes_plain_words() {
        assert_eq!(Slug::from_title("Natal Solidário — São João!", "campanha").as_str(), "natal-solidario-sao-joao");
        assert_eq!(Slug::from_title("日本", "campanha").as_str(), "campanha");
    }

    proptest! {
        #[test]
        fn whatever_the_title_the_slug_is_legal(title in ".{0,200}") {
            let slug = Slug::from_title(&title, "campanha");
            prop_assert!(Slug::parse(slug.as_str()).is_ok(), "{:?}", slug);
            prop_assert!(Slug::parse(slug.with_suffix(uuid::Uuid::nil()).as_str()).is_ok());
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in ["", "ab", "-abc", "abc-", "a--b", "Abc", "ação", "a b c", "a_b"] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Slug::parse("abc-1").unwrap().as_str(), "abc-1");
    }
}
