//! Every bound of the definition: its own value is accepted, and the next one is refused.

use futures_util::{StreamExt as _, stream};
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use super::asking::{Server, all, expect};
use super::cases::bases;
use super::places::{Place, locate};
use super::schema::{Node, nodes};
use crate::harness::Result;

/// What the API server says against a value that is out of bounds.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Maximum,
    Minimum,
    Length,
    Count,
    Choice,
    Required,
}

impl Bound {
    fn is_meant(self, cause: &StatusCause) -> bool {
        let (reason, text) = match self {
            Self::Maximum => ("FieldValueInvalid", "should be less than or equal to"),
            Self::Minimum => ("FieldValueInvalid", "should be greater than or equal to"),
            Self::Length => ("FieldValueTooLong", ""),
            Self::Count => ("FieldValueTooMany", ""),
            Self::Choice => ("FieldValueNotSupported", ""),
            Self::Required => ("FieldValueRequired", ""),
        };
        cause.reason == reason && cause.message.contains(text)
    }
}

/// A value at a bound or beyond it.
struct Probe {
    what: String,
    spec: Value,
    place: Place,
    bound: Bound,
    is_beyond: bool,
}

/// The values at the bounds of a node, and those just beyond.
fn extremes(node: &Node, value: &Value) -> Vec<(Bound, Value, bool)> {
    let number = |key: &str| node.schema.get(key).and_then(Value::as_f64).and_then(|number| format!("{number:.0}").parse::<i64>().ok());
    let count = |key: &str| number(key).and_then(|number| usize::try_from(number).ok());
    let mut found = Vec::new();
    if let Some(maximum) = number("maximum") {
        found.extend([(Bound::Maximum, json!(maximum), false), (Bound::Maximum, json!(maximum.saturating_add(1)), true)]);
    }
    if let Some(minimum) = number("minimum") {
        found.extend([(Bound::Minimum, json!(minimum), false), (Bound::Minimum, json!(minimum.saturating_sub(1)), true)]);
    }
    let mut sizes = |bound, maximum: usize, of_size: &dyn Fn(usize) -> Value| {
        found.extend([(bound, of_size(maximum), false), (bound, of_size(maximum.saturating_add(1)), true)]);
    };
    if let Some(maximum) = count("maxLength") {
        sizes(Bound::Length, maximum, &|size| json!("1".repeat(size)));
    }
    if let Some(maximum) = count("maxItems") {
        sizes(Bound::Count, maximum, &|size| json!(vec![value[0].clone(); size]));
    }
    if let Some(maximum) = count("maxProperties") {
        let member = value.as_object().and_then(|members| members.values().next()).cloned().unwrap_or_default();
        sizes(Bound::Count, maximum, &|size| (0..size).map(|number| (format!("key-{number}"), member.clone())).collect());
    }
    if let Some(choices) = node.schema.get("enum").and_then(Value::as_array) {
        found.extend(choices.iter().map(|choice| (Bound::Choice, choice.clone(), false)));
        found.push((Bound::Choice, json!("Neither"), true));
    }
    found
}

fn probes(nodes: &[Node]) -> Result<Vec<Probe>> {
    let bases: Vec<Value> = bases().into_iter().map(|(_, spec)| json!({"spec": spec})).collect();
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| node.is_of_spec()) {
        let (base, place) =
            bases.iter().find_map(|base| Some((base, locate(base, &node.path)?))).ok_or_else(|| format!("no base has {}", node.path))?;
        let value = base.pointer(&place.pointer).ok_or("it was found there")?;
        for (bound, extreme, is_beyond) in extremes(node, value) {
            let mut object = base.clone();
            let what = format!("{} as {}", node.path, extreme.to_string().chars().take(40).collect::<String>());
            *object.pointer_mut(&place.pointer).ok_or("it was found there")? = extreme;
            found.push(Probe { what, spec: object["spec"].take(), place: place.clone(), bound, is_beyond });
        }
        for member in node.schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let mut object = base.clone();
            object.pointer_mut(&place.pointer).and_then(Value::as_object_mut).ok_or("it is an object")?.remove(member);
            let place = locate(base, &format!("{}.{member}", node.path)).ok_or("it was found there")?;
            let what = format!("{} without {member}", node.path);
            found.push(Probe { what, spec: object["spec"].take(), place, bound: Bound::Required, is_beyond: true });
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_bound_holds_and_is_no_narrower_than_it_says() -> Result {
    let server = Server::new("admission-bounds").await?;
    let probes = probes(&nodes())?;
    assert!(probes.len() > 500, "{}", probes.len());
    let server = &server;
    let tried = stream::iter(probes).map(|probe| async move {
        let is_refused = async || {
            let causes = server.create("bounds", &probe.spec).await?;
            Ok(causes.iter().any(|cause| probe.place.fields.contains(&cause.field) && probe.bound.is_meant(cause)))
        };
        let result = expect(&probe.is_beyond, is_refused).await;
        (format!("{:?} of {}", probe.bound, probe.what), result)
    });
    all(tried).await?;
    Ok(())
}
