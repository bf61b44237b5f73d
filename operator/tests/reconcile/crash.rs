//! Whenever the operator ends, and however the network is, the objects come out the same.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::harness::{Result, World, assert_same, drive, picture, world};

/// Most platforms that one test makes at the same time.
const PLATFORMS_AT_ONCE: usize = 4;

/// Everything that a change of the resource can make the operator write.
fn changed() -> Value {
    json!({
        "deletionPolicy": "Retain",
        "image": {"tag": "0.9.9"},
        "ingress": {"host": "outra.example.org"},
        "api": {"replicas": 6, "autoscaling": {"minReplicas": 3, "maxReplicas": 9}},
    })
}

/// A moment at which the operator ends.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Number of a write, from 1.
    write: u64,
    /// Whether the operator still sends that write.
    arrives: bool,
}

/// The first moment, and every `step`-th after it.
fn ends(arrives: bool, step: usize) -> impl Iterator<Item = End> {
    (1..).step_by(step).map(move |write| End { write, arrives })
}

/// The creation of a platform, or a change of one.
struct Story {
    name: &'static str,
    change: Option<Value>,
    /// The platform in the end if the operator does not end on the way.
    expected: BTreeMap<String, Value>,
}

impl Story {
    async fn new(name: &'static str, change: Option<Value>) -> Result<Self> {
        let mut story = Self { name, change, expected: BTreeMap::new() };
        let world = story.begin("whole").await?;
        drive(&world).await?;
        story.expected = picture(&world).await?;
        assert!(story.expected.len() > 6, "{:?}", story.expected.keys());
        Ok(story)
    }

    /// A world in which the story can begin.
    async fn begin(&self, what: &str) -> Result<World> {
        let world = world(&format!("{}-{what}", self.name)).await?;
        world.create(json!({"deletionPolicy": "Delete"})).await?;
        if let Some(change) = &self.change {
            drive(&world).await?;
            world.change(change.clone()).await?;
        }
        Ok(world)
    }

    /// Lets the operator end at that moment and start again. Returns whether the moment came.
    async fn is_the_same_with(&self, end: End) -> Result<bool> {
        let End { write, arrives } = end;
        let world = self.begin(&format!("{}-{write}", if arrives { "after" } else { "before" })).await?;
        world.faults.end_at(write, arrives);
        drive(&world).await.map_err(|error| format!("{end:?}: {error}"))?;
        assert_same(&picture(&world).await?, &self.expected, &format!("{end:?}"));
        Ok(!world.faults.is_pending())
    }

    /// Tries these moments, up to the first one that does not come, which has more than `least` writes before it.
    async fn is_the_same_with_each(&self, ends: impl Iterator<Item = End>, least: u64) -> Result {
        let tries = stream::iter(ends).map(|end| async move { (end.write, self.is_the_same_with(end).await) });
        let mut tries = Box::pin(tries.buffered(PLATFORMS_AT_ONCE));
        while let Some((write, came)) = tries.next().await {
            if !came? {
                assert!(write > least, "only {write} writes");
                break;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn wherever_it_ends_while_creating_the_result_is_the_same() -> Result {
    let story = Story::new("creates", None).await?;
    // It ends after every write; and before a sample of them, since that is the same as after the one before it.
    story.is_the_same_with_each(ends(true, 1), 10).await?;
    story.is_the_same_with_each(ends(false, 15), 10).await
}

#[tokio::test]
async fn wherever_it_ends_while_changing_the_result_is_the_same() -> Result {
    let story = Story::new("changes", Some(changed())).await?;
    // A sample is enough: the order of the writes is the same as in a creation.
    story.is_the_same_with_each(ends(true, 6), 8).await?;
    story.is_the_same_with_each(ends(false, 9), 8).await
}

#[tokio::test]
#[ignore = "finer samples of the same; make test-full runs it"]
async fn wherever_it_ends_in_finer_samples_the_result_is_the_same() -> Result {
    let story = Story::new("creates-finer", None).await?;
    story.is_the_same_with_each(ends(false, 5), 10).await?;
    let story = Story::new("changes-finer", Some(changed())).await?;
    story.is_the_same_with_each(ends(true, 2), 8).await?;
    story.is_the_same_with_each(ends(false, 5), 8).await
}

#[tokio::test]
async fn with_a_fifth_of_all_requests_failing_it_still_converges() -> Result {
    let world = world("faulty").await?;
    world.create(json!({})).await?;
    world.faults.fail_one_in(5);
    let passes = drive(&world).await?;
    world.faults.fail_one_in(0);
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert!(passes < 150, "{passes} passes");
    println!("{passes} passes, {} requests", world.faults.requests());
    Ok(())
}
