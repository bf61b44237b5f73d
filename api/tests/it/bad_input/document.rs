//! Bodies and fields as the served document describes them.

use serde_json::{Map, Value, json};

use crate::harness::{Operation, TestApp};

/// The document with its operations.
pub(super) struct Document {
    document: Value,
    pub(super) operations: Vec<Operation>,
}

/// A field of a body, perhaps of an object in it.
#[derive(Clone, Debug)]
pub(super) struct Field {
    path: Vec<String>,
    pub(super) schema: Value,
    pub(super) required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Flag,
    Object,
}

impl Document {
    pub(super) async fn of(app: &TestApp) -> Self {
        let document = app.get("/openapi.json").send().await.expect(200);
        Self { document, operations: app.operations().await }
    }

    /// Every operation that takes a body.
    pub(super) fn with_body(&self) -> Vec<&Operation> {
        let found: Vec<&Operation> = self.operations.iter().filter(|operation| operation.has_body()).collect();
        assert!(found.len() >= 20, "the document has lost its bodies");
        found
    }

    /// What a reference names, or of "this or an empty text" the first.
    fn resolved(&self, schema: &Value) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap().clone();
        }
        let empty = json!({"type": "string", "maxLength": 0});
        if schema["anyOf"][1] == empty { schema["anyOf"][0].clone() } else { schema.clone() }
    }

    fn body(&self, operation: &Operation) -> Value {
        self.resolved(&operation.spec["requestBody"]["content"]["application/json"]["schema"])
    }

    /// Every field of an operation's body, with those of the objects in it.
    pub(super) fn fields(&self, operation: &Operation) -> Vec<Field> {
        let mut found = vec![];
        self.collect(&self.body(operation), &[], &mut found);
        assert!(!found.is_empty(), "{} has no fields", operation.name());
        found
    }

    fn collect(&self, schema: &Value, above: &[String], found: &mut Vec<Field>) {
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let schema = self.resolved(property);
            let path: Vec<String> = above.iter().chain([name]).cloned().collect();
            if schema["properties"].is_object() {
                self.collect(&schema, &path, found);
            }
            found.push(Field { path, schema, required: required.contains(&&json!(name)) });
        }
    }

    /// A body with every field, each as the document allows it.
    pub(super) fn example(&self, operation: &Operation) -> Value {
        self.example_of(&self.body(operation))
    }

    fn example_of(&self, schema: &Value) -> Value {
        if let Some(properties) = schema["properties"].as_object() {
            return properties
                .iter()
                .map(|(name, schema)| (name.clone(), self.example_of(&self.resolved(schema))))
                .collect::<Map<_, _>>()
                .into();
        }
        if !schema["example"].is_null() {
            return schema["example"].clone();
        }
        match (schema["enum"].get(0), schema["format"].as_str(), schema["pattern"].as_str()) {
            (Some(first), ..) => first.clone(),
            (_, Some("uuid"), _) => json!("00000000-0000-4000-8000-000000000000"),
            (_, Some("date-time"), _) => json!("2026-11-24T10:30:00Z"),
            (_, _, Some("^[0-9a-f]{64}$")) => json!("0".repeat(64)),
            _ if Kind::of(schema) == Kind::Whole => schema["minimum"].clone(),
            _ if Kind::of(schema) == Kind::Flag => json!(true),
            _ => json!("texto"),
        }
    }
}

impl Kind {
    fn of(schema: &Value) -> Self {
        let is = |name: &str| schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)));
        match () {
            () if is("string") => Self::Text,
            () if is("integer") => Self::Whole,
            () if is("boolean") => Self::Flag,
            () if is("object") => Self::Object,
            () => panic!("no known type: {schema}"),
        }
    }
}

const MARK: &str = "@valor@";

impl Field {
    /// As problems name it.
    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(&self.schema)
    }

    pub(super) fn is_nullable(&self) -> bool {
        self.schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
    }

    fn place<'a>(&self, body: &'a mut Value) -> (&'a mut Map<String, Value>, &str) {
        let (last, above) = self.path.split_last().unwrap();
        let object = above.iter().fold(body, |value, name| &mut value[name]);
        (object.as_object_mut().unwrap(), last)
    }

    /// `body` with `json` in the field, which need not be anything that a JSON library would write.
    pub(super) fn filled(&self, body: &Value, json: &str) -> Vec<u8> {
        let mut body = body.clone();
        let (object, name) = self.place(&mut body);
        object.insert(name.to_owned(), json!(MARK));
        body.to_string().replace(&format!("\"{MARK}\""), json).into_bytes()
    }

    /// `body` without the field.
    pub(super) fn left_out(&self, body: &Value) -> Value {
        let mut body = body.clone();
        let (object, name) = self.place(&mut body);
        object.remove(name).unwrap();
        body
    }

    /// `body` with the field twice.
    pub(super) fn repeated(&self, body: &Value) -> Vec<u8> {
        let mut value = body.clone();
        let (object, name) = self.place(&mut value);
        self.filled(body, &format!("{value},\"{name}\":{value}", value = object[name]))
    }

    /// `body` with a field beside this one that is none, and how it is named.
    pub(super) fn with_neighbour(&self, body: &Value) -> (Vec<u8>, String) {
        let mut value = body.clone();
        let (object, name) = self.place(&mut value);
        let neighbour = self.path[..self.path.len() - 1].iter().map(String::as_str).chain(["intrusa"]).collect::<Vec<_>>().join(".");
        (self.filled(body, &format!("{},\"intrusa\":1", object[name])), neighbour)
    }
}
