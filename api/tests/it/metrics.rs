//! Metrics: documented as they are told, with closed sets of labels, and all of them on the dashboard.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use doacoes_api::background::{BackgroundResult, Delivery, MailState, Queue, Task};
use doacoes_api::cache::{CacheClass, CacheLayer, CacheOutcome, Fill};
use doacoes_api::config::Profile;
use doacoes_api::domain::donation::DonationStatus;
use doacoes_api::http::metrics::Method;
use doacoes_api::http::openapi;
use doacoes_api::limits::load_shed::WaitQueue;
use doacoes_api::limits::{LimitStore, Rule};
use doacoes_api::process::readiness::Store;
use doacoes_api::redis_client::RedisOutcome;
use doacoes_api::server::Listener;
use doacoes_api::store::consistency::CHECKS;
use doacoes_api::store::database::ConnectionState;
use doacoes_api::store::outbox;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Options, Org, TestApp, e2eid, metric, metric_once_known, sum_of, until};

/// What no panel shows, and why.
const LEFT_OUT: [(&str, &str); 1] = [("process_virtual_memory_bytes", "address space says nothing about memory that is used")];
/// Added by whoever scrapes.
const TARGET_LABELS: [&str; 2] = ["namespace", "instance"];
const DASHBOARD: &str = "charts/doacoes/dashboards/doacoes-api.json";
const DOCUMENT: &str = "docs/metrics.md";

macro_rules! texts {
    ($name:ident) => {
        $name::ALL.iter().map(|value| value.as_str().to_owned()).collect()
    };
}

/// Every value that the label may have in the metric.
fn values(metric: &str, label: &str) -> Vec<String> {
    match (metric, label) {
        ("doacoes_build_info", "version") => vec![env!("CARGO_PKG_VERSION").to_owned()],
        (_, "method") => texts!(Method),
        (_, "route") => {
            let others = ["/openapi.json", "/docs", "/docs/", "/docs/{*file}", "unmatched"].map(str::to_owned);
            openapi::document(Profile::Development).paths.paths.into_keys().chain(others).collect()
        }
        (_, "status") => (100..600).map(|status: u16| status.to_string()).collect(),
        (_, "listener") => texts!(Listener),
        (_, "situacao") => texts!(DonationStatus),
        ("doacoes_queue_lag_seconds", "queue") => texts!(Queue),
        ("doacoes_queue_waiting" | "doacoes_shed_total", "queue") => texts!(WaitQueue),
        ("doacoes_outbox_messages", "state") => texts!(MailState),
        ("doacoes_database_connections", "state") => texts!(ConnectionState),
        ("doacoes_mail_deliveries_total", "result") => texts!(Delivery),
        ("doacoes_background_runs_total", "result") => texts!(BackgroundResult),
        ("doacoes_cache_requests_total", "result") => texts!(CacheOutcome),
        ("doacoes_cache_fills_total", "result") => texts!(Fill),
        ("doacoes_redis_commands_total", "result") => texts!(RedisOutcome),
        (_, "task") => texts!(Task),
        (_, "check") => CHECKS.map(str::to_owned).into(),
        (_, "layer") => texts!(CacheLayer),
        (_, "entity") => texts!(CacheClass),
        ("doacoes_rate_limit_checks_total", "store") => texts!(LimitStore),
        (_, "store") => texts!(Store),
        (_, "rule") => texts!(Rule),
        _ => panic!("name the enum that the label {label} of {metric} takes its values from, in `values` of {}", file!()),
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn repository_file(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `/metrics` tells of one metric: its type, and each series' labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    series: Vec<BTreeMap<String, String>>,
}

async fn scrape(app: &TestApp) -> BTreeMap<String, Family> {
    let text = app.http.get(format!("{}/metrics", app.admin)).send().await.unwrap().text().await.unwrap();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# TYPE ") {
            let (name, kind) = words.split_once(' ').unwrap();
            name.clone_into(&mut last);
            families.insert(last.clone(), Family { kind: kind.to_owned(), series: vec![] });
        } else if !line.starts_with('#') {
            let family = families.get_mut(&last).expect("a type comes before its series");
            let selector = tokens(line.rsplit_once(' ').unwrap().0);
            let mut labels = BTreeMap::new();
            for part in selector.windows(3) {
                if let [Token::Word(label), Token::Sign("="), Token::Text(value)] = part {
                    labels.insert((*label).to_owned(), (*value).to_owned());
                }
            }
            // Buckets are a matter of the type.
            if family.kind == "histogram" {
                labels.remove("le");
            }
            family.series.push(labels);
        }
    }
    families
}

/// A piece of `PromQL`. Numbers and durations are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Sign(&'a str),
}

fn tokens(mut rest: &str) -> Vec<Token<'_>> {
    let mut found = vec![];
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return found };
        let length = match first {
            '"' => 1 + rest[1..].find('"').expect("a text ends") + 1,
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            '=' | '!' if rest[1..].starts_with(['~', '=']) => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        found.push(match first {
            '"' => Token::Text(&token[1..length - 1]),
            _ if is_of_word(first) => Token::Word(token),
            _ => Token::Sign(token),
        });
        rest = after;
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '$')
}

/// A label, an operator and a value.
type Matcher<'a> = (&'a str, &'a str, &'a str);

/// What a `PromQL` expression asks for.
#[derive(Debug, Default)]
struct Asked<'a> {
    /// Metrics, each with what is in its braces.
    metrics: Vec<(&'a str, Vec<Matcher<'a>>)>,
    /// Labels that it groups by.
    groups: BTreeSet<&'a str>,
}

fn asked(expression: &str) -> Asked<'_> {
    let tokens = tokens(expression);
    let mut asked = Asked::default();
    let mut grouping = false;
    for (index, token) in tokens.iter().enumerate() {
        match (*token, tokens.get(index + 1), tokens.get(index + 2)) {
            (Token::Word("by" | "without" | "on" | "ignoring"), ..) => grouping = true,
            (Token::Sign(")"), ..) => grouping = false,
            (Token::Word(label), ..) if grouping => {
                asked.groups.insert(label);
            }
            (Token::Word(label), Some(Token::Sign(operator @ ("=" | "!=" | "=~" | "!~"))), Some(Token::Text(value))) => {
                asked.metrics.last_mut().expect("a metric comes before its braces").1.push((label, operator, value));
            }
            (Token::Word(name), ..) if name.starts_with("doacoes_") || name.starts_with("process_") => asked.metrics.push((name, vec![])),
            _ => {}
        }
    }
    asked
}

/// The rows of the document's tables that begin with these headings, without markup.
fn table(headings: &[&str]) -> Vec<Vec<String>> {
    let text = repository_file(DOCUMENT);
    let head = format!("| {} |", headings.join(" | "));
    let mut lines = text.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "{DOCUMENT} has no table with the head {head}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Each metric's type and labels, as the document has them.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = table(&["metric", "type", "labels", "meaning"]).into_iter();
    rows.map(|row| (codes(&row[0]).concat(), (row[1].clone(), codes(&row[2]).into_iter().collect()))).collect()
}

/// A histogram's series are told under its name.
fn without_suffix<'a>(name: &'a str, metrics: &BTreeMap<String, (String, BTreeSet<String>)>) -> &'a str {
    let mut bases = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
    bases.find(|base| metrics.get(*base).is_some_and(|(kind, _)| kind == "histogram")).unwrap_or(name)
}

/// Everything in a cell that is written as code.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&repository_file(DASHBOARD)).expect("the dashboard is JSON")
}

/// Every panel but the rows' heads.
fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// Every expression with the title of its panel.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = vec![];
    for panel in panels(dashboard) {
        for target in panel["targets"].as_array().unwrap() {
            found.push((panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    found
}

/// An application that has something to tell: with background, limits, and a rule that has turned somebody away.
async fn application() -> (TestApp, Org) {
    let app = TestApp::with(Options { background: true, limited: true, ..Options::default() }).await;
    let org = app.org().await;
    for _ in 0..6 {
        sign_up(&app).await;
    }
    (app, org)
}

/// After five of them in an hour it is refused.
async fn sign_up(app: &TestApp) {
    let body = json!({"nome": "Ana Souza", "email": "ana@exemplo.org.br", "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
    let status = app.post("pessoas", body).send().await.status;
    assert!(status == 202 || status == 429, "{status}");
}

/// Something of everything that is counted: a donation from making to refund, reads, and requests that fail in each way.
async fn traffic(app: &TestApp, org: &Org) {
    let campaign = app.campaign_of(org).await;
    let donate = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({})));
    let donation = donate.new_key().header("dispositivo", &Uuid::new_v4().to_string()).send().await.expect(201);
    let txid = donation["pagamento"]["txid"].as_str().unwrap();
    app.post(&format!("simulado/pagamentos/{txid}"), json!({"valor_centavos": 5000, "e2eid": e2eid()})).send().await.expect(200);
    let refund = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    app.post(&refund, json!({})).new_key().by(&org.owner).send().await.expect(201);
    for _ in 0..3 {
        for path in [format!("campanhas/{}", campaign.slug), format!("campanhas/{}/totais", campaign.slug), "campanhas".to_owned()] {
            app.get(&path).send().await.expect(200);
        }
        app.get("eu").by(&org.owner).send().await.expect(200);
    }
    app.get("campanhas/nenhuma").send().await.expect(404);
    sign_up(app).await;
    // A load that renews an answer may have had a place and left it; then there is one more to take.
    let mut places = vec![];
    let mut turned_away = async || {
        places.extend(std::iter::from_fn(|| app.state.db.queue().enter()));
        app.get(&format!("organizadoras/nenhuma-{}", Uuid::new_v4())).send().await.status == 503
    };
    assert!(turned_away().await || turned_away().await, "a full queue turned nobody away");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_each_metric_and_its_labels_which_are_closed_sets() {
    let (app, org) = application().await;
    traffic(&app, &org).await;
    let documented = documented();
    // Some appear when a background task has had its turn.
    let began = Instant::now();
    let families = loop {
        let families = scrape(&app).await;
        let missing: Vec<_> = documented.keys().filter(|name| !families.contains_key(*name)).collect();
        if missing.is_empty() {
            break families;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{DOCUMENT} lists what a running API does not tell: {missing:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut told_values: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (name, family) in &families {
        let told = (family.kind.clone(), family.series.iter().flat_map(BTreeMap::keys).cloned().collect());
        let row = documented.get(name).unwrap_or_else(|| panic!("add a row for {name} to the table of {DOCUMENT}: {told:?}"));
        assert_eq!(row, &told, "{DOCUMENT} on {name}");
        for (label, value) in family.series.iter().flatten() {
            told_values.entry((name.clone(), label.clone())).or_default().insert(value.clone());
        }
    }
    let rows = table(&["label", "of", "values"]);
    for ((metric, label), told) in told_values {
        let closed: BTreeSet<String> = values(&metric, &label).into_iter().collect();
        assert!(told.is_subset(&closed), "{metric}: {label} is {:?}", told.difference(&closed).collect::<Vec<_>>());
        let is_about =
            |of: &str| codes(of).iter().any(|name| name.strip_suffix('*').map_or(*name == metric, |start| metric.starts_with(start)));
        let row = rows.iter().find(|row| codes(&row[0]) == [label.clone()] && is_about(&row[1]));
        let row = row.unwrap_or_else(|| panic!("add a row for {label} of {metric} to the table of labels in {DOCUMENT}: {closed:?}"));
        // Where the values are many, words say what they are.
        if row[2].split('`').step_by(2).all(|between| matches!(between, "" | ", ")) {
            assert_eq!(codes(&row[2]).into_iter().collect::<BTreeSet<_>>(), closed, "{DOCUMENT} on {label} of {metric}");
        }
    }
}

#[test]
fn a_sum_is_of_the_series_of_one_name_alone_and_none_where_there_are_none() {
    let text = "# TYPE a counter\na{k=\"x\"} 1\na{k=\"y\"} 2\na_total 4\nb 0\n";
    assert_eq!(sum_of(text, "a", &[]), Some(3));
    assert_eq!(sum_of(text, "a", &[r#"k="y""#]), Some(2));
    assert_eq!(sum_of(text, "b", &[]), Some(0));
    for (name, labels) in [("a", &[r#"k="z""#][..]), ("a_to", &[]), ("k", &[])] {
        assert_eq!(sum_of(text, name, labels), None, "{name} {labels:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "the metrics have no series doacoes_donation_total with []")]
async fn a_misspelt_metric_is_refused_instead_of_taken_for_zero() {
    let app = TestApp::start().await;
    assert_eq!(metric_once_known(&app, "doacoes_donation_total", &[]).await, None);
    metric(&app, "doacoes_donation_total", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "the metrics have no series doacoes_shed_total with")]
async fn a_misspelt_label_is_refused_instead_of_taken_for_zero() {
    let app = TestApp::start().await;
    assert_eq!(metric(&app, "doacoes_shed_total", &[r#"queue="streams""#]).await, 0);
    metric(&app, "doacoes_shed_total", &[r#"queue="stream""#]).await;
}

/// Also of a client that leaves in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn connections_and_requests_count_from_their_beginning_to_their_end() {
    let app = TestApp::start().await;
    let open = async |connections: i64, requests: i64| {
        (
            metric(&app, "doacoes_http_connections", &[r#"listener="public""#]).await,
            metric(&app, "doacoes_http_requests_in_flight", &[]).await,
        ) == (connections, requests)
    };
    assert!(open(0, 0).await);
    let mut client = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    until(Duration::from_secs(10), "a connection is open", async || open(1, 0).await).await;
    // Two bytes are announced and one comes.
    let head = "POST /api/v1/pessoas HTTP/1.1\r\nhost: doe.localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    client.write_all(head.as_bytes()).unwrap();
    until(Duration::from_secs(10), "a request is in flight", async || open(1, 1).await).await;
    drop(client);
    until(Duration::from_secs(10), "nothing is left", async || open(0, 0).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_waits_mail_that_was_given_up_and_invalidations_are_told_apart() {
    let app = TestApp::start().await;
    let now = app.state.clock.now();
    sqlx::query(
        "INSERT INTO caixa_saida (tipo, carga, proxima_em, criada_em, estacionada_em) VALUES
             ('email', '', $1, $1 - interval '90 s', NULL), ('email', '', $1, $1 - interval '60 s', NULL),
             ('email', '', $1, $1 - interval '7 h', $1), ('cache', '', $1, $1 - interval '30 s', NULL)",
    )
    .bind(now)
    .execute(&app.owner)
    .await
    .unwrap();
    let backlog = outbox::backlog(&mut app.owner.acquire().await.unwrap(), now).await.unwrap();
    assert_eq!((backlog.pending, backlog.parked), (2, 1));
    assert_eq!((backlog.mail_lag_seconds.round(), backlog.invalidation_lag_seconds.round()), (90.0, 30.0));
}

#[test]
fn the_committed_dashboard_is_what_its_program_prints() {
    let output = Command::new("python3").arg(repository().join("hack/dashboard.py")).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), repository_file(DASHBOARD), "{DASHBOARD} is stale: run `make gen`");
}

/// Grafana takes it into any instance, next to others, and finds it again after a change.
#[test]
fn the_dashboard_can_be_imported_anywhere_and_tells_what_to_do() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "doacoes-api");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39, "{}", dashboard["schemaVersion"]);
    for of_an_instance in ["id", "version", "iteration", "gnetId"] {
        assert!(dashboard[of_an_instance].is_null(), "{of_an_instance} belongs to one Grafana");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["type"], &variables[0]["name"]), (&json!("datasource"), &json!("datasource")));
    let datasource = json!({"type": "prometheus", "uid": "${datasource}"});
    for variable in &variables[1..] {
        assert_eq!(variable["datasource"], datasource);
    }
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another panel's");
        assert!(titles.insert(title), "two panels are called {title}");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} leaves the grid");
        for place in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} covers another panel at {place:?}");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title} does not say what it shows");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert_eq!(panel["datasource"], datasource, "{title}");
        let letters: BTreeSet<&str> = panel["targets"].as_array().unwrap().iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!letters.is_empty() && letters.len() == panel["targets"].as_array().unwrap().len(), "{title}: {letters:?}");
    }
}

/// What the document lists is what is told: another test sees to that.
#[test]
fn the_dashboard_asks_for_what_is_told_and_shows_all_of_it() {
    let metrics = documented();
    let dashboard = dashboard();
    let mut shown = BTreeSet::new();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter().skip(1);
    let variables = variables.map(|variable| (variable["name"].to_string(), variable["definition"].as_str().unwrap().to_owned()));
    for (title, expression) in expressions(&dashboard).into_iter().chain(variables) {
        let asked = asked(&expression);
        assert!(!asked.metrics.is_empty(), "{title}: {expression}");
        let mut known: BTreeSet<&str> = TARGET_LABELS.into();
        for (name, matchers) in asked.metrics {
            let base = without_suffix(name, &metrics);
            let (_, labels) = metrics.get(base).unwrap_or_else(|| panic!("{title}: nobody tells {name}: {expression}"));
            if base != name {
                known.insert("le");
            }
            known.extend(labels.iter().map(String::as_str));
            shown.insert(base.to_owned());
            for (label, operator, value) in matchers {
                if TARGET_LABELS.contains(&label) {
                    continue;
                }
                assert!(labels.contains(label), "{title}: {base} has no label {label}: {expression}");
                let closed = values(base, label);
                let alternatives: Vec<&str> = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
                // `5..` stands for many.
                for one in alternatives.into_iter().filter(|one| !one.contains('.')) {
                    assert!(closed.iter().any(|value| value == one), "{title}: {label} of {base} is never {one}: {expression}");
                }
            }
        }
        for label in asked.groups {
            assert!(known.contains(label), "{title}: nothing has the label {label}: {expression}");
        }
    }
    for name in metrics.keys() {
        let left_out = LEFT_OUT.iter().any(|(left_out, _)| left_out == name);
        assert!(
            shown.contains(name) != left_out,
            "{name}: add a panel to hack/dashboard.py and run `make gen`, or say in LEFT_OUT of {} why nobody needs to see it",
            file!()
        );
    }
}

/// A Prometheus that asks one application each half second.
struct Prometheus {
    child: Child,
    url: String,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Prometheus {
    async fn start(app: &TestApp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free when it is asked for; Prometheus fails, and the test with it, in the rare case that it is taken.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target = app.admin.strip_prefix("http://").unwrap();
        let settings = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [{"job_name": "api", "static_configs": [{"targets": [target], "labels": {"namespace": "doacoes"}}]}],
        });
        let file = folder.path().join("prometheus.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        // However the test ends, it ends with it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "prometheus", "--log.level=warn"])
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv runs");
        let mut this = Self { child, url: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new(), folder };
        let began = Instant::now();
        while this.http.get(format!("{}/-/ready", this.url)).send().await.map(|answer| answer.status().as_u16()).ok() != Some(200) {
            let ended = this.child.try_wait().unwrap();
            assert!(ended.is_none(), "prometheus has ended (Debian package prometheus): {}", this.log());
            assert!(began.elapsed() < Duration::from_secs(30), "prometheus is not ready: {}", this.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        this
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The numbers that an expression gives now.
    async fn evaluate(&self, expression: &str) -> Vec<f64> {
        let body: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", expression).finish();
        let request = self.http.post(format!("{}/api/v1/query", self.url)).header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = request.body(body).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        assert!(answer["warnings"].is_null(), "{expression}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap();
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_of_the_dashboard_has_numbers_while_there_is_traffic() {
    let (app, org) = application().await;
    let prometheus = Prometheus::start(&app).await;
    let mut waiting = expressions(&dashboard());
    let began = Instant::now();
    while !waiting.is_empty() {
        traffic(&app, &org).await;
        let mut empty = vec![];
        for (title, expression) in waiting {
            let chosen = expression.replace("$__rate_interval", "30s").replace("$namespace", "doacoes").replace("$instance", ".+");
            assert!(!chosen.contains('$'), "{title}: an unknown variable: {expression}");
            if !prometheus.evaluate(&chosen).await.iter().any(|number| number.is_finite()) {
                empty.push((title, expression));
            }
        }
        waiting = empty;
        assert!(waiting.is_empty() || began.elapsed() < Duration::from_mins(1), "no numbers: {waiting:#?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
