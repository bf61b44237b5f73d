//! One look at one platform: observe, validate, build, apply, prune, report.
//!
//! Waiting is data ([`Progress`], [`Hold`]), failing is an [`Error`] with a class. Nothing is written when everything is
//! as it shall be, and nothing that is somebody else's is written at all.

pub mod apply;
pub mod causes;
pub mod certificate;
pub mod current;
pub mod events;
pub mod migrate;
pub mod observe;
pub mod ownership;
pub mod progress;
pub mod prune;
pub mod reason;
pub mod report;
pub mod retention;
pub mod scale;
pub mod secret_values;
pub mod status;
pub mod validate;

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::Reporter;

use self::apply::{Applied, Versions};
use self::observe::Observed;
pub use self::reason::Reason;
use self::report::{Look, report};
use crate::build::{self, Child, Inputs, Part};
use crate::cluster::Cluster;
use crate::crd::{DonationPlatform, MigrationStatus};
use crate::error::Error;
use crate::resolve::{Platform, resolve};
use crate::telemetry::chain;

/// How far something is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is there.
    Ready {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
    /// Something has to happen first.
    Waiting {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
}

/// Why nothing is written at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// In one word.
    pub reason: Reason,
    /// What it is and how to end it.
    pub message: String,
    /// Whether it ends by itself.
    pub waiting: bool,
}

/// What a reconcile works with.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub cluster: Cluster,
    /// Who reports Events.
    pub reporter: Reporter,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything is as it shall be; changes wake the next look.
    Settled,
    /// Something has to happen in the cluster first; look again after this at the latest.
    Waiting(Duration),
}

/// Brings one platform closer to what its resource says.
pub async fn reconcile(context: &Context, resource: &DonationPlatform, now: Timestamp) -> Result<Outcome, Error> {
    // The garbage collector removes what is owned, and the rest is to stay.
    if resource.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Settled);
    }
    let cluster = &context.cluster;
    let platform = resolve(resource);
    let served = served(resource);
    let mut observed = Observed::fetch(cluster, &platform, served.as_ref()).await?;
    let first = rendered(&platform, &observed);
    observed.fetch_unlabelled(cluster, &platform, &first).await?;
    let record = migrate::recorded(resource);
    let before = Before { record, served: served.as_ref() };
    let hold = validate::hold(&platform, &observed, resource.status.as_ref(), &first);
    let mut written = Written::default();
    let failed = match hold {
        None if !platform.spec.paused => write(cluster, resource, &platform, before, &mut observed, &first, now, &mut written).await.err(),
        _ => None,
    };
    let children = rendered(&platform, &observed);
    let migration = migrate::state(&platform, &observed, &children, record);
    let Written { applied, retry } = written;
    let (children, observed) = (&children, &observed);
    report(context, Look { resource, platform: &platform, children, observed, migration, applied, hold, retry, failed }, now).await
}

/// What the status says of the passes before.
#[derive(Clone, Copy)]
struct Before<'a> {
    /// The last migration that completed.
    record: Option<&'a MigrationStatus>,
    /// The platform as the last spec asked for it whose migration had completed.
    served: Option<&'a Platform>,
}

/// The platform as the last spec asked for it whose migration had completed. What an older release recorded and this one cannot
/// read counts as not recorded.
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

/// What was written.
#[derive(Default)]
struct Written {
    /// What came of it.
    applied: Vec<Applied>,
    /// How long until a failed migration is tried again.
    retry: Option<Duration>,
}

/// Everything that changes something, in the order in which one needs the other.
async fn write(
    cluster: &Cluster,
    resource: &DonationPlatform,
    platform: &Platform,
    before: Before<'_>,
    observed: &mut Observed,
    first: &[Child],
    now: Timestamp,
    written: &mut Written,
) -> Result<(), Error> {
    let secrets = apply::secrets(cluster, observed, platform, first).await?;
    // The first administrator's password is for the migration alone.
    let complete = secrets.waiting.is_empty() && secrets.refused.iter().all(|(part, _)| *part == Part::Migrate);
    let may_migrate = secrets.refused.is_empty() && validate::named_secret(Part::Migrate, platform, observed).is_none();
    written.applied.push(secrets);
    // A database that is made without its keys would have none that fit it, ever.
    if !complete {
        return Ok(());
    }
    written.applied.push(certificate::apply(cluster, observed, platform, first, now).await?);
    retention::apply(cluster, observed, platform).await?;
    // Now that the Secrets exist, so do the hashes of their content in the pods' annotations.
    let children = rendered(platform, observed);
    let database_ready = is_ready(resource, Part::Postgres, &children, observed);
    let migration = migrate::state(platform, observed, &children, before.record);
    let mut migrated = Applied::default();
    let mut failed = None;
    if may_migrate {
        // The version that serves is kept whatever becomes of the Job.
        match migrate::run(cluster, observed, &children, &migration, database_ready, now).await {
            Ok(retry) => written.retry = retry,
            Err(error) if error.is_refusal() => migrated.refused.push((Part::Migrate, error)),
            Err(error) => failed = Some(error),
        }
    }
    written.applied.extend([migrated, Applied::default()]);
    if let Some(applied) = written.applied.last_mut() {
        let served = before.served.filter(|_| serves_this_volume(before.record, observed, &children));
        apply::children(cluster, observed, Versions { wanted: platform, served }, &children, &migration, applied).await?;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let migration = migrate::state(platform, observed, &children, before.record);
    prune::prune(cluster, observed, platform, &children, &migration, before.record).await
}

/// Whether the version that was served before belongs to the volume that is there now. On another one it could not run.
fn serves_this_volume(record: Option<&MigrationStatus>, observed: &Observed, children: &[Child]) -> bool {
    let job = migrate::job(children);
    record.zip(job).is_some_and(|(record, job)| migrate::is_of_this_volume(record, &job.object, observed))
}

fn rendered(platform: &Platform, observed: &Observed) -> Vec<Child> {
    build::children(&Inputs { platform, secret_versions: &observed.secret_versions() })
}

fn is_ready(resource: &DonationPlatform, part: Part, children: &[Child], observed: &Observed) -> bool {
    let was_ready = status::was_true(resource, part.condition());
    // A platform without a database of its own waits for none.
    progress::of_part(part, children, observed, &migrate::State::Absent, was_ready)
        .is_none_or(|progress| matches!(progress, Progress::Ready { .. }))
}
