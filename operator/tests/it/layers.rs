//! Which file of `operator/src` may import which: layers from the lowest to the highest, and the pairs that are allowed. The table in
//! docs/ARCHITECTURE.md is made from this list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

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

/// Files and their text, by path under `operator/src` without `.rs`.
type Sources = BTreeMap<String, String>;

fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Sources::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The layer of a file: the one that names it, else the one that has its folder.
fn layer_of(file: &str) -> Option<&'static Layer> {
    let folder = file.split_once('/').map(|(folder, _)| format!("{folder}/*"));
    let names = |wanted: &str| LAYERS.iter().find(|layer| layer.files.contains(&wanted));
    names(file).or_else(|| names(&folder?))
}

/// The words of a source: names, and every other sign alone, except `::`. No comments, no text in quotation marks.
fn words(text: &str) -> Vec<String> {
    let signs: Vec<char> = text.chars().collect();
    let at = |index: usize| signs.get(index).copied().unwrap_or(' ');
    let is_name = |sign: char| sign.is_alphanumeric() || sign == '_';
    let (mut words, mut index) = (Vec::new(), 0);
    while index < signs.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < signs.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => {
                index += 2;
                while index < signs.len() && (at(index), at(index + 1)) != ('*', '/') {
                    index += 1;
                }
                index += 2;
            }
            ('r', '"' | '#') if index == 0 || !is_name(at(index - 1)) => {
                let hashes = (index + 1..signs.len()).take_while(|&place| at(place) == '#').count();
                index += 1 + hashes;
                if at(index) != '"' {
                    continue;
                }
                index += 1;
                while index < signs.len() && !(at(index) == '"' && (1..=hashes).all(|offset| at(index + offset) == '#')) {
                    index += 1;
                }
                index += 1 + hashes;
            }
            ('"', _) => {
                index += 1;
                while index < signs.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                index += 1;
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                index += 3;
                while index < signs.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (':', ':') => {
                words.push("::".to_owned());
                index += 2;
            }
            (sign, _) if is_name(sign) => {
                let length = (index..signs.len()).take_while(|&place| is_name(at(place))).count();
                words.push(signs.iter().skip(index).take(length).collect());
                index += length;
            }
            (sign, _) if sign.is_whitespace() => index += 1,
            (sign, _) => {
                words.push(sign.to_string());
                index += 1;
            }
        }
    }
    words
}

/// Every path of a source that begins at the crate or at a module near it, and every `mod name;`, from the crate's root.
fn paths(file: &str, text: &str) -> Vec<Vec<String>> {
    let words = words(text);
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let own = module_of(file);
    // Modules inside the file, each with the depth of its brace.
    let (mut modules, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    let (mut found, mut index) = (Vec::new(), 0);
    while index < words.len() {
        let here = || own.iter().cloned().chain(modules.iter().map(|(name, _)| name.clone())).collect::<Vec<String>>();
        match word(index) {
            "{" => depth += 1,
            "}" => {
                modules.retain(|(_, brace)| *brace < depth);
                depth = depth.saturating_sub(1);
            }
            "mod" if word(index + 2) == "{" => {
                modules.push((word(index + 1).to_owned(), depth + 1));
                depth += 1;
                index += 2;
            }
            "mod" if word(index + 2) == ";" => found.push([here(), vec![word(index + 1).to_owned()]].concat()),
            start @ ("crate" | "super" | "self" | "doacoes_operator")
                if word(index + 1) == "::" && (index == 0 || word(index - 1) != "::") =>
            {
                let mut base = if matches!(start, "crate" | "doacoes_operator") { Vec::new() } else { here() };
                if start == "super" {
                    base.pop();
                }
                index = tree(&words, index + 2, base, &mut found);
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    found
}

/// Reads what follows `base::`, also in braces, and returns where it ends.
fn tree(words: &[String], start: usize, mut base: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let mut index = start;
    loop {
        match word(index) {
            "super" => drop(base.pop()),
            "self" => {}
            "{" => {
                index += 1;
                while index < words.len() && word(index) != "}" {
                    index = if word(index) == "," { index + 1 } else { tree(words, index, base.clone(), found) };
                }
                return index + 1;
            }
            name if name.starts_with(|sign: char| sign.is_alphabetic() || sign == '_') => base.push(name.to_owned()),
            _ => {
                index += usize::from(word(index) == "*");
                found.push(base);
                return index;
            }
        }
        index += 1;
        if word(index) != "::" {
            if word(index) == "as" {
                index += 2;
            }
            found.push(base);
            return index;
        }
        index += 1;
    }
}

fn module_of(file: &str) -> Vec<String> {
    let file = file.strip_suffix("/mod").unwrap_or(if matches!(file, "lib" | "main") { "" } else { file });
    file.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The file that holds what `path` names.
fn file_of(sources: &Sources, path: &[String]) -> String {
    let files = (1..=path.len()).rev().filter_map(|count| path.get(..count)).flat_map(|part| {
        let name = part.join("/");
        [format!("{name}/mod"), name]
    });
    files.into_iter().find(|file| sources.contains_key(file)).unwrap_or_else(|| "lib".to_owned())
}

/// The files that each file imports.
fn imports(sources: &Sources) -> BTreeMap<&str, BTreeSet<String>> {
    let of = |(file, text): (&String, &String)| {
        let mut imported: BTreeSet<String> = paths(file, text).iter().map(|path| file_of(sources, path)).collect();
        imported.remove(file);
        imported
    };
    sources.iter().map(|source| (source.0.as_str(), of(source))).collect()
}

/// What is wrong, a line each.
fn faults(sources: &Sources) -> Vec<String> {
    let imports = imports(sources);
    let mut faults = Vec::new();
    for (file, imported) in &imports {
        let Some(layer) = layer_of(file) else {
            faults.push(format!("operator/src/{file}.rs is in no layer: name it in LAYERS of operator/tests/it/layers.rs"));
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
                    "operator/src/{file}.rs, of layer {}, imports {other}.rs, of layer {}, which it may not: a line that needs {other}.rs belongs in {}; \
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
fn circle(imports: &BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(file: &str, imports: &BTreeMap<&str, BTreeSet<String>>, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
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
    let found = faults(&sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn layers_import_only_lower_ones_and_every_permission_is_used() {
    let sources = sources();
    let imports = imports(&sources);
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 200, "few imports were found: {imports:?}");
    let mut unused = Vec::new();
    for (index, layer) in LAYERS.iter().enumerate() {
        let files: Vec<&&str> = imports.keys().filter(|file| layer_of(file).is_some_and(|other| other.name == layer.name)).collect();
        for name in layer.files.iter().filter(|name| !name.ends_with("/*")) {
            assert!(sources.contains_key(*name), "layer {} names {name}.rs, which does not exist", layer.name);
        }
        assert!(!files.is_empty(), "layer {} has no file", layer.name);
        for name in layer.imports {
            let place = LAYERS.iter().position(|other| other.name == *name);
            assert!(place.is_some_and(|place| place < index), "{} may import {name}, which is not below it", layer.name);
            let mut imported = files.iter().filter_map(|file| imports.get(**file)).flatten();
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
        let mut sources = sources();
        sources.entry(file.to_owned()).and_modify(|text| *text = format!("{text}\n{line}\n"));
        let found = faults(&sources);
        let wrong = format!("operator/src/{file}.rs, of layer {}, imports {imported}.rs", layer_of(file).unwrap().name);
        assert!(found.iter().any(|fault| fault.starts_with(&wrong) && fault.contains("belongs in")), "{line}: {found:?}");
    }
}

#[test]
fn a_circle_in_one_layer_and_a_file_without_a_layer_are_found() {
    let mut sources = sources();
    sources.entry("quantity".to_owned()).and_modify(|text| text.push_str("use crate::names::MANAGED_BY;\n"));
    sources.entry("names".to_owned()).and_modify(|text| text.push_str("use super::quantity::whole;\n"));
    let found = faults(&sources);
    assert_eq!(found, ["the files import each other in a circle: names → quantity → names"]);
    sources.remove("names");
    sources.insert("newcomer".to_owned(), String::new());
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
        let mut sources = sources();
        sources.entry("error".to_owned()).and_modify(|source| *source = format!("{source}\n{text}\n"));
        assert_eq!(faults(&sources), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources() {
        let words = words(&text);
        for pair in words.windows(2) {
            let [keyword, name] = pair else { continue };
            if matches!(keyword.as_str(), "struct" | "enum" | "trait" | "type") && name.starts_with(char::is_uppercase) {
                files.entry(name.clone()).or_default().push(file.clone());
            }
        }
    }
    assert!(files.len() > 80, "few types were found: {files:?}");
    files.retain(|_, files| files.len() > 1);
    assert_eq!(files, BTreeMap::new());
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
