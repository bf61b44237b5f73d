//! Every rule of the definition refuses what breaks it, and what cannot be changed stays.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use kube::api::{Patch, PatchParams};
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use super::asking::{Server, all, complaints, expect};
use super::cases::{changes, merged, refused, smallest};
use super::places::{changed, is_at, schema_path};
use super::schema::{Node, Rule, nodes, rules};
use crate::harness::Result;

/// Path and message of each rule that was broken; whole complaints that are of no rule.
fn broken_rules(rules: &[Rule], causes: Vec<StatusCause>) -> BTreeSet<(String, String)> {
    let read = |cause: StatusCause| {
        let path = schema_path(&cause.field);
        let rule = rules.iter().find(|rule| rule.path == path && cause.message.ends_with(&format!(": {}", rule.message)));
        (path, rule.map_or(cause.message, |rule| rule.message.clone()))
    };
    causes.into_iter().map(read).collect()
}

fn is_of_change(rule: &Rule) -> bool {
    rule.cel.contains("oldSelf")
}

/// One refusal in one place.
struct Refusal {
    what: String,
    base: &'static str,
    spec: Value,
    /// Path and message of the rule.
    rule: (String, String),
}

fn refusals(nodes: &[Node], rules: &[Rule]) -> Result<Vec<Refusal>> {
    let mut found = Vec::new();
    for (at, change, message) in refused() {
        let before = found.len();
        for node in nodes.iter().filter(|node| node.is_of_spec() && is_at(&node.path, at)) {
            let is_inside =
                |rule: &Rule| rule.path.strip_prefix(&node.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']));
            let Some(rule) = rules.iter().find(|rule| is_inside(rule) && rule.message.starts_with(message)) else { continue };
            let (base, spec) = changed(&node.path, &change).ok_or_else(|| format!("no base has {}", node.path))?;
            let what = format!("{} changed by {change}", node.path);
            found.push(Refusal { what, base, spec, rule: (rule.path.clone(), rule.message.clone()) });
        }
        if found.len() == before {
            return Err(format!("no rule at {at} says {message:?}").into());
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_rule_refuses_what_breaks_it_with_its_message_whichever_way_it_comes() -> Result {
    let server = Server::with_bases("admission-rules").await?;
    let (nodes, rules) = (nodes(), rules());
    let refusals = refusals(&nodes, &rules)?;
    let (server, rules) = (&server, &rules);
    let tried = stream::iter(refusals).map(|refusal| async move {
        let expected = BTreeSet::from([refusal.rule.clone()]);
        let stored = &server.stored[refusal.base];
        let result = async {
            expect(&expected, async || Ok(broken_rules(rules, server.create("refused", &refusal.spec).await?))).await?;
            expect(&expected, async || Ok(broken_rules(rules, server.apply("refused", &refusal.spec).await?))).await?;
            // It may break a rule about changes as well.
            let other = |(path, message): &(String, String)| {
                !rules.iter().any(|rule| is_of_change(rule) && rule.path == *path && rule.message == *message)
            };
            expect(&expected, async || {
                Ok(broken_rules(rules, server.update(stored, &refusal.spec).await?).into_iter().filter(other).collect())
            })
            .await?;
            Ok(refusal.rule.clone())
        };
        (refusal.what.clone(), result.await)
    });
    let seen: BTreeSet<(String, String)> = all(tried).await?.into_iter().collect();
    let expected: BTreeSet<(String, String)> = rules
        .iter()
        .filter(|rule| !is_of_change(rule) && !rule.path.is_empty())
        .map(|rule| (rule.path.clone(), rule.message.clone()))
        .collect();
    let never: Vec<_> = expected.difference(&seen).collect();
    assert!(never.is_empty(), "no case breaks {never:#?}");
    Ok(())
}

#[tokio::test]
async fn a_name_that_services_cannot_have_is_refused() -> Result {
    let server = Server::new("admission-names").await?;
    let rules = rules();
    let mut seen = BTreeSet::new();
    for (name, message) in [
        ("e".repeat(41), "metadata.name is longer"),
        ("1a".to_owned(), "metadata.name must start"),
        ("a.b".to_owned(), "metadata.name must start"),
    ] {
        let rule = rules.iter().find(|rule| rule.path.is_empty() && rule.message.starts_with(message)).ok_or(message)?;
        let expected = BTreeSet::from([(String::new(), rule.message.clone())]);
        expect(&expected, async || Ok(broken_rules(&rules, server.create(&name, &smallest()).await?))).await?;
        expect(&expected, async || Ok(broken_rules(&rules, server.apply(&name, &smallest()).await?))).await?;
        seen.extend(expected);
    }
    assert_eq!(seen.len(), rules.iter().filter(|rule| rule.path.is_empty()).count());
    for name in ["e".repeat(40), "e".to_owned(), "casa-2".to_owned()] {
        expect(&Vec::new(), async || server.create(&name, &smallest()).await).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_changed_stays_and_the_rest_can() -> Result {
    let server = Server::new("admission-changes").await?;
    let rules = rules();
    let mut seen = BTreeSet::new();
    for (number, (before, change, message)) in changes().into_iter().enumerate() {
        let name = format!("change-{number}");
        let (before, after) = (merged(&smallest(), &before), merged(&merged(&smallest(), &before), &change));
        let stored = server.store(&name, &before).await?;
        let rule = rules.iter().find(|rule| is_of_change(rule) && rule.message.starts_with(message)).filter(|_| !message.is_empty());
        let expected: BTreeSet<(String, String)> = rule.map(|rule| (rule.path.clone(), rule.message.clone())).into_iter().collect();
        assert_eq!(expected.is_empty(), message.is_empty(), "{message}");
        let what = |error| format!("{before} to {after}: {error}");
        expect(&expected, async || Ok(broken_rules(&rules, server.update(&stored, &after).await?))).await.map_err(what)?;
        expect(&expected, async || Ok(broken_rules(&rules, server.apply(&name, &after).await?))).await.map_err(what)?;
        seen.extend(expected);
    }
    let all: BTreeSet<(String, String)> =
        rules.iter().filter(|rule| is_of_change(rule)).map(|rule| (rule.path.clone(), rule.message.clone())).collect();
    assert_eq!(seen, all);
    Ok(())
}

#[tokio::test]
async fn the_scale_subresource_keeps_the_rules() -> Result {
    let server = Server::new("admission-scale").await?;
    server.store("esperanca", &smallest()).await?;
    let rules = rules();
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        complaints(server.platforms.patch_scale("esperanca", &PatchParams::default(), &patch).await)
    };
    let rule = rules.iter().find(|rule| rule.message.starts_with("pooler.maxClientConnections is too small")).ok_or("no rule")?;
    let expected = BTreeSet::from([(rule.path.clone(), rule.message.clone())]);
    expect(&expected, async || Ok(broken_rules(&rules, scale(42).await?))).await?;
    for replicas in [101, 0, -1] {
        assert!(!scale(replicas).await?.is_empty(), "{replicas}");
    }
    expect(&Vec::new(), async || scale(41).await).await?;
    assert_eq!(server.world.platforms().get("esperanca").await?.spec.api.replicas, 41);
    Ok(())
}
