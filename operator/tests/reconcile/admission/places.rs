//! Where the paths of the schema are in a resource, and changes there.

use serde_json::{Value, json};

use super::cases::{accepted, bases, merge};
use super::schema::nodes;
use crate::harness::Result;

/// Where a path of the schema is in an object: by the first item of each list and map on the way.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) pointer: String,
    /// The two forms in which the API server names the field in its errors.
    pub(super) fields: [String; 2],
}

pub(super) fn locate(object: &Value, path: &str) -> Option<Place> {
    let mut place = Place { pointer: String::new(), fields: [String::new(), String::new()] };
    let mut here = object;
    for segment in path.split('.') {
        let name = segment.trim_end_matches(['[', ']', '{', '}']);
        place.pointer.extend(["/", name]);
        for field in &mut place.fields {
            let dot = if field.is_empty() { "" } else { "." };
            field.extend([dot, name]);
        }
        here = here.get(name)?;
        if segment.ends_with("[]") {
            here = here.get(0)?;
            place.pointer.push_str("/0");
            place.fields.iter_mut().for_each(|field| field.push_str("[0]"));
        } else if segment.ends_with("{}") {
            let (key, value) = here.as_object()?.iter().next()?;
            here = value;
            place.pointer.extend(["/", &key.replace('~', "~0").replace('/', "~1")]);
            place.fields[0].extend(["[", key, "]"]);
            place.fields[1].extend([".", key]);
        }
    }
    Some(place)
}

/// The path of the schema for a field as the API server writes it.
pub(super) fn schema_path(field: &str) -> String {
    if field == "<nil>" {
        return String::new();
    }
    let mut parts = field.split('[');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once(']').unwrap_or((part, ""));
        let is_index = inner.chars().all(|letter| letter.is_ascii_digit());
        path.push_str(if is_index { "[]" } else { "{}" });
        path.push_str(rest);
    }
    path
}

pub(super) fn is_at(path: &str, at: &str) -> bool {
    path == at || path.ends_with(&format!(".{at}"))
}

/// The first base that has something at `path`, changed there.
pub(super) fn changed(path: &str, change: &Value) -> Option<(&'static str, Value)> {
    bases().into_iter().find_map(|(name, base)| {
        let mut object = json!({"spec": base});
        let place = locate(&object, path)?;
        merge(object.pointer_mut(&place.pointer)?, change);
        Some((name, object["spec"].take()))
    })
}

/// A place where a base is changed in a way that is accepted.
pub(crate) struct Accepted {
    pub(crate) path: String,
    pub(crate) change: Value,
    pub(crate) base: &'static str,
    /// What the base is then.
    pub(crate) spec: Value,
}

/// Every change that is accepted, in each of its places.
pub(crate) fn accepted_changes() -> Result<Vec<Vec<Accepted>>> {
    let nodes = nodes();
    let mut changes = Vec::new();
    for (at, change) in accepted() {
        let mut places = Vec::new();
        for node in nodes.iter().filter(|node| node.is_of_spec() && is_at(&node.path, at)) {
            // This is another field of the same name.
            if node.schema.get("properties").is_some() != change.is_object() && node.schema.get("additionalProperties").is_none() {
                continue;
            }
            let (base, spec) = changed(&node.path, &change).ok_or_else(|| format!("no base has {}", node.path))?;
            places.push(Accepted { path: node.path.clone(), change: change.clone(), base, spec });
        }
        assert!(!places.is_empty(), "there is no {at}");
        changes.push(places);
    }
    Ok(changes)
}
