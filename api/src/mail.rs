//! E-mail: written into the outbox sealed, delivered later by a background task.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncFileTransport, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::config::keys::KeyRing;
use crate::config::{MailTarget, PublicUrl};
use crate::domain::ids::DonationId;
use crate::domain::money::Centavos;

const SEAL_CONTEXT: &[u8] = b"caixa_saida/email";

/// What is said to whom.
#[derive(Clone, Debug)]
pub enum Mail<'a> {
    /// The code that completes a sign-up.
    VerifyEmail {
        /// The code.
        token: &'a str,
        /// How long it is good for.
        until: OffsetDateTime,
    },
    /// Somebody signed up with an address that has an account.
    AccountExists,
    /// The code that sets a new password.
    ResetPassword {
        /// The code.
        token: &'a str,
        /// How long it is good for.
        until: OffsetDateTime,
    },
    /// The password was changed.
    PasswordChanged,
    /// The donation was confirmed.
    DonationReceived {
        /// What was received.
        amount: Centavos,
        /// For what.
        campaign: &'a str,
    },
    /// Money of a donation went back.
    DonationRefunded {
        /// How much.
        amount: Centavos,
        /// From what.
        campaign: &'a str,
    },
    /// To the organizadora: a paid donation was paid once more.
    SurplusReceived {
        /// How much.
        amount: Centavos,
        /// For what.
        campaign: &'a str,
        /// Which donation, to refund it by.
        donation: DonationId,
        /// Which receipt, to refund it by.
        e2eid: &'a str,
    },
    /// To the owners: the PIX key changes.
    PixKeyChanged {
        /// The name of whose key it is.
        organizadora: &'a str,
        /// From when it is used.
        from: OffsetDateTime,
    },
    /// To the owners, present and recent: somebody has become an owner.
    OwnerAdded {
        /// The name of the organizadora.
        organizadora: &'a str,
        /// The name of the new owner.
        owner: &'a str,
        /// The time from which the new owner may change the PIX key and remove older owners.
        from: OffsetDateTime,
    },
    /// To the owners, present and recent: somebody is no longer an owner.
    OwnerRemoved {
        /// The name of the organizadora.
        organizadora: &'a str,
        /// The name of the former owner.
        owner: &'a str,
    },
    /// To a person: they are a member now.
    MemberAdded {
        /// The name of what.
        organizadora: &'a str,
    },
}

/// The person that a message is addressed to.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The person's name, if it is known.
    pub name: Option<&'a str>,
    /// The person's e-mail address.
    pub address: &'a str,
}

impl<'a> Recipient<'a> {
    /// A recipient whose name is not known.
    pub const fn unnamed(address: &'a str) -> Self {
        Self { name: None, address }
    }

    /// A recipient whose name is known.
    pub const fn named(name: &'a str, address: &'a str) -> Self {
        Self { name: Some(name), address }
    }
}

/// A message as it lies in the outbox, sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// To whom.
    pub name: Option<String>,
    /// Where to.
    pub address: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
}

impl Letter {
    /// Opens a message of the outbox.
    pub fn open(keys: &KeyRing, sealed: &[u8]) -> Result<Self, MailError> {
        let plain = keys.open(sealed, SEAL_CONTEXT).ok_or(MailError::Sealed)?;
        serde_json::from_slice(&plain).map_err(|_| MailError::Sealed)
    }
}

impl Mail<'_> {
    /// Writes the message to `to` and seals it for the outbox. `site`, where visitors reach the API, is named in the text.
    pub fn seal(&self, keys: &KeyRing, site: &PublicUrl, to: Recipient<'_>) -> Vec<u8> {
        let (subject, body) = self.text(site);
        let letter = Letter { name: to.name.map(str::to_owned), address: to.address.to_owned(), subject, body };
        // A struct of strings always serialises.
        keys.seal(&serde_json::to_vec(&letter).unwrap_or_default(), SEAL_CONTEXT)
    }

    /// The time at which the code in the message expires, after which it must not be sent; `None` for messages without a code.
    pub const fn good_until(&self) -> Option<OffsetDateTime> {
        match self {
            Self::VerifyEmail { until, .. } | Self::ResetPassword { until, .. } => Some(*until),
            Self::AccountExists
            | Self::PasswordChanged
            | Self::DonationReceived { .. }
            | Self::DonationRefunded { .. }
            | Self::SurplusReceived { .. }
            | Self::PixKeyChanged { .. }
            | Self::OwnerAdded { .. }
            | Self::OwnerRemoved { .. }
            | Self::MemberAdded { .. } => None,
        }
    }

    /// Subject and text, in Portuguese.
    fn text(&self, site: &PublicUrl) -> (String, String) {
        let site = site.origin();
        match self {
            Self::VerifyEmail { token, .. } => (
                "Confirme seu e-mail".to_owned(),
                format!(
                    "Recebemos um cadastro com este e-mail em {site}.\n\nPara confirmar, digite este código (vale 24 horas, uma vez) e a senha que escolheu no cadastro:\n{token}\n\nSe não foi você, ignore esta mensagem: nada será criado."
                ),
            ),
            Self::AccountExists => (
                "Você já tem uma conta".to_owned(),
                format!(
                    "Alguém tentou criar uma conta em {site} com este e-mail, que já tem uma.\n\nSe foi você, entre com sua senha ou peça uma nova. Se não foi, não precisa fazer nada."
                ),
            ),
            Self::ResetPassword { token, .. } => (
                "Redefinição de senha".to_owned(),
                format!(
                    "Código para escolher uma nova senha em {site} (vale 30 minutos, uma vez):\n{token}\n\nSe não foi você, ignore esta mensagem: sua senha continua a mesma."
                ),
            ),
            Self::PasswordChanged => (
                "Sua senha foi alterada".to_owned(),
                format!(
                    "A senha da sua conta em {site} foi alterada e todas as sessões foram encerradas.\n\nSe não foi você, peça uma nova senha agora."
                ),
            ),
            Self::DonationReceived { amount, campaign } => (
                "Recebemos sua doação".to_owned(),
                format!("Sua doação de {} para a campanha “{campaign}” foi confirmada. Obrigado!\n\n{site}", amount.display_brl()),
            ),
            Self::DonationRefunded { amount, campaign } => (
                "Sua doação foi devolvida".to_owned(),
                format!(
                    "A organizadora registrou a devolução de {} da sua doação para a campanha “{campaign}”.\n\n{site}",
                    amount.display_brl()
                ),
            ),
            Self::SurplusReceived { amount, campaign, donation, e2eid } => (
                "Pagamento em dobro a devolver".to_owned(),
                format!(
                    "Uma doação já paga da campanha “{campaign}” recebeu mais um pagamento, de {}. O valor não entra no total da campanha e espera devolução.\n\nDoação: {donation}\nRecebimento (e2eid): {e2eid}\n\n{site}",
                    amount.display_brl()
                ),
            ),
            Self::PixKeyChanged { organizadora, from } => (
                "A chave PIX da organizadora mudou".to_owned(),
                format!(
                    "A chave PIX de “{organizadora}” foi trocada. A nova chave vale a partir de {} (UTC).\n\nSe ninguém da organizadora fez isso, troque as senhas e avise o suporte.\n\n{site}",
                    minute(*from)
                ),
            ),
            Self::OwnerAdded { organizadora, owner, from } => (
                "A organizadora tem uma nova dona".to_owned(),
                format!(
                    "“{owner}” agora é dona de “{organizadora}”. A partir de {} (UTC) ela pode trocar a chave PIX e remover donas mais antigas.\n\nSe você não concorda, remova-a antes disso e troque as senhas. Se você não pode mais entrar, avise o suporte.\n\n{site}",
                    minute(*from)
                ),
            ),
            Self::OwnerRemoved { organizadora, owner } => (
                "A organizadora perdeu uma dona".to_owned(),
                format!(
                    "“{owner}” não é mais dona de “{organizadora}”.\n\nSe ninguém da organizadora fez isso, troque as senhas e avise o suporte. Durante 30 dias, quem deixou de ser dona continua a receber os avisos sobre donas e sobre a chave PIX.\n\n{site}"
                ),
            ),
            Self::MemberAdded { organizadora } => (
                "Você agora faz parte de uma organizadora".to_owned(),
                format!("Sua conta em {site} foi adicionada à organizadora “{organizadora}”."),
            ),
        }
    }
}

/// `24/11/2026 10:30`.
fn minute(at: OffsetDateTime) -> String {
    format!("{:02}/{:02}/{} {:02}:{:02}", at.day(), u8::from(at.month()), at.year(), at.hour(), at.minute())
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The stored message cannot be opened: its key is gone.
    #[error("the stored message cannot be opened with the keys of this process")]
    Sealed,
    /// The address or the text makes no message.
    #[error("the message cannot be built")]
    Message(#[from] lettre::error::Error),
    /// The address cannot be parsed.
    #[error("the address cannot be parsed")]
    Address(#[from] lettre::address::AddressError),
    /// The mail server refused or was not reached.
    #[error("the mail server failed")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The folder could not be written.
    #[error("the mail folder cannot be written")]
    File(#[from] lettre::transport::file::Error),
    /// The folder could not be made.
    #[error("the mail folder cannot be made")]
    Folder(#[from] std::io::Error),
}

impl MailError {
    /// What went wrong, without the server's own words: they repeat the address.
    pub fn without_addresses(&self) -> String {
        match self {
            Self::Smtp(error) => match error.status() {
                Some(code) => format!("{self}: {code}"),
                None if error.is_timeout() => format!("{self}: time-out"),
                None => self.to_string(),
            },
            other => other.to_string(),
        }
    }
}

enum Transport {
    Folder(AsyncFileTransport<Tokio1Executor>),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// Delivers messages.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
}

impl Mailer {
    /// A mailer to `target`.
    pub fn new(target: &MailTarget, from: Mailbox) -> Result<Self, MailError> {
        let transport = match target {
            MailTarget::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                Transport::Folder(AsyncFileTransport::new(folder))
            }
            MailTarget::Smtp(url) => Transport::Smtp(
                AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())?.timeout(Some(Duration::from_secs(10))).build(),
            ),
        };
        Ok(Self { transport, from })
    }

    /// Opens a sealed message and sends it.
    pub async fn deliver(&self, keys: &KeyRing, sealed: &[u8]) -> Result<(), MailError> {
        let letter = Letter::open(keys, sealed)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(letter.name, letter.address.parse()?))
            .subject(letter.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body)?;
        match &self.transport {
            Transport::Folder(folder) => drop(folder.send(message).await?),
            Transport::Smtp(server) => drop(server.send(message).await?),
        }
        Ok(())
    }
}
