//! Password hashing: argon2id, one at a time, with a short queue in front.
//!
//! A hash costs about 20 ms of a core. Unbounded, a thousand log-ins would take every core from the donors; so one runs,
//! a few wait, and the rest are told to come back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Semaphore, oneshot};

use crate::admission::{Gate, Place};
use crate::metrics::{Metrics, WaitQueue};

/// Memory in KiB, passes and lanes: the least that OWASP's password storage guide advises for argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// How many may wait for the one that runs.
const QUEUE: usize = 16;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    hasher: mpsc::Sender<Job>,
    queue: Gate,
    argon2: Argon2<'static>,
    /// What an unknown e-mail is checked against, so that it takes the same time.
    dummy: Arc<str>,
}

type Job = Box<dyn FnOnce() + Send>;

/// A place in the queue, taken before the database is asked whose password it is: a crowd at the door must not take the
/// connections of those who donate.
pub struct Ticket {
    _place: Place,
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The queue is full.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The hash function refused its parameters or a stored hash.
    #[error("argon2 failed: {0}")]
    Argon2(String),
    /// The thread that hashes did not finish.
    #[error("the hashing thread did not finish")]
    Stopped,
    /// It could not be started.
    #[error("the hashing thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Passwords {
    /// A hasher with one permit.
    pub fn new(metrics: &Metrics) -> Result<Self, PasswordsError> {
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None).map_err(|error| PasswordsError::Argon2(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash_now(&argon2, b"nobody has this password")?;
        let queue = Gate::new(QUEUE, WaitQueue::Passwords, metrics);
        Ok(Self { running: Arc::new(Semaphore::new(1)), hasher: start_hasher()?, queue, argon2, dummy: dummy.into() })
    }

    /// A place in the queue, for [`Passwords::verify`].
    pub fn queue_up(&self) -> Result<Ticket, PasswordsError> {
        self.queue.enter().map(|place| Ticket { _place: place }).ok_or(PasswordsError::Busy)
    }

    /// A PHC string of `password` with a new salt.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordsError> {
        let ticket = self.queue_up()?;
        let argon2 = self.argon2.clone();
        self.run(ticket, move || hash_now(&argon2, password.expose_secret().as_bytes())).await
    }

    /// Whether `password` belongs to the PHC string `stored`. `None` stands for an account that does not exist, and takes
    /// as long.
    pub async fn verify(&self, ticket: Ticket, password: SecretString, stored: Option<String>) -> Result<bool, PasswordsError> {
        let argon2 = self.argon2.clone();
        let dummy = Arc::clone(&self.dummy);
        self.run(ticket, move || {
            let (text, exists) = stored.as_deref().map_or((&*dummy, false), |text| (text, true));
            let hash = PasswordHash::new(text).map_err(|error| PasswordsError::Argon2(error.to_string()))?;
            let matches = argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok();
            Ok(matches && exists)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        ticket: Ticket,
        work: impl FnOnce() -> Result<T, PasswordsError> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordsError::Stopped)?;
        drop(ticket);
        let (tell, done) = oneshot::channel();
        let job = move || {
            // The turn is held here: a client that hangs up does not free the core that its hash still uses.
            let result = work();
            drop(turn);
            let _ = tell.send(result);
        };
        self.hasher.send(Box::new(job)).map_err(|_| PasswordsError::Stopped)?;
        done.await.map_err(|_| PasswordsError::Stopped)?
    }
}

/// One thread for all hashes. On the runtime's many blocking threads, each one's share of the heap would keep the 19 MiB that a
/// hash needs.
fn start_hasher() -> Result<mpsc::Sender<Job>, PasswordsError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let run = move || {
        for job in jobs {
            // Its caller is told by the channel that it drops.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    };
    std::thread::Builder::new().name("passwords".to_owned()).spawn(run).map_err(PasswordsError::Thread)?;
    Ok(sender)
}

fn hash_now(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, PasswordsError> {
    let hash: argon2::password_hash::phc::PasswordHash =
        argon2.hash_password(password).map_err(|error| PasswordsError::Argon2(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn hasher() -> Passwords {
        Passwords::new(&Metrics::new().unwrap()).unwrap()
    }

    async fn verify(passwords: &Passwords, password: &str, stored: Option<String>) -> bool {
        passwords.verify(passwords.queue_up().unwrap(), password.into(), stored).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_only_its_own_hash() {
        let passwords = hasher();
        let stored = passwords.hash("correta".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify(&passwords, "correta", Some(stored.clone())).await);
        assert!(!verify(&passwords, "errada", Some(stored)).await);
        assert!(!verify(&passwords, "nobody has this password", None).await);
    }

    #[tokio::test]
    async fn the_eighteenth_at_once_is_told_to_come_back() {
        let passwords = hasher();
        let all = futures_util::future::join_all((0..40).map(|_| passwords.hash("x".into()))).await;
        let busy = all.iter().filter(|result| matches!(result, Err(PasswordsError::Busy))).count();
        assert_eq!(busy, 40 - 1 - QUEUE);
        assert!(passwords.hash("x".into()).await.is_ok());
    }
}
