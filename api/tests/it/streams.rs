//! Following the totals of a campaign: what a client is sent and when, how many there may be, and what they cost the others.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use doacoes_api::domain::totals::Totals;
use doacoes_api::server::open_files;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use uuid::Uuid;

use crate::harness::{
    Campaign, Fleet, FleetOptions, Options, START, Servers, TestApp, alone, create_database, e2eid, exact_replicas, hears_others, metric,
    metric_at, p99, replicas, servers, until,
};

const PLACES: &str = r#"queue="streams""#;
const PLACES_OF_ADDRESS: &str = r#"queue="streams_address""#;
const AFTER_A_STOP: RangeInclusive<u32> = 1_000..=8_000;

/// What a stream says between two blank lines.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Retry(u32),
    Totals(i64, String),
    Heartbeat,
}

impl Block {
    fn parse(text: &str) -> Self {
        let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(':').unwrap()).collect();
        let lines: Vec<(&str, &str)> = lines.into_iter().map(|(name, value)| (name, value.strip_prefix(' ').unwrap())).collect();
        match *lines {
            [("", "")] => Self::Heartbeat,
            [("retry", pause)] => Self::Retry(pause.parse().unwrap()),
            [("event", "totais"), ("id", id), ("data", data)] => Self::Totals(id.parse().unwrap(), data.to_owned()),
            _ => panic!("{text:?}"),
        }
    }
}

/// A client that is subscribed to totals.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, campaign: &Campaign) -> Self {
        Self::at(&app.http, &url(&app.base, campaign), &[]).await
    }

    async fn at(http: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> Self {
        let answer = Self::ask(http, url, headers).await;
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new() }
    }

    async fn ask(http: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = headers.iter().fold(http.get(url), |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    /// The next block; nothing at the stream's end, which must be a clean one.
    async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = Block::parse(&self.text[..end]);
                self.text.drain(..end + 2);
                return Some(block);
            }
            let Some(bytes) = self.answer.chunk().await.unwrap() else {
                assert_eq!(self.text, "");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next block, which must come in time.
    #[track_caller]
    fn within(&mut self, limit: Duration) -> impl Future<Output = Option<Block>> {
        let caller = std::panic::Location::caller();
        async move { tokio::time::timeout(limit, self.next()).await.unwrap_or_else(|_| panic!("{caller}: nothing within {limit:?}")) }
    }

    /// The next totals, past other blocks; must come in time.
    async fn totals(&mut self, limit: Duration) -> (i64, Value) {
        let began = Instant::now();
        loop {
            match self.within(limit.saturating_sub(began.elapsed())).await {
                Some(Block::Totals(id, data)) => {
                    let totals: Value = serde_json::from_str(&data).unwrap();
                    assert_eq!(totals["seq"], id);
                    return (id, totals);
                }
                Some(_) => {}
                None => panic!("the stream has ended"),
            }
        }
    }

    /// Fails if anything but signs of life comes.
    async fn is_silent(&mut self, time: Duration) {
        let began = Instant::now();
        while let Some(left) = time.checked_sub(began.elapsed()) {
            match tokio::time::timeout(left, self.next()).await {
                Err(_) => return,
                Ok(block) => assert_eq!(block, Some(Block::Heartbeat)),
            }
        }
    }

    /// Reads to the end; what `retry` said last.
    async fn end(&mut self, limit: Duration) -> u32 {
        let (began, mut last) = (Instant::now(), None);
        while let Some(block) = self.within(limit.saturating_sub(began.elapsed())).await {
            last = Some(block);
        }
        match last {
            Some(Block::Retry(pause)) => pause,
            other => panic!("{other:?} came last"),
        }
    }
}

fn url(base: &str, campaign: &Campaign) -> String {
    format!("{base}/api/v1/campanhas/{}/eventos", campaign.slug)
}

async fn open_streams(app: &TestApp) -> i64 {
    metric(app, "doacoes_streams_open", &[]).await
}

/// Waits until this process has no subscribers.
async fn until_deserted(app: &TestApp, limit: Duration) {
    until(limit, "every place is free", async || open_streams(app).await == 0).await;
    until(limit, "no campaign has subscribers", async || metric(app, "doacoes_campaigns_followed", &[]).await == 0).await;
}

async fn loads(app: &TestApp) -> i64 {
    metric(app, "doacoes_cache_requests_total", &[r#"layer="postgres""#, r#"entity="totais""#]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_the_totals_at_once_and_soon_what_another_process_confirms() {
    let apps = replicas(servers(), 2).await;
    let campaign = apps[0].campaign().await;
    let (here, there) = (&apps[1], &apps[0]);
    let path = format!("campanhas/{}/totais", campaign.slug);
    let mut stream = Stream::at(&here.http, &url(&here.base, &campaign), &[("accept-encoding", "gzip"), ("if-none-match", "*")]).await;
    let header = |name: &str| stream.answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("private, no-store"));
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    for name in ["content-encoding", "content-length", "etag", "connection"] {
        assert_eq!(header(name), None, "{name}");
    }
    let Some(Block::Retry(pause)) = stream.within(Duration::from_secs(2)).await else { panic!("no pause") };
    assert!(AFTER_A_STOP.contains(&pause), "{pause}");
    let same = here.get(&path).send().await.text;
    assert_eq!(stream.within(Duration::from_secs(2)).await, Some(Block::Totals(0, same)));
    for round in 1..=3 {
        there.confirmed(&campaign, json!({})).await;
        let told = Instant::now();
        let (seq, totals) = stream.totals(Duration::from_secs(4)).await;
        // A roll-up, a message, and what is left of the step that the last one began: 1.25 s, and the machine's part.
        assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
        assert_eq!((seq, &totals["doacoes_qtd"]), (round, &json!(round)));
        assert_eq!(totals, here.get(&path).send().await.json());
    }
    let shown = metric(here, "doacoes_stream_events_total", &[]).await;
    assert_eq!((open_streams(here).await, open_streams(there).await, shown), (1, 0, 4));
    // How long a stream lasts is not how long its answer took.
    let slow = metric(here, "doacoes_http_request_duration_seconds_bucket", &["/eventos\"", r#"le="1""#]).await;
    let all = metric(here, "doacoes_http_request_duration_seconds_count", &["/eventos\""]).await;
    assert_eq!((slow, all), (1, 1));
    drop(stream);
    until_deserted(here, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_is_sent_what_it_has_not_seen() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for _ in 0..2 {
        app.confirmed(&campaign, json!({})).await;
        app.totals(&campaign).await;
    }
    let url = url(&app.base, &campaign);
    let open = async |last: &str| {
        let mut stream = Stream::at(&app.http, &url, &[("last-event-id", last)]).await;
        assert!(matches!(stream.within(Duration::from_secs(2)).await, Some(Block::Retry(_))));
        stream
    };
    for seen in ["", "1", "0", "-7", "x", "2x", "2.0", "9223372036854775808", "\"2\"", "2, 3", &"9".repeat(5_000)] {
        let (seq, _) = open(seen).await.totals(Duration::from_secs(2)).await;
        assert_eq!(seq, 2, "{seen:.60}");
    }
    let mut silent = vec![];
    for seen in ["2", " 2 ", "3", "9223372036854775807"] {
        let mut stream = open(seen).await;
        stream.is_silent(Duration::from_millis(300)).await;
        silent.push(stream);
    }
    app.confirmed(&campaign, json!({})).await;
    app.totals(&campaign).await;
    for mut stream in silent {
        assert_eq!(stream.totals(Duration::from_secs(3)).await.0, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn donations_within_a_second_are_one_step_and_no_step_asks_the_database() {
    let apps = exact_replicas(servers(), 2).await;
    let campaign = Arc::new(apps[0].campaign().await);
    let path = format!("campanhas/{}/totais", campaign.slug);
    let mut streams = vec![];
    for number in 0..20 {
        streams.push(Stream::open(&apps[number % 2], &campaign).await);
    }
    let before = loads(&apps[0]).await + loads(&apps[1]).await;
    let (began, given) = (Instant::now(), Arc::new(AtomicI64::new(0)));
    let donors = (0..4).map(|number| {
        let (app, campaign, given) = (Arc::clone(&apps[number % 2]), Arc::clone(&campaign), Arc::clone(&given));
        tokio::spawn(async move {
            while began.elapsed() < Duration::from_secs(4) {
                app.confirmed(&campaign, json!({})).await;
                given.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for donor in donors.collect::<Vec<_>>() {
        donor.await.unwrap();
    }
    let given = given.load(Ordering::Relaxed);
    let mut most = 0;
    for stream in &mut streams {
        let (mut last, mut count) = (-1, 0);
        loop {
            let (seq, totals) = stream.totals(Duration::from_secs(5)).await;
            assert!(seq > last, "{seq} after {last}");
            (last, count) = (seq, count + 1);
            if totals["doacoes_qtd"] == given {
                assert_eq!(totals["arrecadado_centavos"], 5000 * given);
                break;
            }
        }
        most = most.max(count);
    }
    let took = began.elapsed();
    println!("{given} donations in at most {most} steps within {took:?}");
    assert!(given > 8, "only {given} donations");
    // One at once, and one more in each second.
    assert!(most <= 2 + took.as_secs(), "{most} steps within {took:?}");
    let last = apps[1].get(&path).send().await.json();
    assert_eq!(last["doacoes_qtd"], given);
    let after = loads(&apps[0]).await + loads(&apps[1]).await;
    assert!(after - before <= 2, "{} loads for {given} donations", after - before);
    streams[0].is_silent(Duration::from_millis(1_200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_that_are_told_in_the_wrong_order_never_go_back() {
    let apps = replicas(servers(), 2).await;
    let campaign = apps[0].campaign().await;
    let path = format!("campanhas/{}/totais", campaign.slug);
    let mut streams = [Stream::open(&apps[0], &campaign).await, Stream::open(&apps[1], &campaign).await];
    for stream in &mut streams {
        assert_eq!(stream.totals(Duration::from_secs(2)).await.0, 0);
    }
    let told = |seq: i64| Totals {
        arrecadado_centavos: seq,
        declarado_centavos: 0,
        devolvido_centavos: 0,
        doacoes_qtd: seq,
        doadores_qtd: 1,
        seq,
        atualizado_em: START,
    };
    apps[0].state.cache.publish_totals(vec![(campaign.slug.clone(), told(7))], START).await;
    apps[1].state.cache.publish_totals(vec![(campaign.slug.clone(), told(6))], START).await;
    for (app, stream) in apps.iter().zip(&mut streams) {
        let mut last = 0;
        while last != 7 {
            let (seq, _) = stream.totals(Duration::from_secs(4)).await;
            assert!(seq > last, "{seq} after {last}");
            last = seq;
        }
        assert_eq!(app.get(&path).send().await.json()["seq"], 7);
        stream.is_silent(Duration::from_millis(1_200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_gives_a_sign_of_life_every_quarter_of_a_minute() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let mut streams = vec![];
    for _ in 0..8 {
        let mut stream = Stream::open(&app, &campaign).await;
        stream.totals(Duration::from_secs(2)).await;
        streams.push(tokio::spawn(async move {
            let began = Instant::now();
            assert_eq!(stream.within(Duration::from_secs(25)).await, Some(Block::Heartbeat));
            began.elapsed()
        }));
    }
    let mut times = vec![];
    for stream in streams {
        times.push(stream.await.unwrap());
    }
    println!("{times:?}");
    assert!(times.iter().all(|time| (Duration::from_secs(11)..Duration::from_secs(22)).contains(time)), "{times:?}");
    let spread = times.iter().max().unwrap().abs_diff(*times.iter().min().unwrap());
    assert!(spread > Duration::from_millis(300), "all at once: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_public_has_no_subscribers_and_what_stops_being_so_no_longer() {
    let app = TestApp::with(Options { background: true, ..Options::default() }).await;
    hears_others(&app).await;
    let campaign = app.campaign().await;
    let draft = app.draft(&campaign.org, json!({})).await;
    for slug in ["nada", "Nada", draft["slug"].as_str().unwrap()] {
        app.get(&format!("campanhas/{slug}/eventos")).send().await.expect_problem(404, "nao-encontrado");
    }
    until_deserted(&app, Duration::from_secs(3)).await;
    let mut stream = Stream::open(&app, &campaign).await;
    stream.totals(Duration::from_secs(2)).await;
    // Whoever paid before a pause or the end is counted and seen.
    for (round, step) in ["pausa", "retomada", "encerramento"].iter().enumerate() {
        let donation = match *step {
            "retomada" => None,
            _ => Some(app.donate(&campaign, json!({})).await.json()),
        };
        app.post(&format!("campanhas/{}/{step}", campaign.slug), json!({})).by(&campaign.org.owner).send().await.expect(200);
        if let Some(donation) = donation {
            app.pay(&donation).await;
            assert_eq!(stream.totals(Duration::from_secs(4)).await.1["doacoes_qtd"], 1 + round / 2);
        }
    }
    sqlx::query("UPDATE campanhas SET situacao = 'rejeitada' WHERE slug = $1").bind(&campaign.slug).execute(&app.owner).await.unwrap();
    assert!(app.state.cache.invalidate(&doacoes_api::cache::Tag::all_of_campaigns([campaign.slug.as_str()])).await);
    stream.end(Duration::from_secs(3)).await;
    app.get(&format!("campanhas/{}/eventos", campaign.slug)).send().await.expect_problem(404, "nao-encontrado");
    until_deserted(&app, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_fifty_places_and_who_leaves_makes_room() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/eventos", campaign.slug);
    let mut streams = vec![];
    for _ in 0..50 {
        streams.push(Stream::open(&app, &campaign).await);
    }
    for method in ["GET", "HEAD"] {
        let answer = app.request(method, &path).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "30"));
        if method == "GET" {
            answer.expect_problem(503, "indisponivel");
            assert!(answer.json()["detail"].as_str().unwrap().contains("/totais"), "{}", answer.text);
        }
    }
    assert_eq!(metric(&app, "doacoes_shed_total", &[PLACES_OF_ADDRESS]).await, 2);
    assert_eq!(metric(&app, "doacoes_shed_total", &[PLACES]).await, 0);
    app.get(&format!("campanhas/{}/totais", campaign.slug)).send().await.expect(200);
    streams.truncate(49);
    until(Duration::from_secs(3), "who left is noticed", async || open_streams(&app).await == 49).await;
    // A HEAD request takes no place for longer than its answer.
    for _ in 0..3 {
        let head = app.request("HEAD", &path).send().await;
        assert_eq!((head.status.as_u16(), head.header("content-type"), head.text.as_str()), (200, "text/event-stream", ""));
    }
    streams.push(Stream::open(&app, &campaign).await);
    drop(streams);
    until_deserted(&app, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_opened_six_hundred_times_a_minute() {
    // Exact only while Redis answers.
    let app = TestApp::with(Options { limited: true, redis_budget: Duration::from_secs(30), ..Options::default() }).await;
    let campaign = app.campaign().await;
    let began = Instant::now();
    let mut opened = 0;
    let refused = loop {
        let answer = app.request("HEAD", &format!("campanhas/{}/eventos", campaign.slug)).send().await;
        if answer.status != 200 {
            break answer;
        }
        assert!(answer.header("ratelimit").starts_with("\"stream_ip\";r="), "{answer:?}");
        opened += 1;
    };
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    // One more is earned in each tenth of a second.
    let earned = began.elapsed().as_millis() / 100;
    assert!((600..=601 + earned).contains(&opened), "{opened} within {:?}", began.elapsed());
    app.get(&format!("campanhas/{}/eventos", campaign.slug)).send().await.expect_problem(429, "limite-excedido");
    app.get(&format!("campanhas/{}/totais", campaign.slug)).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_every_stream_at_once_and_sends_the_clients_back_one_by_one() {
    let app = TestApp::with(Options { drain_seconds: 4, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let mut streams = vec![];
    for _ in 0..40 {
        let mut stream = Stream::open(&app, &campaign).await;
        stream.totals(Duration::from_secs(2)).await;
        streams.push(stream);
    }
    let began = Instant::now();
    app.state.shutdown.begin();
    let mut pauses = vec![];
    for stream in &mut streams {
        pauses.push(stream.end(Duration::from_secs(2)).await);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(pauses.iter().all(|pause| AFTER_A_STOP.contains(pause)), "{pauses:?}");
    let (first, last) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(last - first > 2_000, "{pauses:?}");
    // Whoever comes while others have not heard of the stop is shown the totals and sent on.
    let mut late = Stream::open(&app, &campaign).await;
    assert_eq!(late.answer.headers()["connection"], "close");
    late.totals(Duration::from_secs(2)).await;
    assert!(AFTER_A_STOP.contains(&late.end(Duration::from_secs(2)).await));
    until_deserted(&app, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_do_not_hold_up_the_end_of_a_process() {
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let env = vec![("DRAIN_SECONDS", "0".to_owned())];
    let mut fleet = Fleet::start(servers(), &database, FleetOptions { processes: 1, env, ..FleetOptions::default() }).await;
    let mut streams = vec![];
    for number in 0..200 {
        let address = format!("198.51.100.{}", number % 10);
        streams.push(Stream::at(&app.http, &url(&fleet.public(0), &campaign), &[("x-forwarded-for", &address)]).await);
    }
    let began = Instant::now();
    fleet.stop(0, Duration::from_secs(6)).await;
    println!("ended after {:?} with 200 streams", began.elapsed());
    for stream in &mut streams {
        assert!(AFTER_A_STOP.contains(&stream.end(Duration::from_secs(2)).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_while_redis_is_away_and_asks_for_all_of_its_campaign() {
    const AWAY: Duration = Duration::from_secs(8);
    let servers = Servers::start(&["--fast"]);
    let apps = replicas(&servers, 2).await;
    let campaign = apps[0].campaign().await;
    let mut streams = vec![];
    for _ in 0..20 {
        streams.push(Stream::open(&apps[1], &campaign).await);
    }
    let mut given = 0;
    let mut give = async |streams: &mut Vec<Stream>, what: &str, limit: Duration| {
        apps[0].confirmed(&campaign, json!({})).await;
        given += 1;
        let told = Instant::now();
        for stream in streams {
            while stream.totals(limit).await.1["doacoes_qtd"] != given {}
        }
        println!("{what}: shown after {:?}", told.elapsed());
    };
    give(&mut streams, "all is well", Duration::from_secs(4)).await;
    // No process receives messages, for a moment in which the total moves.
    let mut redis = servers.redis().await;
    for _ in 0..3 {
        let _: i64 = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut redis).await.unwrap();
        give(&mut streams, "cut", AWAY).await;
        hears_others(&apps[1]).await;
    }
    servers.signal("REDIS_PID", "-KILL");
    for _ in 0..3 {
        give(&mut streams, "killed", AWAY).await;
    }
    let (before, began) = (loads(&apps[1]).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = loads(&apps[1]).await - before;
    assert!((1..=2 + i64::try_from(began.elapsed().as_secs()).unwrap()).contains(&asked), "{asked} loads for twenty streams");
    servers.revive();
    hears_others(&apps[1]).await;
    for _ in 0..2 {
        give(&mut streams, "back", AWAY).await;
    }
    servers.signal("REDIS_PID", "-STOP");
    for _ in 0..2 {
        give(&mut streams, "frozen", AWAY).await;
    }
    servers.signal("REDIS_PID", "-CONT");
    for _ in 0..2 {
        give(&mut streams, "resumed", AWAY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_loses_its_place() {
    let app = Arc::new(TestApp::with(Options { background: true, ..Options::default() }).await);
    let campaign = app.campaign().await;
    let socket = TcpSocket::new_v4().unwrap();
    // Or the kernel would take in minutes of totals in the client's place.
    socket.set_recv_buffer_size(1).unwrap();
    let mut silent = socket.connect(app.base.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let head = format!("GET /api/v1/campanhas/{}/eventos HTTP/1.1\r\nhost: localhost\r\n\r\n", campaign.slug);
    silent.write_all(head.as_bytes()).await.unwrap();
    until(Duration::from_secs(3), "it has a place", async || open_streams(&app).await == 1).await;
    let mut reader = Stream::open(&app, &campaign).await;
    let stop = Arc::new(AtomicBool::new(false));
    let donor = tokio::spawn({
        let (app, campaign, stop) = (Arc::clone(&app), campaign.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                app.confirmed(&campaign, json!({})).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    let reading = tokio::spawn(async move {
        let mut last = 0;
        while let Ok((seq, _)) = tokio::time::timeout(Duration::from_secs(3), reader.totals(Duration::from_mins(1))).await {
            last = seq;
        }
        (last, reader)
    });
    let cut = until(Duration::from_secs(80), "it has lost its place", async || open_streams(&app).await == 1).await;
    println!("cut after {cut:?}");
    stop.store(true, Ordering::Relaxed);
    donor.await.unwrap();
    let (last, mut reader) = reading.await.unwrap();
    assert!(last > 10, "whoever reads is served meanwhile: {last}");
    reader.is_silent(Duration::from_millis(10)).await;
    drop((silent, reader));
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_passes_on_each_event_as_it_comes() {
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let mut fleet = Fleet::start(servers(), &database, FleetOptions { processes: 2, ..FleetOptions::default() }).await;
    let url = url(&fleet.base, &campaign);
    let mut streams = vec![];
    for _ in 0..4 {
        let mut stream = Stream::at(&app.http, &url, &[]).await;
        stream.totals(Duration::from_secs(4)).await;
        streams.push(stream);
    }
    for round in 1..=3 {
        app.confirmed(&campaign, json!({})).await;
        let told = Instant::now();
        for stream in &mut streams {
            assert_eq!(stream.totals(Duration::from_secs(4)).await.1["doacoes_qtd"], round);
        }
        // As long as without it; what is held back comes only when the stream ends, after minutes.
        assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
    }
    // A client that leaves nginx leaves the process behind it.
    let open = async |number: usize| metric_at(&fleet.admin(number), "doacoes_streams_open", &[]).await;
    assert_eq!(open(0).await + open(1).await, 4);
    streams.truncate(2);
    until(Duration::from_secs(3), "two places are free", async || open(0).await + open(1).await == 2).await;
    drop(streams);
    until(Duration::from_secs(3), "all places are free", async || open(0).await + open(1).await == 0).await;
    // When a process stops, its clients find the other one.
    let mut stream = Stream::at(&app.http, &url, &[]).await;
    let (seen, _) = stream.totals(Duration::from_secs(4)).await;
    let number = usize::from(open(1).await == 1);
    fleet.signal(number, "-TERM");
    assert!(AFTER_A_STOP.contains(&stream.end(Duration::from_secs(2)).await));
    fleet.ended(number, Duration::from_secs(20)).await;
    let mut stream = Stream::at(&app.http, &url, &[("last-event-id", &seen.to_string())]).await;
    app.confirmed(&campaign, json!({})).await;
    assert_eq!(stream.totals(Duration::from_secs(4)).await.1["doacoes_qtd"], 4);
}

fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What goes on beside two thousand subscribers.
struct Beside {
    http: reqwest::Client,
    campaign: String,
    pay: String,
    donation: Value,
    stop: AtomicBool,
}

impl Beside {
    /// Donations that are paid, one after the other; how many.
    async fn donate(self: Arc<Self>) -> i64 {
        let post = |url: &str, body: &Value| {
            let request = self.http.post(url).header("idempotency-key", Uuid::new_v4().to_string());
            request.header("content-type", "application/json").body(body.to_string()).send()
        };
        let mut given = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let answer = post(&format!("{}/doacoes", self.campaign), &self.donation).await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert_eq!(status, 201, "{text}");
            let donation: Value = serde_json::from_str(&text).unwrap();
            let txid = donation["pagamento"]["txid"].as_str().unwrap();
            let paid = json!({"valor_centavos": donation["valor_centavos"], "e2eid": e2eid()});
            let answer = post(&format!("{}/{txid}", self.pay), &paid).await.unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            given += 1;
        }
        given
    }

    /// Hot pages; how long each took.
    async fn read(self: Arc<Self>) -> Vec<Duration> {
        let mut reads = vec![];
        while !self.stop.load(Ordering::Relaxed) {
            for path in ["", "/totais"] {
                let began = Instant::now();
                let answer = self.http.get(format!("{}{path}", self.campaign)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
                reads.push(began.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        reads
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_subscribe_to_a_hot_campaign_and_nobody_else_suffers() {
    const CLIENTS: usize = 2_000;
    let _alone = alone().await;
    // Of this process, for its clients.
    open_files::raise_limit();
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 1, ..FleetOptions::default() }).await;
    let api = format!("{}/api/v1", fleet.public(0));
    let beside = Arc::new(Beside {
        http: reqwest::Client::new(),
        campaign: format!("{api}/campanhas/{}", campaign.slug),
        pay: format!("{api}/simulado/pagamentos"),
        donation: app.donation(json!({})),
        stop: AtomicBool::new(false),
    });
    beside.http.get(format!("{}/totais", beside.campaign)).send().await.unwrap();
    let before = resident_kib(fleet.pid(0));

    let (url, began) = (url(&fleet.public(0), &campaign), Instant::now());
    let mut clients = vec![];
    let (last, _) = tokio::sync::watch::channel(i64::MAX);
    for number in 0..CLIENTS {
        let address = format!("203.0.113.{}", number / 50);
        let mut stream = Stream::at(&app.http, &url, &[("x-forwarded-for", &address)]).await;
        let wanted = last.subscribe();
        clients.push(tokio::spawn(async move {
            let (mut seen, mut events) = (-1, 0);
            // Until it has seen the last total, which is known only later.
            while seen < *wanted.borrow() {
                let (seq, _) = stream.totals(Duration::from_mins(1)).await;
                assert!(seq > seen);
                (seen, events) = (seq, events + 1);
            }
            (seen, events, stream)
        }));
    }
    let opened = began.elapsed();
    let with = resident_kib(fleet.pid(0));
    for address in ["198.51.100.1", "203.0.113.0"] {
        let refused = Stream::ask(&app.http, &url, &[("x-forwarded-for", address)]).await;
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"30".parse().unwrap()));
    }
    for queue in [PLACES, PLACES_OF_ADDRESS] {
        assert_eq!(metric_at(&fleet.admin(0), "doacoes_shed_total", &[queue]).await, 1, "{queue}");
    }
    assert_eq!(metric_at(&fleet.admin(0), "doacoes_streams_open", &[]).await, 2_000);

    let donors: Vec<_> = (0..2).map(|_| tokio::spawn(Arc::clone(&beside).donate())).collect();
    let readers: Vec<_> = (0..4).map(|_| tokio::spawn(Arc::clone(&beside).read())).collect();
    tokio::time::sleep(Duration::from_secs(8)).await;
    beside.stop.store(true, Ordering::Relaxed);
    let mut given = 0;
    for donor in donors {
        given += donor.await.unwrap();
    }
    let mut reads = vec![];
    for reader in readers {
        reads.extend(reader.await.unwrap());
    }
    let (slowest, count, p99) = (reads.iter().copied().max().unwrap(), reads.len(), p99(reads));
    let settled = Instant::now();
    let totals = loop {
        let answer = beside.http.get(format!("{}/totais", beside.campaign)).send().await.unwrap();
        let totals: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        if totals["doacoes_qtd"] == given {
            break totals;
        }
        assert!(settled.elapsed() < Duration::from_secs(5), "{totals} of {given}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let seq = totals["seq"].as_i64().unwrap();
    // Who has seen it already waits for one more; so there is one more, and everyone must see it.
    last.send_replace(seq + 1);
    app.confirmed(&campaign, json!({})).await;
    let (mut most, mut least) = (0, usize::MAX);
    let mut streams = vec![];
    for client in clients {
        let (seen, events, stream) = tokio::time::timeout(Duration::from_secs(15), client).await.expect("all see the last total").unwrap();
        assert_eq!(seen, seq + 1);
        (most, least) = (most.max(events), least.min(events));
        streams.push(stream);
    }
    let (shown, busy) = (settled.elapsed(), resident_kib(fleet.pid(0)));
    println!(
        "{CLIENTS} streams opened in {opened:?}; {before} KiB before, {with} KiB with them, {busy} KiB after {least} to {most} totals each; \
         {given} donations, {count} reads, p99 {p99:?}, the slowest {slowest:?}; the last total was everyone's after {shown:?}"
    );
    assert!(given > 0 && count > 100, "{given} donations, {count} reads");
    // Two thousand clients read their events in this process, on the same cores, once a second. A read behind all events of a step
    // would wait for as long as the step takes; one in a hundred may meet another program as well.
    assert!(p99 < Duration::from_secs(1), "reads took {p99:?}");
    assert!(busy.saturating_sub(before) < 64 * 1024, "{} KiB for {CLIENTS} streams", busy.saturating_sub(before));
    drop(streams);
    until(Duration::from_secs(10), "every place is free", async || {
        let of = async |name: &str| metric_at(&fleet.admin(0), name, &[]).await;
        of("doacoes_streams_open").await == 0 && of("doacoes_campaigns_followed").await == 0
    })
    .await;
}
