//! The real binary, for what happens before it serves.

use std::path::Path;
use std::process::{Command, Output};

use super::servers;

/// `api serve` on a database, with the keys in `secrets`, where it disturbs nobody.
pub fn serve(database: &str, secrets: &Path, profile: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command
        .arg("serve")
        .env_clear()
        .env("DATABASE_URL", servers().app_url(database))
        .env("REDIS_URL", servers().env("REDIS_URL"))
        .env("REDIS_PREFIX", format!("{database}:"))
        .env("DRAIN_SECONDS", "0")
        .env("POOLER", "direct")
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .env("ADMIN_ADDR", "127.0.0.1:0")
        .env("PUBLIC_URL", "http://localhost:8080")
        .env("PROFILE", profile)
        .env("SECRETS_DIR", secrets)
        .env("MAIL_URL", format!("file://{}/mail", secrets.display()));
    command
}

/// What a command that must fail says.
pub fn refusal(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}
