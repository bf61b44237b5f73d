//! CPU and memory of each part.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use super::{Invalid, amount};
use crate::{crd::Profile, quantity::of_bytes};

/// A part of the site that runs in pods.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Api,
    Database,
    Pooler,
    Redis { max_memory_bytes: u64 },
    Edge,
}

impl Part {
    /// Path of its `resources` below `spec`.
    fn field(self) -> &'static str {
        match self {
            Self::Api => "api.resources",
            Self::Database => "database.managed.resources",
            Self::Pooler => "pooler.resources",
            Self::Redis { .. } => "redis.managed.resources",
            Self::Edge => "ingress.managed.resources",
        }
    }

    /// What is set aside for a pod: CPU and memory. For trying out little, so that a site fits on a laptop.
    fn requests(self, profile: Profile) -> (&'static str, String) {
        let (cpu, memory) = match (profile, self) {
            (Profile::Development, Self::Api) => ("20m", "64Mi"),
            (Profile::Development, Self::Database) => ("20m", "128Mi"),
            (Profile::Development, Self::Pooler | Self::Edge) => ("20m", "32Mi"),
            (Profile::Development, Self::Redis { .. }) => ("20m", "64Mi"),
            (Profile::Production, Self::Api) => ("250m", "256Mi"),
            (Profile::Production, Self::Database) => ("500m", "1Gi"),
            (Profile::Production, Self::Pooler) => ("100m", "64Mi"),
            // All that it may use: a node that runs out of memory kills first what uses more than it asked for.
            (Profile::Production, Self::Redis { .. }) => return ("100m", self.memory_limit()),
            (Profile::Production, Self::Edge) => ("100m", "64Mi"),
        };
        (cpu, memory.to_owned())
    }

    /// Memory beyond which a pod is killed. There is none for CPU: whoever waits for a limit is slow while a node idles.
    fn memory_limit(self) -> String {
        match self {
            Self::Api => "512Mi".to_owned(),
            Self::Database => "2Gi".to_owned(),
            Self::Pooler | Self::Edge => "256Mi".to_owned(),
            // Redis counts its data; buffers of clients and gaps between allocations come on top.
            Self::Redis { max_memory_bytes } => of_bytes(max_memory_bytes.saturating_add(max_memory_bytes.div_ceil(4))),
        }
    }
}

/// What the resource asks for, and the rest by default. A default yields to what was asked for: a request is never above its
/// limit.
pub(super) fn resolve(part: Part, profile: Profile, asked: &ResourceRequirements) -> Result<ResourceRequirements, Invalid> {
    check(part, "requests", asked.requests.as_ref())?;
    check(part, "limits", asked.limits.as_ref())?;
    let mut requests = asked.requests.clone().unwrap_or_default();
    let mut limits = asked.limits.clone().unwrap_or_default();
    let (cpu, memory) = part.requests(profile);
    limits.entry("memory".to_owned()).or_insert_with(|| {
        let limit = Quantity(part.memory_limit());
        requests.get("memory").filter(|request| worth(request) > worth(&limit)).cloned().unwrap_or(limit)
    });
    for (name, default) in [("cpu", Quantity(cpu.to_owned())), ("memory", Quantity(memory))] {
        requests
            .entry(name.to_owned())
            .or_insert_with(|| limits.get(name).filter(|limit| worth(limit) < worth(&default)).cloned().unwrap_or(default));
    }
    Ok(ResourceRequirements { claims: None, limits: Some(limits), requests: Some(requests) })
}

fn worth(quantity: &Quantity) -> Option<crate::quantity::Amount> {
    crate::quantity::Amount::parse(&quantity.0)
}

fn check(part: Part, list: &str, amounts: Option<&BTreeMap<String, Quantity>>) -> Result<(), Invalid> {
    for (name, Quantity(value)) in amounts.into_iter().flatten() {
        amount(&format!("{}.{list}.{name}", part.field()), value)?;
    }
    Ok(())
}
