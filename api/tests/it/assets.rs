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
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "14 files written\n");
    // Nowhere to write is told.
    let output = Command::new(env!("CARGO_BIN_EXE_api")).args(["export-assets", "/proc/nowhere"]).env_clear().output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("api: /proc/nowhere/docs/"));
}
