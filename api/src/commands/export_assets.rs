//! `api export-assets`: writes the static files, for a web server to serve by itself. What is missing there it asks the API for.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::CommandError;
use crate::config::keys::{random_hex, sha256};
use crate::http::openapi;
use crate::web::{assets, failure};

/// What text compresses; images are compressed already.
const COMPRESSIBLE: [&str; 6] = ["css", "html", "js", "json", "svg", "txt"];

/// The earliest time of an exported file, in 2001, as time since 1970.
const MIN_FILE_TIME: Duration = Duration::from_secs(1_000_000_000);
/// The range of the times of exported files, which therefore end in 2010.
const FILE_TIME_RANGE_SECONDS: u32 = 1 << 28;

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written")]
struct ExportError {
    path: PathBuf,
    source: io::Error,
}

/// Writes the static files below `dir` and prints how many there are.
pub fn run(dir: &Path) -> Result<(), CommandError> {
    println!("{} files written", export(dir)?);
    Ok(())
}

/// Writes every file below `dir` under the path that it has in a URL, with a `.gz` beside what compresses, and returns the number of
/// files. Each appears whole. Files of other releases stay, for pages that are still open.
fn export(dir: &Path) -> Result<usize, ExportError> {
    let mut count = 0;
    for (name, bytes) in served() {
        let path = dir.join(name);
        let time = time_of(&bytes);
        put(&path, &bytes, time)?;
        count += 1;
        if path.extension().is_some_and(|kind| COMPRESSIBLE.iter().any(|compressible| kind == *compressible)) {
            let packed = pack(&bytes).map_err(|source| ExportError { path: path.clone(), source })?;
            put(&with_suffix(&path, ".gz"), &packed, time)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Every file by its path in a URL, without the leading slash: the documentation's page, what the site's pages name, and the pages of a
/// web server's own errors.
fn served() -> impl Iterator<Item = (String, Vec<u8>)> {
    let docs = openapi::page_files().map(|(name, bytes)| (format!("docs/{name}"), bytes));
    let assets = assets::files().map(|(url, bytes)| (url.trim_start_matches('/').to_owned(), bytes.to_vec()));
    let errors = failure::files().map(|(name, html)| (name, html.into_bytes()));
    docs.chain(assets).chain(errors)
}

/// A time that depends on nothing but the content. A server makes its `ETag` of time and size, which so is the same in every pod, and
/// another when the content is.
fn time_of(bytes: &[u8]) -> SystemTime {
    let [a, b, c, d, ..] = sha256(bytes);
    SystemTime::UNIX_EPOCH + MIN_FILE_TIME + Duration::from_secs(u64::from(u32::from_be_bytes([a, b, c, d]) % FILE_TIME_RANGE_SECONDS))
}

fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes beside `path` and renames: a server never sees half a file, nor does the export of another pod on the same volume.
fn put(path: &Path, bytes: &[u8], time: SystemTime) -> Result<(), ExportError> {
    let failed = |source| ExportError { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = with_suffix(path, &format!(".{}.new", random_hex()));
    let written = write(&draft, bytes, time).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed)
}

fn write(path: &Path, bytes: &[u8], time: SystemTime) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    // The server runs as another user.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.set_times(FileTimes::new().set_modified(time))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    /// Name, content and time of each file below `dir`.
    fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
        let file = |entry: fs::DirEntry| {
            let metadata = entry.metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{entry:?}");
            (entry.file_name().into_string().unwrap(), (fs::read(entry.path()).unwrap(), metadata.modified().unwrap()))
        };
        entries.map(file).collect()
    }

    #[test]
    fn the_page_is_exported_whole_and_alike_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let docs = dir.path().join("a/b/docs");
        fs::create_dir_all(&docs).unwrap();
        put(&docs.join("of-an-older-release.js"), b"x", SystemTime::UNIX_EPOCH).unwrap();
        put(&docs.join("index.html"), b"of an older release", SystemTime::UNIX_EPOCH).unwrap();
        let count = export(&dir.path().join("a/b")).unwrap();
        let exported = files(&docs);
        let others: usize = ["estatico", "erros", "erros/en"].iter().map(|name| files(&dir.path().join("a/b").join(name)).len()).sum();
        assert_eq!(exported.len() + others, count + 1, "no draft is left: {:?}", exported.keys());
        assert!(exported.contains_key("of-an-older-release.js"));
        // Whatever the page names is there.
        let (page, _) = &exported["index.html"];
        let page = std::str::from_utf8(page).unwrap();
        let mut named = 0;
        for attribute in ["href=\"", "src=\""] {
            for rest in page.split(attribute).skip(1) {
                let name = rest.split('"').next().unwrap().trim_start_matches("./");
                assert!(exported.contains_key(name), "{name}");
                named += 1;
            }
        }
        assert_eq!(named, 7, "{page}");
        export(&dir.path().join("a/b")).unwrap();
        assert_eq!(files(&docs), exported);
    }

    #[test]
    fn packed_files_hold_the_same_and_are_as_old() {
        let dir = tempfile::tempdir().unwrap();
        export(dir.path()).unwrap();
        let exported = files(&dir.path().join("docs"));
        for (name, (bytes, time)) in &exported {
            let kind = name.rsplit('.').next().unwrap();
            assert!(*time < SystemTime::UNIX_EPOCH + Duration::from_secs(1_300_000_000));
            if kind == "gz" {
                let (plain, plain_time) = &exported[name.strip_suffix(".gz").unwrap()];
                let mut unpacked = Vec::new();
                flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == *plain && time == plain_time, "{name}");
            } else {
                assert_eq!(exported.contains_key(&format!("{name}.gz")), kind != "png", "{name}");
            }
        }
    }

    #[test]
    fn the_time_follows_the_content() {
        assert_eq!(time_of(b"a"), time_of(b"a"));
        assert_ne!(time_of(b"a"), time_of(b"b"));
    }
}
