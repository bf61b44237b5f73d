//! The Job that brings the schema to what the API's image needs.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Container;
use serde_json::json;

use super::child::{ApplyPolicy, Child, Part};
use super::objects::{metadata, service_account};
use super::pod::{Pod, container, mount_read_only, pull_policy, secret, texts, variable};
use super::secrets::GeneratedSecret;
use super::{labels, postgres};
use crate::fingerprint::fingerprint;
use crate::resolve::Platform;

const PART: Part = Part::Migrate;
/// User of the API's image.
const USER_ID: i64 = 65_532;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let mut job = Child::of(platform, PART, &job(platform));
    job.policy = ApplyPolicy::Job;
    vec![service_account(platform, PART), job]
}

fn job(platform: &Platform) -> Job {
    let mut volumes = vec![secret("database", &GeneratedSecret::Database.name(platform), &["owner-password"])];
    if platform.spec.first_admin.is_some() {
        let mut admin = secret("admin", &GeneratedSecret::Admin.name(platform), &["password"]);
        if let Some(source) = &mut admin.secret {
            // Where there is an administrator already, nobody needs it.
            source.optional = Some(true);
        }
        volumes.push(admin);
    }
    let pod = Pod {
        part: PART,
        tier: &platform.migrate,
        user: USER_ID,
        grace_seconds: None,
        init_containers: Vec::new(),
        container: migrate(platform),
        volumes,
        files: None,
        spread: &[],
    };
    let mut template = pod.template(platform);
    if let Some(spec) = &mut template.spec {
        spec.restart_policy = Some("Never".to_owned());
    }
    let mut metadata = metadata(platform, PART);
    // Another image or setting is another migration; a changed Secret is not. Ten digits, so that the longest name of a
    // platform leaves room for it in a label.
    let hash: String = fingerprint(&json!(template.spec)).chars().take(10).collect();
    metadata.name = Some(format!("{}-{hash}", labels::name(platform, PART)));
    // A Job is never changed, so a hash that may change has no place in it.
    if let Some(metadata) = &mut template.metadata {
        metadata.annotations = None;
    }
    Job {
        metadata,
        spec: Some(JobSpec { active_deadline_seconds: Some(900), backoff_limit: Some(2), template, ..JobSpec::default() }),
        status: None,
    }
}

fn migrate(platform: &Platform) -> Container {
    let tier = &platform.migrate;
    // The server itself: a pooler in transaction mode cannot hold the lock that keeps two apart.
    let url = format!("postgres://dono@{}:{}/doacoes", labels::name(platform, Part::Postgres), postgres::PORT);
    let mut args = texts(&["migrate", "--wait", "120", "--result", "/dev/termination-log"]);
    let mut mounts = vec![mount_read_only("database", "/run/secrets/doacoes/database")];
    if let Some(admin) = &platform.spec.first_admin {
        // In one word: an address may begin with a hyphen.
        args.push(format!("--first-admin={}", admin.email));
        args.extend(texts(&["--first-admin-password-file", "/run/secrets/doacoes/admin/password"]));
        mounts.push(mount_read_only("admin", "/run/secrets/doacoes/admin"));
    }
    Container {
        args: Some(args),
        env: Some(vec![
            variable("MIGRATION_DATABASE_URL", &url),
            variable("MIGRATION_DATABASE_PASSWORD_FILE", "/run/secrets/doacoes/database/owner-password"),
        ]),
        image_pull_policy: Some(pull_policy(platform)),
        volume_mounts: Some(mounts),
        ..container("migrate", &tier.image, &tier.resources)
    }
}
