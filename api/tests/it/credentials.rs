//! Passwords in files, as a pod mounts them: every command that reaches a store takes them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use doacoes_api::config::keys::Keys;
use serde_json::json;
use sqlx::Connection as _;
use tempfile::TempDir;

use crate::harness::{Options, TestApp, create_database, servers, until};

/// A folder as a pod sees it: keys, and a file for each password.
struct Mounted {
    folder: TempDir,
    database_url: String,
    migration_database_url: String,
    redis_url: String,
}

/// The URL without its password, and the password.
fn split(url: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (login, server) = rest.split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    (format!("{scheme}://{user}@{server}"), password.to_owned())
}

impl Mounted {
    fn new(database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Keys::create_missing(&folder.path().join("keys")).unwrap();
        let (database_url, app) = split(&servers().app_url(database));
        let (migration_database_url, owner) = split(&servers().owner_url(database));
        let (redis_url, redis) = split(&servers().env("REDIS_URL"));
        let this = Self { folder, database_url, migration_database_url, redis_url };
        this.write("app", &app);
        this.write("owner", &owner);
        this.write("redis", &redis);
        this.write("mail", &format!("file://{}/mail.d", this.folder.path().display()));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), format!("{text}\n")).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o440)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
        command
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", &self.database_url)
            .env("DATABASE_PASSWORD_FILE", self.path("app"))
            .env("MIGRATION_DATABASE_URL", &self.migration_database_url)
            .env("MIGRATION_DATABASE_PASSWORD_FILE", self.path("owner"))
            .env("REDIS_URL", &self.redis_url)
            .env("REDIS_PASSWORD_FILE", self.path("redis"))
            .env("REDIS_PREFIX", format!("{}:", self.folder.path().display()))
            .env("MAIL_URL_FILE", self.path("mail"))
            .env("SECRETS_DIR", self.path("keys"))
            .env("PROFILE", "development")
            .env("POOLER", "direct")
            .env("DRAIN_SECONDS", "0")
            .env("PUBLIC_URL", "http://localhost:8080")
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "127.0.0.1:0");
        command
    }

    /// What it says on standard error when it is refused: one line, which names no password.
    fn refusal(&self, mut command: Command) -> String {
        let Output { status, stderr, .. } = command.output().unwrap();
        assert!(!status.success());
        let text = String::from_utf8(stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for name in ["app", "owner", "redis"] {
            let password = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            assert!(password.trim().is_empty() || !text.contains(password.trim()), "{text}");
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_reaches_its_stores_with_passwords_from_files() {
    let mounted = Mounted::new(&create_database(servers()).await);
    for arguments in [&["migrate"][..], &["admin", "check-books"], &["seed", "--if-empty"], &["seed", "--if-empty"]] {
        let output = mounted.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let mut child = mounted.command(&["serve"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let (public, admin) = (line["public"].as_str().unwrap(), line["admin"].as_str().unwrap());
    until(Duration::from_secs(20), "ready", async || {
        reqwest::get(format!("http://{admin}/readyz")).await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    // Redis answered with the password, and mail goes where the file says.
    let metrics = async || reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    until(Duration::from_secs(10), "Redis is used", async || metrics().await.contains("doacoes_cache_connected 1")).await;
    let body = json!({"nome": "Ana Souza", "email": "ana@exemplo.org.br", "senha": "uma frase longa",
        "aviso_privacidade": "2026-11", "consentimento": true});
    let answer = reqwest::Client::new().post(format!("http://{public}/api/v1/pessoas")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let letters = || std::fs::read_dir(mounted.path("mail.d")).map(Iterator::count).unwrap_or_default();
    until(Duration::from_secs(20), "a letter is delivered", async || letters() > 0).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_with_the_schema_and_others_at_the_command_line() {
    let database = create_database(servers()).await;
    let mounted = Mounted::new(&database);
    let file = mounted.path("admin").display().to_string();
    let said = |arguments: &[&str]| {
        let output = mounted.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let migrate = |email: &str| said(&["migrate", "--first-admin", email, "--first-admin-password-file", &file]);
    mounted.write("admin", "curta");
    let short = mounted.refusal(mounted.command(&["migrate", "--first-admin", "a@exemplo.org.br", "--first-admin-password-file", &file]));
    assert!(short.contains("a senha tem de 8 a 150"), "{short}");
    mounted.write("admin", "gerada por quem instala");
    assert!(migrate("Primeira@Exemplo.org.br").contains("the first administrator has an account"));
    // Whatever the file holds by then.
    std::fs::remove_file(&file).unwrap();
    assert!(migrate("segunda@exemplo.org.br").contains("there is an administrator already; no account was made"));
    mounted.write("admin", "escolhida por uma pessoa");
    let create = ["admin", "create", "terceira@exemplo.org.br", "--password-file", &file];
    assert_eq!(said(&create), "done\n");
    let taken = mounted.refusal(mounted.command(&create));
    assert!(taken.contains("this e-mail has an account already") && taken.contains("grant-admin"), "{taken}");

    let app = TestApp::on(servers(), &database, Options::default()).await;
    for (email, password, status) in [
        ("primeira@exemplo.org.br", "gerada por quem instala", 201),
        ("terceira@exemplo.org.br", "escolhida por uma pessoa", 201),
        ("segunda@exemplo.org.br", "gerada por quem instala", 401),
    ] {
        app.post("sessoes", json!({"email": email, "senha": password})).send().await.expect(status);
    }
    assert_eq!(app.count("SELECT count(*) FROM pessoas WHERE papel = 'admin' AND email_verificado_em IS NOT NULL").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM auditoria WHERE ator = 'cli' AND acao = 'pessoa.admin'").await, 2);
    // Where somebody has signed up with the address, the password is theirs and the site gets its new version all the same.
    mounted.write("admin", "gerada por quem instala");
    let person = app.person().await;
    sqlx::query("UPDATE pessoas SET papel = 'pessoa'").execute(&app.owner).await.unwrap();
    assert!(migrate(&person.email).contains("has an account already, with a password of its own"));
    assert_eq!(app.count("SELECT count(*) FROM pessoas WHERE papel = 'admin'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_files_are_refused_in_one_line() {
    let database = create_database(servers()).await;
    let mounted = Mounted::new(&database);
    for (command, name, setting) in [
        (&["serve"][..], "app", "DATABASE_PASSWORD_FILE"),
        (&["serve"], "redis", "REDIS_PASSWORD_FILE"),
        (&["serve"], "mail", "MAIL_URL_FILE"),
        (&["migrate"], "owner", "MIGRATION_DATABASE_PASSWORD_FILE"),
        (&["seed"], "app", "DATABASE_PASSWORD_FILE"),
        (&["admin", "check-books"], "app", "DATABASE_PASSWORD_FILE"),
    ] {
        let refused = |expected: &str| {
            let text = mounted.refusal(mounted.command(command));
            let path = mounted.path(name);
            assert!(text.starts_with(&format!("api: {setting} cannot be used: {} {expected}", path.display())), "{command:?}: {text}");
        };
        let kept = std::fs::read_to_string(mounted.path(name)).unwrap();
        std::fs::set_permissions(mounted.path(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        refused("is readable by everyone (mode 644)");
        std::fs::remove_file(mounted.path(name)).unwrap();
        refused("cannot be read: No such file");
        mounted.write(name, "");
        refused("is empty");
        std::fs::remove_file(mounted.path(name)).unwrap();
        mounted.write(name, kept.trim());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_two_places_is_refused() {
    let database = create_database(servers()).await;
    let mounted = Mounted::new(&database);
    for (arguments, name, url) in [
        ("serve", "DATABASE_URL", servers().app_url(&database)),
        ("serve", "REDIS_URL", servers().env("REDIS_URL")),
        ("seed", "DATABASE_URL", servers().app_url(&database)),
        ("migrate", "MIGRATION_DATABASE_URL", servers().owner_url(&database)),
    ] {
        let mut command = mounted.command(&[arguments]);
        command.env(name, url);
        assert!(mounted.refusal(command).contains(&format!("{name} holds a password, and ")), "{arguments} {name}");
    }
    let mut command = mounted.command(&["serve"]);
    command.env("MAIL_URL", "file:///nowhere");
    assert!(mounted.refusal(command).contains("MAIL_URL and MAIL_URL_FILE are both given"));
}

/// Whatever a password is made of reaches `PostgreSQL` as it was written.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_may_hold_what_means_something_in_a_url() {
    let role = format!("papel_{}", uuid::Uuid::new_v4().simple());
    let password = "a%41 b/c:d@e?f#g[h]&i=j+ç";
    let mut superuser = sqlx::PgConnection::connect(&servers().env("PG_SUPERUSER_URL")).await.unwrap();
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.unwrap();
    let mounted = Mounted::new("postgres");
    mounted.write("special", password);
    let login = doacoes_api::config::credentials::Login { url: "DATABASE_URL", password: "DATABASE_PASSWORD" };
    let url = mounted.database_url.replace("://app@", &format!("://{role}@"));
    let whole = login.complete(&url.into(), Some(Path::new(&mounted.path("special")))).unwrap();
    let mut connection = sqlx::PgConnection::connect(secrecy::ExposeSecret::expose_secret(&whole)).await.unwrap();
    let user: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(user, role);
    drop(connection);
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP ROLE {role}"))).execute(&mut superuser).await.unwrap();
}
