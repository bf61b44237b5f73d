//! Secrets with generated data: what they hold, as a function of random passwords and keys.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;

use super::child::{ApplyPolicy, Child, Part};
use super::labels;
use crate::resolve::Platform;

/// A Secret whose data is generated once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GeneratedSecret {
    /// Passwords of the database roles.
    Database,
    /// Password of Redis.
    Redis,
    /// Keys that protect data. Once there is data, they are never generated again.
    Keys,
    /// Password of the first administrator.
    Admin,
}

impl GeneratedSecret {
    /// Every one, also of those that a platform had once.
    pub const ALL: [Self; 4] = [Self::Database, Self::Redis, Self::Keys, Self::Admin];

    /// Those that the platform is to have.
    fn of(platform: &Platform) -> impl Iterator<Item = Self> + use<> {
        let first_admin = platform.spec.first_admin.is_some();
        Self::ALL.into_iter().filter(move |secret| *secret != Self::Admin || first_admin)
    }

    /// Name of the Secret.
    pub fn name(self, platform: &Platform) -> String {
        let suffix = match self {
            Self::Database => "database",
            Self::Redis => "redis",
            Self::Keys => "keys",
            Self::Admin => "admin",
        };
        format!("{}-{suffix}", platform.name)
    }

    /// Its data. Each call of `random` gives that many random bytes in hex.
    pub fn data(self, mut random: impl FnMut(usize) -> String) -> BTreeMap<String, String> {
        match self {
            Self::Database => ["app-password", "owner-password"].into_iter().map(|file| (file.to_owned(), random(24))).collect(),
            Self::Redis | Self::Admin => BTreeMap::from([("password".to_owned(), random(24))]),
            Self::Keys => ["cursor.key", "token.key", "email.key", "body.key"]
                .into_iter()
                .map(|file| (file.to_owned(), format!("k1 {}\n", random(32))))
                .collect(),
        }
    }

    /// The part that cannot run without it.
    fn part(self) -> Part {
        match self {
            Self::Database => Part::Postgres,
            Self::Redis => Part::Redis,
            Self::Keys => Part::Api,
            Self::Admin => Part::Migrate,
        }
    }
}

/// The Secrets, with placeholders for what is generated when they are made.
pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let child = |secret: GeneratedSecret| {
        let object = Secret {
            metadata: ObjectMeta {
                name: Some(secret.name(platform)),
                labels: Some(labels::of_data(platform, secret.part())),
                ..ObjectMeta::default()
            },
            string_data: Some(secret.data(|_| "generated".to_owned())),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let mut child = Child::of(platform, secret.part(), &object);
        child.policy = ApplyPolicy::CreateOnce;
        // The owner of retained data comes and goes.
        child.object.metadata.owner_references = None;
        child
    };
    GeneratedSecret::of(platform).map(child).collect()
}
