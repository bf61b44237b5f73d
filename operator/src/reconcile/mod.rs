//! One pass over one platform: observe, validate, build, apply, prune, report.
//!
//! Waiting is data ([`Progress`], [`Blocker`]), and a failure is an [`Error`] with a class. Nothing is written when everything is
//! as the resource says, and objects that belong to somebody else are never written.

pub mod apply;
pub mod causes;
pub mod certificate;
pub mod condition;
pub mod context;
pub mod current;
pub mod events;
pub mod migrate;
pub mod migration;
pub mod observe;
pub mod outcome;
pub mod ownership;
pub mod pass;
pub mod progress;
pub mod prune;
pub mod reason;
pub mod report;
pub mod retention;
pub mod scale;
pub mod secret_values;
pub mod status;
pub mod validate;
pub mod writer;

use jiff::Timestamp;

use self::apply::Written;
pub use self::context::Context;
pub use self::outcome::{Blocker, Outcome, Progress};
use self::pass::Pass;
pub use self::reason::Reason;
use self::report::report;
use crate::build::Part;
use crate::crd::DonationPlatform;
use crate::error::Error;

/// Brings one platform closer to what its resource says.
pub async fn reconcile(context: &Context, resource: &DonationPlatform, now: Timestamp) -> Result<Outcome, Error> {
    // The garbage collector removes what is owned, and the rest is to stay.
    if resource.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Settled);
    }
    let mut pass = Box::pin(Pass::begin(&context.client, resource, now)).await?;
    let blocker = validate::blocker(&pass);
    let mut written = Written::default();
    let mut failed = None;
    if blocker.is_none() && !pass.platform.spec.paused {
        failed = write(&mut pass, &mut written).await.err();
    }
    report(context, &pass, written, blocker, failed).await
}

/// Everything that changes something, in the order in which one needs the other.
async fn write(pass: &mut Pass<'_>, written: &mut Written) -> Result<(), Error> {
    written.secrets = apply::secrets(pass).await?;
    // Without its Secrets a database must not be made, since no later ones would fit it. Only the migration needs the first
    // administrator's password, so that Secret may be missing.
    if !written.secrets.waiting.is_empty() || written.secrets.refused.iter().any(|(part, _)| *part != Part::Migrate) {
        return Ok(());
    }
    written.certificate = certificate::apply(pass).await?;
    retention::apply(pass).await?;
    // The Secrets exist now, so the hashes of their content are known.
    pass.set_secret_versions();
    let may_migrate = written.secrets.refused.is_empty() && validate::named_secret(Part::Migrate, &pass.platform, &pass.observed).is_none();
    let mut failed = None;
    if may_migrate {
        // A failure is kept for later: the version that serves is still written if the Job cannot be made.
        match migrate::run(pass).await {
            Ok(retry) => written.retry = retry,
            Err(error) if error.is_refusal() => written.migration.refused.push((Part::Migrate, error)),
            Err(error) => failed = Some(error),
        }
    }
    apply::children(pass, &mut written.children).await?;
    match failed {
        Some(error) => Err(error),
        None => prune::prune(pass).await,
    }
}
