//! One line of JSON for whoever started `api migrate` and cannot read its output: an operator, through the pod's termination message.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::store::schema::Migrated;
use crate::telemetry::chain;

/// The longest termination message that Kubernetes keeps, in bytes.
const MAX_LINE_BYTES: usize = 4096;

#[derive(Serialize)]
#[serde(untagged)]
enum ResultLine {
    Done { schema: String, applied: usize },
    Failed { error: String },
}

/// Writes how it ended into `file`, in place: a pod's termination log is a mount that no other file can take the name of.
pub(super) fn write<E: AsRef<dyn std::error::Error + Send + Sync>>(file: &Path, done: &Result<Migrated, E>) -> io::Result<()> {
    let line = match done {
        Ok(done) => ResultLine::Done { schema: done.schema.to_string(), applied: done.applied },
        Err(error) => ResultLine::Failed { error: chain(error.as_ref()) },
    };
    fs::write(file, within(line, MAX_LINE_BYTES))
}

/// The line, whose error is cut where it would not fit.
fn within(mut line: ResultLine, limit: usize) -> String {
    loop {
        // A struct of strings and numbers always serialises.
        let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
        match &mut line {
            ResultLine::Failed { error } if text.len() > limit => {
                // No character takes more than six bytes of the line.
                let keep = error.chars().count().saturating_sub((text.len() - limit).div_ceil(6));
                *error = error.chars().take(keep).collect();
            }
            _ => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    fn written(done: &Result<Migrated, Box<dyn std::error::Error + Send + Sync>>) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "what was there before is longer than what comes, and must not stay").unwrap();
        write(file.path(), done).unwrap();
        fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn the_line_says_how_it_ended() {
        let done = written(&Ok(Migrated { schema: 20_261_125_000_001, applied: 2 }));
        assert_eq!(done, "{\"schema\":\"20261125000001\",\"applied\":2}\n");
        assert_eq!(written(&Err("uma \"falha\"".into())), "{\"error\":\"uma \\\"falha\\\"\"}\n");
    }

    #[test]
    fn a_long_error_is_cut_and_stays_json() {
        for piece in ["a", "ção ", "\n", "\u{1}", "🌱\"\\"] {
            let whole = piece.repeat(5_000);
            let line = written(&Err(whole.clone().into()));
            assert!((MAX_LINE_BYTES - 40..=MAX_LINE_BYTES).contains(&line.len()), "{piece:?}: {}", line.len());
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(whole.starts_with(value["error"].as_str().unwrap()), "{piece:?}");
        }
    }
}
