//! `api export-assets`: a web server that has them answers as the API does.

use std::process::Command;

use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_the_api_serves() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_api")).arg("export-assets").arg(dir.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut compared = 0;
    for entry in std::fs::read_dir(dir.path().join("docs")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().extension().is_some_and(|kind| kind == "gz") {
            continue;
        }
        let served = app.http.get(format!("{}/docs/{name}", app.base)).send().await.unwrap();
        assert_eq!(served.status(), 200, "{name}");
        assert!(served.bytes().await.unwrap() == std::fs::read(entry.path()).unwrap(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 8);
    // Docs, three assets and eight pages of errors, each with what compresses beside it.
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "36 files written\n");
    // A page names nothing that is not there, and the server's own errors look like ours.
    let home = app.http.get(format!("{}/", app.base)).send().await.unwrap().text().await.unwrap();
    for (folder, count) in [("estatico", 3), ("erros", 4), ("erros/en", 4)] {
        let mut names = vec![];
        for entry in std::fs::read_dir(dir.path().join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() && entry.path().extension().is_some_and(|kind| kind != "gz") {
                names.push((entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
        assert_eq!(names.len(), count, "{folder}");
        for (name, text) in names {
            if folder == "estatico" {
                assert!(home.contains(&format!("/estatico/{name}")), "{name}");
                let served = app.http.get(format!("{}/estatico/{name}", app.base)).send().await.unwrap();
                assert_eq!(served.headers()["cache-control"], "public, max-age=31536000, immutable");
                assert_eq!(served.text().await.unwrap(), text);
            } else {
                assert!(text.contains("/estatico/site.") && text.contains(&name[..3]), "{name}: {text}");
            }
        }
    }
    // Nowhere to write is told.
    let output = Command::new(env!("CARGO_BIN_EXE_api")).args(["export-assets", "/proc/nowhere"]).env_clear().output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("api: /proc/nowhere/docs/"));
}
