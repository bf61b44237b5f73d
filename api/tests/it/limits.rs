//! Limits: each bites after its quota and lets others through, in Redis for all processes and without Redis in each.

use std::time::{Duration, Instant};

use doacoes_api::config::keys::sha256;
use doacoes_api::domain::network::parse_network;
use doacoes_api::limits::{Rule, Rules, Use};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Campaign, Options, Person, Request, TestApp, create_database, metric, servers, until};

/// Redis is waited for however busy the machine is, so that nothing is counted elsewhere.
fn exact() -> Options {
    Options { limited: true, redis_budget: Duration::from_secs(30), ..Options::default() }
}

async fn limited() -> TestApp {
    TestApp::with(exact()).await
}

async fn donate(app: &TestApp, campaign: &Campaign, device: Option<Uuid>) -> Answer {
    let request = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key();
    match device {
        Some(device) => request.header("dispositivo", &device.to_string()).send().await,
        None => request.send().await,
    }
}

/// Fails unless Redis has judged everything.
async fn assert_all_in_redis(app: &TestApp) {
    assert_eq!(metric(app, "doacoes_rate_limit_checks_total", &[r#"store="local""#]).await, 0);
}

fn assert_limited(answer: &Answer, rule: &str) {
    answer.expect_problem(429, "limite-excedido");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(answer.header("ratelimit").starts_with(&format!("\"{rule}\";r=0;t=")), "{answer:?}");
    assert!(answer.header("ratelimit-policy").starts_with(&format!("\"{rule}\";q=")), "{answer:?}");
}

/// A limit that is being used up, one more of which is earned in each `interval` since its first use.
struct Budget {
    rule: &'static str,
    interval: Duration,
    since: Instant,
}

impl Budget {
    fn of(rule: &'static str, interval: Duration) -> Self {
        Self { rule, interval, since: Instant::now() }
    }

    fn earned(&self) -> u32 {
        u32::try_from(self.since.elapsed().as_nanos() / self.interval.as_nanos()).unwrap()
    }

    /// Sends one after the other until the limit bites: after `left`, and as many as were earned meanwhile. How many passed.
    async fn bites_after(&self, left: u32, expected: u16, send: impl AsyncFn(u32) -> Answer) -> u32 {
        let mut passed = 0;
        let refused = loop {
            let answer = send(passed).await;
            if answer.status == 429 {
                break answer;
            }
            assert_eq!(answer.status, expected, "{}", answer.text);
            passed += 1;
        };
        assert_limited(&refused, self.rule);
        assert!((left..=left + self.earned()).contains(&passed), "{passed} passed");
        passed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_lets_its_quota_through_and_no_more() {
    let app = limited().await;
    // Reads never come to Redis.
    for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::ReadIp) {
        let quota = Rules::default().quota(*rule).unwrap();
        let budget = Budget::of(rule.as_str(), Duration::from_micros(quota.interval_micros()));
        let mut passed = 0;
        while app.state.limits.take(&[Use::of(*rule, "x")]).await.is_ok() {
            passed += 1;
        }
        assert!((quota.limit..=quota.limit + budget.earned()).contains(&passed), "{rule:?}: {passed} passed");
        app.state.limits.take(&[Use::of(*rule, "y")]).await.unwrap();
    }
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_donates_ten_times_a_minute_on_all_processes_together() {
    let database = create_database(servers()).await;
    let apps = [TestApp::on(servers(), &database, exact()).await, TestApp::on(servers(), &database, exact()).await];
    let campaign = apps[0].campaign().await;
    let device = Some(Uuid::new_v4());
    let budget = Budget::of("donation_device", Duration::from_secs(6));
    let donated = budget
        .bites_after(10, 201, async |passed| {
            let answer = donate(&apps[usize::try_from(passed % 2).unwrap()], &campaign, device).await;
            if answer.status == 201 {
                let left: u32 =
                    answer.header("ratelimit").strip_prefix("\"donation_device\";r=").unwrap().split(';').next().unwrap().parse().unwrap();
                let least = 9_u32.saturating_sub(passed);
                assert!((least..=least + budget.earned()).contains(&left), "{answer:?}");
                assert_eq!(answer.header("ratelimit-policy"), "\"donation_device\";q=10;w=60");
            }
            answer
        })
        .await;
    let [one, _] = &apps;
    assert_eq!(one.count("SELECT count(*) FROM doacoes").await, i64::from(donated));
    donate(one, &campaign, Some(Uuid::new_v4())).await.expect(201);
    // Without a name of its own, address and browser are the device; who is logged in is one whatever the device.
    Budget::of("donation_device", Duration::from_secs(6)).bites_after(10, 201, async |_| donate(one, &campaign, None).await).await;
    let person = one.person().await;
    donate_by(one, &campaign, &person).await.expect(201);
    let odd = one.post(&format!("campanhas/{}/doacoes", campaign.slug), one.donation(json!({}))).new_key();
    odd.header("dispositivo", "meu celular").send().await.expect_problem(400, "requisicao-invalida");
    for app in &apps {
        assert_all_in_redis(app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_log_ins_are_limited_by_e_mail_and_good_ones_are_not() {
    let app = limited().await;
    let person = app.person().await;
    let log_in = async |email: &str, senha: &str| app.post("sessoes", json!({"email": email, "senha": senha})).send().await;
    // More than the limit, since those that succeed are given back.
    for _ in 0..12 {
        let answer = log_in(&person.email, "uma frase longa").await;
        answer.expect(201);
        assert_eq!(answer.header("ratelimit"), "\"login_email\";r=10;t=0");
    }
    let address = Budget::of("login_ip", Duration::from_secs(9));
    let wrong = async |email: &str| {
        let budget = Budget::of("login_email", Duration::from_secs(90));
        budget.bites_after(10, 401, async |_| log_in(email, "outra frase").await).await
    };
    let failed = wrong(&person.email).await;
    assert_limited(&log_in(&person.email, "uma frase longa").await, "login_email");
    // An address without an account looks the same.
    let failed = failed + wrong("ninguem@exemplo.org.br").await;
    address.bites_after(100 - failed, 401, async |index| log_in(&format!("x{index}@exemplo.org.br"), "outra frase").await).await;
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sends_mail_or_tries_codes_is_limited() {
    let app = limited().await;
    let sign_up = async |email: &str| {
        let body =
            json!({"nome": "Ana", "email": email, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
        app.post("pessoas", body).send().await
    };
    let budget = Budget::of("sign_up_email", Duration::from_mins(12));
    budget.bites_after(5, 202, async |_| sign_up("ana@exemplo.org.br").await).await;
    sign_up("bia@exemplo.org.br").await.expect(202);
    assert_eq!(app.mail_to("ana@exemplo.org.br").await.len(), 5);
    let ask = async |email: &str| app.post("senhas/pedidos", json!({ "email": email })).send().await;
    let address = Budget::of("reset_ip", Duration::from_mins(1));
    let budget = Budget::of("reset_email", Duration::from_mins(12));
    budget.bites_after(5, 202, async |_| ask("ana@exemplo.org.br").await).await;
    address.bites_after(55, 202, async |index| ask(&format!("x{index}@exemplo.org.br")).await).await;
    let codes = Budget::of("code_ip", Duration::from_secs(15));
    let guess = json!({"codigo": "0".repeat(64), "senha": "uma frase longa"});
    let paths = ["emails/verificacoes", "senhas/redefinicoes"];
    codes.bites_after(60, 400, async |index| app.post(paths[usize::try_from(index % 2).unwrap()], guess.clone()).send().await).await;
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_ten_wrong_passwords() {
    let app = limited().await;
    let person = app.person().await;
    let enter = async |senha: &str| app.post("eu/reautenticacao", json!({ "senha": senha })).by(&person).send().await;
    Budget::of("password", Duration::from_secs(90)).bites_after(10, 401, async |_| enter("outra frase").await).await;
    assert_limited(&enter("uma frase longa").await, "password");
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_process_limits_by_itself_and_nothing_is_slow() {
    // A port where nobody listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::with(Options { limited: true, redis_url: Some(format!("redis://{closed}")), ..Options::default() }).await;
    let campaign = app.campaign().await;
    let device = Some(Uuid::new_v4());
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        donate(&app, &campaign, device).await.expect(201);
        quickest = quickest.min(started.elapsed());
    }
    // What waits for Redis would do so in each of them; other tests slow down some.
    assert!(quickest < Duration::from_millis(400), "{quickest:?}");
    let answer = donate(&app, &campaign, device).await;
    assert_limited(&answer, "donation_device");
    donate(&app, &campaign, Some(Uuid::new_v4())).await.expect(201);
    assert_eq!(metric(&app, "doacoes_rate_limit_checks_total", &[r#"store="redis""#]).await, 0);
    assert_eq!(metric(&app, "doacoes_rate_limit_checks_total", &[r#"store="local""#]).await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_only_failed_log_ins_count_either() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::with(Options { limited: true, redis_url: Some(format!("redis://{closed}")), ..Options::default() }).await;
    let person = app.person().await;
    let log_in = async |senha: &str| app.post("sessoes", json!({"email": person.email, "senha": senha})).send().await;
    for _ in 0..12 {
        log_in("uma frase longa").await.expect(201);
    }
    Budget::of("login_email", Duration::from_secs(90)).bites_after(10, 401, async |_| log_in("outra frase").await).await;
    assert_limited(&log_in("uma frase longa").await, "login_email");
}

/// Limits that earn nothing back during a test.
fn slow(donation_device: u32) -> Value {
    let a_day = |limit: u32| json!({"limit": limit, "period_seconds": 86_400});
    json!({"donation_device": a_day(donation_device), "donation_ip": a_day(600)})
}

/// Donates once; what sends that donation again.
async fn donated<'a>(app: &'a TestApp, campaign: &Campaign, device: Uuid) -> (Answer, Request<'a>) {
    let request = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key();
    let request = request.header("dispositivo", &device.to_string());
    let answer = request.clone().send().await;
    answer.expect(201);
    (answer, request)
}

/// Fails unless `again` is the kept answer.
fn assert_repeated(answer: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.text), (answer.status, &answer.text));
    for name in ["location", "doacao-token"] {
        assert_eq!(again.header(name), answer.header(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_donation_costs_nothing_and_is_answered_over_the_limit() {
    let app = TestApp::with(Options { limits: Some(slow(2)), ..exact() }).await;
    let campaign = app.campaign().await;
    let device = Uuid::new_v4();
    let (answer, repetition) = donated(&app, &campaign, device).await;
    assert!(answer.header("ratelimit").starts_with("\"donation_device\";r=1;"));
    for _ in 0..5 {
        let again = repetition.clone().send().await;
        assert_repeated(&answer, &again);
        assert!(again.header("ratelimit").starts_with("\"donation_device\";r=1;"), "{again:?}");
    }
    donate(&app, &campaign, Some(device)).await.expect(201);
    assert_limited(&donate(&app, &campaign, Some(device)).await, "donation_device");
    let again = repetition.clone().send().await;
    assert_repeated(&answer, &again);
    assert!(again.header("ratelimit").starts_with("\"donation_device\";r=0;"), "{again:?}");
    // Only what was sent is answered: another body, another campaign and another donor are not.
    assert_limited(&repetition.clone().json(&app.donation(json!({"valor_centavos": 777}))).send().await, "donation_device");
    let person = app.person().await;
    for _ in 0..2 {
        donate_by(&app, &campaign, &person).await.expect(201);
    }
    assert_limited(&repetition.clone().by(&person).send().await, "donation_device");
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 4);
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_is_no_way_around_the_limit() {
    let mut limits = slow(3);
    limits["repeat_ip"] = json!({"limit": 4, "period_seconds": 86_400});
    limits["look_up_ip"] = json!({"limit": 2, "period_seconds": 86_400});
    let app = TestApp::with(Options { limits: Some(limits), ..exact() }).await;
    let campaign = app.campaign().await;
    let (answer, repetition) = donated(&app, &campaign, Uuid::new_v4()).await;
    // Four cost nothing, two are paid for like donations, two are looked for over the limit, then it is over.
    for left in [2, 2, 2, 2, 1, 0, 0, 0] {
        let again = repetition.clone().send().await;
        assert_repeated(&answer, &again);
        assert!(again.header("ratelimit").starts_with(&format!("\"donation_device\";r={left};")), "{again:?}");
    }
    // Nobody looks for answers any more, neither for this device nor for another one of the address.
    assert_limited(&repetition.clone().send().await, "donation_device");
    let (_, other) = donated(&app, &campaign, Uuid::new_v4()).await;
    for _ in 0..2 {
        other.clone().send().await.expect(201);
    }
    assert_limited(&other.send().await, "donation_device");
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_takes_no_repetition_from_the_neighbours() {
    let mut limits = slow(10);
    limits["donation_ip"] = json!({"limit": 2, "period_seconds": 86_400});
    let app = TestApp::with(Options { limits: Some(limits), ..exact() }).await;
    let campaign = app.campaign().await;
    let (answer, repetition) = donated(&app, &campaign, Uuid::new_v4()).await;
    donate(&app, &campaign, Some(Uuid::new_v4())).await.expect(201);
    // More than there are free repetitions.
    for _ in 0..70 {
        assert_limited(&donate(&app, &campaign, Some(Uuid::new_v4())).await, "donation_ip");
    }
    for _ in 0..3 {
        assert_repeated(&answer, &repetition.clone().send().await);
    }
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_come_back_has_used_nothing_up() {
    let app = TestApp::with(Options { limits: Some(json!({})), ..exact() }).await;
    let (campaign, person, device) = (app.campaign().await, app.person().await, Uuid::new_v4());
    let donation = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key();
    let donation = donation.header("dispositivo", &device.to_string());
    let sign_up = |email: &str| {
        let body =
            json!({"nome": "Ana", "email": email, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
        app.post("pessoas", body)
    };
    let reset = app.post("senhas/pedidos", json!({"email": person.email}));

    // More often than each limit allows.
    let queue: Vec<_> = std::iter::from_fn(|| app.state.db.queue().enter()).collect();
    for _ in 0..12 {
        donation.clone().send().await.expect_problem(503, "indisponivel");
        sign_up("ana@exemplo.org.br").send().await.expect_problem(503, "indisponivel");
    }
    let passwords: Vec<_> = std::iter::from_fn(|| app.state.passwords.queue_up().ok()).collect();
    for _ in 0..6 {
        sign_up("bia@exemplo.org.br").send().await.expect_problem(503, "indisponivel");
    }
    drop((queue, passwords));
    let resets: Vec<_> = std::iter::from_fn(|| app.state.resets.enter()).collect();
    for _ in 0..6 {
        reset.clone().send().await.expect_problem(503, "indisponivel");
    }
    drop(resets);

    let answer = donation.clone().send().await;
    answer.expect(201);
    assert!(answer.header("ratelimit").starts_with("\"donation_device\";r=9;"), "{answer:?}");
    for email in ["ana@exemplo.org.br", "bia@exemplo.org.br"] {
        let answer = sign_up(email).send().await;
        answer.expect(202);
        assert!(answer.header("ratelimit").starts_with("\"sign_up_email\";r=4;"), "{answer:?}");
        assert_eq!(app.mail_to(email).await.len(), 1);
    }
    let answer = reset.send().await;
    answer.expect(202);
    assert!(answer.header("ratelimit").starts_with("\"reset_email\";r=4;"), "{answer:?}");

    // The same where the database is asked and does not answer in time.
    let mut owner = app.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE doacoes IN ACCESS EXCLUSIVE MODE").execute(&mut *owner).await.unwrap();
    let other = donation.clone().new_key();
    other.clone().send().await.expect_problem(503, "indisponivel");
    owner.rollback().await.unwrap();
    let answer = other.send().await;
    answer.expect(201);
    assert!(answer.header("ratelimit").starts_with("\"donation_device\";r=8;"), "{answer:?}");
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_wrong_codes_and_claims_count() {
    let limits = json!({"code_ip": {"limit": 2, "period_seconds": 86_400}});
    let app = TestApp::with(Options { limits: Some(limits), ..exact() }).await;
    // More right ones than the limit.
    for email in ["ana@exemplo.org.br", "bia@exemplo.org.br", "caio@exemplo.org.br"] {
        let body =
            json!({"nome": "Ana", "email": email, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
        app.post("pessoas", body).send().await.expect(202);
        let body = json!({"codigo": app.code_for(email).await, "senha": "uma frase longa"});
        app.post("emails/verificacoes", body).send().await.expect(201);
        app.post("senhas/pedidos", json!({ "email": email })).send().await.expect(202);
        until(Duration::from_secs(10), "the code is in the outbox", async || app.mail_to(email).await.len() == 2).await;
        let body = json!({"codigo": app.code_for(email).await, "senha": "outra frase longa"});
        app.post("senhas/redefinicoes", body).send().await.expect(204);
    }
    let person = app.person().await;
    let campaign = app.campaign().await;
    let guests = donate(&app, &campaign, None).await;
    let claim = async |token: &str| {
        let body = json!({"doacao_id": guests.json()["id"], "token": token});
        app.post("eu/doacoes/reivindicacoes", body).by(&person).send().await
    };
    for _ in 0..3 {
        claim(guests.header("doacao-token")).await.expect(200);
    }
    // A wrong code, a claim without proof, and then not even a right one.
    let guess = json!({"codigo": "0".repeat(64), "senha": "uma frase longa"});
    app.post("emails/verificacoes", guess.clone()).send().await.expect(400);
    let others = donate(&app, &campaign, None).await;
    let body = json!({"doacao_id": others.json()["id"], "token": guests.header("doacao-token")});
    app.post("eu/doacoes/reivindicacoes", body).by(&person).send().await.expect(404);
    assert_limited(&claim(guests.header("doacao-token")).await, "code_ip");
    assert_limited(&app.post("senhas/redefinicoes", guess).send().await, "code_ip");
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_limited_by_the_address_that_a_trusted_proxy_gives() {
    let limits = json!({"read_ip": {"limit": 3, "period_seconds": 86_400}});
    let options = |trusted: &[&str]| Options {
        limits: Some(limits.clone()),
        trusted_proxies: trusted.iter().map(|network| parse_network(network).unwrap()).collect(),
        ..exact()
    };
    let app = TestApp::with(options(&["127.0.0.1"])).await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}", campaign.slug);
    let read = async |from: &str| app.get(&path).header("x-forwarded-for", from).send().await;
    for _ in 0..3 {
        read("203.0.113.9").await.expect(200);
    }
    let refused = read("6.6.6.6, 203.0.113.9").await;
    assert_limited(&refused, "read_ip");
    assert_eq!(refused.header("cache-control"), "private, no-store");
    assert_eq!(app.request("HEAD", &path).header("x-forwarded-for", "203.0.113.9").send().await.status, 429);
    read("203.0.113.10").await.expect(200);
    // Redis was not asked about it, and writes are another matter.
    assert_eq!(metric(&app, "doacoes_rate_limit_checks_total", &[]).await, 0);
    let request = app.post(&format!("{path}/doacoes"), app.donation(json!({}))).new_key();
    request.header("x-forwarded-for", "203.0.113.9").send().await.expect(201);
    // Whom no trusted proxy names may be a proxy that stands for everyone.
    for _ in 0..5 {
        app.get(&path).send().await.expect(200);
        read("127.0.0.1").await.expect(200);
    }
    for trusted in [&[][..], &["10.0.0.0/8"]] {
        let app = TestApp::with(options(trusted)).await;
        for _ in 0..5 {
            app.get("campanhas").header("x-forwarded-for", "203.0.113.9").send().await.expect(200);
        }
    }
}

async fn donate_by(app: &TestApp, campaign: &Campaign, person: &Person) -> Answer {
    app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key().by(person).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_reached_takes_nothing_from_the_others() {
    let app = TestApp::with(Options { limits: Some(slow(2)), ..exact() }).await;
    let campaign = app.campaign().await;
    let device = Some(Uuid::new_v4());
    for _ in 0..2 {
        donate(&app, &campaign, device).await.expect(201);
    }
    let mut redis = servers().redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{}:limite:donation_ip:*", app.database)).query_async(&mut redis).await.unwrap();
    let before: u64 = redis.get(&keys[0]).await.unwrap();
    for _ in 0..20 {
        assert_limited(&donate(&app, &campaign, device).await, "donation_device");
    }
    assert_eq!(redis.get::<_, u64>(&keys[0]).await.unwrap(), before);
    assert_all_in_redis(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_limit_locks_nobody_out_for_longer_than_its_period() {
    let database = create_database(servers()).await;
    let on =
        async |quota: Value| TestApp::on(servers(), &database, Options { limits: Some(json!({ "login_email": quota })), ..exact() }).await;
    let before = on(json!({"limit": 10, "period_seconds": 864_000})).await;
    let log_in = async |app: &TestApp| app.post("sessoes", json!({"email": "ana@exemplo.org.br", "senha": "outra frase"})).send().await;
    for _ in 0..10 {
        log_in(&before).await.expect(401);
    }
    assert_limited(&log_in(&before).await, "login_email");
    let after = on(json!({"limit": 4, "period_seconds": 8})).await;
    // Who was out stays out until the new limit has earned one, and no longer.
    let refused = log_in(&after).await;
    assert_limited(&refused, "login_email");
    assert_eq!(refused.header("retry-after"), "2");
    tokio::time::sleep(Duration::from_secs(2)).await;
    log_in(&after).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_does_not_tell_whom_a_limit_counts() {
    let app = limited().await;
    app.post("sessoes", json!({"email": "ana@exemplo.org.br", "senha": "outra frase"})).send().await.expect(401);
    let pattern = format!("{}:limite:*", app.database);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut servers().redis().await).await.unwrap();
    let subject =
        |rule: &str| keys.iter().find_map(|key| key.strip_prefix(&format!("{}:limite:{rule}:", app.database))).unwrap().to_owned();
    for (rule, guess) in [("login_email", "ana@exemplo.org.br"), ("login_ip", "127.0.0.1")] {
        let subject = subject(rule);
        assert_eq!(subject.len(), 32);
        for plain in [guess.to_owned(), format!("{rule}\n{guess}")] {
            assert_ne!(subject, hex::encode(sha256(plain.as_bytes()))[..32]);
            assert_ne!(subject, hex::encode(app.state.keys.email.stable_hash(plain.as_bytes()))[..32]);
        }
    }
}
