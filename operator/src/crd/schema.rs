//! Schemas of fields whose Rust types say too little, or are Kubernetes' own: those are taken over without the parts that a
//! site has no use for, bounded, and described in few words, because the definition holds them five times.

use schemars::{Schema, SchemaGenerator, transform::transform_subschemas};
use serde_json::{Map, Value, json};

const DNS_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const QUALIFIED_NAME: &str =
    "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Makes what is optional merely optional: schemars lets it be null too.
pub(super) fn without_null(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        remove_null(object);
    }
    transform_subschemas(&mut without_null, schema);
}

fn remove_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(mut members)) = schema.remove("anyOf") else { return };
    members.retain(|member| member.get("type") != Some(&json!("null")));
    if members.len() == 1
        && let Some(Value::Object(member)) = members.pop()
    {
        for (key, value) in member {
            // The description of the field says more than that of its type.
            schema.entry(key).or_insert(value);
        }
    } else {
        schema.insert("anyOf".to_owned(), Value::Array(members));
    }
}

fn rule(rule: impl Into<String>, message: impl Into<String>) -> Value {
    json!({"rule": rule.into(), "message": message.into()})
}

fn matches(pattern: &str) -> String {
    format!("self.matches('{pattern}')")
}

fn text(description: &str, max_length: u32, rules: &[Value]) -> Value {
    let mut schema = json!({"type": "string", "description": description, "maxLength": max_length});
    if !rules.is_empty()
        && let Some(object) = schema.as_object_mut()
    {
        object.insert("x-kubernetes-validations".to_owned(), json!(rules));
    }
    schema
}

fn number(description: &str, minimum: i32, maximum: i32) -> Value {
    json!({"type": "integer", "format": "int32", "description": description, "minimum": minimum, "maximum": maximum})
}

fn choice(description: &str, values: &[&str]) -> Value {
    json!({"type": "string", "description": description, "enum": values})
}

fn list(description: &str, max_items: u32, items: &Value) -> Value {
    json!({"type": "array", "description": description, "maxItems": max_items, "items": items, "x-kubernetes-list-type": "atomic"})
}

/// A schema for `schema_with`: its description is the field's doc comment.
fn field(mut schema: Value) -> Schema {
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    schema.try_into().unwrap_or_default()
}

/// An object of which the definition says nothing. It is one value for server-side apply.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    field(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": "atomic"}))
}

/// An image with tag or digest.
pub(super) fn image(_: &mut SchemaGenerator) -> Schema {
    field(text(
        "",
        512,
        &[
            rule(
                "self.matches('^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*\
                 (:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$')",
                "image must be a repository with tag or digest, because what an image without them is changes; for example: example.org/team/name:1.2.3",
            ),
            rule(
                "!self.endsWith(':latest')",
                "image must not have the tag latest, because pods created at different times would run different code: name a release",
            ),
        ],
    ))
}

/// Name of a `StorageClass`.
pub(super) fn storage_class_name(_: &mut SchemaGenerator) -> Schema {
    name("storageClassName must be the name of a StorageClass: only a-z, 0-9, '-' and '.', with a letter or digit at both ends")
}

/// Name of a `PriorityClass`.
pub(super) fn priority_class_name(_: &mut SchemaGenerator) -> Schema {
    name("priorityClassName must be the name of a PriorityClass: only a-z, 0-9, '-' and '.', with a letter or digit at both ends")
}

/// Name of the Secret of a certificate.
pub(super) fn tls_secret_name(_: &mut SchemaGenerator) -> Schema {
    name("secretName must be the name of a Secret: only a-z, 0-9, '-' and '.', with a letter or digit at both ends; for example: doe-tls")
}

/// Name of the Secret with the mail server's URL.
pub(super) fn mail_secret_name(_: &mut SchemaGenerator) -> Schema {
    name(
        "mail.secretName must be the name of a Secret: only a-z, 0-9, '-' and '.', with a letter or digit at both ends; for example: doe-mail",
    )
}

/// Sender of letters, as the API reads it: `user@domain`, or a name and that in angle brackets. What else could stand there would
/// keep the API from starting.
pub(super) fn mail_from(_: &mut SchemaGenerator) -> Schema {
    let (sign, quoted) = (r#"[^ "(),.:;<>@\[\]\\[:cntrl:]]"#, r#""[^"\\[:cntrl:]]+""#);
    let sign_or_dot = sign.replace('.', "");
    let label = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?";
    let address = format!("{sign}+([.]{sign}+)*@{label}([.]{label})*");
    let name = format!("({sign}{sign_or_dot}*|{quoted})( ({sign_or_dot}+|{quoted}))*");
    field(text(
        "",
        320,
        &[rule(
            format!("self.matches(r'^({name} <{address}>|{address})$')"),
            "mail.from must be an address, or a name and an address in angle brackets, where a name with other signs than letters, digits, \
             spaces, dots and hyphens is in double quotes; for example: Casa do Caminho <doe@example.org>",
        )],
    ))
}

/// Address of an account, as the API takes it. What else could stand there would keep the migration from running; `$` has a meaning in a
/// container's arguments.
pub(super) fn admin_email(_: &mut SchemaGenerator) -> Schema {
    let (sign, label) = ("[A-Za-z0-9!#%&*+/=?^_`{|}~-]", "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?");
    field(text(
        "",
        254,
        &[rule(
            format!("self.matches(r'^{sign}+([.]{sign}+)*@{label}([.]{label})+$') && self.indexOf('@') <= 64"),
            "firstAdmin.email must be an e-mail address with a dot in its domain, and at most 64 characters before the @; \
             for example: admin@example.org",
        )],
    ))
}

fn name(message: &str) -> Schema {
    field(text("", 253, &[rule(matches(DNS_NAME), message)]))
}

/// Class of a load balancer.
pub(super) fn load_balancer_class(_: &mut SchemaGenerator) -> Schema {
    field(text(
        "",
        253,
        &[rule(
            matches(QUALIFIED_NAME),
            "loadBalancerClass must be a label key: at most 63 letters, digits, '-', '_' and '.', \
             with a prefix and '/' in front or without; for example: example.org/internal",
        )],
    ))
}

/// Networks that are believed.
pub(super) fn trusted_cidrs(_: &mut SchemaGenerator) -> Schema {
    networks(
        "trustedCIDRs",
        "One network that is believed.",
        &[rule(
            "!isCIDR(self) || cidr(self).prefixLength() > 0",
            "trustedCIDRs must not hold a network of all addresses, because then each client could choose its address: \
             list the networks of the proxies in front, such as 10.0.0.0/8",
        )],
    )
}

/// Networks that pods may reach.
pub(super) fn egress_cidrs(_: &mut SchemaGenerator) -> Schema {
    networks("egressCIDRs", "One network that may be reached.", &[])
}

fn networks(field_name: &str, description: &str, more: &[Value]) -> Schema {
    let mut rules = vec![rule(
        "isCIDR(self) && cidr(self) == cidr(self).masked()",
        format!(
            "{field_name} must hold networks in CIDR notation, with no bit set behind the prefix; for example: 10.0.0.0/8 or 2001:db8::/32"
        ),
    )];
    rules.extend_from_slice(more);
    let mut schema = list("", 32, &text(description, 43, &rules));
    if let Some(object) = schema.as_object_mut() {
        object.insert("x-kubernetes-list-type".to_owned(), json!("set"));
    }
    field(schema)
}

/// `limits` and `requests` of a container, for the resources that every node has.
pub(super) fn resources(_: &mut SchemaGenerator) -> Schema {
    let amounts = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "properties": {
                "cpu": quantity("cpu", "Processors, such as 500m or 2.", "500m"),
                "ephemeral-storage": quantity("ephemeral-storage", "Disk of the node, such as 1Gi.", "1Gi"),
                "memory": quantity("memory", "Memory, such as 256Mi.", "256Mi"),
            },
        })
    };
    let rules: Vec<Value> = [("cpu", "cpu"), ("ephemeral-storage", "ephemeral__dash__storage"), ("memory", "memory")]
        .into_iter()
        .map(|(name, escaped)| {
            let (request, limit) = (format!("self.requests.{escaped}"), format!("self.limits.{escaped}"));
            rule(
                format!(
                    "!has(self.requests) || !has(self.limits) || !has({request}) || !has({limit}) || !isQuantity(string({request})) \
                     || !isQuantity(string({limit})) || quantity(string({request})).compareTo(quantity(string({limit}))) <= 0"
                ),
                format!("resources.requests.{name} must not be greater than resources.limits.{name}: lower the first or raise the second"),
            )
        })
        .collect();
    field(json!({
        "type": "object",
        "properties": {
            "limits": amounts("What one pod may use at most."),
            "requests": amounts("What is set aside for one pod."),
        },
        "x-kubernetes-validations": rules,
    }))
}

fn quantity(name: &str, description: &str, example: &str) -> Value {
    json!({
        "x-kubernetes-int-or-string": true,
        // Said, because the derive would make it nullable otherwise.
        "nullable": false,
        "description": description,
        "maxLength": 20,
        "x-kubernetes-validations": [rule(
            "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('0')) > 0",
            format!("{name} must be a quantity greater than 0; for example: {example}"),
        )],
    })
}

/// Labels of nodes.
pub(super) fn node_selector(_: &mut SchemaGenerator) -> Schema {
    field(map("nodeSelector", "Value of one label.", 16, Values::Label, &[]))
}

/// Labels of pods.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    field(map(
        "labels",
        "Value of one label.",
        16,
        Values::Label,
        &[rule(
            "self.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('doacoes.dev/'))",
            "labels must have no key that starts with app.kubernetes.io/ or doacoes.dev/, because the operator finds its pods by those: \
             choose another prefix, such as example.org/team",
        )],
    ))
}

/// Annotations of pods.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    field(map("annotations", "Value of one annotation.", 16, Values::Annotation, &[reserved_annotations()]))
}

/// Annotations of a Service.
pub(super) fn service_annotations(_: &mut SchemaGenerator) -> Schema {
    field(map("annotations", "Value of one annotation.", 32, Values::Annotation, &[reserved_annotations()]))
}

fn reserved_annotations() -> Value {
    rule(
        "self.all(key, !key.startsWith('doacoes.dev/'))",
        "annotations must have no key that starts with doacoes.dev/, because the operator keeps its own there: \
         choose another prefix, such as example.org/team",
    )
}

#[derive(Clone, Copy)]
enum Values {
    Label,
    Annotation,
}

fn map(name: &str, description: &str, max_properties: u32, values: Values, more: &[Value]) -> Value {
    let mut rules = vec![rule(
        "self.all(key, key.size() <= 317 && !format.qualifiedName().validate(key).hasValue())",
        format!(
            "{name} must have keys of at most 63 letters, digits, '-', '_' and '.', with a DNS name and '/' in front or without; \
             for example: example.org/team"
        ),
    )];
    rules.extend_from_slice(more);
    let value = match values {
        Values::Label => text(
            description,
            63,
            &[rule(
                matches(LABEL_VALUE),
                format!(
                    "{name} must have values of at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends; \
                     for example: donations"
                ),
            )],
        ),
        Values::Annotation => text(description, 2048, &[]),
    };
    json!({
        "type": "object",
        "description": "",
        "maxProperties": max_properties,
        "additionalProperties": value,
        "x-kubernetes-validations": rules,
    })
}

/// Tolerations of a pod.
pub(super) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    let item = json!({
        "type": "object",
        "description": "One toleration.",
        "properties": {
            "effect": choice("Effect of the taint. Left out: every effect.", &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            "key": text("Key of the taint. Left out: every taint.", 317, &[rule(matches(QUALIFIED_NAME), "key must be a label key; for example: example.org/dedicated")]),
            "operator": choice("How the value is compared. Left out: Equal.", &["Equal", "Exists"]),
            "tolerationSeconds": {
                "type": "integer", "format": "int64", "description": "Seconds for which a NoExecute taint is tolerated. Left out: forever.",
                "minimum": 0, "maximum": 31_536_000,
            },
            "value": text("Value of the taint.", 63, &[rule(matches(LABEL_VALUE), "value must be a label value; for example: donations")]),
        },
        "x-kubernetes-validations": [
            rule(
                "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                "tolerations[].operator must be Exists if key is left out: set operator to Exists, or name a key",
            ),
            rule(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "tolerations[].value is not compared by operator Exists: remove value, or set operator to Equal",
            ),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerations[].tolerationSeconds needs effect NoExecute: set it, or remove tolerationSeconds",
            ),
        ],
    });
    field(list("", 16, &item))
}

/// Affinity of a pod.
pub(super) fn affinity(_: &mut SchemaGenerator) -> Schema {
    field(json!({
        "type": "object",
        "properties": {
            "nodeAffinity": {
                "type": "object",
                "description": "Nodes that the pods prefer or need.",
                "properties": {
                    "preferredDuringSchedulingIgnoredDuringExecution": list("Nodes that are preferred.", 8, &json!({
                        "type": "object",
                        "description": "One preference.",
                        "required": ["preference", "weight"],
                        "properties": {
                            "preference": node_selector_term("The nodes."),
                            "weight": number("How much it counts, 1 to 100.", 1, 100),
                        },
                    })),
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "type": "object",
                        "description": "Nodes that are needed.",
                        "required": ["nodeSelectorTerms"],
                        "properties": {
                            "nodeSelectorTerms": list("A node must match one of these.", 8, &node_selector_term("One kind of node.")),
                        },
                    },
                },
            },
            "podAffinity": pod_affinity("Pods near which the pods want to run."),
            "podAntiAffinity": pod_affinity("Pods away from which the pods want to run."),
        },
    }))
}

fn node_selector_term(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "required": ["matchExpressions"],
        "properties": {
            "matchExpressions": list(
                "Conditions on labels of nodes; all must hold.",
                8,
                &expression(&["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
            ),
        },
    })
}

fn expression(operators: &[&str]) -> Value {
    json!({
        "type": "object",
        "description": "One condition.",
        "required": ["key", "operator"],
        "properties": {
            "key": text("Key of the label.", 317, &[]),
            "operator": choice("How the values are compared.", operators),
            "values": list("Values of the label.", 16, &text("One value.", 63, &[])),
        },
        "x-kubernetes-validations": [rule(
            "self.operator.contains('Exist') == (!has(self.values) || self.values.size() == 0)",
            "values must be left out with operator Exists or DoesNotExist, and hold a value with another operator",
        )],
    })
}

fn pod_affinity(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "preferredDuringSchedulingIgnoredDuringExecution": list("What is preferred.", 8, &json!({
                "type": "object",
                "description": "One preference.",
                "required": ["podAffinityTerm", "weight"],
                "properties": {
                    "podAffinityTerm": pod_affinity_term("The pods."),
                    "weight": number("How much it counts, 1 to 100.", 1, 100),
                },
            })),
            "requiredDuringSchedulingIgnoredDuringExecution": list("What is needed.", 8, &pod_affinity_term("One kind of pods.")),
        },
    })
}

fn pod_affinity_term(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "required": ["topologyKey"],
        "properties": {
            "labelSelector": {
                "type": "object",
                "description": "Labels of the pods.",
                "properties": {
                    "matchExpressions": list("Conditions; all must hold.", 8, &expression(&["In", "NotIn", "Exists", "DoesNotExist"])),
                    "matchLabels": {
                        "type": "object",
                        "description": "Labels and their values.",
                        "maxProperties": 16,
                        "additionalProperties": text("Value of one label.", 63, &[]),
                    },
                },
            },
            "topologyKey": text("Label of nodes that names the place.", 317, &[]),
        },
    })
}

/// How fast a `HorizontalPodAutoscaler` changes the number of pods.
pub(super) fn behavior(_: &mut SchemaGenerator) -> Schema {
    let direction = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "properties": {
                "policies": list("By how much the number may change.", 4, &json!({
                    "type": "object",
                    "description": "One limit.",
                    "required": ["type", "value", "periodSeconds"],
                    "properties": {
                        "periodSeconds": number("Seconds to which the limit applies, 1 to 1800.", 1, 1800),
                        "type": choice("What value counts.", &["Pods", "Percent"]),
                        "value": number("Pods or per cent, 1 to 1000.", 1, 1000),
                    },
                })),
                "selectPolicy": choice("Which limit holds: the largest change, the smallest, or none is made. Left out: Max.", &["Max", "Min", "Disabled"]),
                "stabilizationWindowSeconds": number("Seconds for which a recommendation must have lasted, 0 to 3600.", 0, 3600),
            },
            "x-kubernetes-validations": [rule(
                "!has(self.policies) || self.policies.size() > 0",
                "policies must hold at least one entry, such as {type: Pods, value: 1, periodSeconds: 60}, or be left out for Kubernetes' own",
            )],
        })
    };
    field(json!({
        "type": "object",
        "properties": {"scaleDown": direction("How fast it falls."), "scaleUp": direction("How fast it rises.")},
    }))
}
