//! Secrets with generated data: what they hold, as a function of random passwords and keys.

use std::collections::BTreeMap;

use crate::resolve::Platform;

/// A Secret whose data is generated once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Generated {
    /// Passwords of the database roles, and the pooler's list of users.
    Database,
    /// Password of Redis, and its list of users.
    Redis,
    /// Keys that protect data. Never generated anew once there is any.
    Keys,
}

impl Generated {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Database, Self::Redis, Self::Keys];

    /// Name of the Secret.
    pub fn name(self, platform: &Platform) -> String {
        let suffix = match self {
            Self::Database => "database",
            Self::Redis => "redis",
            Self::Keys => "keys",
        };
        format!("{}-{suffix}", platform.name)
    }

    /// Its data. Each call of `random` gives that many random bytes in hex.
    pub fn data(self, mut random: impl FnMut(usize) -> String) -> BTreeMap<String, String> {
        match self {
            Self::Database => BTreeMap::from([("owner-password".to_owned(), random(24)), ("app-password".to_owned(), random(24))]),
            Self::Redis => BTreeMap::from([("password".to_owned(), random(24))]),
            Self::Keys => ["cursor.key", "token.key", "email.key", "body.key"]
                .into_iter()
                .map(|file| (file.to_owned(), format!("k1 {}\n", random(32))))
                .collect(),
        }
    }
}
