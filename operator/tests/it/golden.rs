//! What `operator render` prints, against files that a review can read. `hack/gen` writes them; nothing here does.

use std::collections::BTreeSet;
use std::fs;

use super::cases::{Case, cases, files};
use super::manifest::{printed, repository_file};

/// The file with the objects of a case.
fn golden(case: &Case) -> String {
    format!("operator/tests/golden/{}.yaml", case.name)
}

#[test]
fn every_resource_becomes_the_objects_of_its_file() {
    for case in cases() {
        let file = golden(&case);
        let rendered = printed(&["render", &case.file.display().to_string()]);
        assert!(repository_file(&file) == rendered, "{file} is not what {} becomes; run: hack/gen", case.file.display());
    }
}

#[test]
fn there_is_one_file_of_objects_per_resource_and_no_other() {
    let cases = cases();
    let expected: BTreeSet<String> = cases.iter().map(golden).collect();
    assert_eq!(expected.len(), cases.len(), "two resources have the same name");
    let found: BTreeSet<String> = files("operator/tests/golden")
        .into_iter()
        .filter_map(|file| file.file_name()?.to_str().map(str::to_owned))
        .filter(|name| !name.ends_with(".resource.yaml"))
        .map(|name| format!("operator/tests/golden/{name}"))
        .collect();
    assert_eq!(found, expected, "add what is missing with hack/gen, and delete what no resource becomes");
}

#[test]
fn every_resource_says_what_it_is_for() {
    for case in cases() {
        assert!(case.text.starts_with("# "), "{}", case.file.display());
    }
}

/// The same resource in another order of members, as JSON: nothing of the order is in the objects.
#[test]
fn the_objects_do_not_depend_on_how_the_resource_is_written() {
    let folder = std::env::temp_dir().join(format!("doacoes-golden-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for case in cases() {
        let value: serde_yaml::Value = serde_yaml::from_str(&case.text).unwrap();
        let file = folder.join(format!("{}.json", case.name));
        fs::write(&file, serde_json::to_string(&reversed(value)).unwrap()).unwrap();
        assert!(printed(&["render", &file.display().to_string()]) == repository_file(&golden(&case)), "{}", case.name);
    }
    fs::remove_dir_all(folder).unwrap();
}

fn reversed(value: serde_yaml::Value) -> serde_yaml::Value {
    match value {
        serde_yaml::Value::Mapping(members) => {
            let members: Vec<_> = members.into_iter().collect();
            serde_yaml::Value::Mapping(members.into_iter().rev().map(|(key, value)| (key, reversed(value))).collect())
        }
        serde_yaml::Value::Sequence(items) => serde_yaml::Value::Sequence(items.into_iter().map(reversed).collect()),
        other => other,
    }
}

#[test]
fn members_are_sorted_by_name() {
    fn check(file: &str, value: &serde_yaml::Value) {
        match value {
            serde_yaml::Value::Mapping(members) => {
                let names: Vec<&str> = members.keys().filter_map(serde_yaml::Value::as_str).collect();
                assert!(names.is_sorted(), "{file}: {names:?}");
                members.values().for_each(|value| check(file, value));
            }
            serde_yaml::Value::Sequence(items) => items.iter().for_each(|value| check(file, value)),
            _ => {}
        }
    }
    for case in cases() {
        let file = golden(&case);
        for document in repository_file(&file).split("\n---\n") {
            check(&file, &serde_yaml::from_str(document).unwrap());
        }
    }
}
