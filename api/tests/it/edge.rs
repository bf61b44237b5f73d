//! What a real nginx with the operator's configuration makes of the API's answers: which it keeps, for whom, and what still comes through.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::IntoResponse;
use flate2::read::GzDecoder;
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::harness::{Edge, Fleet, FleetOptions, Options, TestApp, cnpj, create_database, servers};

/// What browsers say that they take.
const BROWSER: &str = "gzip, deflate, br, zstd";

/// A client that makes a connection for each request.
fn visitor() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// An answer through an edge.
struct Seen {
    status: u16,
    headers: header::HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    fn json(&self) -> Value {
        let mut text = String::new();
        if self.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
            GzDecoder::new(self.body.as_slice()).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(self.body.clone()).unwrap();
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.status))
    }
}

async fn get(http: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> Seen {
    ask(http, "GET", url, headers).await
}

async fn ask(http: &reqwest::Client, method: &str, url: &str, headers: &[(&str, &str)]) -> Seen {
    let mut request = http.request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Seen { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

/// A server whose answers say what was asked, may be kept for a while, and do not say what they vary by. Where it is, and how often it
/// was asked.
async fn echo() -> (SocketAddr, Arc<AtomicU32>) {
    async fn answer(State(asked): State<Arc<AtomicU32>>, request: Request) -> impl IntoResponse {
        asked.fetch_add(1, Ordering::SeqCst);
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let coding = if header("accept-encoding").contains("gzip") { "gzip" } else { "identity" };
        // In a header, which a HEAD has too.
        let told = format!("{} {} {} {coding}", request.method(), header("host"), request.uri());
        ([("cache-control", "public, max-age=60".to_owned()), ("x-told", told)], "")
    }
    let asked = Arc::new(AtomicU32::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_answered_with_what_was_kept_for_another() {
    let (upstream, asked) = echo().await;
    let edge = Edge::start(&[&format!("http://{upstream}")]).await;
    let http = visitor();
    let hosts = ["a.example", "bra.example", "gzipa.example", "identitya.example", "httpa.example", "geta.example"];
    let endings = ["", "br", "gzip", "identity", "%20gzip", "?q=natal", "?q=natalbr", "?q=natalgzip", "?q=natal%20gzip", "?q=natal+gzip"];
    let codings = [None, Some(""), Some("br"), Some("gzip"), Some(BROWSER), Some("identity")];
    let mut requests = BTreeSet::new();
    // Twice, so that everything that may be kept is kept in the second round.
    for _ in 0..2 {
        for method in ["GET", "HEAD"] {
            for host in hosts {
                for ending in endings {
                    for coding in codings {
                        let mut headers = vec![("host", host)];
                        headers.extend(coding.map(|coding| ("accept-encoding", coding)));
                        let url = format!("{}/api/v1/campanhas/sopa{ending}", edge.base);
                        let seen = ask(&http, method, &url, &headers).await;
                        let wanted = if coding.is_some_and(|coding| coding.contains("gzip")) { "gzip" } else { "identity" };
                        // nginx asks for the whole answer also where a client wants its head alone.
                        let own = format!("GET {host} /api/v1/campanhas/sopa{ending} {wanted}");
                        assert_eq!(seen.header("x-told"), own, "{method} {coding:?}");
                        requests.insert((method, own));
                    }
                }
            }
        }
    }
    // One key, one request; and what is the same request is asked once.
    assert_eq!(asked.load(Ordering::SeqCst), u32::try_from(requests.len()).unwrap());
}

/// Campaigns and organizadoras whose addresses differ by the name of an encoding, and searches for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_another_whose_address_ends_in_an_encoding() {
    let app = TestApp::start().await;
    let edge = Edge::start(&[&app.base]).await;
    let http = visitor();
    let first = app.campaign().await;
    let mut pages = vec![];
    for ending in ["", "br", "gzip", "identity"] {
        let slug = format!("sopa-quente{ending}");
        app.draft(&first.org, json!({"slug": slug})).await;
        app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&first.org.owner).send().await.expect(200);
        pages.push((format!("campanhas/{slug}"), slug));
        let number = cnpj();
        let slug = format!("cozinha{ending}");
        let body = json!({"nome": format!("Casa {number}"), "slug": slug, "cnpj": number,
            "chave_pix": {"tipo": "cnpj", "chave": number, "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}});
        app.post("organizadoras", body).by(&app.person().await).send().await.expect(201);
        pages.push((format!("organizadoras/{slug}"), slug));
    }
    for round in 0..8 {
        for (path, slug) in &pages {
            // One after the other without and with compression, so that each finds what the other left.
            for coding in ["identity", BROWSER, "br", "gzip"] {
                let seen = get(&http, &format!("{}/api/v1/{path}", edge.base), &[("accept-encoding", coding)]).await;
                assert_eq!(seen.json()["slug"], slug.as_str(), "round {round}: {path} for {coding:?}");
            }
        }
        for (search, found) in [("q=campanha", true), ("q=campanhabr", false), ("q=campanhagzip", false)] {
            for coding in ["identity", BROWSER, "br", "gzip"] {
                let url = format!("{}/api/v1/campanhas?{search}", edge.base);
                let items = get(&http, &url, &[("accept-encoding", coding)]).await.json();
                assert_eq!(!items["itens"].as_array().unwrap().is_empty(), found, "round {round}: {search} for {coding:?}: {items}");
            }
        }
    }
}

/// What a client may send in `If-None-Match` for what it has already.
fn known(tag: &str) -> Vec<String> {
    vec![tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), format!("W/\"x\",{tag} , \"y\""), "*".to_owned()]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_already_is_not_sent_again_through_the_edge() {
    let app = TestApp::start().await;
    let edge = Edge::start(&[&app.base]).await;
    let http = visitor();
    let campaign = app.campaign().await;
    let given = app.confirmed(&campaign, json!({})).await;
    app.roll_up().await;
    let owner = &campaign.org.owner;
    let token = given.header("doacao-token").to_owned();
    let cookie = owner.cookie.clone();
    let personal: [&[(&str, &str)]; 5] =
        [&[], &[("cookie", "_ga=1")], &[("authorization", "Bearer x")], &[("doacao-token", "x")], &[("cookie", cookie.as_str())]];
    let mut requests = vec![];
    for path in [
        format!("campanhas/{}", campaign.slug),
        format!("campanhas/{}/totais", campaign.slug),
        format!("organizadoras/{}", campaign.org.slug),
    ] {
        for headers in personal {
            requests.push((path.clone(), headers.to_vec()));
        }
    }
    requests.push(("eu".to_owned(), vec![("cookie", cookie.as_str())]));
    requests.push((format!("doacoes/{}", given.json()["id"].as_str().unwrap()), vec![("doacao-token", token.as_str())]));
    for (path, headers) in requests {
        let url = format!("{}/api/v1/{path}", edge.base);
        for coding in ["identity", BROWSER] {
            let ask_with = async |extra: &[(&str, &str)]| {
                let mut all = headers.clone();
                all.push(("accept-encoding", coding));
                all.extend(extra);
                get(&http, &url, &all).await
            };
            let whole = ask_with(&[]).await;
            assert_eq!(whole.status, 200, "{path} {headers:?}");
            let tag = whole.header("etag").to_owned();
            for known in known(&tag) {
                for more in [None, Some(("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"))] {
                    let mut extra = vec![("if-none-match", known.as_str())];
                    extra.extend(more);
                    let same = ask_with(&extra).await;
                    assert_eq!((same.status, same.body.len()), (304, 0), "{path} {headers:?} {coding} {extra:?}");
                    assert_eq!(same.header("etag"), tag, "{path} {headers:?}");
                }
            }
            for other in ["\"x\"", "W/\"x\", \"y\"", "\"\""] {
                let again = ask_with(&[("if-none-match", other)]).await;
                assert_eq!((again.status, again.json()), (200, whole.json()), "{path} {headers:?} {other}");
            }
            // No 304 was kept for those who have nothing yet.
            let again = ask_with(&[]).await;
            assert_eq!((again.status, again.json()), (200, whole.json()), "{path} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_request_that_comes_first_leaves_the_whole_answer_for_others_and_it_is_renewed() {
    let app = TestApp::start().await;
    let edge = Edge::start(&[&app.base]).await;
    let http = visitor();
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}", campaign.slug);
    let url = format!("{}/api/v1/{path}", edge.base);
    let tag = app.get(&path).send().await.header("etag").to_owned();
    for headers in [vec![("if-none-match", tag.as_str())], vec![("if-none-match", tag.as_str()), ("cookie", "_ga=1")]] {
        assert_eq!(get(&http, &url, &headers).await.status, 304);
        let whole = get(&http, &url, &[]).await;
        assert_eq!((whole.status, whole.json()["slug"].as_str()), (200, Some(campaign.slug.as_str())));
    }
    // What is kept is asked for again after its second, by nginx itself and whole, whatever condition its client has.
    app.patch(&path, json!({"titulo": "Outra"})).by(&campaign.org.owner).header("if-match", &tag).send().await.expect(200);
    let began = Instant::now();
    loop {
        let seen = get(&http, &url, &[("if-none-match", tag.as_str())]).await;
        if seen.status == 200 {
            assert_eq!(seen.json()["titulo"], "Outra");
            break;
        }
        assert_eq!(seen.status, 304);
        assert!(began.elapsed() < Duration::from_secs(4), "the new page is not shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(get(&http, &url, &[]).await.json()["titulo"], "Outra");
}

/// The totals that a visitor sees, and the tag of the last.
async fn seq(http: &reqwest::Client, url: &str, seen: i64) -> i64 {
    let tag = format!("\"{seen}\"");
    let answer = if seen > 0 { get(http, url, &[("if-none-match", &tag)]).await } else { get(http, url, &[]).await };
    if answer.status == 304 {
        return seen;
    }
    answer.json()["seq"].as_i64().unwrap()
}

/// Two edge pods, four API pods, a connection for each request.
#[tokio::test(flavor = "multi_thread")]
async fn totals_never_go_back_for_a_visitor() {
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 4, ..Options::default() }).await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    let fleet = Fleet::start(servers(), &database, FleetOptions { pool_size: 2, ..FleetOptions::default() }).await;
    let upstreams: Vec<String> = (0..4).map(|number| fleet.public(number)).collect();
    let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
    let edges = [Edge::start(&upstreams).await, Edge::start(&upstreams).await];
    let urls: Vec<String> = edges.iter().map(|edge| format!("{}/api/v1/campanhas/{}/totais", edge.base, campaign.slug)).collect();
    let until = Instant::now() + Duration::from_secs(8);
    // One looks four times a second, as a page does that asks now and then; the other as often as it can, and says what it has.
    let slow = tokio::spawn({
        let urls = urls.clone();
        async move {
            let (http, mut all) = (visitor(), vec![]);
            while Instant::now() < until {
                all.push(seq(&http, &urls[all.len() % urls.len()], 0).await);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            all
        }
    });
    let fast = tokio::spawn(async move {
        let (http, mut all) = (visitor(), vec![0]);
        while Instant::now() < until {
            let last = *all.last().unwrap();
            all.push(seq(&http, &urls[all.len() % urls.len()], last).await);
        }
        all
    });
    while Instant::now() < until {
        app.confirmed(&campaign, json!({})).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    for (who, all) in [("slow", slow.await.unwrap()), ("fast", fast.await.unwrap())] {
        let back = all.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert_eq!(back, 0, "{who}: {back} of {} reads went back: {all:?}", all.len());
        assert!(all.last().unwrap() - all.first().unwrap() > 5, "{who} saw the totals move: {all:?}");
    }
}

/// A process that has not heard of what another has shown yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_was_shown_more_elsewhere_is_not_shown_less() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    let before = app.totals(&campaign).await;
    let seq = before["seq"].as_i64().unwrap();
    let path = format!("campanhas/{}/totais", campaign.slug);
    // What another process leaves in Redis, and this one is not told.
    let mut redis = servers().redis().await;
    let key = format!("{}:totais:{}", app.database, campaign.slug);
    let kept: String = redis.get(&key).await.unwrap();
    let newer =
        kept.replace(&format!(" {seq}\n"), &format!(" {}\n", seq + 1)).replace(&format!("\\\"{seq}\\\""), &format!("\\\"{}\\\"", seq + 1));
    assert_ne!(newer.replace(&format!(" {}\n", seq + 1), ""), kept.replace(&format!(" {seq}\n"), ""), "the tag is changed too: {kept}");
    let newer = newer.replace(&format!("\"seq\":{seq}"), &format!("\"seq\":{}", seq + 1));
    let () = redis.set(&key, newer).await.unwrap();
    assert_eq!(app.get(&path).send().await.expect(200)["seq"], seq, "it has not heard of it");
    let tag = format!("\"{}\"", seq + 1);
    assert_eq!(app.get(&path).header("if-none-match", &tag).send().await.status, 304);
    assert_eq!(app.get(&path).send().await.expect(200)["seq"], seq + 1, "and now everyone sees it");
    // What nobody has is not waited for.
    assert_eq!(app.get(&path).header("if-none-match", "\"99999\"").send().await.expect(200)["seq"], seq + 1);
}

/// The pages for everyone, those of one person, and what is for programs.
const PUBLIC_PAGES: [&str; 8] = [
    "/",
    "/en/",
    "/campanhas",
    "/campanhas?q=natal&cursor=x",
    "/campanhas/sopa",
    "/en/campanhas/sopa/doacoes",
    "/organizadoras/casa",
    "/en/organizadoras/casa",
];
const PERSONAL_PAGES: [&str; 5] = ["/doar/sopa", "/en/doar/sopa", "/doacoes/1/pix", "/campanhas/sopa/editar", "/api/v1/campanhas/sopa"];

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_everyone_is_asked_for_without_cookies_and_kept_for_those_who_have_some() {
    async fn answer(State(asked): State<Arc<AtomicU32>>, request: Request) -> impl IntoResponse {
        asked.fetch_add(1, Ordering::SeqCst);
        let cookie = request.headers().get("cookie").map_or("none", |value| value.to_str().unwrap()).to_owned();
        ([("cache-control", "public, max-age=60".to_owned()), ("x-cookie", cookie)], "")
    }
    let asked = Arc::new(AtomicU32::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let edge = Edge::start(&[&upstream]).await;
    let http = visitor();
    let cookies = ["sessao=a", "__Host-sessao=b; dispositivo=c", "doacao=d"];
    for path in PUBLIC_PAGES {
        let before = asked.load(Ordering::SeqCst);
        for cookie in cookies {
            let seen = get(&http, &format!("{}{path}", edge.base), &[("cookie", cookie)]).await;
            assert_eq!((seen.status, seen.header("x-cookie")), (200, "none"), "{path}");
        }
        assert_eq!(asked.load(Ordering::SeqCst) - before, 1, "{path} is asked for once");
        get(&http, &format!("{}{path}", edge.base), &[("authorization", "Bearer x")]).await;
        assert_eq!(asked.load(Ordering::SeqCst) - before, 2, "{path}: who says so in another way passes the cache by");
    }
    for path in PERSONAL_PAGES {
        for cookie in cookies {
            let seen = get(&http, &format!("{}{path}", edge.base), &[("cookie", cookie)]).await;
            assert_eq!((seen.status, seen.header("x-cookie")), (200, cookie), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donation_by_pages_goes_through_the_edge() {
    let app = TestApp::start().await;
    let edge = Edge::start(&[&app.base]).await;
    let http = visitor();
    let campaign = app.campaign().await;
    let page = get(&http, &format!("{}/campanhas/{}", edge.base, campaign.slug), &[]).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(page.status == 200 && text.contains(&format!("/doar/{}", campaign.slug)), "{text}");
    // What it names comes from the edge's own files, and what another release named from the API.
    for attribute in ["rel=\"stylesheet\" href=\"", "<use href=\"", "type=\"module\" src=\""] {
        let name = text.split(attribute).nth(1).unwrap().split(['"', '#']).next().unwrap();
        let file = get(&http, &format!("{}{name}", edge.base), &[("accept-encoding", "gzip")]).await;
        assert_eq!((file.status, file.header("content-encoding")), (200, "gzip"), "{name}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        let (start, end) = (name.split('.').next().unwrap(), name.rsplit('.').next().unwrap());
        let old = get(&http, &format!("{}{start}.0123456789abcdef.{end}", edge.base), &[]).await;
        assert_eq!((old.status, old.header("cache-control")), (200, "public, max-age=60"), "{name}");
    }
    let fields =
        [("chave", "018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10"), ("valor", "5000"), ("consentimento", "sim"), ("aviso_privacidade", "2026-11")];
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let made = http
        .post(format!("{}/doar/{}", edge.base, campaign.slug))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 303);
    let cookie = made.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let pix = format!("{}{}", edge.base, made.headers()["location"].to_str().unwrap());
    for _ in 0..2 {
        let page = get(&http, &pix, &[("cookie", cookie)]).await;
        assert_eq!((page.status, page.header("cache-control")), (200, "private, no-store"));
        assert_eq!(get(&http, &pix, &[]).await.status, 404, "nobody gets another's page from a cache");
    }
}

/// An error of the edge's own, as whoever asked can read it.
#[track_caller]
fn assert_own_error(seen: &Seen, status: u16, page: Option<&str>) {
    assert_eq!((seen.status, seen.header("cache-control")), (status, "no-store"));
    let Some(heading) = page else {
        assert_eq!(seen.header("content-type"), "application/problem+json");
        assert_eq!(seen.json()["status"], status);
        return;
    };
    assert_eq!(seen.header("content-type"), "text/html; charset=utf-8");
    assert!(seen.header("content-security-policy").contains("require-trusted-types-for 'script'"));
    let text = String::from_utf8(seen.body.clone()).unwrap();
    assert!(text.contains(heading) && text.contains(&status.to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_own_errors_are_pages_for_people_and_json_for_programs() {
    let (upstream, _) = echo().await;
    let edge = Edge::start(&[&format!("http://{upstream}")]).await;
    let http = visitor();
    for (path, heading) in [
        ("/doar/sopa", Some("O envio é grande demais")),
        ("/en/doar/sopa", Some("What you sent is too large")),
        ("/api/v1/campanhas/sopa/doacoes", None),
    ] {
        let answer = http.post(format!("{}{path}", edge.base)).body(vec![b'x'; 200 * 1024]).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let seen = Seen { status, headers, body: answer.bytes().await.unwrap().to_vec() };
        assert_own_error(&seen, 413, heading);
        assert!(!seen.headers.contains_key("retry-after"));
    }
    let long = get(&http, &format!("{}/campanhas?q={}", edge.base, "x".repeat(40_000)), &[]).await;
    assert_own_error(&long, 414, Some("O envio não chegou inteiro"));
    assert_eq!(get(&http, &format!("{}/erros/413.html", edge.base), &[]).await.status, 404, "nobody asks for them by themselves");
    let nobody = Edge::start(&["http://127.0.0.1:9"]).await;
    let limited = Edge::with_rate(&[&format!("http://{upstream}")], 1).await;
    for (path, away, many) in [
        ("/", Some("Estamos fora do ar por um instante"), Some("Muitas tentativas seguidas")),
        ("/en/campanhas/sopa", Some("We are away for a moment"), Some("Too many attempts in a row")),
        ("/doacoes/1/pix", Some("Estamos fora do ar por um instante"), Some("Muitas tentativas seguidas")),
        ("/api/v1/campanhas", None, None),
        ("/api/v1/campanhas/sopa/totais", None, None),
        ("/openapi.json", None, None),
    ] {
        let seen = get(&http, &format!("{}{path}", nobody.base), &[]).await;
        assert_own_error(&seen, 503, away);
        assert_eq!(seen.header("retry-after"), "2");
        let mut seen = get(&http, &format!("{}{path}", limited.base), &[]).await;
        while seen.status != 429 {
            seen = get(&http, &format!("{}{path}", limited.base), &[]).await;
        }
        assert_own_error(&seen, 429, many);
        assert_eq!(seen.header("retry-after"), "1");
    }
}
