//! E-mail addresses and passwords.

use secrecy::{ExposeSecret, SecretString};

/// An address in lower case, at most 254 characters, with a dotted domain.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// Not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("informe um e-mail como `nome@exemplo.org`")]
pub struct EmailError;

impl Email {
    /// Trims, lower-cases and checks `input`.
    pub fn parse(input: &str) -> Result<Self, EmailError> {
        let text = input.trim().to_lowercase();
        let address: lettre::Address = text.parse().map_err(|_| EmailError)?;
        let legal = text.is_ascii() && text.len() <= 254 && address.user().len() <= 64 && address.domain().contains('.');
        if legal { Ok(Self(text)) } else { Err(EmailError) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses are personal data: they never reach a log by `{:?}`.
impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(..)")
    }
}

/// A new password, 8 to 150 characters that can be typed.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

/// A password that is too short or too long, or that nobody can type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a senha tem de 8 a 150 caracteres, nenhum deles de controle")]
pub struct PasswordError;

impl Password {
    /// Checks the length and that there are no control characters; spaces count and nothing is trimmed.
    pub fn parse(input: SecretString) -> Result<Self, PasswordError> {
        let text = input.expose_secret();
        let legal = (8..=150).contains(&text.chars().count()) && !text.contains(char::is_control);
        if legal { Ok(Self(input)) } else { Err(PasswordError) }
    }

    /// The password, for hashing.
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn addresses_are_lower_cased_and_checked() {
        assert_eq!(Email::parse(" Ana.Souza@Exemplo.ORG ").unwrap().as_str(), "ana.souza@exemplo.org");
        for bad in ["", "ana", "ana@", "@b.c", "ana@localhost", "a b@c.d", "ana@exemplo.org\0", "ana@exemplo.org\r\nBcc: x@y.z"] {
            assert_eq!(Email::parse(bad), Err(EmailError), "{bad:?}");
        }
        assert!(!format!("{:?}", Email::parse("ana@exemplo.org").unwrap()).contains("ana"));
    }

    #[test]
    fn passwords_are_counted_in_characters() {
        assert!(Password::parse("çççççççç".into()).is_ok());
        assert!(Password::parse("curta".into()).is_err());
        assert!(Password::parse("x".repeat(151).into()).is_err());
        assert!(Password::parse("uma frase\0longa".into()).is_err());
    }
}
