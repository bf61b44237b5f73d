//! A Secret with a value that no part can use is named before anything rolls.

use k8s_openapi::ByteString;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::harness::names::{API, DATABASE, KEYS, POOLER, REDIS};
use crate::harness::{Result, World, ready, world};

const PASSWORDS: &str = "esperanca-database";

fn encoded(value: &[u8]) -> Value {
    json!(ByteString(value.to_vec()))
}

async fn put(world: &World, secret: &str, key: &str, value: &[u8]) -> Result {
    world.merge("Secret", secret, json!({"data": {key: encoded(value)}})).await
}

/// Generations of everything that could roll.
async fn workloads(world: &World) -> Result<Vec<Option<i64>>> {
    let mut generations = Vec::new();
    for (kind, name) in [("StatefulSet", DATABASE), ("Deployment", POOLER), ("Deployment", REDIS), ("Deployment", API)] {
        generations.push(world.get(kind, name).await?.metadata.generation);
    }
    Ok(generations)
}

#[tokio::test]
async fn a_password_or_key_that_no_part_can_use_is_named_and_nothing_rolls() -> Result {
    let world = ready("unusable", json!({})).await?;
    let before = workloads(&world).await?;
    let long = [b'a'; 1025];
    for (secret, key, value, fault) in [
        (PASSWORDS, "app-password", &b""[..], "is empty"),
        (PASSWORDS, "app-password", b"one\ntwo\n", "has more than one line"),
        (PASSWORDS, "app-password", b"one\0two", "holds a NUL byte"),
        (PASSWORDS, "app-password", b"one\r\n", "ends with a carriage return"),
        (PASSWORDS, "app-password", b"\xff\xfe", "is not UTF-8 text"),
        (PASSWORDS, "app-password", &long, "is longer than 1024 bytes"),
        (PASSWORDS, "app-password", b"md5d41d8cd98f00b204e9800998ecf8427e", "looks like the hash of a password"),
        (PASSWORDS, "owner-password", b"\n", "is empty"),
        (PASSWORDS, "owner-password", b"tab\tinside", "holds a character that a login to PostgreSQL does not allow"),
        ("esperanca-redis", "password", b"one\ntwo", "has more than one line"),
        (KEYS, "email.key", b"k1 tooshort\n", "is no list of keys: line 1"),
    ] {
        let good = world.get("Secret", secret).await?.data.pointer(&format!("/data/{key}")).cloned();
        put(&world, secret, key, value).await?;
        let writes = world.writes();
        world.settle().await?;
        assert_eq!(world.writes(), writes + 1, "{fault}: the status alone");
        let (state, message) = world.condition("Ready").await?;
        assert_eq!(state, "False/SecretIncomplete", "{message}");
        assert!(message.contains(&format!("Secret {secret} has a {key} that {fault}")), "{message}");
        assert_eq!(workloads(&world).await?, before, "{fault}: nothing rolls");
        world.merge("Secret", secret, json!({"data": {key: good}})).await?;
        world.settle().await?;
        assert_eq!(world.condition("Ready").await?.0, "True/Available", "{fault}");
        assert_eq!(workloads(&world).await?, before, "{fault}: the same password again");
    }
    // A password that every part can use rolls all of them, even if it is odd.
    put(&world, PASSWORDS, "app-password", "  \"çãé\" ' \\ % \n".as_bytes()).await?;
    world.settle().await?;
    let after = workloads(&world).await?;
    assert!(after[0] > before[0] && after[1] > before[1] && after[2] == before[2] && after[3] > before[3], "{before:?} {after:?}");
    Ok(())
}

#[tokio::test]
async fn no_database_is_made_with_a_password_that_cannot_be_used() -> Result {
    let world = world("unusable-from-the-start").await?;
    let labels = json!({"app.kubernetes.io/managed-by": "doacoes-operator", "app.kubernetes.io/instance": "esperanca"});
    let data = json!({"app-password": encoded(b""), "owner-password": encoded(b"good")});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": PASSWORDS, "labels": labels}, "data": data});
    world.add("Secret", secret).await?;
    world.create(json!({})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/SecretIncomplete");
    assert!(!world.exists("StatefulSet", DATABASE).await?);
    world.api("Secret")?.delete(PASSWORDS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("StatefulSet", DATABASE).await?);
    Ok(())
}

#[tokio::test]
async fn a_mail_url_that_the_api_refuses_keeps_its_pods_as_they_are() -> Result {
    let world = ready("unusable-mail", json!({})).await?;
    let before = workloads(&world).await?;
    world.add_secret("doe-mail", "Opaque", json!({"url": encoded(b"smtp.example.org")})).await?;
    world.change(json!({"mail": {"from": "doe@example.org", "secretName": "doe-mail"}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("ApiReady").await?;
    assert_eq!(state, "False/SecretIncomplete", "{message}");
    assert!(message.contains("Secret doe-mail") && message.contains("a url that is not the URL of a mail server"), "{message}");
    assert_eq!(workloads(&world).await?, before);
    put(&world, "doe-mail", "url", b"smtps://user:secret@smtp.example.org").await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert!(workloads(&world).await?[3] > before[3]);
    Ok(())
}

#[tokio::test]
async fn a_password_that_the_first_administrator_cannot_have_stops_the_migration_alone() -> Result {
    let world = ready("unusable-admin", json!({})).await?;
    let (before, jobs) = (workloads(&world).await?, world.names("Job").await?);
    let labels = json!({"app.kubernetes.io/managed-by": "doacoes-operator", "app.kubernetes.io/instance": "esperanca"});
    let data = json!({"password": encoded(b"short")});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "esperanca-admin", "labels": labels}, "data": data});
    world.add("Secret", secret).await?;
    world.change(json!({"firstAdmin": {"email": "admin@example.org"}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/SecretIncomplete", "{message}");
    assert!(message.contains("Secret esperanca-admin has a password that has not 8 to 150 characters"), "{message}");
    assert_eq!((workloads(&world).await?, world.names("Job").await?), (before, jobs.clone()));
    put(&world, "esperanca-admin", "password", b"long enough").await?;
    world.settle().await?;
    let job = world.names("Job").await?.into_iter().find(|name| !jobs.contains(name)).ok_or("no Job")?;
    world.finish_job(&job, "Complete", r#"{"schema": "20261101", "applied": 0}"#).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    // Nobody reads this password any more.
    put(&world, "esperanca-admin", "password", b"").await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert_eq!(world.migration_job().await?, job);
    Ok(())
}
