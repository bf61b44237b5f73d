//! One pass over one platform: its inputs, what it read, and its judgement of the migration.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::migration::{self, MigrationState};
use super::observe::Observed;
use super::ownership::Identity;
use crate::build::{self, Child};
use crate::client::ApiClient;
use crate::crd::{DonationPlatform, MigrationStatus};
use crate::error::Error;
use crate::resolve::{Platform, resolve};
use crate::telemetry::chain;

/// One pass over one platform. The objects are rendered and the migration is judged at its beginning; writes update `observed` and
/// `migration`.
pub struct Pass<'a> {
    /// The client of the API server.
    pub client: &'a ApiClient,
    /// The resource as it was read.
    pub resource: &'a DonationPlatform,
    /// The resource with every default filled in.
    pub platform: Box<Platform>,
    /// The same for the last spec whose migration completed; `None` if the status does not record one.
    pub served: Option<Box<Platform>>,
    /// The time of the pass.
    pub now: Timestamp,
    /// The objects in the cluster, the writes of this pass included.
    pub observed: Observed,
    /// The objects that the platform is to have.
    pub children: Vec<Child>,
    /// State of the migration that the rendered image needs.
    pub migration: MigrationState,
}

impl<'a> Pass<'a> {
    /// Reads the cluster, renders the objects and judges the migration. Fails if a read fails.
    pub async fn begin(client: &'a ApiClient, resource: &'a DonationPlatform, now: Timestamp) -> Result<Self, Error> {
        let (platform, served) = (Box::new(resolve(resource)), served(resource).map(Box::new));
        let mut observed = Observed::fetch(client, &platform, served.as_deref()).await?;
        let children = build::children(&platform);
        observed.fetch_unlabelled(client, &platform, children.iter()).await?;
        let migration = migration::state(&platform, &observed, &children, migration::recorded(resource));
        let mut pass = Self { client, resource, platform, served, now, observed, children, migration };
        pass.set_secret_versions();
        Ok(pass)
    }

    /// The platform's name and UID, by which the ownership of objects is decided.
    pub fn identity(&self) -> Identity<'_> {
        Identity { name: &self.platform.name, uid: &self.platform.uid }
    }

    /// The last migration that completed, as the status says.
    pub fn recorded(&self) -> Option<&'a MigrationStatus> {
        migration::recorded(self.resource)
    }

    /// Whether objects that wait for the schema may be written.
    pub fn is_migrated(&self) -> bool {
        self.migration == MigrationState::Complete
    }

    /// Updates the hash of the Secrets in the pods' templates to what was observed last.
    pub fn set_secret_versions(&mut self) {
        let versions: BTreeMap<String, String> = self.observed.secret_versions();
        for child in &mut self.children {
            child.set_secret_versions(&versions);
        }
    }

    /// The version that served before, with its objects. `None` if the status does not record it, or if it served on another volume
    /// than the present one.
    pub fn served_children(&self) -> Option<(&Platform, Vec<Child>)> {
        let served = self.served.as_deref()?;
        let job = migration::job(&self.children)?;
        self.recorded().filter(|record| migration::is_of_this_volume(record, &job.object, &self.observed))?;
        let versions = self.observed.secret_versions();
        let mut children = build::children(served);
        for child in &mut children {
            child.set_secret_versions(&versions);
        }
        Some((served, children))
    }
}

/// The platform of the last spec whose migration completed, as the status records it. `None` if there is none, or if another
/// release recorded it in a form that this one cannot read.
fn served(resource: &DonationPlatform) -> Option<Platform> {
    let spec = resource.status.as_ref()?.served_spec.clone()?;
    match serde_json::from_value(spec) {
        Ok(spec) => Some(resolve(&DonationPlatform { spec, ..resource.clone() })),
        Err(error) => {
            tracing::warn!(error = chain(&error), "status.servedSpec cannot be read");
            None
        }
    }
}
