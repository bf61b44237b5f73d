//! Which file of `operator/src` may import which: layers from the lowest to the highest, and the pairs that are allowed. The
//! table in docs/ARCHITECTURE.md is made from this list.

#[path = "../../../hack/rust/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::sources::{Sources, references, types};
use super::manifest::repository_file;

/// A group of files.
struct Layer {
    name: &'static str,
    /// Files under `operator/src`, without `.rs`; `folder/*` are all files of a folder that no other layer names.
    files: &'static [&'static str],
    /// Names of the layers that its files may import beside their own.
    imports: &'static [&'static str],
    /// A line belongs here if it …
    purpose: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "base",
        files: &["fingerprint", "images", "kinds", "names", "quantity", "telemetry", "verb", "yaml"],
        imports: &[],
        purpose: "knows nothing of platforms: names, default images, kinds, quantities, hashes, logs, YAML",
    },
    Layer {
        name: "resource",
        files: &["crd/*"],
        imports: &["base"],
        purpose: "says what a user may write: types, defaults and rules, a file per part",
    },
    Layer {
        name: "failures",
        files: &["backoff", "error", "metrics"],
        imports: &["base"],
        purpose: "says what can fail, how long to wait after it, or counts",
    },
    Layer {
        name: "resolve",
        files: &["resolve"],
        imports: &["base", "resource"],
        purpose: "decides what the resource leaves open, by profile or otherwise",
    },
    Layer {
        name: "build",
        files: &["build/*"],
        imports: &["base", "resource", "resolve"],
        purpose: "renders objects, a file per part, with scripts and configuration beside them as they are in the pods; needs no IO",
    },
    Layer {
        name: "print",
        files: &["manifests", "rbac", "render"],
        imports: &["base", "resource", "resolve", "build"],
        purpose: "is printed instead of applied: the objects of a resource, what installs the operator, what it may do",
    },
    Layer {
        name: "client",
        files: &["client"],
        imports: &["base", "resource", "failures"],
        purpose: "sends a request to the API server, with its time limit and its count; reads are tried again within a pass, writes are not",
    },
    Layer {
        name: "observe",
        files: &[
            "reconcile/condition",
            "reconcile/context",
            "reconcile/current",
            "reconcile/observe",
            "reconcile/outcome",
            "reconcile/ownership",
            "reconcile/reason",
            "reconcile/secret_values",
        ],
        imports: &["base", "resource", "failures", "resolve", "build", "client"],
        purpose: "reads what is in the cluster, whose an object is, whether it is what was rendered, and whether the values of Secrets can be used",
    },
    Layer {
        name: "judge",
        files: &[
            "reconcile/causes",
            "reconcile/migration",
            "reconcile/pass",
            "reconcile/progress",
            "reconcile/status",
            "reconcile/validate",
        ],
        imports: &["base", "resource", "failures", "resolve", "build", "client", "observe"],
        purpose: "decides how far each part is and why not further, for a person to read; what only has to be waited for is no error",
    },
    Layer {
        name: "write",
        files: &[
            "reconcile/apply",
            "reconcile/certificate",
            "reconcile/migrate",
            "reconcile/prune",
            "reconcile/retention",
            "reconcile/scale",
            "reconcile/writer",
        ],
        imports: &["base", "resource", "failures", "resolve", "build", "client", "observe", "judge"],
        purpose: "changes an object; the number of pods and the owner of data have field managers of their own",
    },
    Layer {
        name: "report",
        files: &["reconcile/events", "reconcile/report"],
        imports: &["base", "resource", "failures", "build", "client", "observe", "judge", "write"],
        purpose: "writes the status and Events",
    },
    Layer {
        name: "reconcile",
        files: &["reconcile/mod"],
        imports: &["resource", "failures", "build", "observe", "judge", "write", "report"],
        purpose: "orders the steps of one pass: observe, validate, build, apply, prune, report",
    },
    Layer {
        name: "run",
        files: &["admin", "controller", "lib", "main"],
        imports: &["base", "resource", "failures", "resolve", "build", "print", "client", "observe", "reconcile"],
        purpose: "watches, queues, serves probes, or reads the command line",
    },
];

fn operator_sources() -> Sources {
    sources::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The layer of a file: the one that names it, else the one that has its folder.
fn layer_of(file: &str) -> Option<&'static Layer> {
    let file = file.strip_suffix(".rs").unwrap_or(file);
    let folder = file.split_once('/').map(|(folder, _)| format!("{folder}/*"));
    let names = |wanted: &str| LAYERS.iter().find(|layer| layer.files.contains(&wanted));
    names(file).or_else(|| names(&folder?))
}

/// The files that each file imports. A `mod.rs` imports the files that it declares.
fn imports(sources: &Sources) -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = sources.keys().map(|file| (file.clone(), BTreeSet::new())).collect();
    for reference in references(sources) {
        imports.entry(reference.from).or_default().insert(reference.to);
    }
    imports
}

/// What is wrong, a line each.
fn faults(sources: &Sources) -> Vec<String> {
    let imports = imports(sources);
    let mut faults = Vec::new();
    for (file, imported) in &imports {
        let Some(layer) = layer_of(file) else {
            faults.push(format!("operator/src/{file} is in no layer: name it in LAYERS of operator/tests/it/layers.rs"));
            continue;
        };
        for other in imported {
            let Some(target) = layer_of(other) else { continue };
            if target.name != layer.name && !layer.imports.contains(&target.name) {
                let may: Vec<String> = LAYERS
                    .iter()
                    .filter(|layer| layer.name == target.name || layer.imports.contains(&target.name))
                    .map(|layer| format!("{} ({})", layer.name, layer.files.join(", ")))
                    .collect();
                faults.push(format!(
                    "operator/src/{file}, of layer {}, imports {other}, of layer {}, which it may not: a line that needs {other} belongs in {}; \
                     layer {} holds what {}",
                    layer.name,
                    target.name,
                    may.join(" or "),
                    layer.name,
                    layer.purpose
                ));
            }
        }
    }
    faults.extend(circle(&imports).map(|files| format!("the files import each other in a circle: {}", files.join(" → "))));
    faults
}

/// Files that import each other in a circle, if any do.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(file: &str, imports: &BTreeMap<String, BTreeSet<String>>, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if way.iter().any(|other| other == file) {
            way.push(file.to_owned());
            return true;
        }
        if !done.insert(file.to_owned()) {
            return false;
        }
        way.push(file.to_owned());
        if imports.get(file).into_iter().flatten().any(|other| visit(other, imports, way, done)) {
            return true;
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|file| {
        let mut way = Vec::new();
        visit(file, imports, &mut way, &mut done).then(|| {
            let last = way.last().cloned().unwrap_or_default();
            way.into_iter().skip_while(|other| *other != last).collect()
        })
    })
}

#[test]
fn every_file_imports_only_what_its_layer_may() {
    let found = faults(&operator_sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn layers_import_only_lower_ones_and_every_permission_is_used() {
    let sources = operator_sources();
    let imports = imports(&sources);
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 200, "few imports were found: {imports:?}");
    let mut unused = Vec::new();
    for (index, layer) in LAYERS.iter().enumerate() {
        let files: Vec<&String> = imports.keys().filter(|file| layer_of(file).is_some_and(|other| other.name == layer.name)).collect();
        for name in layer.files.iter().filter(|name| !name.ends_with("/*")) {
            assert!(sources.contains_key(&format!("{name}.rs")), "layer {} names {name}.rs, which does not exist", layer.name);
        }
        assert!(!files.is_empty(), "layer {} has no file", layer.name);
        for name in layer.imports {
            let place = LAYERS.iter().position(|other| other.name == *name);
            assert!(place.is_some_and(|place| place < index), "{} may import {name}, which is not below it", layer.name);
            let mut imported = files.iter().filter_map(|file| imports.get(*file)).flatten();
            if !imported.any(|file| layer_of(file).is_some_and(|other| other.name == *name)) {
                unused.push(format!("{} may import {name} and does not", layer.name));
            }
        }
    }
    assert_eq!(unused, Vec::<String>::new(), "take these permissions out of LAYERS");
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    for (file, line, imported) in [
        ("error", "use crate::client::ApiClient;", "client"),
        ("error", "use crate::{names, client::ApiClient};", "client"),
        ("error", "use crate::{\n    client as api_server,\n    names,\n};", "client"),
        ("error", "use crate::{names::{self, MANAGED_BY}, reconcile::{apply::{self}, Outcome}};", "reconcile/apply"),
        ("error", "pub(crate) use super::client::*;", "client"),
        ("error", "fn f() { let _ = crate::client::ApiClient::new; }", "client"),
        ("error", "fn f() -> Vec<crate::client::ApiClient> { Vec::new() }", "client"),
        ("error", "mod inner {\n    use super::super::client::ApiClient;\n}", "client"),
        ("error", "mod inner { mod deeper {} use super::super::client; }", "client"),
        ("build/api", "use super::super::client::ApiClient;", "client"),
        ("build/api", "use crate::reconcile::Outcome;", "reconcile/mod"),
        ("names", "use self::super::crd::Profile;", "crd/mod"),
        ("reconcile/observe", "use super::apply::Applied;", "reconcile/apply"),
        ("reconcile/observe", "use super::{reason::Reason, report};", "reconcile/report"),
        ("client", "use doacoes_operator::controller::Scope;", "controller"),
    ] {
        let mut sources = operator_sources();
        sources.entry(format!("{file}.rs")).and_modify(|text| *text = format!("{text}\n{line}\n"));
        let found = faults(&sources);
        let wrong = format!("operator/src/{file}.rs, of layer {}, imports {imported}.rs", layer_of(file).unwrap().name);
        assert!(found.iter().any(|fault| fault.starts_with(&wrong) && fault.contains("belongs in")), "{line}: {found:?}");
    }
}

#[test]
fn a_circle_in_one_layer_and_a_file_without_a_layer_are_found() {
    let mut sources = operator_sources();
    sources.entry("quantity.rs".to_owned()).and_modify(|text| text.push_str("use crate::names::MANAGED_BY;\n"));
    sources.entry("names.rs".to_owned()).and_modify(|text| text.push_str("use super::quantity::whole;\n"));
    let found = faults(&sources);
    assert_eq!(found, ["the files import each other in a circle: names.rs → quantity.rs → names.rs"]);
    sources.remove("names.rs");
    sources.insert("newcomer.rs".to_owned(), String::new());
    assert!(faults(&sources).iter().any(|fault| fault.starts_with("operator/src/newcomer.rs is in no layer")));
}

#[test]
fn what_is_no_import_is_no_fault() {
    for text in [
        "// use crate::client::ApiClient;",
        "/// See [`crate::client::ApiClient`].\nfn f() {}",
        "/* use crate::client; */",
        "const TEXT: &str = \"use crate::client::ApiClient;\";",
        "const TEXT: &str = r#\"crate::client \" crate::client\"#;",
        "const QUOTE: char = '\"'; use crate::names; const OTHER: char = '\\'';",
        "pub(crate) struct Client;",
        "mod tests { use super::*; }",
    ] {
        let mut sources = operator_sources();
        sources.entry("error.rs".to_owned()).and_modify(|source| *source = format!("{source}\n{text}\n"));
        assert_eq!(faults(&sources), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut types = types(&operator_sources());
    assert!(types.len() > 80, "few types were found: {types:?}");
    types.retain(|_, files| files.len() > 1);
    assert_eq!(types, BTreeMap::new());
}

#[test]
fn the_architecture_document_shows_these_layers() {
    let row = |layer: &Layer| {
        let files: Vec<String> = layer
            .files
            .iter()
            .map(|file| match *file {
                "reconcile/mod" => "`reconcile/mod.rs`".to_owned(),
                file => file.strip_suffix("/*").map_or_else(|| format!("`{file}.rs`"), |folder| format!("`{folder}/`")),
            })
            .collect();
        let imports = if layer.imports.is_empty() { "–".to_owned() } else { layer.imports.join(", ") };
        format!("| {} | {} | {imports} | {} |", layer.name, files.join(", "), layer.purpose)
    };
    let expected: Vec<String> = LAYERS.iter().map(row).collect();
    let text = repository_file("docs/ARCHITECTURE.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Inside `operator/src`")).unwrap();
    let shown: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| layer ")).collect();
    assert_eq!(shown, expected, "the table of docs/ARCHITECTURE.md must be:\n{}\n", expected.join("\n"));
}
