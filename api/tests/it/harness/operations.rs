//! What the served OpenAPI document says there is.

use serde_json::Value;

use super::TestApp;

/// An operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    /// In upper case.
    pub method: String,
    /// As in the document, below `/api/v1`.
    pub path: String,
    /// Its description.
    pub spec: Value,
}

impl Operation {
    /// `GET /campanhas/{slug}`
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl TestApp {
    /// Every operation of the served document.
    pub async fn operations(&self) -> Vec<Operation> {
        let document = self.get("/openapi.json").send().await.expect(200);
        let mut operations = vec![];
        for (path, item) in document["paths"].as_object().unwrap() {
            let path = path.strip_prefix("/api/v1").unwrap_or_else(|| panic!("{path} is not below /api/v1"));
            for (method, spec) in item.as_object().unwrap() {
                operations.push(Operation { method: method.to_uppercase(), path: path.to_owned(), spec: spec.clone() });
            }
        }
        operations
    }
}
