//! A short hash of an object's content.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Hash of a JSON value, 16 hexadecimal digits. The order of its keys does not count.
pub fn fingerprint(object: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(object, &mut hasher);
    hex::encode(hasher.finalize().get(..8).unwrap_or_default())
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            hasher.update(b"{");
            for (key, value) in map.iter().collect::<BTreeMap<_, _>>() {
                hasher.update(Value::String(key.clone()).to_string());
                hasher.update(b":");
                feed(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(list) => {
            hasher.update(b"[");
            for value in list {
                feed(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        other => hasher.update(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fingerprint_depends_on_content_alone() {
        assert_eq!(fingerprint(&json!({"a": 1, "b": [2]})), fingerprint(&json!({"b": [2], "a": 1})));
        assert_ne!(fingerprint(&json!({"a": 1})), fingerprint(&json!({"a": "1"})));
        assert_ne!(fingerprint(&json!({"a": ["b", "c"]})), fingerprint(&json!({"a": ["b,c"]})));
    }
}
