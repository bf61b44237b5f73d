//! More than can be done: what is done is done in time, and the rest is told at once to come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doacoes_api::server::open_files;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::harness::{
    Answer, Campaign, Fleet, FleetOptions, Options, Reader, TestApp, alone, create_database, metric, metric_at, p99, servers, until,
};

const DATABASE: &str = r#"queue="database""#;
const PASSWORDS: &str = r#"queue="passwords""#;

async fn donate(app: &TestApp, campaign: &Campaign) -> (Answer, Duration) {
    let began = Instant::now();
    let answer = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key().send().await;
    (answer, began.elapsed())
}

/// Fails unless it is a success or a deliberate refusal, in time; whether it is a success. The API takes 1.8 s at most; the rest is for
/// the clients, who share the machine with it.
#[track_caller]
fn done(answer: &Answer, took: Duration) -> bool {
    assert!(took < Duration::from_secs(4), "answered after {took:?}: {} {}", answer.status, answer.text);
    if answer.status == 201 {
        return true;
    }
    answer.expect_problem(503, "indisponivel");
    assert_eq!(answer.header("retry-after"), "1");
    false
}

/// Two processes behind nginx with two connections each, on which a donation takes a while, so that clients' own work does not count.
struct Counter {
    app: TestApp,
    fleet: Fleet,
    http: reqwest::Client,
    url: String,
    donation: String,
}

impl Counter {
    async fn open() -> Arc<Self> {
        let database = create_database(servers()).await;
        let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
        let campaign = app.campaign().await;
        sqlx::raw_sql(
            "CREATE FUNCTION demora() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.08); RETURN NEW; END $$;
             CREATE TRIGGER demora BEFORE INSERT ON doacoes FOR EACH ROW EXECUTE FUNCTION demora()",
        )
        .execute(&app.owner)
        .await
        .unwrap();
        let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 2, pool_size: 2, ..FleetOptions::default() }).await;
        let url = format!("{}/api/v1/campanhas/{}/doacoes", fleet.base, campaign.slug);
        let donation = app.donation(json!({})).to_string();
        Arc::new(Self { app, fleet, http: reqwest::Client::new(), url, donation })
    }

    /// Whether a donation was taken, and after how long; fails unless it was, or was refused on purpose.
    async fn donate(&self) -> (bool, Duration) {
        let began = Instant::now();
        let request = self.http.post(&self.url).header("idempotency-key", Uuid::new_v4().to_string());
        let answer = request.header("content-type", "application/json").body(self.donation.clone()).send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status == 201 || (status == 503 && answer.headers()["retry-after"] == "1"), "{status}: {:?}", answer.text().await);
        answer.bytes().await.unwrap();
        (status == 201, began.elapsed())
    }

    /// Donations a second, by as many clients as the processes have connections, and a few more to keep them busy.
    async fn calm_rate(self: &Arc<Self>) -> f64 {
        const EACH: u32 = 20;
        let began = Instant::now();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        assert!(this.donate().await.0, "refused without a crowd");
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        f64::from(8 * EACH) / began.elapsed().as_secs_f64()
    }

    /// A metric of both processes.
    async fn metric(&self, name: &str) -> i64 {
        metric_at(&self.fleet.admin(0), name, &[DATABASE]).await + metric_at(&self.fleet.admin(1), name, &[DATABASE]).await
    }

    /// The most that ever waited, until there is nobody else who asks for it.
    async fn watch(self: Arc<Self>, asked_for: tokio::sync::oneshot::Receiver<()>) -> i64 {
        let mut most = 0;
        let mut asked_for = asked_for;
        while asked_for.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            most = most.max(self.metric("doacoes_queue_waiting").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        most
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_too_many_donations_cost_no_goodput_and_leave_nothing_behind() {
    const SURGE: Duration = Duration::from_secs(6);
    let _alone = alone().await;
    open_files::raise_limit();
    let counter = Counter::open().await;
    let before = counter.calm_rate().await;
    let shed_before = counter.metric("doacoes_shed_total").await;
    let (over, is_over) = tokio::sync::oneshot::channel();
    let watcher = tokio::spawn(Arc::clone(&counter).watch(is_over));
    // Nobody waits for anybody: ten times the rate, whatever becomes of it.
    let began = Instant::now();
    let mut requests = Vec::new();
    let mut next = tokio::time::interval(Duration::from_secs_f64(0.1 / before));
    while began.elapsed() < SURGE {
        next.tick().await;
        let counter = Arc::clone(&counter);
        requests.push(tokio::spawn(async move { counter.donate().await }));
    }
    let (sent, mut taken, mut slowest) = (u32::try_from(requests.len()).unwrap(), 0_u32, Duration::ZERO);
    for request in requests {
        let (is_taken, took) = request.await.unwrap();
        taken += u32::from(is_taken);
        slowest = slowest.max(took);
    }
    let goodput = f64::from(taken) / began.elapsed().as_secs_f64();
    over.send(()).unwrap();
    let most = watcher.await.unwrap();
    let (is_taken, recovery) = counter.donate().await;
    let after = counter.calm_rate().await;
    println!(
        "{before:.1}/s before, {goodput:.1}/s of {sent} in the surge with {most} waiting and the last answer after {slowest:?}, {after:.1}/s after"
    );
    assert!(f64::from(sent) > 9.0 * before * SURGE.as_secs_f64(), "only {sent} were sent");
    assert!(goodput >= 0.9 * before.min(after), "a surge costs goodput: {goodput:.1}/s of {before:.1}/s before and {after:.1}/s after");
    assert!(slowest < Duration::from_secs(3), "answered after {slowest:?}");
    assert!(is_taken && recovery < Duration::from_secs(2), "back after {recovery:?}");
    assert!((1..=80).contains(&most), "{most} waited");
    assert!(counter.metric("doacoes_shed_total").await > shed_before, "nobody was turned away");
    assert_eq!(counter.metric("doacoes_queue_waiting").await, 0);
    assert_eq!(counter.app.count("SELECT count(*) FROM doacoes").await, i64::from(taken) + 1 + 2 * 160);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_everything_is_answered_in_time_and_forgotten_at_once() {
    let app = Arc::new(TestApp::with(Options { pool_size: 2, ..Options::default() }).await);
    let campaign = app.campaign().await;
    donate(&app, &campaign).await.0.expect(201);
    let mut owner = sqlx::PgConnection::connect(&servers().owner_url(&app.database)).await.unwrap();
    let mut lock = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE doacoes IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let requests: Vec<_> = (0..100)
        .map(|number| {
            let (app, campaign) = (Arc::clone(&app), campaign.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 30)).await;
                donate(&app, &campaign).await
            })
        })
        .collect();
    for request in requests {
        let (answer, took) = request.await.unwrap();
        assert!(!done(&answer, took), "a donation in spite of the lock");
    }
    lock.rollback().await.unwrap();
    let released = Instant::now();
    // What waits in the queue by then gives up within a second.
    while !done(&donate(&app, &campaign).await.0, Duration::ZERO) {
        assert!(released.elapsed() < Duration::from_secs(4), "not back after {:?}", released.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_log_ins_at_once_leave_readers_alone() {
    let _alone = alone().await;
    open_files::raise_limit();
    let database = create_database(servers()).await;
    let app = Arc::new(TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await);
    let campaign = app.campaign().await;
    let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 1, ..FleetOptions::default() }).await;
    let url = format!("{}/api/v1/sessoes", fleet.public(0));
    let shed = async |queue: &str| metric_at(&fleet.admin(0), "doacoes_shed_total", &[queue]).await;
    let idle = Reader::calm(&fleet.public(0), &campaign).await;
    let reader = Reader::start(&fleet.public(0), &campaign);
    let began = Instant::now();
    let crowd: Vec<_> = (0..1_000)
        .map(|client| {
            let (http, url) = (app.http.clone(), url.clone());
            tokio::spawn(async move {
                let body = json!({"email": format!("ninguem{client}@exemplo.org.br"), "senha": "uma frase qualquer"}).to_string();
                let mut refused = 0;
                // As often as a person would.
                for _ in 0..5 {
                    let request = http.post(&url).header("content-type", "application/json").body(body.clone());
                    let answer = request.send().await.unwrap();
                    match answer.status().as_u16() {
                        401 => return (1, refused),
                        503 => {
                            refused += 1;
                            let seconds = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                            tokio::time::sleep(Duration::from_secs(seconds)).await;
                        }
                        other => panic!("{other}: {:?}", answer.text().await),
                    }
                }
                (0, refused)
            })
        })
        .collect();
    let (mut checked, mut refused) = (0, 0);
    for client in crowd {
        let (was_checked, times) = client.await.unwrap();
        (checked, refused) = (checked + was_checked, refused + times);
    }
    let took = began.elapsed();
    let reads = reader.stop().await;
    let (meanwhile, count) = (p99(reads.clone()), reads.len());
    println!(
        "1000 log-ins in {took:?}: {checked} checked, {refused} times told to come back; reads p99 {idle:?} alone, {meanwhile:?} in {count}"
    );
    assert!(count > 200 && checked > 16, "{count} reads, {checked} log-ins checked");
    assert_eq!(shed(PASSWORDS).await, refused);
    // The crowd waits at its own door, not for the database.
    assert_eq!(shed(DATABASE).await, 0);
    // Hashing takes one of the machine's cores, and other tests and programs their part; behind a hundred hashes at once a read would
    // wait for seconds.
    assert!(meanwhile < idle * 3 + Duration::from_millis(100), "{idle:?} alone, {meanwhile:?} among them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_the_database_doubles_no_mail_and_loses_no_reset() {
    let app = TestApp::with(Options { background: true, ..Options::default() }).await;
    let person = app.person().await;
    // As if requests came without end: none finds a place.
    let _crowd: Vec<_> = std::iter::from_fn(|| app.state.db.queue().enter()).collect();
    app.get("eu/doacoes").by(&person).send().await.expect_problem(503, "indisponivel");
    app.post("senhas/pedidos", json!({"email": person.email})).send().await.expect(202);
    let sent = async || metric(&app, "doacoes_mail_deliveries_total", &[r#"result="sent""#]).await;
    until(Duration::from_secs(10), "the code is on its way", async || sent().await == 1).await;
    // Or it would go out again.
    until(Duration::from_secs(5), "the delivery is noted", async || app.count("SELECT count(*) FROM caixa_saida").await == 0).await;
    assert_eq!((sent().await, metric(&app, "doacoes_mail_deliveries_total", &[]).await), (1, 1));
}
