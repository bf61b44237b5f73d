//! The layers of `api/src`, held against the imports: which file may take from which. Needs no server.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../hack/rust/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use sources::{Reference, Sources, module, references, types, words};

/// The parts of `api/src`, the highest layer first. A file imports from its own part and from the layers below it, and from nothing
/// else: not from a higher layer, and not from another part of its own layer. docs/ARCHITECTURE.md shows the same list.
const LAYERS: [&[&str]; 16] = [
    &["main"],
    &["commands"],
    &["app"],
    &["background", "health", "seed", "server"],
    &["web"],
    &["http"],
    &["service"],
    &["state"],
    &["streams"],
    &["cache", "mail"],
    &["gateway", "password", "store"],
    &["limits"],
    &["config", "process"],
    &["redis_client"],
    &["telemetry"],
    &["domain"],
];

/// Crates that only some parts know, so that the rest stays free of what they are for.
const CRATES: [(&str, &[&str]); 2] = [("axum", &["app", "http", "server", "web"]), ("askama", &["web"])];

const DOCUMENT: &str = "docs/ARCHITECTURE.md";
/// The heading above the picture, and what the picture's block begins with.
const PICTURE: (&str, &str) = ("## Inside `api/src`", "```text\n");

fn api_sources() -> Sources {
    sources::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The part of the crate that a file belongs to: the first name of its path.
fn part(file: &str) -> &str {
    let name = file.split('/').next().unwrap_or(file);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// What the files take from each other. lib.rs only lists the parts, as a `mod.rs` does with the files of its folder.
fn arrows(sources: &Sources) -> Vec<Reference> {
    references(sources).into_iter().filter(|arrow| !arrow.declares && arrow.from != "lib.rs" && arrow.to != "lib.rs").collect()
}

/// The number of layers below a part's own; `None` for a part that the table does not have.
fn height(part: &str) -> Option<usize> {
    LAYERS.iter().rev().position(|layer| layer.contains(&part))
}

/// What is wrong with the arrows between parts, and where each line belongs.
fn against_the_layers(sources: &Sources) -> Vec<String> {
    let unknown = sources.keys().filter(|file| *file != "lib.rs" && height(part(file)).is_none());
    let mut wrong: Vec<String> = unknown
        .map(|file| format!("api/src/{file} is in no layer: add `{}` to LAYERS in {} and to {DOCUMENT}", part(file), file!()))
        .collect();
    for Reference { from, line, to, path, declares: _ } in arrows(sources) {
        let (Some(own), Some(other)) = (height(part(&from)), height(part(&to))) else { continue };
        if part(&from) == part(&to) || own > other {
            continue;
        }
        let relation = if own == other { "beside" } else { "below" };
        let below: Vec<&str> = LAYERS.iter().rev().take(own).flat_map(|layer| layer.iter().copied()).collect();
        let (from_part, to_part) = (part(&from), part(&to));
        let down = if below.is_empty() { "nothing".to_owned() } else { below.join(", ") };
        wrong.push(format!(
            "api/src/{from}:{line} names `{path}` of api/src/{to}, but `{from_part}` is {relation} `{to_part}` and may import only from \
             {down}. Move what both need into one of these, or move this line to a part above `{to_part}`"
        ));
    }
    wrong
}

/// The files that name a crate which their part should not know.
fn strangers(sources: &Sources) -> Vec<String> {
    let names = |file: &str, krate: &str| words(&sources[file]).windows(2).any(|pair| pair[0].text == krate && pair[1].text == "::");
    let mut wrong = vec![];
    for (krate, parts) in CRATES {
        for file in sources.keys().filter(|file| !parts.contains(&part(file)) && names(file, krate)) {
            wrong.push(format!("api/src/{file} names the crate {krate}, which is for {} only", parts.join(", ")));
        }
    }
    wrong
}

/// Whether `file` belongs to the folder whose front `front` is: `limits/gcra.rs` to `limits/mod.rs`.
fn is_front(front: &str, file: &str) -> bool {
    let (front, file) = (module(front), module(file));
    file.len() > front.len() && file.starts_with(&front)
}

/// The circles among files. A folder's `mod.rs` is its front: that its own files take from it what it defines for all of them is no
/// circle, since a module and its children are written together.
fn circles(sources: &Sources) -> Vec<String> {
    let mut next: BTreeMap<String, BTreeMap<String, Reference>> = BTreeMap::new();
    for arrow in arrows(sources).into_iter().filter(|arrow| !is_front(&arrow.to, &arrow.from)) {
        next.entry(arrow.from.clone()).or_default().entry(arrow.to.clone()).or_insert(arrow);
    }
    let reach = |start: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(file) = open.pop() {
            for to in next.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = next.keys().map(|file| (file, reach(file))).collect();
    let (mut circles, mut told) = (vec![], BTreeSet::new());
    for (file, all) in &reached {
        if !all.contains(*file) || told.contains(*file) {
            continue;
        }
        let members: BTreeSet<&String> = all.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*file))).collect();
        let mut text = format!("{} files import each other in a circle:", members.len());
        for from in &members {
            for (to, arrow) in next[*from].iter().filter(|(to, _)| members.contains(to)) {
                let _ = write!(text, "\n  api/src/{from}:{} names `{}` of api/src/{to}", arrow.line, arrow.path);
            }
        }
        told.extend(members.into_iter().cloned());
        circles.push(text + "\n  Move what they share into a file below all of them");
    }
    circles
}

fn made_up(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_file_imports_only_from_layers_below_its_own() {
    let sources = api_sources();
    let wrong = against_the_layers(&sources);
    assert!(wrong.is_empty(), "{} imports against the layers:\n{}", wrong.len(), wrong.join("\n"));
    for name in LAYERS.iter().flat_map(|layer| layer.iter()) {
        assert!(sources.keys().any(|file| part(file) == *name), "LAYERS has `{name}`, which is no part of api/src any more: take it out");
    }
    // Imports that are there for certain, of each form, so that the reader of imports is known to see them.
    let seen: BTreeSet<(String, String)> = arrows(&sources).into_iter().map(|arrow| (arrow.from, arrow.to)).collect();
    for (from, to) in [
        ("main.rs", "commands/serve.rs"),
        ("commands/serve.rs", "app.rs"),
        ("app.rs", "http/mod.rs"),
        ("http/campaigns/donate.rs", "service/donations.rs"),
        ("service/donations.rs", "store/donations.rs"),
        ("store/donations.rs", "domain/money.rs"),
        ("http/layers.rs", "http/extract/body.rs"),
        ("background/mod.rs", "background/books.rs"),
    ] {
        assert!(seen.contains(&(from.to_owned(), to.to_owned())), "{from} -> {to} is not seen");
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&api_sources());
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_crate_of_some_parts_is_known_to_no_other() {
    let strange = made_up(&[("cache/entry.rs", "use axum::http::HeaderValue;"), ("http/mod.rs", "use axum::Router;")]);
    assert_eq!(strangers(&strange), ["api/src/cache/entry.rs names the crate axum, which is for app, http, server, web only"]);
    assert_eq!(strangers(&api_sources()), [""; 0]);
    for (krate, parts) in CRATES {
        let known = made_up(&[("attic.rs", &format!("{krate}::f();"))]);
        assert_eq!(strangers(&known).len(), 1, "{parts:?}");
    }
}

/// A page takes what the JSON endpoints take, from services and cached answers, so that both say the same.
#[test]
fn pages_ask_no_store_by_themselves() {
    let wrong: Vec<String> = arrows(&api_sources())
        .into_iter()
        .filter(|arrow| part(&arrow.from) == "web" && part(&arrow.to) == "store")
        .map(|arrow| format!("api/src/{}:{} names `{}`", arrow.from, arrow.line, arrow.path))
        .collect();
    assert_eq!(wrong, [""; 0]);
    for (name, text) in api_sources().iter().filter(|(name, _)| part(name) == "web") {
        assert!(!words(text).iter().any(|word| word.text == "sqlx" || word.text == "safe"), "{name} names sqlx, or the filter `safe`");
    }
}

/// Whether what `text` begins with is an inline style, script or handler.
fn is_attribute(text: &str) -> bool {
    let word: String = text.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
    match text.trim_start() {
        rest if rest.starts_with("<style") || rest.starts_with("javascript:") => true,
        rest => rest[word.len()..].starts_with('=') && (word == "style" || word.starts_with("on")),
    }
}

/// What a template prints is escaped, but for the types that are HTML by themselves.
#[test]
fn no_template_prints_a_text_unescaped() {
    let mut templates = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let dense: String = text.split_whitespace().collect();
            for way in ["|safe", "|escape(", "|e(", "{%filter", "{%-filter"] {
                assert!(!dense.contains(way), "{} has {way}", path.display());
            }
            // The pages' policy lets none of these work.
            for way in [" style=", " on", "<style", "javascript:"] {
                assert!(!text.match_indices(way).any(|(at, _)| is_attribute(&text[at..])), "{} has {way}", path.display());
            }
            templates += 1;
        }
    }
    assert!(templates > 10, "{templates}");
}

#[test]
fn no_two_types_have_one_name() {
    let mut types = types(&api_sources());
    assert!(types.len() > 200, "few types were found: {types:?}");
    types.retain(|_, files| files.len() > 1);
    assert_eq!(types, BTreeMap::new(), "a person who reads a name must not have to ask which type it is");
}

#[test]
fn the_document_shows_the_same_layers() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT)).unwrap();
    let section = text.split_once(PICTURE.0).unwrap_or_else(|| panic!("{DOCUMENT} has no section {}", PICTURE.0)).1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let block = section.split_once(PICTURE.1).unwrap_or_else(|| panic!("the section has no picture")).1;
    let shown = block.split_once("```").unwrap_or_else(|| panic!("the picture has no end")).0;
    let expected: String = LAYERS.iter().map(|layer| layer.join("  ") + "\n").collect();
    assert_eq!(shown, expected, "the picture in {DOCUMENT} and LAYERS in {} differ", file!());
}

#[test]
fn an_import_against_the_layers_is_found_however_it_is_written() {
    for (file, text) in [
        ("store/mod.rs", "use crate::http::Problem;"),
        ("store/mod.rs", "use crate::{domain::Money, http::{self, Problem}};"),
        ("store/mod.rs", "use crate::http as web;"),
        ("store/mod.rs", "pub(crate) use crate::http::*;"),
        ("store/mod.rs", "fn f(problem: crate::http::Problem) {}"),
        ("store/mod.rs", "macro_rules! m { () => { $crate::http::f() } }"),
        ("store/mod.rs", "fn f() { let s = \"//\"; crate::http::f(); }"),
        ("store/mod.rs", "const C: char = '\"'; use crate::http::X; const D: char = '\"';"),
        ("store/mod.rs", "#[cfg(test)] mod tests { use super::super::http::Problem; }"),
        ("store/mod.rs", "use super::http::Problem;"),
        ("store/rows.rs", "use super::super::http::Problem;"),
        ("store/rows.rs", "use super::super::{domain, http::Problem};"),
        ("store/rows.rs", "use\n    crate ::\n    http;\nuse crate::http::Problem;"),
        // Beside it.
        ("gateway/mod.rs", "use crate::store::Row;"),
    ] {
        let rest = [("domain/mod.rs", ""), ("http/mod.rs", ""), ("store/mod.rs", "")];
        let mut sources = made_up(&rest);
        assert_eq!(against_the_layers(&sources), [""; 0]);
        sources.insert(file.to_owned(), text.to_owned());
        let wrong = against_the_layers(&sources);
        let wrong = wrong.first().unwrap_or_else(|| panic!("nothing is wrong with {text}"));
        assert!(wrong.starts_with(&format!("api/src/{file}:")) && wrong.contains("domain, telemetry"), "{wrong}");
    }
    let wrong = against_the_layers(&made_up(&[("http/mod.rs", ""), ("domain/mod.rs", "\nuse crate::http::Problem;")]));
    assert_eq!(
        wrong,
        ["api/src/domain/mod.rs:2 names `http::Problem` of api/src/http/mod.rs, but `domain` is below `http` and may import only from \
          nothing. Move what both need into one of these, or move this line to a part above `http`"]
    );
    let wrong = against_the_layers(&made_up(&[("attic.rs", "")]));
    assert!(wrong.first().unwrap().starts_with("api/src/attic.rs is in no layer"), "{wrong:?}");
}

#[test]
fn what_is_no_import_or_points_down_is_not_held_against_a_file() {
    for text in [
        "//! See [`x`](crate::http::x).",
        "/* crate::http::x /* and */ crate::http::y */ use crate::domain::Money;",
        "const URL: &str = \"crate::http::x\";",
        "const URL: &str = r#\"crate::http::\"x\"#;",
        "use super::domain::Money; fn http() {}",
        "mod tests { use super::*; }",
        "use axum::http::StatusCode; fn f<'a>(x: &'a str) -> &'a str { http::f(x) }",
        "use crate::store::{self, Row}; use self::store::Row;",
    ] {
        let sources = made_up(&[("domain/mod.rs", ""), ("http/mod.rs", ""), ("store/mod.rs", text)]);
        assert_eq!(against_the_layers(&sources), [""; 0], "{text}");
    }
}

#[test]
fn a_circle_is_found_through_any_number_of_files() {
    let two = made_up(&[("cache/mod.rs", ""), ("cache/a.rs", "use super::b::B;"), ("cache/b.rs", "fn f() { crate::cache::a::f() }")]);
    assert_eq!(
        circles(&two),
        ["2 files import each other in a circle:\n  api/src/cache/a.rs:1 names `cache::b::B` of api/src/cache/b.rs\n  \
          api/src/cache/b.rs:1 names `cache::a::f` of api/src/cache/a.rs\n  Move what they share into a file below all of them"]
    );
    let three = [("cache.rs", "use crate::{mail, store::S};"), ("store.rs", "use crate::{domain::{self, x::X}};"), ("mail.rs", "")];
    let mut sources = made_up(&three);
    sources.insert("domain/mod.rs".to_owned(), String::new());
    sources.insert("domain/x.rs".to_owned(), "use super::Money; use super::super::super::telemetry;".to_owned());
    assert_eq!(circles(&sources), [""; 0]);
    sources.insert("domain/x.rs".to_owned(), "use super::Money; use super::super::cache;".to_owned());
    assert_eq!(circles(&sources).len(), 1);
    assert!(circles(&sources)[0].starts_with("3 files"), "{}", circles(&sources)[0]);
    // A folder and its front.
    let front = made_up(&[("limits/mod.rs", "mod gcra; use gcra::Verdict;"), ("limits/gcra.rs", "use super::Quota;")]);
    assert_eq!(circles(&front), [""; 0]);
}
