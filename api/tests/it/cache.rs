//! The caches: that they are there, that a write is seen through them in time, and what they do when a store vanishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doacoes_api::server::open_files;
use redis::AsyncCommands as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{
    Answer, Campaign, Fleet, FleetOptions, Options, Servers, TestApp, alone, create_database, exact_replicas, metric, metric_at, p99,
    replicas, servers, until,
};

async fn loads(app: &TestApp, entity: &str) -> i64 {
    loads_at(&app.admin, entity).await
}

async fn loads_at(admin: &str, entity: &str) -> i64 {
    metric_at(admin, "doacoes_cache_requests_total", &[r#"layer="postgres""#, &format!("entity=\"{entity}\"")]).await
}

async fn read(app: &TestApp, campaign: &Campaign) -> Answer {
    app.get(&format!("campanhas/{}", campaign.slug)).send().await
}

fn is_stale(answer: &Answer) -> bool {
    answer.headers.get("cache-status").is_some_and(|value| value.to_str().unwrap().contains("fwd=stale"))
}

async fn rename(app: &TestApp, campaign: &Campaign, title: &str) {
    let path = format!("campanhas/{}", campaign.slug);
    let read = app.get(&path).send().await;
    let tag = read.header("etag").to_owned();
    app.patch(&path, json!({"titulo": title})).by(&campaign.org.owner).header("if-match", &tag).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_one_process_is_read_on_all_within_a_second() {
    let apps = replicas(servers(), 4).await;
    let campaign = apps[0].campaign().await;
    for (round, writer) in apps.iter().enumerate() {
        for app in &apps {
            read(app, &campaign).await.expect(200);
            app.get("campanhas").send().await.expect(200);
        }
        let title = format!("Campanha de número {round}");
        rename(writer, &campaign, &title).await;
        for app in &apps {
            until(Duration::from_secs(1), "the new title", async || read(app, &campaign).await.json()["titulo"] == title.as_str()).await;
            let first = |answer: Answer| answer.json()["itens"][0]["titulo"].clone();
            until(Duration::from_secs(1), "the new title in the list", async || first(app.get("campanhas").send().await) == title.as_str())
                .await;
        }
    }
    // A donation that is confirmed moves the total and stands in the list of donations.
    let donations = format!("campanhas/{}/doacoes", campaign.slug);
    let totals = format!("campanhas/{}/totais", campaign.slug);
    for app in &apps {
        app.get(&donations).send().await.expect(200);
        app.get(&totals).send().await.expect(200);
    }
    apps[1].confirmed(&campaign, json!({})).await;
    for app in &apps {
        until(Duration::from_secs(1), "the total", async || app.get(&totals).send().await.json()["doacoes_qtd"] == 1).await;
        let count = async || app.get(&donations).send().await.json()["itens"].as_array().unwrap().len();
        until(Duration::from_secs(1), "the donation in the list", async || count().await == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_served_by_the_caches_and_redis_keeps_answers_for_their_time() {
    let apps = replicas(servers(), 2).await;
    let campaign = apps[0].campaign().await;
    let owner = &campaign.org.owner;
    let paths = ["campanhas".to_owned(), format!("campanhas/{}", campaign.slug), format!("campanhas/{}/doacoes", campaign.slug)];
    for app in &apps {
        for path in &paths {
            for _ in 0..50 {
                app.get(path).send().await.expect(200);
            }
        }
    }
    for entity in ["campanha", "campanhas", "doacoes"] {
        let both = loads(&apps[0], entity).await + loads(&apps[1], entity).await;
        assert!((1..=2).contains(&both), "{both} loads of {entity} for 100 readers");
        assert!(metric(&apps[0], "doacoes_cache_requests_total", &[r#"layer="local""#, r#"result="hit""#]).await > 90);
    }
    until(Duration::from_secs(3), "the account comes from Redis", async || {
        apps[1].get("eu").by(owner).send().await.expect(200);
        metric(&apps[1], "doacoes_cache_requests_total", &[r#"layer="redis""#, r#"entity="pessoa""#, r#"result="hit""#]).await > 0
    })
    .await;

    let mut redis = servers().redis().await;
    let keys: Vec<String> = redis.keys(format!("{}:*", apps[0].database)).await.unwrap();
    let mut seen = BTreeMap::new();
    for key in keys {
        let name = key.split_once(':').unwrap().1;
        let life: i64 = redis.ttl(&key).await.unwrap();
        let band = match name.split(':').next().unwrap() {
            "campanha" | "campanhas" => 3_230..=3_960,
            "doacoes" => 800..=990,
            "pessoa" => 1_610..=1_980,
            "sessao" | "totais" => 1..=66,
            _ => continue,
        };
        assert!(band.contains(&life), "{name} lives {life} s");
        *seen.entry(name.split(':').next().unwrap().to_owned()).or_insert(0) += 1;
    }
    let names: Vec<&str> = seen.keys().map(String::as_str).collect();
    for name in ["campanha", "campanhas", "doacoes", "pessoa", "sessao"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_one_page_of_donations_and_none_that_few_ask_for() {
    // A fill that Redis does not take in time is not tried again.
    let app = TestApp::with(Options { redis_budget: Duration::from_secs(30), ..Options::default() }).await;
    let campaign = app.campaign().await;
    let donations = format!("campanhas/{}/doacoes", campaign.slug);
    let redis = servers().redis().await;
    let keys_of = async |name: &str| -> Vec<String> { redis.clone().keys(format!("{}:{name}", app.database)).await.unwrap() };
    for count in 1..=5 {
        app.confirmed(&campaign, json!({})).await;
        app.roll_up().await;
        assert_eq!(app.get(&donations).send().await.json()["itens"].as_array().unwrap().len(), count);
        app.get(&format!("{donations}?limite=7")).send().await.expect(200);
        app.get(&format!("campanhas?q=palavra{count}")).send().await.expect(200);
    }
    until(Duration::from_secs(5), "the page is in Redis", async || !keys_of("doacoes:*").await.is_empty()).await;
    assert_eq!(keys_of("doacoes:*").await.len(), 1);
    // What is not there leaves no more than that for half a minute.
    for path in ["campanhas/inventada", "campanhas/inventada/doacoes", "campanhas/inventada/totais", "organizadoras/inventada"] {
        app.get(path).send().await.expect_problem(404, "nao-encontrado");
    }
    app.get("campanhas?organizadora=inventada").send().await.expect(200);
    for key in keys_of("*inventada*").await {
        let life: i64 = redis.clone().ttl(&key).await.unwrap();
        assert!((0..=30).contains(&life), "{key} lives {life} s");
    }
    assert_eq!(keys_of("*palavra*").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_release_left_in_redis_is_not_shown() {
    let apps = exact_replicas(servers(), 3).await;
    let campaign = apps[0].campaign().await;
    read(&apps[0], &campaign).await.expect(200);
    apps[0].get("campanhas").send().await.expect(200);
    let redis = servers().redis().await;
    let key_of = async |name: &str| -> Option<String> {
        let keys: Vec<String> = redis.clone().keys(format!("{}:{name}", apps[0].database)).await.unwrap();
        keys.into_iter().next()
    };
    let names = [format!("campanha:{}", campaign.slug), "campanhas:*".to_owned()];
    for name in &names {
        until(Duration::from_secs(5), "the answer is in Redis", async || key_of(name).await.is_some()).await;
    }
    let strange = "\n{\"b\":{\"alheia\":1}}";
    for name in &names {
        let _: () = redis.clone().set(key_of(name).await.unwrap(), format!("1-0.0.1 0 0{strange}")).await.unwrap();
    }
    assert_eq!(read(&apps[1], &campaign).await.json()["slug"], campaign.slug.as_str());
    assert_eq!(apps[1].get("campanhas").send().await.json()["itens"][0]["slug"], campaign.slug.as_str());
    // Nor what is of this release and yet no page.
    let pages = key_of(&names[1]).await.unwrap();
    until(Duration::from_secs(5), "the page is in Redis again", async || {
        let text: String = redis.clone().get(&pages).await.unwrap();
        !text.contains("alheia")
    })
    .await;
    let text: String = redis.clone().get(&pages).await.unwrap();
    let head = text.split_once('\n').unwrap().0;
    let _: () = redis.clone().set(&pages, format!("{head}{strange}")).await.unwrap();
    assert_eq!(apps[2].get("campanhas").send().await.json()["itens"][0]["slug"], campaign.slug.as_str());
}

/// A connection of one reader, and what it is answered.
struct Cold(TcpStream);

impl Cold {
    /// The status, and how long it took.
    async fn read(mut self, request: Arc<String>) -> (String, Duration) {
        let (began, mut answer) = (Instant::now(), Vec::new());
        self.0.write_all(request.as_bytes()).await.unwrap();
        self.0.read_to_end(&mut answer).await.unwrap();
        (String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned(), began.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_of_a_cold_campaign_are_one_load_a_process() {
    const READERS: usize = 1_000;
    let _alone = alone().await;
    open_files::raise_limit();
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let fleet = Fleet::start(servers(), &database, FleetOptions::default()).await;
    for round in 0..3 {
        // Of which no process and no store has heard yet.
        let campaign = app.campaign().await;
        let request = Arc::new(format!("GET /api/v1/campanhas/{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", campaign.slug));
        let loads = async || {
            let mut each = vec![];
            for number in 0..4 {
                each.push(loads_at(&fleet.admin(number), "campanha").await);
            }
            each
        };
        let before = loads().await;
        let mut herd = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            herd.push(Cold(TcpStream::connect(fleet.base.replace("http://", "")).await.unwrap()));
        }
        let herd: Vec<_> = herd.into_iter().map(|reader| tokio::spawn(reader.read(Arc::clone(&request)))).collect();
        let mut times = vec![];
        for reader in herd {
            let (status, time) = reader.await.unwrap();
            assert_eq!(status, "HTTP/1.1 200");
            times.push(time);
        }
        let after = loads().await;
        let each: Vec<i64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        println!("round {round}: loads {each:?}, p99 {:?}", p99(times.clone()));
        assert!(each.iter().all(|loads| *loads <= 1) && each.iter().sum::<i64>() >= 1, "loads of each process: {each:?}");
        assert!(p99(times.clone()) < Duration::from_secs(2), "{:?}", p99(times));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_expires_in_redis_is_renewed_before_anybody_misses_it() {
    let _alone = alone().await;
    let apps = exact_replicas(servers(), 3).await;
    let campaign = Arc::new(apps[0].campaign().await);
    let redis = servers().redis().await;
    let key = format!("{}:campanha:{}", apps[0].database, campaign.slug);
    read(&apps[0], &campaign).await.expect(200);
    until(Duration::from_secs(5), "the answer is in Redis", async || redis.clone().exists(&key).await.unwrap()).await;
    read(&apps[1], &campaign).await.expect(200);
    let missed = async || {
        let labels = [r#"layer="redis""#, r#"entity="campanha""#, r#"result="miss""#];
        let mut sum = 0;
        for app in &apps {
            sum += metric(app, "doacoes_cache_requests_total", &labels).await;
        }
        sum
    };
    let loaded = async || {
        let mut sum = 0;
        for app in &apps {
            sum += loads(app, "campanha").await;
        }
        sum
    };
    let (misses, loads) = (missed().await, loaded().await);
    // In the time in which it is renewed. The third process has no copy and looks at once; the others look when theirs are over, a second
    // after this end.
    let _: () = redis.clone().pexpire(&key, 3_000).await.unwrap();
    let started = Instant::now();
    let readers: Vec<_> = (0..9)
        .map(|index| {
            let (app, campaign) = (Arc::clone(&apps[index % 3]), Arc::clone(&campaign));
            tokio::spawn(async move {
                let mut times = vec![];
                while started.elapsed() < Duration::from_secs(6) {
                    let began = Instant::now();
                    read(&app, &campaign).await.expect(200);
                    times.push((began - started, began.elapsed()));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                times
            })
        })
        .collect();
    let mut times = vec![];
    for reader in readers {
        times.extend(reader.await.unwrap());
    }
    // No step: those who read while it is renewed and expires wait no longer than those after it.
    let p99_within = |from: u64, to: u64| {
        let within = Duration::from_secs(from)..Duration::from_secs(to);
        p99(times.iter().filter(|(at, _)| within.contains(at)).map(|(_, time)| *time).collect())
    };
    let (renewing, afterwards) = (p99_within(0, 4), p99_within(4, 6));
    println!("p99 {renewing:?} while it is renewed, {afterwards:?} afterwards");
    assert!(renewing < afterwards * 2 + Duration::from_millis(50), "{renewing:?}, and {afterwards:?} afterwards");
    assert_eq!((missed().await - misses, loaded().await - loads), (0, 1), "misses in Redis, loads for the renewal");
    let life: i64 = redis.clone().ttl(&key).await.unwrap();
    assert!(life > 3_000, "renewed for its whole life, not {life} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_never_puts_back_what_it_read_before_a_change() {
    let apps = replicas(servers(), 2).await;
    let campaign = apps[0].campaign().await;
    for round in 0..30 {
        let title = format!("Título {round}");
        // Readers on both processes race the change.
        let readers: Vec<_> = (0..8)
            .map(|index| {
                let (app, path) = (Arc::clone(&apps[index % 2]), format!("campanhas/{}", campaign.slug));
                tokio::spawn(async move {
                    for _ in 0..10 {
                        app.get(&path).send().await.expect(200);
                    }
                })
            })
            .collect();
        rename(&apps[round % 2], &campaign, &title).await;
        for reader in readers {
            reader.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        for app in &apps {
            assert_eq!(read(app, &campaign).await.json()["titulo"], title.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_frozen_flushed_and_back_is_noticed_by_nobody() {
    let servers = Servers::start(&["--fast"]);
    let apps = replicas(&servers, 2).await;
    let campaign = Arc::new(apps[0].campaign().await);
    let owner = &campaign.org.owner;
    for app in &apps {
        read(app, &campaign).await.expect(200);
        app.get("eu").by(owner).send().await.expect(200);
    }
    // Whatever happens to Redis, all of this works and none of it waits long.
    let everything = async |what: &str| {
        for app in &apps {
            for (path, private) in
                [(format!("campanhas/{}", campaign.slug), false), ("campanhas".to_owned(), false), ("eu".to_owned(), true)]
            {
                let request = app.get(&path);
                let started = Instant::now();
                let answer = if private { request.by(owner).send().await } else { request.send().await };
                assert_eq!(answer.status, 200, "{what}: {path}: {}", answer.text);
                // 50 ms for Redis, the rest for a database and a machine that have other work.
                assert!(started.elapsed() < Duration::from_millis(400), "{what}: {path} took {:?}", started.elapsed());
            }
            app.donate(&campaign, json!({})).await;
        }
    };
    everything("all is well").await;
    servers.signal("REDIS_PID", "-STOP");
    everything("frozen").await;
    until(Duration::from_secs(5), "the breaker opens", async || {
        read(&apps[0], &campaign).await.expect(200);
        app_breaker(&apps[0]).await == 1
    })
    .await;
    everything("frozen, breaker open").await;
    // A change while nobody can be told is seen at once here, and elsewhere once it can be.
    rename(&apps[0], &campaign, "Mudou no gelo").await;
    assert_eq!(read(&apps[0], &campaign).await.json()["titulo"], "Mudou no gelo");
    servers.signal("REDIS_PID", "-CONT");
    until(Duration::from_secs(5), "the other process sees the change", async || {
        read(&apps[1], &campaign).await.json()["titulo"] == "Mudou no gelo"
    })
    .await;
    everything("resumed").await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut servers.redis().await).await.unwrap();
    everything("flushed").await;
    servers.signal("REDIS_PID", "-KILL");
    everything("killed").await;
    rename(&apps[1], &campaign, "Mudou sem Redis").await;
    until(Duration::from_secs(5), "the change without Redis", async || {
        read(&apps[0], &campaign).await.json()["titulo"] == "Mudou sem Redis"
    })
    .await;
    servers.revive();
    until(Duration::from_secs(5), "Redis is used again", async || {
        read(&apps[0], &campaign).await.expect(200);
        app_breaker(&apps[0]).await == 0 && metric(&apps[0], "doacoes_cache_connected", &[]).await == 1
    })
    .await;
    everything("back").await;
    until(Duration::from_secs(5), "nothing is left to drop", async || {
        apps[0].count("SELECT count(*) FROM caixa_saida WHERE tipo = 'cache'").await == 0
    })
    .await;
}

async fn app_breaker(app: &TestApp) -> i64 {
    metric(app, "doacoes_redis_breaker_open", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_while_redis_is_frozen_is_for_good() {
    let servers = Servers::start(&["--fast"]);
    let apps = replicas(&servers, 2).await;
    let person = apps[0].person().await;
    let mine = async |app: &TestApp| app.get("eu").by(&person).send().await.status.as_u16();
    until(Duration::from_secs(5), "the session is in Redis", async || {
        assert_eq!(mine(&apps[1]).await, 200);
        metric(&apps[1], "doacoes_cache_requests_total", &[r#"layer="redis""#, r#"entity="sessao""#, r#"result="hit""#]).await > 0
    })
    .await;
    servers.signal("REDIS_PID", "-STOP");
    apps[0].request("DELETE", "sessoes/atual").by(&person).header("sec-fetch-site", "same-origin").send().await.expect(204);
    assert_eq!(mine(&apps[1]).await, 401);
    servers.signal("REDIS_PID", "-CONT");
    let resumed = Instant::now();
    while resumed.elapsed() < Duration::from_secs(3) {
        for app in &apps {
            assert_eq!(mine(app).await, 401, "after {:?}", resumed.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_pages_stay_while_the_database_is_away() {
    let servers = Servers::start(&[]);
    let apps = replicas(&servers, 2).await;
    let campaign = apps[0].campaign().await;
    let hot = [format!("campanhas/{}", campaign.slug), format!("campanhas/{}/totais", campaign.slug), "campanhas".to_owned()];
    for app in &apps {
        for path in &hot {
            app.get(path).send().await.expect(200);
        }
    }
    servers.signal("PG_PID", "-KILL");
    let everywhere = async |seconds: u64| {
        let started = Instant::now();
        let mut stale = 0;
        while started.elapsed() < Duration::from_secs(seconds) {
            for app in &apps {
                for path in &hot {
                    let answer = app.get(path).send().await;
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                    stale += usize::from(is_stale(&answer));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stale
    };
    everywhere(3).await;
    // A donation needs the database, and says when to come again.
    let started = Instant::now();
    let refused = apps[0].post(&format!("campanhas/{}/doacoes", campaign.slug), apps[0].donation(json!({}))).new_key().send().await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(started.elapsed() < Duration::from_secs(2));
    servers.signal("REDIS_PID", "-KILL");
    assert!(everywhere(6).await > 0, "with both stores away, answers say that they are old");
    servers.revive();
    until(Duration::from_secs(5), "a donation is taken again", async || {
        let request = apps[0].post(&format!("campanhas/{}/doacoes", campaign.slug), apps[0].donation(json!({})));
        request.new_key().send().await.status == 201
    })
    .await;
    until(Duration::from_secs(5), "answers are fresh again", async || !is_stale(&read(&apps[1], &campaign).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_within_five_seconds_while_processes_do_not_hear_each_other() {
    let servers = Servers::start(&["--fast"]);
    let apps = replicas(&servers, 2).await;
    let campaign = apps[0].campaign().await;
    // Nobody may subscribe any more, and who listens is cut off.
    let mut redis = servers.redis().await;
    let _: () = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut redis).await.unwrap();
    let cutter = {
        let mut redis = redis.clone();
        tokio::spawn(async move {
            loop {
                let _: Result<i64, _> = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut redis).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    for round in 0..3 {
        read(&apps[1], &campaign).await.expect(200);
        let title = format!("Ninguém ouve {round}");
        rename(&apps[0], &campaign, &title).await;
        until(Duration::from_secs(5), "the new title", async || read(&apps[1], &campaign).await.json()["titulo"] == title.as_str()).await;
    }
    cutter.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_answer_has_a_tag_of_its_own_and_changes_are_made_from_either() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}", campaign.slug);
    let tag = app.get(&path).send().await.header("etag").to_owned();
    app.patch(&path, json!({"descricao": "Uma descrição que se repete. ".repeat(50)}))
        .by(&campaign.org.owner)
        .header("if-match", &tag)
        .send()
        .await
        .expect(200);
    let plain = app.get(&path).send().await;
    let zipped = app.get(&path).header("accept-encoding", "gzip").send().await;
    assert_eq!((zipped.header("content-encoding"), zipped.header("vary").contains("accept-encoding")), ("gzip", true));
    assert!(zipped.header("content-length").parse::<usize>().unwrap() < plain.text.len() / 2);
    assert_ne!(zipped.header("etag"), plain.header("etag"));
    for (tag, coding) in [(plain.header("etag"), "identity"), (zipped.header("etag"), "gzip")] {
        app.get(&path).header("accept-encoding", coding).header("if-none-match", tag).send().await.expect(304);
    }
    let tag = zipped.header("etag").to_owned();
    app.patch(&path, json!({"titulo": "Do zip"})).by(&campaign.org.owner).header("if-match", &tag).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_totals_rollup_tells_everyone_is_of_public_campaigns_only() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let draft = app.draft(&org, json!({})).await;
    let slug = draft["slug"].as_str().unwrap();
    app.roll_up().await;
    for path in [format!("campanhas/{slug}/totais"), format!("campanhas/{slug}/doacoes"), format!("campanhas/{slug}")] {
        app.get(&path).send().await.expect_problem(404, "nao-encontrado");
    }
    // And what was not there for the public is there once it is published.
    app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    for path in [format!("campanhas/{slug}/totais"), format!("campanhas/{slug}/doacoes"), format!("campanhas/{slug}")] {
        app.get(&path).send().await.expect(200);
    }
}
