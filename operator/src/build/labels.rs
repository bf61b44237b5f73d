//! Names and labels of a platform's objects.

use std::collections::BTreeMap;

use super::child::Part;
use crate::names::{APPLICATION, COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL, PART_OF_LABEL};
use crate::resolve::Platform;

impl Part {
    /// The suffix of the names of the part's objects, and the value of their label [`COMPONENT_LABEL`].
    pub fn component(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Pooler => "pooler",
            Self::Redis => "redis",
            Self::Migrate => "migrate",
            Self::Api => "api",
            Self::Edge => "edge",
        }
    }
}

/// Name of a part's objects.
pub(super) fn name(platform: &Platform, part: Part) -> String {
    format!("{}-{}", platform.name, part.component())
}

/// Labels that select every pod of the platform.
pub(super) fn all_pods(platform: &Platform) -> BTreeMap<String, String> {
    texts(&[(NAME_LABEL, APPLICATION), (INSTANCE_LABEL, &platform.name)])
}

/// Labels that select the pods of a part. They can never change, because a workload's selector cannot.
pub(super) fn selector(platform: &Platform, part: Part) -> BTreeMap<String, String> {
    let mut labels = all_pods(platform);
    labels.insert(COMPONENT_LABEL.to_owned(), part.component().to_owned());
    labels
}

/// The labels of data that outlives its platform. They cannot change either: the template of a claim cannot.
pub(super) fn of_data(platform: &Platform, part: Part) -> BTreeMap<String, String> {
    let mut labels = selector(platform, part);
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned());
    labels
}

/// The labels of every other object of a part, and of its pods.
pub(super) fn of(platform: &Platform, part: Part) -> BTreeMap<String, String> {
    let mut labels = of_data(platform, part);
    labels.insert(PART_OF_LABEL.to_owned(), APPLICATION.to_owned());
    labels
}

/// The labels of an object that belongs to all parts.
pub(super) fn of_all(platform: &Platform) -> BTreeMap<String, String> {
    let mut labels = all_pods(platform);
    labels.extend(texts(&[(PART_OF_LABEL, APPLICATION), (MANAGED_BY_LABEL, MANAGED_BY)]));
    labels
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
