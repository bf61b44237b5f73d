//! What the process is told from outside. Read once, validated whole; the only reader of the environment, of key files and of password
//! files.

pub mod credentials;
pub mod keys;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::HeaderValue;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::credentials::{CredentialError, Login, read_secret};
use crate::domain::network::parse_network;
use crate::domain::provider::Provider;
use crate::redis_client::budget::REQUEST_BUDGET;

/// Which defaults and which refusals apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// A developer's machine: simulated payments, organisations verified at once, plain HTTP allowed.
    Development,
    /// Real money.
    Production,
}

/// How PostgreSQL is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pooler {
    /// Through `PgBouncer` ≥ 1.24 in transaction mode with `max_prepared_statements` > 0. Readiness waits for the
    /// check that no statement is mixed up.
    Named,
    /// Without a pooler, so nothing can be mixed up.
    Direct,
}

/// Where e-mail goes.
#[derive(Clone, Debug)]
pub enum MailTarget {
    /// `file:///folder`: one file a message.
    Folder(PathBuf),
    /// `smtp://` or `smtps://user:password@host:port`.
    Smtp(SecretString),
}

impl std::str::FromStr for MailTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(folder) = text.strip_prefix("file://") {
            return Ok(Self::Folder(PathBuf::from(folder)));
        }
        if text.starts_with("smtp://") || text.starts_with("smtps://") {
            return Ok(Self::Smtp(SecretString::from(text.to_owned())));
        }
        Err("use file:///folder, smtp://… or smtps://…".to_owned())
    }
}

/// Where visitors reach the API, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    secure: bool,
}

impl PublicUrl {
    /// `https://doe.example`, which is also the origin that browsers send.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is https.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: http::Uri = text.parse().map_err(|_| "not a URL".to_owned())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("must start with https:// or http://".to_owned()),
        };
        let authority = uri.authority().ok_or("has no host")?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err("must be scheme and host only, like https://doe.example".to_owned());
        }
        let scheme = if secure { "https" } else { "http" };
        Ok(Self { origin: format!("{scheme}://{authority}").to_lowercase(), secure })
    }
}

/// How to reach the database as the role that requests use.
#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// `PostgreSQL`, through the pooler, as role `app`.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: SecretString,
    /// File with that role's password, for a URL without one.
    #[arg(long, env)]
    pub database_password_file: Option<PathBuf>,
    /// `named` behind `PgBouncer` in transaction mode, which is checked before serving; `direct` without a pooler.
    #[arg(long, env, value_enum, default_value = "named")]
    pub pooler: Pooler,
    /// Connections of this process.
    #[arg(long, env, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_pool_size: u32,
}

impl DatabaseArgs {
    /// The URL with the password.
    pub fn url(&self) -> Result<SecretString, CredentialError> {
        let login = Login { url: "DATABASE_URL", password: "DATABASE_PASSWORD" };
        login.complete(&self.database_url, self.database_password_file.as_deref())
    }
}

/// How to reach the database as its owner.
#[derive(Args, Clone, Debug)]
pub struct OwnerArgs {
    /// `PostgreSQL`, directly and not through a pooler, as the schema's owner.
    #[arg(long, env, hide_env_values = true)]
    pub migration_database_url: SecretString,
    /// File with the owner's password, for a URL without one.
    #[arg(long, env)]
    pub migration_database_password_file: Option<PathBuf>,
}

impl OwnerArgs {
    /// The URL with the password.
    pub fn url(&self) -> Result<SecretString, CredentialError> {
        let login = Login { url: "MIGRATION_DATABASE_URL", password: "MIGRATION_DATABASE_PASSWORD" };
        login.complete(&self.migration_database_url, self.migration_database_password_file.as_deref())
    }
}

/// Everything that `serve` needs.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Redis, for the cache, sessions and limits. The API works without it, only slower.
    #[arg(long, env, hide_env_values = true)]
    pub redis_url: SecretString,
    /// File with its password, for a URL without one.
    #[arg(long, env)]
    pub redis_password_file: Option<PathBuf>,
    /// What every Redis key begins with, where several installations share one Redis.
    #[arg(long, env, default_value = "")]
    pub redis_prefix: String,
    /// What one request may wait for Redis in all. Not for operators, whose clients are promised 50 ms; tests of what Redis
    /// counts raise it, since on a busy machine its answers are late.
    #[arg(skip = REQUEST_BUDGET)]
    pub redis_budget: Duration,
    /// File with limits that differ from the defaults; see docs/ARCHITECTURE.md.
    #[arg(long, env)]
    pub rate_limits: Option<PathBuf>,
    /// Seconds to go on serving after SIGTERM, while proxies learn that the process stops.
    #[arg(long, env, default_value_t = 8, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_seconds: u64,
    /// Public listener.
    #[arg(long, env, default_value = "0.0.0.0:8080")]
    pub listen_addr: SocketAddr,
    /// Listener of `/livez`, `/readyz` and `/metrics`; never exposed to visitors.
    #[arg(long, env, default_value = "0.0.0.0:9090")]
    pub admin_addr: SocketAddr,
    /// Where visitors reach this API, like `https://doe.example`.
    #[arg(long, env)]
    pub public_url: PublicUrl,
    /// `development` or `production`.
    #[arg(long, env, value_enum, default_value = "production")]
    pub profile: Profile,
    /// Folder of key files, made by `api admin create-keys`.
    #[arg(long, env)]
    pub secrets_dir: PathBuf,
    /// Networks whose `X-Forwarded-For` is believed, comma separated.
    #[arg(long, env, value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of other sites that may call the API from a browser, comma separated.
    #[arg(long, env, value_delimiter = ',', value_parser = parse_origin)]
    pub allowed_origins: Vec<HeaderValue>,
    /// Payment providers, comma separated; the first is the default of a donation.
    #[arg(long, env, value_enum, value_delimiter = ',')]
    pub payments: Vec<Provider>,
    /// Where e-mail goes: `file:///folder`, `smtp://…` or `smtps://…`. Without it letters wait in the outbox.
    #[arg(long, env, hide_env_values = true)]
    pub mail_url: Option<MailTarget>,
    /// File with that URL.
    #[arg(long, env)]
    pub mail_url_file: Option<PathBuf>,
    /// Sender of e-mail.
    #[arg(long, env, default_value = "doacoes <nao-responda@localhost.localdomain>")]
    pub mail_from: lettre::message::Mailbox,
}

/// Settings that contradict each other.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Plain HTTP would carry session cookies in the clear.
    #[error("PUBLIC_URL must be https:// when PROFILE is production")]
    PlainHttp,
    /// Nobody would pay.
    #[error("PAYMENTS may not hold `simulado` when PROFILE is production")]
    SimulatedMoney,
    /// Mail would reach nobody.
    #[error("MAIL_URL must be smtp:// or smtps:// when PROFILE is production")]
    MailToFolder,
    /// A file that holds a secret is unusable.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Nobody knows which of the two is meant.
    #[error("MAIL_URL and MAIL_URL_FILE are both given: take one of them away")]
    MailTwice,
    /// The file holds no mail target.
    #[error("MAIL_URL_FILE: {0}")]
    MailUrl(String),
}

impl Config {
    /// Reads the files that settings name, fills in what depends on the profile, and refuses what it forbids.
    pub fn validated(mut self) -> Result<Self, ConfigError> {
        self.database.database_url = self.database.url()?;
        self.database.database_password_file = None;
        let redis = Login { url: "REDIS_URL", password: "REDIS_PASSWORD" };
        self.redis_url = redis.complete(&self.redis_url, self.redis_password_file.take().as_deref())?;
        if let Some(file) = self.mail_url_file.take() {
            if self.mail_url.is_some() {
                return Err(ConfigError::MailTwice);
            }
            let url = read_secret(&file).map_err(|source| CredentialError::File { setting: "MAIL_URL", source })?;
            self.mail_url = Some(url.expose_secret().parse().map_err(ConfigError::MailUrl)?);
        }
        if self.payments.is_empty() {
            self.payments = match self.profile {
                Profile::Development => vec![Provider::Simulated, Provider::StaticPix],
                Profile::Production => vec![Provider::StaticPix],
            };
        }
        if self.profile == Profile::Production {
            if !self.public_url.is_secure() {
                return Err(ConfigError::PlainHttp);
            }
            if self.payments.contains(&Provider::Simulated) {
                return Err(ConfigError::SimulatedMoney);
            }
            if matches!(self.mail_url, Some(MailTarget::Folder(_))) {
                return Err(ConfigError::MailToFolder);
            }
        }
        Ok(self)
    }
}

fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let url: PublicUrl = text.parse()?;
    HeaderValue::from_str(url.origin()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct ConfigOnly {
        #[command(flatten)]
        config: Config,
    }

    fn config(profile: &str, url: &str, payments: &[&str], mail: &str) -> Config {
        let mut args = vec![
            "api",
            "--database-url",
            "postgres://x",
            "--redis-url",
            "redis://x",
            "--public-url",
            url,
            "--profile",
            profile,
            "--secrets-dir",
            "/x",
            "--mail-url",
            mail,
        ];
        for payment in payments {
            args.extend(["--payments", payment]);
        }
        ConfigOnly::parse_from(args).config
    }

    #[test]
    fn production_refuses_what_is_only_for_development() {
        let refused = |url, payments: &[&str], mail| config("production", url, payments, mail).validated().err();
        assert!(matches!(refused("http://doe.example", &[], "smtp://m"), Some(ConfigError::PlainHttp)));
        assert!(matches!(refused("https://doe.example", &["simulado"], "smtp://m"), Some(ConfigError::SimulatedMoney)));
        assert!(matches!(refused("https://doe.example", &[], "file:///x"), Some(ConfigError::MailToFolder)));
        assert!(refused("https://doe.example", &[], "smtp://m").is_none());
        let without_mail = Config { mail_url: None, ..config("production", "https://doe.example", &[], "smtp://m") };
        assert!(without_mail.validated().is_ok());
    }

    #[test]
    fn each_profile_has_its_payment_default() {
        let payments = |profile, mail| config(profile, "https://doe.example", &[], mail).validated().unwrap().payments;
        assert_eq!(payments("production", "smtp://m"), [Provider::StaticPix]);
        assert_eq!(payments("development", "file:///x"), [Provider::Simulated, Provider::StaticPix]);
    }

    #[test]
    fn a_public_url_is_an_origin() {
        assert_eq!("https://Doe.Example/".parse::<PublicUrl>().unwrap().origin(), "https://doe.example");
        for bad in ["doe.example", "ftp://doe.example", "https://doe.example/x", "https://a:b@doe.example"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
