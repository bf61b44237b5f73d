//! Password hashing: argon2id, one at a time, with a short queue in front.
//!
//! A hash costs about 20 ms of a core. Unbounded, a thousand log-ins would take every core from the donors; so one runs,
//! a few wait, and the rest are told to come back.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::load_shed::{LoadShed, Permit, QueueMetrics, WaitQueue};
use crate::telemetry::chain;

/// Memory of one hash. It, the passes and the lanes are the least that OWASP's password storage guide advises for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;
/// The priority of the thread that hashes, from -20 to 19; requests have 0. At 19 there are less than half as many log-ins beside reads
/// that take all they can get, and those who read gain little more.
const NICENESS: i32 = 10;
/// Passwords that may wait for the one that is hashed.
const MAX_WAITING_PASSWORDS: usize = 16;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    hasher: mpsc::Sender<Job>,
    queue: LoadShed,
    argon2: Argon2<'static>,
    /// What an unknown e-mail is checked against, so that it takes the same time.
    dummy: Arc<str>,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

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
    pub fn new(queues: &QueueMetrics) -> Result<Self, PasswordsError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(refused)?;
        let argon2 = Argon2::new(ALGORITHM, VERSION, params);
        let mut memory = Memory::default();
        let dummy = memory.hash(&argon2, b"nobody has this password")?;
        let queue = LoadShed::new(MAX_WAITING_PASSWORDS, WaitQueue::Passwords, queues);
        Ok(Self { running: Arc::new(Semaphore::new(1)), hasher: start_hasher(memory)?, queue, argon2, dummy: dummy.into() })
    }

    /// A place in the queue, for [`Passwords::verify`]; fails with [`PasswordsError::Busy`] if it is full. Take it before you ask
    /// the database for the stored hash, so that a flood of log-ins does not take the connections of those who donate.
    pub fn queue_up(&self) -> Result<Permit, PasswordsError> {
        self.queue.enter().ok_or(PasswordsError::Busy)
    }

    /// A PHC string of `password` with a new salt.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordsError> {
        let permit = self.queue_up()?;
        let argon2 = self.argon2.clone();
        self.run(permit, move |memory| memory.hash(&argon2, password.expose_secret().as_bytes())).await
    }

    /// Whether `password` belongs to the PHC string `stored`. `None` stands for an account that does not exist, and takes
    /// as long.
    pub async fn verify(&self, permit: Permit, password: SecretString, stored: Option<String>) -> Result<bool, PasswordsError> {
        let dummy = Arc::clone(&self.dummy);
        self.run(permit, move |memory| {
            let (text, exists) = stored.as_deref().map_or((&*dummy, false), |text| (text, true));
            let matches = memory.verify(password.expose_secret().as_bytes(), text)?;
            Ok(matches && exists)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        permit: Permit,
        work: impl FnOnce(&mut Memory) -> Result<T, PasswordsError> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordsError::Stopped)?;
        drop(permit);
        let (tell, done) = oneshot::channel();
        let job = move |memory: &mut Memory| {
            // The turn is held here: a client that hangs up does not free the core that its hash still uses.
            let result = work(memory);
            drop(turn);
            let _ = tell.send(result);
        };
        self.hasher.send(Box::new(job)).map_err(|_| PasswordsError::Stopped)?;
        done.await.map_err(|_| PasswordsError::Stopped)?
    }
}

/// One thread for all hashes, with one piece of memory for all of them.
fn start_hasher(mut memory: Memory) -> Result<mpsc::Sender<Job>, PasswordsError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let run = move || {
        yield_to_requests();
        for job in jobs {
            // Its caller is told by the channel that it drops.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
        }
    };
    std::thread::Builder::new().name("passwords".to_owned()).spawn(run).map_err(PasswordsError::Thread)?;
    Ok(sender)
}

/// Lowers the priority of this thread, and on Linux of no other: whoever reads or donates waits for microseconds of work, and a
/// hash would keep the core from them for milliseconds at a time.
fn yield_to_requests() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(error = chain(&error), "passwords are hashed at the priority of requests");
    }
}

/// What hashes are made in, kept from one to the next: freed and asked for again each time, the old 19 MiB would still be resident
/// beside the new.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// A PHC string of `password` with a new salt.
    fn hash(&mut self, argon2: &Argon2<'_>, password: &[u8]) -> Result<String, PasswordsError> {
        let salt = Salt::generate();
        let hash = PasswordHash {
            algorithm: ALGORITHM.ident(),
            version: Some(VERSION.into()),
            params: ParamsString::try_from(argon2.params()).map_err(refused)?,
            hash: Some(self.output(argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
            salt: Some(salt),
        };
        Ok(hash.to_string())
    }

    /// Whether the PHC string `stored` is of `password`, with the cost that it was made with.
    fn verify(&mut self, password: &[u8], stored: &str) -> Result<bool, PasswordsError> {
        let stored = PasswordHash::new(stored).map_err(refused)?;
        let (Some(salt), Some(hash)) = (stored.salt, stored.hash) else { return Ok(false) };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(refused)?;
        let version = stored.version.map_or(Ok(VERSION), Version::try_from).map_err(refused)?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored).map_err(refused)?);
        // `Output` compares in constant time.
        Ok(self.output(&argon2, password, &salt, hash.len())? == hash)
    }

    fn output(&mut self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8], length: usize) -> Result<Output, PasswordsError> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        let mut output = vec![0; length];
        argon2.hash_password_into_with_memory(password, salt, &mut output, &mut self.0).map_err(refused)?;
        Output::new(&output).map_err(refused)
    }
}

fn refused(error: impl fmt::Display) -> PasswordsError {
    PasswordsError::Argon2(error.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use argon2::PasswordHasher as _;

    fn hasher() -> Passwords {
        Passwords::new(&QueueMetrics::new(&prometheus::Registry::new()).unwrap()).unwrap()
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
    async fn a_hash_is_checked_at_the_cost_that_it_was_made_with() {
        let passwords = hasher();
        for (memory, passes, lanes, length) in [(8, 1, 1, 16), (20 * 1024, 1, 1, 32), (64, 3, 2, 64)] {
            let params = Params::new(memory, passes, lanes, Some(length)).unwrap();
            let stored: PasswordHash = Argon2::new(Algorithm::Argon2i, VERSION, params).hash_password(b"correta").unwrap();
            assert!(verify(&passwords, "correta", Some(stored.to_string())).await, "{stored}");
            assert!(!verify(&passwords, "errada", Some(stored.to_string())).await, "{stored}");
        }
        for broken in ["", "correta", "$argon2id$v=19$m=8,t=1,p=1", "$scrypt$ln=1,r=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"] {
            let checked = passwords.verify(passwords.queue_up().unwrap(), "correta".into(), Some(broken.into())).await;
            assert!(!matches!(checked, Ok(true)), "{broken}");
        }
    }

    #[tokio::test]
    async fn the_eighteenth_at_once_is_told_to_come_back() {
        let passwords = hasher();
        let all = futures_util::future::join_all((0..40).map(|_| passwords.hash("x".into()))).await;
        let busy = all.iter().filter(|result| matches!(result, Err(PasswordsError::Busy))).count();
        assert_eq!(busy, 40 - 1 - MAX_WAITING_PASSWORDS);
        assert!(passwords.hash("x".into()).await.is_ok());
    }
}
