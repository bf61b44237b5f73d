//! The volume of the database.

use kube::api::DeleteParams;
use serde_json::json;

use crate::harness::names::DATABASE;
use crate::harness::{Result, ready};

#[tokio::test]
async fn a_volume_that_was_there_before_with_another_size_is_told() -> Result {
    for (namespace, size, told) in [("same-size", "10240Mi", false), ("other-size", "5Gi", true)] {
        let world = ready(namespace, json!({})).await?;
        world.claim_volume(Some(size)).await?;
        world.settle().await?;
        let (state, message) = world.condition("DatabaseReady").await?;
        assert_eq!(state, "True/Available");
        assert_eq!(message.contains("was made with 5Gi and not with the 10Gi of storage.size"), told, "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_volume_that_is_being_removed_under_a_running_database_is_said_and_nothing_is_touched() -> Result {
    let world = ready("removed", json!({})).await?;
    world.claim_volume(None).await?;
    let name = format!("data-{DATABASE}-0");
    let held = json!({"metadata": {"finalizers": ["example.org/held"]}});
    world.merge("PersistentVolumeClaim", &name, held).await?;
    world.settle().await?;
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    let writes = world.writes();
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/VolumeBeingRemoved");
    assert!(message.contains("dump the database now"), "{message}");
    assert_eq!(world.writes(), writes + 1, "the status alone");
    world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await?;
    Ok(())
}
