//! Keys that protect data: files in `SECRETS_DIR`, one per purpose, shared by all replicas and rotatable.
//!
//! A file holds one key a line: `{key id} {64 hex digits}`. The first key seals and signs; all of them open and verify. A
//! rotation therefore takes two steps, or replicas that have not restarted yet could not open what the others made: append the
//! new key and restart all, then move it to the top and restart again. `email.key` is not rotated: rows are compared by its hashes.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::credentials::{SecretFileError, read_guarded};

const NONCE_BYTES: usize = 24;

/// What keys are for; also the names of their files, with `.key` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing list cursors.
    Cursor,
    /// Making the capability tokens of guests.
    Token,
    /// Hashing e-mail addresses of donors, and whom a limit counts.
    Email,
    /// Sealing stored answers and the outbox.
    Body,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Cursor, Self::Token, Self::Email, Self::Body];

    /// The file's name in `SECRETS_DIR`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Cursor => "cursor.key",
            Self::Token => "token.key",
            Self::Email => "email.key",
            Self::Body => "body.key",
        }
    }
}

/// Why keys could not be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key file is missing, cannot be read, or could be read by others.
    #[error("the keys cannot be loaded; `api admin create-keys DIR` makes what is missing")]
    File(#[from] SecretFileError),
    /// A line that is not a key.
    #[error("{path}:{line}: expected `{{key id}} {{64 hex digits}}` with an id of 1 to 16 lower-case letters or digits")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file without a key.
    #[error("the key file {path} holds no key")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The folder or a file could not be written.
    #[error("the key file {path} cannot be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// One secret with its public name.
struct Key {
    id: String,
    secret: [u8; 32],
}

/// The keys of one purpose, newest first; never empty.
pub struct KeyRing {
    newest: Key,
    older: Vec<Key>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys, newest {})", 1 + self.older.len(), self.newest.id)
    }
}

/// The keys of every purpose.
#[derive(Debug)]
pub struct Keys {
    /// See [`Purpose::Cursor`].
    pub cursor: KeyRing,
    /// See [`Purpose::Token`].
    pub token: KeyRing,
    /// See [`Purpose::Email`].
    pub email: KeyRing,
    /// See [`Purpose::Body`].
    pub body: KeyRing,
}

impl Keys {
    /// Reads every key file of `dir`.
    pub fn load(dir: &Path) -> Result<Self, KeysError> {
        Ok(Self {
            cursor: KeyRing::load(dir, Purpose::Cursor)?,
            token: KeyRing::load(dir, Purpose::Token)?,
            email: KeyRing::load(dir, Purpose::Email)?,
            body: KeyRing::load(dir, Purpose::Body)?,
        })
    }

    /// Makes the key files that are missing in `dir` and returns them; existing files are left alone, since losing a
    /// key loses what it protects.
    pub fn create_missing(dir: &Path) -> Result<Vec<PathBuf>, KeysError> {
        fs::create_dir_all(dir).map_err(|source| KeysError::Unwritable { path: dir.to_owned(), source })?;
        let mut made = Vec::new();
        for purpose in Purpose::ALL {
            let path = dir.join(purpose.file_name());
            if path.exists() {
                continue;
            }
            if write_whole(&path, &format!("k1 {}\n", random_hex()))
                .map_err(|source| KeysError::Unwritable { path: path.clone(), source })?
            {
                made.push(path);
            }
        }
        Ok(made)
    }
}

impl KeyRing {
    fn load(dir: &Path, purpose: Purpose) -> Result<Self, KeysError> {
        let path = dir.join(purpose.file_name());
        let text = read_guarded(&path)?;
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            keys.push(Key::parse(line).ok_or_else(|| KeysError::Malformed { path: path.clone(), line: index + 1 })?);
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or(KeysError::Empty { path })?;
        Ok(Self { newest, older: keys.collect() })
    }

    fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// Encrypts `plain` and binds it to `context`, which must be given again to open it (XChaCha20-Poly1305, RFC 8439
    /// with a 192-bit nonce). Layout: length of the key id, key id, nonce, ciphertext with tag.
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_BYTES];
        rand::fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&self.newest.secret.into());
        // Encryption into memory fails only for texts of more than 256 GiB.
        let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context }).unwrap_or_default();
        let id = self.newest.id.as_bytes();
        let mut out = Vec::with_capacity(1 + id.len() + NONCE_BYTES + sealed.len());
        out.push(u8::try_from(id.len()).unwrap_or(0));
        out.extend_from_slice(id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    /// Opens what [`KeyRing::seal`] made with the same `context`; nothing where it was made by no key of this ring,
    /// changed, or made for another context.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
        let (&length, rest) = sealed.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES)?;
        let key = self.iter().find(|key| key.id.as_bytes() == id)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let cipher = XChaCha20Poly1305::new(&key.secret.into());
        cipher.decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: context }).ok()
    }

    /// HMAC-SHA-256 of `message` with the oldest key. Stored hashes that rows are compared by must not change when a
    /// key is added, so they stay with the key they began with.
    pub fn stable_hash(&self, message: &[u8]) -> [u8; 32] {
        self.older.last().unwrap_or(&self.newest).mac(message)
    }

    /// Like [`KeyRing::stable_hash`], with a key of its own for each `purpose`: what is hashed for one cannot be found in what is
    /// hashed for another.
    pub fn stable_hasher(&self, purpose: &str) -> KeyedHash {
        KeyedHash(Key { id: String::new(), secret: self.stable_hash(format!("purpose\n{purpose}").as_bytes()) })
    }

    /// A token that proves `message` to [`KeyRing::verify_token`]: `{key id}.{hex HMAC-SHA-256}`.
    pub fn token(&self, message: &[u8]) -> String {
        format!("{}.{}", self.newest.id, hex::encode(self.newest.mac(message)))
    }

    /// Whether `token` was made for `message` by a key of this ring; the time taken does not depend on the answer's bytes.
    pub fn verify_token(&self, token: &str, message: &[u8]) -> bool {
        let Some((id, given)) = token.split_once('.') else { return false };
        let Some(key) = self.iter().find(|key| key.id == id) else { return false };
        hex::encode(key.mac(message)).as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (id, digits) = line.trim_end().split_once(' ')?;
        let legal_id = (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !legal_id {
            return None;
        }
        let mut secret = [0_u8; 32];
        hex::decode_to_slice(digits, &mut secret).ok()?;
        Some(Self { id: id.to_owned(), secret })
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mac) => mac.chain_update(message).finalize().into_bytes().into(),
            // HMAC takes keys of any length.
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }
}

/// HMAC-SHA-256 with a key that does not change; see [`KeyRing::stable_hasher`].
pub struct KeyedHash(Key);

impl KeyedHash {
    /// The hash of `message`.
    pub fn of(&self, message: &[u8]) -> [u8; 32] {
        self.0.mac(message)
    }
}

/// SHA-256, for secrets that are random already and only must not be stored as they are.
pub fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// A new secret of 256 random bits in hexadecimal.
pub fn random_hex() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read, and that appears at `path` only once it is complete. If `path` exists already, even
/// since a moment ago, it stays as it is and the result is false.
fn write_whole(path: &Path, text: &str) -> std::io::Result<bool> {
    let draft = path.with_extension(format!("{}.new", random_hex()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn ring(text: &str) -> Result<KeyRing, KeysError> {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_whole(&dir.path().join("body.key"), text).unwrap());
        KeyRing::load(dir.path(), Purpose::Body)
    }

    fn line(id: &str, digit: char) -> String {
        format!("{id} {}\n", digit.to_string().repeat(64))
    }

    #[test]
    fn what_is_sealed_opens_only_in_its_context() {
        let ring = ring(&line("k1", 'a')).unwrap();
        let sealed = ring.seal(b"segredo", b"aqui");
        assert_eq!(ring.open(&sealed, b"aqui").unwrap(), b"segredo");
        assert_eq!(ring.open(&sealed, b"ali"), None);
        for index in 0..sealed.len() {
            let mut forged = sealed.clone();
            *forged.get_mut(index).unwrap() ^= 1;
            assert_eq!(ring.open(&forged, b"aqui"), None, "byte {index}");
            assert_eq!(ring.open(sealed.get(..index).unwrap(), b"aqui"), None, "cut at {index}");
        }
    }

    #[test]
    fn a_rotation_keeps_what_was_made_before() {
        let before = ring(&line("k1", 'a')).unwrap();
        let after = ring(&(line("k2", 'b') + &line("k1", 'a'))).unwrap();
        assert_eq!(after.open(&before.seal(b"x", b""), b"").unwrap(), b"x");
        assert_eq!(before.open(&after.seal(b"x", b""), b""), None);
        assert!(after.verify_token(&before.token(b"m"), b"m"));
        assert!(!before.verify_token(&after.token(b"m"), b"m"));
        assert_eq!(before.stable_hash(b"m"), after.stable_hash(b"m"));
        assert_eq!(before.stable_hasher("x").of(b"m"), after.stable_hasher("x").of(b"m"));
        assert_ne!(before.stable_hasher("x").of(b"m"), before.stable_hasher("y").of(b"m"));
        assert_ne!(before.stable_hasher("x").of(b"m"), before.stable_hash(b"m"));
    }

    #[test]
    fn tokens_prove_their_message_only() {
        let ring = ring(&line("k1", 'a')).unwrap();
        let token = ring.token(b"um");
        assert!(ring.verify_token(&token, b"um"));
        for forged in [token.as_str(), "", ".", "k1.", "k2.00", &token[..token.len() - 1]] {
            assert!(!ring.verify_token(forged, b"dois"), "{forged}");
        }
        assert!(!ring.verify_token(&token[..token.len() - 1], b"um"));
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body.key");
        assert!(write_whole(&path, "first").unwrap());
        assert!(!write_whole(&path, "second").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_makes_keys_at_once_shares_them() {
        let dir = tempfile::tempdir().unwrap();
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let path = dir.path().to_owned();
                std::thread::spawn(move || {
                    let made = Keys::create_missing(&path).unwrap().len();
                    (made, Keys::load(&path).unwrap().token.token(b"m"))
                })
            })
            .collect();
        let results: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert_eq!(results.iter().map(|(made, _)| made).sum::<usize>(), 4);
        assert!(results.iter().all(|(_, token)| *token == results.first().unwrap().1));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn files_that_everyone_can_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Keys::create_missing(dir.path()).unwrap().len(), 4);
        assert_eq!(Keys::create_missing(dir.path()).unwrap().len(), 0);
        Keys::load(dir.path()).unwrap();
        let file = dir.path().join("token.key");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::load(dir.path()), Err(KeysError::File(SecretFileError::WorldReadable { mode: 0o644, .. }))));
        fs::remove_file(&file).unwrap();
        assert!(matches!(Keys::load(dir.path()), Err(KeysError::File(SecretFileError::Unreadable { .. }))));
    }

    #[test]
    fn malformed_files_name_their_line() {
        assert!(matches!(ring(&(line("k1", 'a') + "k2 abc\n")), Err(KeysError::Malformed { line: 2, .. })));
        assert!(matches!(ring(&line("K1", 'a')), Err(KeysError::Malformed { line: 1, .. })));
        assert!(matches!(ring(""), Err(KeysError::Empty { .. })));
    }
}
