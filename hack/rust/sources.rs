//! Reads the Rust sources of a crate, for tests: which file names which, and which types there are.
//!
//! api and operator share no crate, so this is no crate either: their tests of layers, `api/tests/layers.rs` and
//! `operator/tests/it/layers.rs`, include the file by its path, and the tests below run with both. The file needs only the
//! standard library.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources should stop where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Names of the crates that are read. A path in `main.rs` begins with the name of its own.
const CRATES: [&str; 2] = ["doacoes_api", "doacoes_operator"];

/// The files of a source tree and their text, by their paths below the tree's root: `store/mod.rs`.
pub(crate) type Sources = BTreeMap<String, String>;

/// A place where one file names another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Reference {
    pub(crate) from: String,
    /// Number of the line, from 1.
    pub(crate) line: usize,
    pub(crate) to: String,
    /// The path that is named, from the root of the crate: `store::donations::insert`.
    pub(crate) path: String,
    /// Whether the place is a `mod name;`, which makes `to` a part of the crate and uses nothing of it.
    pub(crate) declares: bool,
}

/// A name or a sign of a source, and the number of its line, from 1. `::` is one sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Every file below `root` that ends in `.rs`.
pub(crate) fn sources(root: &Path) -> Sources {
    let mut found = Sources::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The module that a file is, as its path from the root of the crate: `store/mod.rs` and `store.rs` are `["store"]`, `lib.rs` and
/// `main.rs` are `[]`.
pub(crate) fn module(file: &str) -> Vec<&str> {
    let file = file.strip_suffix(".rs").unwrap_or(file);
    let file = file.strip_suffix("/mod").unwrap_or(if matches!(file, "lib" | "main") { "" } else { file });
    file.split('/').filter(|part| !part.is_empty()).collect()
}

/// Every place of `sources` that names another file, in the order of the files and of their lines. A path that leads to no file
/// leads to `lib.rs`, if there is one.
pub(crate) fn references(sources: &Sources) -> Vec<Reference> {
    let modules: BTreeMap<Vec<&str>, &str> =
        sources.keys().map(|file| (module(file), file.as_str())).filter(|(path, _)| !path.is_empty()).collect();
    let file_of = |path: &[&str]| {
        let file = (1..=path.len()).rev().find_map(|length| modules.get(path.get(..length)?).copied());
        file.or_else(|| sources.get_key_value("lib.rs").map(|(file, _)| file.as_str()))
    };
    let mut references = Vec::new();
    for (from, text) in sources {
        let own = module(from);
        let children: BTreeSet<&str> =
            modules.keys().filter_map(|path| path.split_last()).filter(|(_, parent)| *parent == own).map(|(name, _)| *name).collect();
        for NamedPath { names, line, declares } in paths(&words(text), &own, &children) {
            let path: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some(to) = file_of(&path).filter(|to| to != from) {
                let (from, to) = (from.clone(), to.to_owned());
                references.push(Reference { from, line, to, path: path.join("::"), declares });
            }
        }
    }
    references.dedup();
    references
}

/// A path from the root of the crate, as a source names it.
struct NamedPath {
    names: Vec<String>,
    line: usize,
    declares: bool,
}

/// Every path of a source that begins at the crate, at the module `own` of the file, above it or at one of its `children`.
fn paths(words: &[Word], own: &[&str], children: &BTreeSet<&str>) -> Vec<NamedPath> {
    let word = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
    let mut found = Vec::new();
    // The modules inside the file that are open, each with the depth of its brace.
    let (mut inner, mut depth): (Vec<(&str, usize)>, usize) = (Vec::new(), 0);
    let mut index = 0;
    while let Some(Word { text, line }) = words.get(index) {
        let here = || own.iter().copied().chain(inner.iter().map(|(name, _)| *name)).map(str::to_owned).collect::<Vec<_>>();
        let begins_path = word(index + 1) == "::" && (index == 0 || word(index - 1) != "::");
        let (start, base) = match text.as_str() {
            "{" => {
                depth += 1;
                if index >= 2 && word(index - 2) == "mod" {
                    inner.push((word(index - 1), depth));
                }
                (None, Vec::new())
            }
            "}" => {
                inner.retain(|(_, brace)| *brace < depth);
                depth = depth.saturating_sub(1);
                (None, Vec::new())
            }
            "mod" if word(index + 2) == ";" => {
                let names = here().into_iter().chain([word(index + 1).to_owned()]).collect();
                found.push(NamedPath { names, line: *line, declares: true });
                (None, Vec::new())
            }
            name if begins_path && (name == "crate" || CRATES.contains(&name)) => (Some(index + 2), Vec::new()),
            "self" | "super" if begins_path => (Some(index), here()),
            name if begins_path && children.contains(name) => (Some(index), own.iter().copied().map(str::to_owned).collect()),
            _ => (None, Vec::new()),
        };
        index = start.map_or(index + 1, |start| tree(words, start, base, &mut found));
    }
    found
}

/// Reads the path that goes on with the word at `start`, or each path of a group in braces. Returns the index of what follows.
fn tree(words: &[Word], start: usize, mut base: Vec<String>, found: &mut Vec<NamedPath>) -> usize {
    let word = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
    let line = words.get(start).map_or(0, |word| word.line);
    let mut index = start;
    loop {
        match word(index) {
            "{" => {
                index += 1;
                while !matches!(word(index), "}" | "") {
                    index = tree(words, index, base.clone(), found);
                    // This skips `as name` too.
                    while !matches!(word(index), "," | "}" | "") {
                        index += 1;
                    }
                    index += usize::from(word(index) == ",");
                }
                return index + 1;
            }
            "self" => {}
            "super" => drop(base.pop()),
            name if name.starts_with(is_of_name) => base.push(name.to_owned()),
            _ => break,
        }
        index += 1;
        if word(index) != "::" {
            break;
        }
        index += 1;
    }
    found.push(NamedPath { names: base, line, declares: false });
    index
}

/// The files that define each type, by the name of the type. A file that defines several of one name is there as often. A type
/// that belongs to a trait, such as `type Error` in an `impl`, is not there.
pub(crate) fn types(sources: &Sources) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources {
        let words: Vec<String> = words(text).into_iter().map(|word| word.text).collect();
        // For each open brace, whether it is that of an `impl` or a trait.
        let mut braces = Vec::new();
        let mut head: &[String] = &[];
        let mut start = 0;
        for (index, word) in words.iter().enumerate() {
            let has = |wanted: &str| head.iter().any(|word| word == wanted);
            match word.as_str() {
                "{" => braces.push((has("impl") || has("trait")) && !has("fn")),
                "}" => drop(braces.pop()),
                _ => {}
            }
            if matches!(word.as_str(), "{" | "}" | ";") {
                start = index + 1;
            }
            head = words.get(start..=index).unwrap_or_default();
            let is_type = match word.as_str() {
                "struct" | "enum" | "trait" => true,
                "type" => braces.last() != Some(&true),
                _ => false,
            };
            if let Some(name) = words.get(index + 1).filter(|name| is_type && name.starts_with(char::is_uppercase)) {
                found.entry(name.clone()).or_default().push(file.clone());
            }
        }
    }
    found
}

/// The names and signs of a source. Comments and what stands in quotation marks are none.
pub(crate) fn words(source: &str) -> Vec<Word> {
    let signs: Vec<char> = source.chars().collect();
    let (mut words, mut rest, mut line) = (Vec::new(), signs.as_slice(), 1);
    while !rest.is_empty() {
        let (length, is_word) = next(rest);
        let (taken, left) = rest.split_at(length.min(rest.len()));
        if is_word {
            words.push(Word { text: taken.iter().collect(), line });
        }
        line += taken.iter().filter(|sign| **sign == '\n').count();
        rest = left;
    }
    words
}

/// The length of what `rest` begins with, and whether it is a name or a sign.
fn next(rest: &[char]) -> (usize, bool) {
    match rest {
        ['/', '/', ..] => (rest.iter().take_while(|sign| **sign != '\n').count(), false),
        ['/', '*', ..] => (block_comment(rest), false),
        ['"', ..] => (string(rest), false),
        // These are characters, and a sign alone begins a lifetime.
        ['\'', '\\', _, more @ ..] => (4 + more.iter().take_while(|sign| **sign != '\'').count(), false),
        ['\'', _, '\'', ..] => (3, false),
        [':', ':', ..] => (2, true),
        [first, ..] if is_of_name(*first) => {
            let length = rest.iter().take_while(|sign| is_of_name(**sign)).count();
            let (name, more) = rest.split_at(length);
            match (name, more) {
                (['r'] | ['b' | 'c', 'r'], ['"' | '#', ..]) => raw(more).map_or((length, true), |raw| (length + raw, false)),
                _ => (length, true),
            }
        }
        [first, ..] => (1, !first.is_whitespace()),
        [] => (0, false),
    }
}

fn is_of_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The length of the comment that `rest` begins with. Such comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut index) = (0, 0);
    loop {
        match rest.get(index..) {
            Some(['/', '*', ..]) => (depth, index) = (depth + 1, index + 2),
            Some(['*', '/', ..]) => (depth, index) = (depth - 1, index + 2),
            Some([_, ..]) => index += 1,
            _ => return rest.len(),
        }
        if depth == 0 {
            return index;
        }
    }
}

/// The length of the string that `rest` begins with.
fn string(rest: &[char]) -> usize {
    let mut index = 1;
    loop {
        match rest.get(index) {
            Some('\\') => index += 2,
            Some('"') => return index + 1,
            Some(_) => index += 1,
            None => return rest.len(),
        }
    }
}

/// The length of a raw string after its `r`; of the sign before a raw name, `None`.
fn raw(rest: &[char]) -> Option<usize> {
    let hashes = rest.iter().take_while(|sign| **sign == '#').count();
    rest.get(hashes).filter(|sign| **sign == '"')?;
    let mut index = hashes + 1;
    while index < rest.len() {
        let end = rest.get(index..)?;
        if end.first() == Some(&'"') && end.iter().skip(1).take_while(|sign| **sign == '#').count() >= hashes {
            return Some(index + 1 + hashes);
        }
        index += 1;
    }
    Some(rest.len())
}

mod tests {
    use super::*;

    fn made_up(files: &[(&str, &str)]) -> Sources {
        files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    }

    /// The files that `text` names as the file `from`, each with the path that names it.
    fn named(from: &str, text: &str) -> Vec<(String, String)> {
        let mut sources = made_up(&[
            ("lib.rs", "pub mod http; pub mod store;"),
            ("domain/mod.rs", ""),
            ("domain/money.rs", ""),
            ("http/mod.rs", ""),
            ("http/problem.rs", ""),
            ("store/mod.rs", ""),
            ("store/rows.rs", ""),
        ]);
        sources.insert(from.to_owned(), text.to_owned());
        let found = references(&sources).into_iter().filter(|reference| reference.from == from && !reference.declares);
        found.map(|reference| (reference.to, reference.path)).collect()
    }

    #[test]
    fn a_path_names_the_file_that_is_nearest_to_its_end() {
        for (text, to, path) in [
            ("use crate::http;", "http/mod.rs", "http"),
            ("use crate::http::Problem;", "http/mod.rs", "http::Problem"),
            ("use crate::http::problem::Problem;", "http/problem.rs", "http::problem::Problem"),
            ("pub(crate) use crate::http::*;", "http/mod.rs", "http"),
            ("use crate::http as web;", "http/mod.rs", "http"),
            ("use\n    crate ::\n    http;", "http/mod.rs", "http"),
            ("use doacoes_api::http::serve;", "http/mod.rs", "http::serve"),
            ("use doacoes_operator::http::serve;", "http/mod.rs", "http::serve"),
            ("fn f(problem: crate::http::Problem) {}", "http/mod.rs", "http::Problem"),
            ("fn f() -> Vec<crate::http::Problem> { Vec::new() }", "http/mod.rs", "http::Problem"),
            ("fn f() { crate::http::f::<u8>() }", "http/mod.rs", "http::f"),
            ("use crate::VERSION;", "lib.rs", "VERSION"),
        ] {
            assert_eq!(named("store/mod.rs", text), [(to.to_owned(), path.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_group_names_a_file_for_each_of_its_paths() {
        let text = "use crate::{domain::{self, money::{Cents, Sum as Total}}, http as web, store::Row, http::problem::*,};";
        let expected = [
            ("domain/mod.rs", "domain"),
            ("domain/money.rs", "domain::money::Cents"),
            ("domain/money.rs", "domain::money::Sum"),
            ("http/mod.rs", "http"),
            ("http/problem.rs", "http::problem"),
        ];
        assert_eq!(named("store/mod.rs", text), expected.map(|(to, path)| (to.to_owned(), path.to_owned())));
    }

    #[test]
    fn self_super_and_a_child_begin_at_the_file_and_the_modules_inside_it() {
        for (from, text, to) in [
            ("store/mod.rs", "use super::http::Problem;", Some("http/mod.rs")),
            ("store/rows.rs", "use super::Row;", Some("store/mod.rs")),
            ("store/rows.rs", "use super::super::http::Problem;", Some("http/mod.rs")),
            ("store/rows.rs", "use super::super::{http::Problem};", Some("http/mod.rs")),
            ("store/rows.rs", "use self::super::super::http::Problem;", Some("http/mod.rs")),
            ("store/mod.rs", "use self::rows::Row;", Some("store/rows.rs")),
            ("store/mod.rs", "use rows::Row;", Some("store/rows.rs")),
            ("store/mod.rs", "fn f() { rows::f() }", Some("store/rows.rs")),
            ("store/mod.rs", "mod tests { use super::*; }", None),
            ("store/mod.rs", "mod tests { use super::rows::Row; }", Some("store/rows.rs")),
            ("store/mod.rs", "mod tests { use super::super::http; }", Some("http/mod.rs")),
            ("store/mod.rs", "mod inner { mod deeper {} use super::super::http; }", Some("http/mod.rs")),
            ("store/mod.rs", "mod inner { mod deeper { use super::super::super::http; } }", Some("http/mod.rs")),
            ("store/mod.rs", "mod inner { fn f() {} } use super::http;", Some("http/mod.rs")),
            // Modules of others have these names.
            ("store/mod.rs", "use axum::http::StatusCode; fn f() { http::f() }", None),
            ("store/rows.rs", "fn f() { rows::f() }", None),
        ] {
            let found: Vec<String> = named(from, text).into_iter().map(|(to, _)| to).collect();
            assert_eq!(found, to.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{from}: {text}");
        }
    }

    #[test]
    fn comments_and_texts_name_nothing_and_macros_do() {
        for text in [
            "// use crate::http::f;",
            "/// See [`crate::http::f`].\nfn f() {}",
            "/* crate::http::f /* and */ crate::http::g */",
            "const TEXT: &str = \"crate::http::f \\\" crate::http::g\";",
            "const TEXT: &str = r\"crate::http::f\";",
            "const TEXT: &str = r#\"crate::http::f \" crate::http::g\"#;",
            "const TEXT: &[u8] = br#\"crate::http::f \" crate::http::g\"#;",
            "#[doc = \"crate::http::f\"] fn f() {}",
        ] {
            assert_eq!(named("store/mod.rs", text), [], "{text}");
        }
        for text in [
            "macro_rules! m { () => { $crate::http::f() } }",
            "fn f() { println!(\"{}\", crate::http::f()) }",
            "const TEXT: &str = \"//\"; use crate::http;",
            "const QUOTE: char = '\"'; use crate::http; const OTHER: char = '\"';",
            "const QUOTE: char = '\\''; use crate::http; const OTHER: char = '\\u{22}';",
            "fn f<'a>(text: &'a str) -> &'a str { crate::http::f(text) }",
            "fn r#for() { crate::http::f() }",
        ] {
            assert_eq!(named("store/mod.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_reference_has_its_line_and_tells_a_declaration() {
        let sources = made_up(&[("store/mod.rs", "\nmod rows;\nuse rows::{\n    Row,\n};"), ("store/rows.rs", "use super::rows::x;")]);
        let of = |line, path: &str, declares| Reference {
            from: "store/mod.rs".to_owned(),
            line,
            to: "store/rows.rs".to_owned(),
            path: path.to_owned(),
            declares,
        };
        assert_eq!(references(&sources), [of(2, "store::rows", true), of(4, "store::rows::Row", false)]);
    }

    #[test]
    fn types_have_their_files_unless_they_belong_to_a_trait() {
        let sources = made_up(&[
            ("a.rs", "pub struct Row<T>(T); enum State { Open } trait Store: Sized { type Error; }"),
            ("b.rs", "impl Store for Row { type Error = u8; fn f() { type Local = u8; } } type Row = u8; // struct Comment;"),
            ("c.rs", "fn f() -> impl Fn() { struct Inside; || () } const STRUCT: &str = \"struct Text;\"; fn type_of(type_: Row) {}"),
        ]);
        let expected = [("Inside", "c.rs"), ("Local", "b.rs"), ("Row", "a.rs b.rs"), ("State", "a.rs"), ("Store", "a.rs")];
        let files = |files: &str| files.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(types(&sources), expected.map(|(name, of)| (name.to_owned(), files(of))).into());
    }
}
