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

/// One pass over one platform. Objects are rendered once and the migration is judged once; what is written afterwards updates both.
pub struct Pass<'a> {
    /// The client of the API server.
    pub client: &'a ApiClient,
    /// The resource.
    pub resource: &'a DonationPlatform,
    /// The resource with every default.
    pub platform: Box<Platform>,
    /// The same of the last spec whose migration had completed, where the status says it.
    pub served: Option<Box<Platform>>,
    /// The time of the pass.
    pub now: Timestamp,
    /// The objects in the cluster, the writes of this pass included.
    pub observed: Observed,
    /// The objects that the platform is to have.
    pub children: Vec<Child>,
    /// State of the migration.
    pub migration: MigrationState,
}

impl<'a> Pass<'a> {
    /// Reads the cluster, renders the objects and judges the migration.
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

    /// The platform, for judging whose an object is.
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

    /// Tells the pods' templates the Secrets' content as it is now.
    pub fn set_secret_versions(&mut self) {
        let versions: BTreeMap<String, String> = self.observed.secret_versions();
        for child in &mut self.children {
            child.set_secret_versions(&versions);
        }
    }

    /// The objects of the version that served before, which the status records, if it served on the volume that is there now.
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

/// The platform as the last spec asked for it whose migration had completed. What another release recorded and this one cannot read
/// counts as not recorded.
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
