//! Secrets in files of their own, as a pod mounts them: read whole, and refused where everyone on the machine could read them too.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It is missing or cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others on the machine could read it.
    #[error("{path} is readable by everyone (mode {mode:o}); use 0600, or 0440 in a pod")]
    WorldReadable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds nothing.
    #[error("{path} is empty")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds more than the secret.
    #[error("{path} holds more than one line")]
    ManyLines {
        /// The file.
        path: PathBuf,
    },
}

/// The text of a file that only its owner and their group may read.
pub fn read_guarded(path: &Path) -> Result<String, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretFileError::WorldReadable { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// The one line of such a file, without the line's end.
pub fn read_secret(path: &Path) -> Result<SecretString, SecretFileError> {
    let text = read_guarded(path)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(SecretFileError::Empty { path: path.to_owned() });
    }
    if line.contains(['\n', '\r', '\0']) {
        return Err(SecretFileError::ManyLines { path: path.to_owned() });
    }
    Ok(SecretString::from(line.to_owned()))
}

/// Why a setting and its file make no whole.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file gives nothing.
    #[error("{setting}_FILE cannot be used")]
    File {
        /// What the file belongs to.
        setting: &'static str,
        /// Why.
        source: SecretFileError,
    },
    /// Nobody knows which of the two is meant.
    #[error("{url} holds a password, and {setting}_FILE is given as well: take one of them away")]
    Twice {
        /// The setting with the URL.
        url: &'static str,
        /// What the file belongs to.
        setting: &'static str,
    },
    /// No password fits into the URL.
    #[error("{url} is no URL with a host, so {setting}_FILE cannot be used with it")]
    NoUrl {
        /// The setting with the URL.
        url: &'static str,
        /// What the file belongs to.
        setting: &'static str,
    },
}

/// A URL that names a server, and the setting whose file holds the password for it.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// The setting with the URL, like `DATABASE_URL`.
    pub url: &'static str,
    /// The setting of the file without `_FILE`, like `DATABASE_PASSWORD`.
    pub password: &'static str,
}

impl Login {
    /// The URL with the password of `file`, where there is one.
    pub fn complete(self, url: &SecretString, file: Option<&Path>) -> Result<SecretString, CredentialError> {
        let Some(file) = file else { return Ok(url.clone()) };
        let Self { url: name, password: setting } = self;
        let mut parsed = Url::parse(url.expose_secret()).map_err(|_| CredentialError::NoUrl { url: name, setting })?;
        if parsed.password().is_some() || parsed.query_pairs().any(|(key, _)| key == "password") {
            return Err(CredentialError::Twice { url: name, setting });
        }
        let password = read_secret(file).map_err(|source| CredentialError::File { setting, source })?;
        parsed.set_password(Some(&escaped(password.expose_secret()))).map_err(|()| CredentialError::NoUrl { url: name, setting })?;
        Ok(SecretString::from(String::from(parsed)))
    }
}

/// Every byte that could mean something in a URL, percent-encoded. `Url` alone leaves `%` as it is, and whoever reads the URL would
/// decode what follows.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::telemetry::chain;
    use redis::IntoConnectionInfo as _;
    use std::fs;

    const DATABASE: Login = Login { url: "DATABASE_URL", password: "DATABASE_PASSWORD" };

    fn file(dir: &tempfile::TempDir, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = dir.path().join("password");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_is_one_line_that_not_everyone_may_read() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["segredo", "segredo\n", "segredo\r\n"] {
            assert_eq!(read_secret(&file(&dir, text, 0o440)).unwrap().expose_secret(), "segredo");
        }
        assert_eq!(read_secret(&file(&dir, "  com espaços \n", 0o600)).unwrap().expose_secret(), "  com espaços ");
        let refusal = |path: &Path| chain(&read_secret(path).unwrap_err());
        let path = file(&dir, "segredo", 0o604);
        assert_eq!(refusal(&path), format!("{} is readable by everyone (mode 604); use 0600, or 0440 in a pod", path.display()));
        for empty in ["", "\n", "\r\n"] {
            assert_eq!(refusal(&file(&dir, empty, 0o400)), format!("{} is empty", path.display()));
        }
        for many in ["um\ndois", "um\n\n", "um\0dois"] {
            assert_eq!(refusal(&file(&dir, many, 0o400)), format!("{} holds more than one line", path.display()));
        }
        assert!(refusal(&file(&dir, b"\xff", 0o400)).starts_with(&format!("{} cannot be read: ", path.display())));
        assert!(refusal(&dir.path().join("none")).contains("none cannot be read: No such file"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(refusal(dir.path()).contains("cannot be read: Is a directory"));
    }

    #[test]
    fn a_password_arrives_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        for password in ["simples", "a%41", "p@ss:w/rd?#[]&=+ ", "çãé", "%", "'\"\\`{}|^"] {
            let path = file(&dir, format!("{password}\n"), 0o440);
            let database = DATABASE.complete(&"postgres://app@db:6432/doacoes?sslmode=disable".into(), Some(&path)).unwrap();
            let parsed: sqlx::postgres::PgConnectOptions = database.expose_secret().parse().unwrap();
            assert_eq!((parsed.get_username(), parsed.get_host(), parsed.get_port()), ("app", "db", 6432));
            assert_eq!(parsed.get_database(), Some("doacoes"));
            let url = Url::parse(database.expose_secret()).unwrap();
            let digits = url.password().unwrap();
            assert_eq!(decoded(digits), password, "{digits}");
            for url in ["redis://cache:6379/0", "redis://app@cache:6379/0"] {
                let redis = DATABASE.complete(&url.into(), Some(&path)).unwrap();
                let info = redis.expose_secret().into_connection_info().unwrap();
                assert_eq!(info.redis_settings().password(), Some(password));
                assert_eq!(info.redis_settings().username(), url.contains('@').then_some("app"));
            }
        }
    }

    /// What a reader of URLs makes of percent signs.
    fn decoded(text: &str) -> String {
        form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
    }

    #[test]
    fn a_password_has_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, "segredo\n", 0o440);
        let refusal = |url: &str, path: &Path| {
            let error = chain(&DATABASE.complete(&url.into(), Some(path)).unwrap_err());
            assert!(!error.contains("segredo") && !error.contains("outro") && !error.contains('\n'), "{error}");
            error
        };
        for url in ["postgres://app:outro@db/x", "postgres://app@db/x?password=outro"] {
            assert_eq!(
                refusal(url, &path),
                "DATABASE_URL holds a password, and DATABASE_PASSWORD_FILE is given as well: take one of them away"
            );
        }
        for url in ["outro", "postgres:///x?host=/run/postgresql"] {
            assert_eq!(refusal(url, &path), "DATABASE_URL is no URL with a host, so DATABASE_PASSWORD_FILE cannot be used with it");
        }
        let missing = refusal("postgres://app@db/x", &dir.path().join("none"));
        assert!(missing.starts_with("DATABASE_PASSWORD_FILE cannot be used: ") && missing.contains("none cannot be read: No such"));
        let whole = DATABASE.complete(&"postgres://app:outro@db/x".into(), None).unwrap();
        assert_eq!(whole.expose_secret(), "postgres://app:outro@db/x");
    }
}
