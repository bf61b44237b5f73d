//! The resources whose objects are kept in `tests/golden`.

use std::fs;
use std::path::{Path, PathBuf};

/// A resource in a file.
pub(crate) struct Case {
    /// Name of the file with its objects, without `.yaml`.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// The resource.
    pub(crate) text: String,
}

/// A folder or file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The samples, and every `*.resource.yaml`.
pub(crate) fn cases() -> Vec<Case> {
    let samples = files("manifests/samples").into_iter().filter_map(|file| case(file, ".yaml"));
    let resources = files("operator/tests/golden").into_iter().filter_map(|file| case(file, ".resource.yaml"));
    let found: Vec<Case> = samples.chain(resources).collect();
    assert!(found.len() > 10, "there are no resources");
    found
}

fn case(file: PathBuf, suffix: &str) -> Option<Case> {
    let name = file.file_name()?.to_str()?.strip_suffix(suffix)?.to_owned();
    let text = fs::read_to_string(&file).ok()?;
    Some(Case { name, file, text })
}

/// The files of a folder of the repository, by name.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(repository(folder)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}
