//! What holds for every field of the resource, also for those that are added later.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::schema::{Node, Rule, definition, nodes, rules};

fn spec_nodes() -> Vec<Node> {
    nodes().into_iter().filter(Node::is_of_spec).collect()
}

fn by_path() -> BTreeMap<String, Value> {
    nodes().into_iter().map(|node| (node.path, node.schema)).collect()
}

/// Paths of the nodes of which `wrong` is true.
fn paths(nodes: Vec<Node>, wrong: impl Fn(&Node) -> bool) -> Vec<String> {
    nodes.into_iter().filter(wrong).map(|node| node.path).collect()
}

#[test]
fn the_resource_has_its_names() {
    let spec = definition().pointer("/spec").unwrap().clone();
    assert_eq!(spec.pointer("/group"), Some(&json!("doacoes.dev")));
    assert_eq!(spec.pointer("/scope"), Some(&json!("Namespaced")));
    assert_eq!(
        spec.pointer("/names"),
        Some(&json!({
            // `kubectl get all` shows it.
            "categories": ["all"],
            "kind": "DonationPlatform",
            "plural": "donationplatforms",
            "singular": "donationplatform",
            "shortNames": ["dp"],
        }))
    );
}

#[test]
fn the_only_version_is_served_with_status_and_scale() {
    let versions = definition().pointer("/spec/versions").unwrap().clone();
    assert_eq!(versions.as_array().map(Vec::len), Some(1));
    let version = versions.pointer("/0").unwrap();
    assert_eq!(version.pointer("/name"), Some(&json!("v1alpha1")));
    assert_eq!(version.pointer("/served"), Some(&json!(true)));
    assert_eq!(version.pointer("/storage"), Some(&json!(true)));
    let scale = json!({
        "specReplicasPath": ".spec.api.replicas",
        "statusReplicasPath": ".status.api.replicas",
        "labelSelectorPath": ".status.api.selector",
    });
    assert_eq!(version.pointer("/subresources"), Some(&json!({"status": {}, "scale": scale})));
    let fields = by_path();
    for path in scale.as_object().unwrap().values().filter_map(Value::as_str) {
        assert!(fields.contains_key(path.trim_start_matches('.')), "{path}");
    }
}

#[test]
fn the_columns_show_fields_that_are_there() {
    let columns = definition().pointer("/spec/versions/0/additionalPrinterColumns").and_then(Value::as_array).unwrap().clone();
    let text = |column: &Value, key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let wide = |column: &Value| column.get("priority").is_some();
    let names =
        |wanted: bool| columns.iter().filter(|column| wide(column) == wanted).map(|column| text(column, "name")).collect::<Vec<_>>();
    assert_eq!(names(false), ["Ready", "Reason", "API", "Version", "Endpoint", "Age"]);
    assert_eq!(names(true), ["Host", "Schema", "Profile"]);
    let fields = by_path();
    for column in &columns {
        // The members of a condition are those of Kubernetes.
        let path = text(column, "jsonPath");
        let path = path.trim_start_matches('.').split('[').next().unwrap();
        assert!(fields.contains_key(path) || path == "metadata.creationTimestamp", "{path}");
    }
}

#[test]
fn every_field_is_described() {
    let bare = paths(nodes(), |node| node.schema.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()));
    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn integers_have_a_format_that_kubernetes_knows() {
    let wrong = paths(nodes(), |node| {
        let format = node.schema.get("format").and_then(Value::as_str);
        node.schema.get("type") == Some(&json!("integer")) && !matches!(format, Some("int32" | "int64"))
    });
    assert_eq!(wrong, Vec::<String>::new());
}

/// A rule that reads a null fails with an error instead of its message.
#[test]
fn nothing_that_a_user_writes_is_nullable() {
    let wrong = paths(spec_nodes(), |node| {
        let none_of_null = |list: Option<&Value>, null: Value| list.and_then(Value::as_array).is_none_or(|list| !list.contains(&null));
        node.schema.get("nullable") == Some(&json!(true))
            || node.schema.get("anyOf").is_some()
            || !none_of_null(node.schema.get("type"), json!("null"))
            || !none_of_null(node.schema.get("enum"), Value::Null)
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn everything_a_user_writes_is_bounded() {
    let unbounded = paths(spec_nodes(), |node| {
        let has = |key: &str| node.schema.get(key).is_some();
        match node.schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => !(has("minimum") && has("maximum")),
            Some("array") => !has("maxItems"),
            Some("object") => has("additionalProperties") && !has("maxProperties"),
            Some("boolean") => false,
            // This is text, or what may be a number or text.
            _ => !(has("enum") || has("maxLength")),
        }
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn conditions_merge_by_type() {
    let fields = by_path();
    let conditions = fields.get("status.conditions").unwrap();
    assert_eq!(conditions.get("x-kubernetes-list-type"), Some(&json!("map")));
    assert_eq!(conditions.get("x-kubernetes-list-map-keys"), Some(&json!(["type"])));
}

/// The API server shows the message instead of the rule, and refuses one with a line break.
#[test]
fn every_rule_has_a_message_of_one_line_that_names_its_field() {
    let plain = |path: &str| path.replace("[]", "").replace("{}", "");
    let fields: Vec<String> = nodes().iter().map(|node| plain(&node.path)).chain(["metadata.name".to_owned()]).collect();
    for Rule { path, cel, message } in rules() {
        assert!(!message.contains('\n'), "{cel}: {message}");
        let name = plain(message.split([' ', ':']).next().unwrap());
        // It is the rule's own field or one inside it, under its last names.
        let own = plain(&path);
        let named = fields.iter().any(|field| field.starts_with(&own) && (*field == name || field.ends_with(&format!(".{name}"))));
        assert!(named, "{path}: {message}");
    }
}

#[test]
fn all_rules_of_a_field_have_different_messages() {
    let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
    for Rule { path, cel, message } in rules() {
        let other = seen.insert((path.clone(), message.clone()), cel);
        assert_eq!(other, None, "{path}: {message}");
    }
}

/// The fields that a rule reads, each with all its parents: `a`, `a.b` for `self.a.b.size()`. And whether it asks for them first.
fn reads(rule: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for this in ["self.", "oldSelf."] {
        for (position, _) in rule.match_indices(this) {
            let Some((before, after)) = rule.split_at_checked(position) else { continue };
            if before.ends_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_') {
                continue;
            }
            let rest = after.strip_prefix(this).unwrap_or(after);
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')).unwrap_or(rest.len());
            let Some((chain, next)) = rest.split_at_checked(end) else { continue };
            let mut names: Vec<&str> = chain.split('.').collect();
            if next.starts_with('(') {
                // A function.
                names.pop();
            }
            for count in 1..=names.len() {
                let field = names.get(..count).unwrap_or_default().join(".");
                let asked = rule.contains(&format!("has({this}{field})"));
                found.push((field, asked));
            }
        }
    }
    found
}

/// The path of `field`, which a rule at `path` reads.
fn inside(path: &str, field: &str) -> String {
    let field = field.replace("__dash__", "-");
    if path.is_empty() { field } else { format!("{path}.{field}") }
}

/// Whether a field is there in every resource that has its parent.
fn is_always_there(fields: &BTreeMap<String, Value>, path: &str) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let required = fields.get(parent).and_then(|parent| parent.get("required")).and_then(Value::as_array);
    required.is_some_and(|names| names.contains(&json!(name))) || fields.get(path).is_some_and(|field| field.get("default").is_some())
}

/// Any other rule fails with "no such key" on a resource that leaves the field out.
#[test]
fn a_rule_reads_what_is_always_there_or_asks_first() {
    let fields = by_path();
    for Rule { path, cel, .. } in rules() {
        for (field, asked) in reads(&cel) {
            // Every object has them.
            if path.is_empty() && (field == "metadata" || field == "metadata.name") {
                continue;
            }
            let read = inside(&path, &field);
            assert!(fields.contains_key(&read), "{cel}: there is no {read}");
            assert!(asked || is_always_there(&fields, &read), "{cel}: {read} may be absent");
        }
    }
}

/// Otherwise a default inside a parent that is left out would not be stored. Where a rule asks whether the parent is there, leaving it
/// out has a meaning: members of a union, and what is switched on by writing it.
#[test]
fn a_parent_of_defaults_is_always_there_unless_a_rule_asks_for_it() {
    let fields = by_path();
    let asked: Vec<String> = rules()
        .iter()
        .flat_map(|Rule { path, cel, .. }| {
            reads(cel).into_iter().filter(|(_, asked)| *asked).map(|(field, _)| inside(path, &field)).collect::<Vec<_>>()
        })
        .collect();
    let missing = paths(spec_nodes(), |node| {
        let members = node.schema.get("properties").and_then(Value::as_object);
        let has_defaults = members.is_some_and(|members| members.values().any(|member| member.get("default").is_some()));
        // Items of lists and values of maps cannot be left out.
        let is_item = node.path.ends_with(['}', ']']);
        has_defaults && !is_item && !asked.contains(&node.path) && !is_always_there(&fields, &node.path)
    });
    assert_eq!(missing, Vec::<String>::new());
}

/// With one, each resource would have two members.
#[test]
fn members_of_a_union_have_no_default() {
    let fields = by_path();
    let unions: Vec<String> =
        rules().into_iter().filter(|rule| rule.message.contains("exactly one member")).map(|rule| rule.path).collect();
    assert!(unions.len() > 2, "{unions:?}");
    for union in unions {
        let members = fields.get(&union).and_then(|union| union.get("properties")).and_then(Value::as_object).unwrap();
        for (name, member) in members {
            assert_eq!(member.get("default"), None, "{union}.{name}");
        }
    }
}
