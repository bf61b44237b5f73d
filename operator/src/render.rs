//! Renders the objects of a resource without a cluster.

use kube::ResourceExt as _;
use serde_json::Value;

use crate::build;
use crate::crd::DonationPlatform;
use crate::resolve::resolve;

/// A file that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The file is no YAML or JSON of one `DonationPlatform`.
    #[error("the file is not one DonationPlatform")]
    Unreadable(#[from] Box<serde_saphyr::Error>),
    /// The file holds an object of another kind.
    #[error("the file holds a {found}, not a DonationPlatform")]
    Kind {
        /// Kind of the object that the file holds.
        found: String,
    },
    /// An object cannot be written.
    #[error("an object cannot be written")]
    Object(#[from] serde_json::Error),
}

/// UID of a resource that was never in a cluster.
const PLACEHOLDER_UID: &str = "00000000-0000-0000-0000-000000000000";

/// The objects that `text`, YAML or JSON of one resource, would create, in the order of creation. Generated data is replaced by
/// placeholders, and numbers of pods are where the operator writes them.
pub fn render(text: &str) -> Result<Vec<Value>, RenderError> {
    let value: Value = serde_saphyr::from_str(text).map_err(Box::new)?;
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("thing without a kind");
    if kind != "DonationPlatform" {
        return Err(RenderError::Kind { found: kind.to_owned() });
    }
    let mut resource: DonationPlatform = serde_json::from_value(value)?;
    resource.metadata.uid.get_or_insert_with(|| PLACEHOLDER_UID.to_owned());
    let namespace = resource.namespace().unwrap_or_else(|| "default".to_owned());
    resource.metadata.namespace = Some(namespace);
    let platform = resolve(&resource);
    build::children(&platform)
        .into_iter()
        .map(|child| {
            let mut object = serde_json::to_value(&child.object)?;
            let replicas = child.scale.map(|scale| match scale {
                build::Scale::Fixed(replicas) | build::Scale::Autoscaled(replicas) => replicas,
            });
            if let (Some(replicas), Some(Value::Object(spec))) = (replicas, object.get_mut("spec")) {
                spec.insert("replicas".to_owned(), replicas.into());
            }
            Ok(object)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST_RESOURCE: &str = "
apiVersion: doacoes.dev/v1alpha1
kind: DonationPlatform
metadata: {name: esperanca, namespace: ong}
spec:
  ingress: {host: doe.example.org}
";

    fn rendered(text: &str) -> Vec<Value> {
        render(text).unwrap_or_default()
    }

    #[test]
    fn the_smallest_resource_renders_the_same_each_time_and_in_its_namespace() {
        let objects = rendered(SMALLEST_RESOURCE);
        assert!(!objects.is_empty());
        assert_eq!(objects, rendered(SMALLEST_RESOURCE));
        for object in &objects {
            assert_eq!(object.pointer("/metadata/namespace"), Some(&"ong".into()), "{object}");
            for field in ["apiVersion", "kind"] {
                assert!(object.get(field).is_some(), "{field} of {object}");
            }
        }
    }

    #[test]
    fn the_number_of_pods_is_shown() {
        let text = format!("{SMALLEST_RESOURCE}  api: {{replicas: 7}}\n");
        let replicas: Vec<Value> = rendered(&text)
            .iter()
            .filter(|object| object.get("kind") == Some(&"Deployment".into()))
            .filter_map(|object| object.pointer("/spec/replicas").cloned())
            .collect();
        assert!(replicas.contains(&7.into()), "{replicas:?}");
    }

    #[test]
    fn no_generated_data_is_shown() {
        let secrets: Vec<Value> =
            rendered(SMALLEST_RESOURCE).into_iter().filter(|object| object.get("kind") == Some(&"Secret".into())).collect();
        assert!(!secrets.is_empty());
        for secret in secrets {
            let data = secret.get("stringData").and_then(Value::as_object);
            assert!(
                data.is_some_and(|data| data.values().all(|value| value.as_str().is_some_and(|text| text.contains("generated")))),
                "{secret}"
            );
        }
    }

    #[test]
    fn another_kind_and_hostile_yaml_are_refused() {
        assert!(matches!(render("kind: Deployment"), Err(RenderError::Kind { found }) if found == "Deployment"));
        assert!(render("a: [").is_err());
        let laughs = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n\
                      d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n\
                      g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: [*g, *g, *g, *g, *g, *g, *g, *g, *g]\n";
        assert!(matches!(render(laughs), Err(RenderError::Unreadable(_))));
    }
}
