//! The pages that people donate on: what is on them, what caches may do with them, and that a form does what the API does.

use std::collections::BTreeMap;

use doacoes_api::config::Profile;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::harness::{Answer, Campaign, Options, TestApp};

const PRIVATE: &str = "private, no-store";
const PUBLIC: &str = "public, max-age=1, stale-while-revalidate=1";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'; require-trusted-types-for 'script'";

/// Texts that would be more than text on a page that did not escape them.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg onload=alert(1)>",
    "</title></textarea><script>alert(1)</script>",
    "{{7*7}} {%raw%} &lt;b&gt; &amp;",
];

/// The pages for everyone, without a language, that a campaign and its organizadora have.
fn public_paths(campaign: &Campaign) -> Vec<String> {
    vec![
        "/".to_owned(),
        "/campanhas".to_owned(),
        "/campanhas?categoria=social&ordem=arrecadado".to_owned(),
        "/campanhas?q=campanha".to_owned(),
        format!("/campanhas/{}", campaign.slug),
        format!("/campanhas/{}/doacoes", campaign.slug),
        format!("/organizadoras/{}", campaign.org.slug),
    ]
}

/// Fails unless it is a page with this status and the headers of every page.
#[track_caller]
fn assert_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("content-security-policy"), POLICY);
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    let is_public = answer.header("cache-control") == PUBLIC;
    assert_eq!(answer.headers.contains_key("x-robots-tag"), !is_public, "{answer:?}");
    assert_eq!(answer.text.contains("<meta name=\"robots\" content=\"noindex\">"), !is_public);
    // The policy would let none of these work.
    for way in ["style=\"", "<style", "href=\"javascript:", " onclick", " onload=\"", "<script>"] {
        assert!(!answer.text.contains(way), "{way} in {}", answer.text);
    }
    assert_eq!(answer.text.matches("<h1").count(), 1, "{}", answer.text);
    let ids: Vec<&str> = answer.text.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "an id is there twice: {ids:?}");
}

/// The value of the field `name` of a page's form.
fn value_of<'a>(page: &'a str, name: &str) -> &'a str {
    let tag = page.split('<').find(|tag| tag.contains(&format!("name=\"{name}\""))).unwrap_or_else(|| panic!("no field {name} in {page}"));
    tag.split("value=\"").nth(1).unwrap_or_else(|| panic!("{tag} has no value")).split('"').next().unwrap()
}

/// A browser's cookies by name and path, as `Set-Cookie` gave them.
fn cookies(headers: &HeaderMap) -> BTreeMap<(String, String), String> {
    let set = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    set.map(|text| {
        let (pair, attributes) = text.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        assert!(attributes.contains("HttpOnly; SameSite=Lax"), "{text}");
        let path = attributes.split("; ").find_map(|attribute| attribute.strip_prefix("Path=")).unwrap();
        ((name.to_owned(), path.to_owned()), value.to_owned())
    })
    .collect()
}

/// The fields of a form that can be sent as they are.
fn fields<'a>(key: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("chave", key),
        ("valor", "5000"),
        ("valor_livre", ""),
        ("nome_exibicao", "Bia"),
        ("email", ""),
        ("mensagem", ""),
        ("visibilidade", "publica"),
        ("consentimento", "sim"),
        ("aviso_privacidade", "2026-11"),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    fields
}

fn key() -> String {
    Uuid::new_v4().to_string()
}

/// A donation of a guest through the form: the path of its pages, and the cookie that opens them.
async fn given(app: &TestApp, campaign: &Campaign, changes: &[(&str, &str)]) -> (String, String) {
    let key = key();
    let answer = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, changes)).send().await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let path = answer.header("location").strip_suffix("/pix").unwrap().to_owned();
    let token = &cookies(&answer.headers)[&("doacao".to_owned(), path.clone())];
    (path, format!("doacao={token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_there_in_each_language_and_the_same_for_everyone() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({"nome_exibicao": "Bia", "mensagem": "Força!"})).await;
    app.roll_up().await;
    let title = app.get(&format!("campanhas/{}", campaign.slug)).send().await.json()["titulo"].as_str().unwrap().to_owned();
    for path in public_paths(&campaign) {
        for (prefix, language, skip) in [("", "pt-BR", "Pular para o conteúdo"), ("/en", "en", "Skip to content")] {
            let address = format!("{prefix}{path}");
            let page = app.get(&address).send().await;
            assert_page(&page, 200);
            assert_eq!(page.header("cache-control"), PUBLIC, "{address}");
            assert!(page.text.contains(&format!("<html lang=\"{language}\">")) && page.text.contains(skip), "{address}");
            assert!(page.text.contains("<link rel=\"canonical\" href=\"http://localhost:8080/"), "{address}");
            assert!(!page.headers.contains_key("set-cookie"), "{address}");
            // Nobody gets another page for saying who they are.
            let personal = app.get(&address).by(&campaign.org.owner).header("accept-language", "en").header("accept", "application/json");
            let personal = personal.send().await;
            assert_eq!((personal.text.as_str(), personal.header("cache-control")), (page.text.as_str(), PUBLIC), "{address}");
        }
    }
    let page = app.get(&format!("/campanhas/{}", campaign.slug)).send().await.text;
    for part in [
        title.as_str(),
        "Cestas para cem famílias.",
        "data-total=\"liquido\">50,00<",
        "<bdi>Bia</bdi>",
        "<bdi>Força!</bdi>",
        "<span class=\"selo\">",
        "O que quer dizer “verificada”?",
        "https://api.whatsapp.com/send?text=",
        &format!("href=\"/doar/{}\"", campaign.slug),
        &format!("href=\"/en/campanhas/{}\" hreflang=\"en\"", campaign.slug),
        &format!("data-slug=\"{}\"", campaign.slug),
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for path in ["/", "/campanhas", "/campanhas?q=campanha", &format!("/organizadoras/{}", campaign.org.slug)] {
        let page = app.get(path).send().await.text;
        assert!(page.contains(&format!("href=\"/campanhas/{}\"", campaign.slug)) && page.contains(&title), "{path}: {page}");
    }
    assert_eq!(app.get("/en").send().await.header("location"), "/en/");
}

/// Whatever a page of ours names is there.
#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_a_page_leads_somewhere() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    app.roll_up().await;
    let (mut open, mut seen) = (vec!["/".to_owned(), "/en/".to_owned()], std::collections::BTreeSet::new());
    while let Some(path) = open.pop() {
        let answer = app.get(&path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        let text = answer.text.replace("&#38;", "&").replace("&amp;", "&");
        for rest in text.split("href=\"").skip(1).chain(text.split("src=\"").skip(1)) {
            let link = rest.split('"').next().unwrap();
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            if link.starts_with('#') {
                assert!(text.contains(&format!("id=\"{fragment}\"")), "{link}");
            } else if link.starts_with('/') && seen.insert(path.to_owned()) {
                open.push(path.to_owned());
            }
        }
    }
    assert!(seen.len() > 60, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_compressed_tagged_and_not_sent_twice() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for path in public_paths(&campaign) {
        let plain = app.get(&path).send().await;
        let packed = app.get(&path).header("accept-encoding", "gzip").send().await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert_ne!(plain.header("etag"), packed.header("etag"));
        assert!(packed.header("content-length").parse::<usize>().unwrap() <= 14 * 1024, "{path}: {}", packed.header("content-length"));
        for (tag, coding) in [(plain.header("etag"), "identity"), (packed.header("etag"), "gzip")] {
            let same = app.get(&path).header("accept-encoding", coding).header("if-none-match", tag).send().await;
            assert_eq!((same.status.as_u16(), same.header("cache-control"), same.text.as_str()), (304, PUBLIC, ""), "{path}");
            assert_eq!(same.header("vary"), "accept-encoding");
        }
        let head = app.request("HEAD", &path).send().await;
        assert_eq!((head.status.as_u16(), head.header("etag")), (200, plain.header("etag")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_typed_is_text_wherever_it_is_shown() {
    let app = TestApp::start().await;
    for text in HOSTILE {
        let org = app.org().await;
        let path = format!("organizadoras/{}", org.slug);
        app.patch(&path, json!({"nome": text})).if_match(&json!(1)).by(&org.owner).send().await.expect(200);
        let body = json!({"titulo": format!("a {text}"), "descricao": text, "meta_centavos": 100_000});
        let slug = app.draft(&org, body).await["slug"].as_str().unwrap().to_owned();
        app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
        let campaign = Campaign { slug, org };
        app.confirmed(&campaign, json!({"nome_exibicao": text, "mensagem": text})).await;
        app.roll_up().await;
        let mut pages = vec![];
        for path in public_paths(&campaign) {
            pages.push(app.get(&path).send().await);
        }
        let search: String = form_urlencoded::Serializer::new(String::new()).append_pair("q", text).finish();
        pages.push(app.get(&format!("/campanhas?{search}")).send().await);
        let form = format!("/doar/{}", campaign.slug);
        pages.push(app.get(&form).send().await);
        let changes = [("valor", "outro"), ("valor_livre", text), ("nome_exibicao", text), ("email", text), ("mensagem", text)];
        let refused = app.request("POST", &form).form(&fields(&key(), &changes)).send().await;
        assert_page(&refused, 422);
        assert!(refused.text.contains("trinta") || refused.text.contains("alert(1)") || refused.text.contains("7*7"));
        let (path, cookie) = given(&app, &campaign, &[("nome_exibicao", text), ("mensagem", text)]).await;
        pages.push(app.get(&format!("{path}/pix")).header("cookie", &cookie).send().await);
        app.request("POST", &format!("{path}/pix/simular")).form(&[]).header("cookie", &cookie).send().await;
        pages.push(app.get(&path).header("cookie", &cookie).send().await);
        for page in pages {
            assert_page(&page, 200);
            for tag in ["<script>", "<img", "onerror=alert(1)>", "<svg onload", "</textarea><"] {
                assert!(!page.text.contains(tag), "{tag}: {}", page.text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_is_markdown_and_its_headings_stay_below_the_pages_own() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let story = "# Por quê\n\nUm **prato** por dia, veja <https://exemplo.org.br> e [isto](javascript:alert(1))\n\n- arroz";
    let slug = app.draft(&org, json!({"descricao": story})).await["slug"].as_str().unwrap().to_owned();
    app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    let page = app.get(&format!("/campanhas/{slug}")).send().await;
    assert_page(&page, 200);
    for part in
        ["<h3>Por quê</h3>", "<strong>prato</strong>", "<li>arroz</li>", "href=\"https://exemplo.org.br\" rel=\"nofollow ugc noopener\""]
    {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(page.text.contains("<meta name=\"description\" content=\"Por quê Um prato por dia, veja"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_on_the_page_at_once_and_totals_within_a_second() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("/campanhas/{}", campaign.slug);
    let page = async || app.get(&path).send().await.text;
    assert!(page().await.contains("data-total=\"liquido\">0,00<"));
    app.confirmed(&campaign, json!({"valor_centavos": 123_456})).await;
    app.roll_up().await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert!(page().await.contains("data-total=\"liquido\">1.234,56<"));
    let api = format!("campanhas/{}", campaign.slug);
    app.patch(&api, json!({"titulo": "Outro nome"})).if_match(&json!(2)).by(&campaign.org.owner).send().await.expect(200);
    assert!(page().await.contains("<h1><bdi>Outro nome</bdi></h1>"));
    assert!(app.get("/").send().await.text.contains("Outro nome"));
    let org = format!("organizadoras/{}", campaign.org.slug);
    app.patch(&org, json!({"nome": "Casa Nova"})).if_match(&json!(1)).by(&campaign.org.owner).send().await.expect(200);
    assert!(page().await.contains("Casa Nova") && app.get(&format!("/{org}")).send().await.text.contains("Casa Nova"));
    app.post(&format!("{api}/pausa"), json!({})).by(&campaign.org.owner).send().await.expect(200);
    let paused = page().await;
    assert!(paused.contains("Pausada") && !paused.contains("/doar/"), "{paused}");
    let form = app.get(&format!("/doar/{}", campaign.slug)).send().await;
    assert_eq!((form.status.as_u16(), form.header("location")), (303, path.as_str()));
    app.post(&format!("{api}/encerramento"), json!({})).by(&campaign.org.owner).send().await.expect(200);
    let ended = page().await;
    assert!(ended.contains("Encerrada em") && !ended.contains("/doar/"), "{ended}");
    assert!(!app.get("/").send().await.text.contains("Outro nome"), "only open campaigns are listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_by_links_and_keep_what_was_asked_for() {
    let app = TestApp::start().await;
    let org = app.org().await;
    for _ in 0..23 {
        app.campaign_of(&org).await;
    }
    let mut slugs = std::collections::BTreeSet::new();
    let mut next = Some("/campanhas?q=campanha&ordem=arrecadado&utm_source=whatsapp".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let page = app.get(&path).send().await;
        assert_page(&page, 200);
        slugs.extend(page.text.split("<h3><a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        let link = page.text.split("rel=\"next\" href=\"").nth(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&"));
        assert!(link.as_ref().is_none_or(|link| link.starts_with("/campanhas?q=campanha&ordem=arrecadado&cursor=")), "{link:?}");
        next = link;
        pages += 1;
    }
    assert_eq!((pages, slugs.len()), (2, 23));
    let old = app.get("/campanhas?cursor=x").send().await;
    assert_page(&old, 400);
    assert!(old.text.contains("Este link da lista venceu"));
    let none = app.get("/campanhas?q=oftalmologia").send().await;
    assert!(none.text.contains("Nada para “oftalmologia”"), "{}", none.text);
    let long = app.get(&format!("/campanhas?q={}", "x".repeat(101))).send().await;
    assert_page(&long, 422);
    assert!(long.text.contains("id=\"q-erro\"") && long.text.contains(&"x".repeat(101)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_names_the_device_and_keeps_its_cookies_to_itself() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for prefix in ["", "/en"] {
        let form = app.get(&format!("{prefix}/doar/{}?valor=2000", campaign.slug)).send().await;
        assert_page(&form, 200);
        assert_eq!(form.header("cache-control"), PRIVATE);
        assert!(form.text.contains("value=\"2000\" checked"), "{}", form.text);
        let set = cookies(&form.headers);
        let (name, value) = set.iter().next().unwrap();
        assert_eq!((set.len(), name), (1, &("dispositivo".to_owned(), format!("{prefix}/doar"))));
        assert!(value.parse::<Uuid>().is_ok());
        let again = app.get(&format!("{prefix}/doar/{}", campaign.slug)).header("cookie", &format!("dispositivo={value}")).send().await;
        assert!(!again.headers.contains_key("set-cookie"));
        assert_ne!(value_of(&form.text, "chave"), value_of(&again.text, "chave"), "each form has a key of its own");
    }
    let other = app.get(&format!("/doar/{}?valor=3550", campaign.slug)).send().await;
    assert_eq!(value_of(&other.text, "valor_livre"), "35,50");
    for amount in ["1", "abc", "-5", "99999999999999999999"] {
        let form = app.get(&format!("/doar/{}?valor={amount}", campaign.slug)).send().await;
        assert_page(&form, 200);
        assert!(!form.text.contains(" checked><span>R$"), "{amount}");
    }
    assert_page(&app.get("/doar/nada").send().await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_form_comes_back_whole_with_words_beside_its_fields() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let key = key();
    let changes = [
        ("valor", "outro"),
        ("valor_livre", "trinta e cinco"),
        ("nome_exibicao", "Ana & <Bia>"),
        ("email", "ana@exemplo"),
        ("mensagem", "\nFeliz Natal!"),
        ("visibilidade", "anonima"),
        ("oculta_valor", "sim"),
        ("consentimento", ""),
    ];
    let form = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, &changes));
    let page = form.send().await;
    assert_page(&page, 422);
    assert_eq!(page.header("cache-control"), PRIVATE);
    for part in [
        "<title>Erro: Doar para",
        "Falta acertar 3 coisas",
        "<a href=\"#valor-livre\">Escreva um valor como 35,00</a>",
        "<a href=\"#email\">Escreva um e-mail completo, como ana@exemplo.org.br</a>",
        "<a href=\"#consentimento\">Marque que concorda com o aviso de privacidade</a>",
        "id=\"valor-livre-erro\"",
        "id=\"email-erro\"",
        "id=\"consentimento-erro\"",
        "value=\"trinta e cinco\"",
        "value=\"Ana &#38; &#60;Bia&#62;\"",
        "value=\"ana@exemplo\"",
        "Feliz Natal!</textarea>",
        "value=\"anonima\" checked",
        "value=\"sim\" checked><span>Esconder o valor",
        "value=\"outro\" data-valor-outro checked",
        "<details open>",
    ] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
    assert_eq!(value_of(&page.text, "chave"), key, "sent again, it is the same donation");
    let english = app.request("POST", &format!("/en/doar/{}", campaign.slug)).form(&fields(&key, &[("valor", "")])).send().await;
    assert_page(&english, 422);
    assert!(english.text.contains("One thing to correct") && english.text.contains("Choose or write an amount"));
    let old = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, &[("aviso_privacidade", "2025-01")]));
    assert!(old.send().await.text.contains("O aviso de privacidade mudou"));
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 0);
}

/// The rows of the newest donation, but for ids, times and what is hashed or sealed with them.
async fn rows(app: &TestApp) -> Value {
    sqlx::query_scalar(
        "SELECT jsonb_build_object(
             'doacao', to_jsonb(d) - '{id,doador_chave,criada_em,atualizada_em,expira_em,campanha_id,consentimento_em}'::text[],
             'pagamentos', (SELECT jsonb_agg(to_jsonb(p) - '{id,doacao_id,txid,br_code,criado_em,expira_em}'::text[]) FROM pagamentos p WHERE p.doacao_id = d.id),
             'eventos', (SELECT jsonb_agg(to_jsonb(e) - '{doacao_id,em}'::text[] ORDER BY e.seq) FROM doacao_eventos e WHERE e.doacao_id = d.id))
         FROM doacoes d ORDER BY d.id DESC LIMIT 1",
    )
    .fetch_one(&app.owner)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donation_through_the_form_makes_the_same_rows_as_through_the_api() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let wish = json!({"valor_centavos": 3_550, "nome_exibicao": "Ana", "email": "ana@exemplo.org.br", "mensagem": "Força!\nDe longe.",
        "visibilidade": "anonima", "oculta_valor": true});
    app.donate(&campaign, wish).await;
    let through_the_api = rows(&app).await;
    app.clock.advance(Duration::seconds(1));
    let changes = [
        ("valor", "outro"),
        ("valor_livre", " R$ 35,50 "),
        ("nome_exibicao", "Ana"),
        ("email", "ana@exemplo.org.br"),
        ("mensagem", "Força!\r\nDe longe."),
        ("visibilidade", "anonima"),
        ("oculta_valor", "sim"),
    ];
    given(&app, &campaign, &changes).await;
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 2);
    assert_eq!(rows(&app).await, through_the_api);
    // Of a person, too.
    let donor = app.person().await;
    app.clock.advance(Duration::seconds(1));
    let body = app.donation(json!({}));
    app.post(&format!("campanhas/{}/doacoes", campaign.slug), body).by(&donor).new_key().send().await.expect(201);
    let through_the_api = rows(&app).await;
    app.clock.advance(Duration::seconds(1));
    let answer = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key(), &[])).by(&donor).send().await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(!answer.headers.contains_key("set-cookie"), "a person's donation needs no token");
    assert_eq!(rows(&app).await, through_the_api);
    assert_page(&app.get(answer.header("location")).by(&donor).send().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_twice_makes_one_donation() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let key = key();
    let device = format!("dispositivo={}", Uuid::new_v4());
    let send = |changes: &[(&'static str, &'static str)]| {
        app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, changes)).header("cookie", &device)
    };
    let first = send(&[]).send().await;
    let again = send(&[]).send().await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (303, 303));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(cookies(&first.headers), cookies(&again.headers));
    // Another amount is not that donation, and is not made without being asked for once more.
    let other = send(&[("valor", "2000")]).send().await;
    assert_page(&other, 422);
    assert!(other.text.contains("Você já fez uma doação de R$\u{a0}50,00 com este formulário"), "{}", other.text);
    assert!(other.text.contains(&format!("<a href=\"{}\">Continuar com a que já fiz</a>", first.header("location"))), "{}", other.text);
    assert_eq!(cookies(&other.headers), cookies(&first.headers), "also where the first answer was lost");
    assert_ne!(value_of(&other.text, "chave"), key);
    // The API's repetition of the same order is the same donation as well.
    let body = app.donation(json!({"visibilidade": "publica", "oculta_valor": false}));
    let request = app.post(&format!("campanhas/{}/doacoes", campaign.slug), body).key(key.parse().unwrap());
    let repeated = request.header("dispositivo", device.split_once('=').unwrap().1).send().await.expect(201);
    assert!(first.header("location").contains(repeated["id"].as_str().unwrap()));
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_now_keeps_the_form_and_says_when_to_come_back() {
    let limits = json!({"*": null, "donation_device": {"limit": 1, "period_seconds": 600}});
    let app = TestApp::with(Options { limits: Some(limits), ..Options::default() }).await;
    let campaign = app.campaign().await;
    let device = format!("dispositivo={}", Uuid::new_v4());
    let send = |key: &str| {
        app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(key, &[("mensagem", "Força!")])).header("cookie", &device)
    };
    assert_eq!(send(&key()).send().await.status, 303);
    let key = key();
    let limited = send(&key).send().await;
    assert_page(&limited, 429);
    assert!(limited.header("retry-after").parse::<u32>().unwrap() > 60);
    assert!(limited.text.contains("Muitas tentativas seguidas. Espere 10 minutos") && limited.text.contains("Força!</textarea>"));
    assert_eq!(value_of(&limited.text, "chave"), key);
    // A session that has ended is told, and the same button then donates without it.
    let ended = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, &[])).header("cookie", "sessao=abc");
    let ended = ended.send().await;
    assert_page(&ended, 401);
    assert_eq!(cookies(&ended.headers)[&("sessao".to_owned(), "/".to_owned())], "");
    assert!(ended.text.contains("Sua sessão terminou"));
    assert_eq!(value_of(&ended.text, "chave"), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_pays_on_the_pix_page_and_is_thanked() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let slug = app.draft(&org, json!({"meta_centavos": 10_000, "minimo_centavos": 50})).await["slug"].as_str().unwrap().to_owned();
    app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    let campaign = Campaign { slug, org };
    let (path, cookie) = given(&app, &campaign, &[("valor", "2000")]).await;
    let get = |below: &str| app.get(&format!("{path}{below}")).header("cookie", &cookie);
    let page = get("/pix").send().await;
    assert_page(&page, 200);
    assert_eq!(page.header("cache-control"), PRIVATE);
    let code: String = sqlx::query_scalar("SELECT br_code FROM pagamentos").fetch_one(&app.owner).await.unwrap();
    for part in [
        format!("value=\"{code}\" readonly"),
        "<dd>Casa do Caminho</dd>".to_owned(),
        "<title>QR Code do PIX</title>".to_owned(),
        "<dd>R$&nbsp;20,00</dd>".to_owned(),
        format!("data-situacao-url=\"{path}/pix/situacao\" data-obrigado-url=\"{path}\" data-expira=\""),
        "Pague até".to_owned(),
        format!("action=\"{path}/pix/segunda-cobranca\""),
        format!("action=\"{path}/pix/simular\""),
    ] {
        assert!(page.text.contains(&part), "{part} is not in {}", page.text);
    }
    assert!(get("/pix?verificar=1").send().await.text.contains("Ainda não recebemos"));
    assert!(get("/pix?auto=1").send().await.text.contains("<noscript><meta http-equiv=\"refresh\" content=\"15\"></noscript>"));
    let status = get("/pix/situacao").send().await;
    assert_eq!(status.expect(200), json!({"situacao": "aguardando_pagamento"}));
    assert_eq!(get("/pix/situacao").header("if-none-match", status.header("etag")).send().await.status, 304);
    let picture = get("/pix/qr.svg").send().await;
    assert_eq!((picture.status.as_u16(), picture.header("content-type")), (200, "image/svg+xml"));
    // Before it is paid there is nothing to be thanked for; afterwards nothing to pay.
    assert_eq!(get("").send().await.header("location"), format!("{path}/pix"));
    for _ in 0..2 {
        let paid = app.request("POST", &format!("{path}/pix/simular")).form(&[]).header("cookie", &cookie).send().await;
        assert_eq!((paid.status.as_u16(), paid.header("location")), (303, format!("{path}/pix").as_str()));
    }
    assert_eq!(app.count("SELECT count(*) FROM pix_recebidos").await, 1);
    assert_eq!(get("/pix").send().await.header("location"), path);
    assert_eq!(get("/pix/situacao").send().await.expect(200), json!({"situacao": "confirmada"}));
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            app.roll_up().await;
        }
        let thanks = get("").send().await;
        assert_page(&thanks, 200);
        for part in ["Obrigado, Bia!", "&nbsp;20,00", "Confirmada", "Você levou a campanha de 0% para 20%", "https://api.whatsapp.com/send"]
        {
            assert!(thanks.text.contains(part), "{part} is not in {}", thanks.text);
        }
    }
    // A small part of a large goal is not called a move from 20% to 20%.
    let (path, cookie) = given(&app, &campaign, &[("valor", "outro"), ("valor_livre", "0,99")]).await;
    app.request("POST", &format!("{path}/pix/simular")).form(&[]).header("cookie", &cookie).send().await;
    let thanks = app.get(&path).header("cookie", &cookie).send().await;
    assert!(thanks.text.contains("Obrigado, Bia!") && !thanks.text.contains("Você levou"), "{}", thanks.text);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_donation_are_its_donors_alone() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let (path, cookie) = given(&app, &campaign, &[]).await;
    let (other, others_cookie) = given(&app, &campaign, &[]).await;
    let stranger = app.person().await;
    assert_ne!(path, other);
    for below in ["", "/pix", "/pix/situacao", "/pix/qr.svg"] {
        let address = format!("{path}{below}");
        for request in [
            app.get(&address),
            app.get(&address).header("cookie", &others_cookie),
            app.get(&address).by(&stranger),
            app.get(&address).by(&campaign.org.owner),
            app.get(&address).header("cookie", "doacao="),
        ] {
            let answer = request.send().await;
            assert_page(&answer, 404);
            assert!(!answer.text.contains("Bia"));
        }
        // Beside what other sites of the domain have set.
        let several = format!("doacao=x; {others_cookie}; {cookie}");
        assert!(!app.get(&address).header("cookie", &several).send().await.status.is_client_error(), "{address}");
    }
    for below in ["segunda-cobranca", "cancelar", "simular"] {
        let post = app.request("POST", &format!("{path}/pix/{below}")).form(&[("chave", &key())]);
        assert_page(&post.clone().send().await, 404);
        // Nor does another site send it for the donor.
        assert_page(&post.header("cookie", &cookie).header("sec-fetch-site", "cross-site").send().await, 403);
    }
    assert_eq!(app.count("SELECT count(*) FROM doacoes WHERE situacao = 'aguardando_pagamento'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donor_gets_another_code_or_gives_up() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let (path, cookie) = given(&app, &campaign, &[]).await;
    let post =
        |below: &str, key: &str| app.request("POST", &format!("{path}/pix/{below}")).form(&[("chave", key)]).header("cookie", &cookie);
    let pix = async || app.get(&format!("{path}/pix")).header("cookie", &cookie).send().await.text;
    let key = key();
    for _ in 0..2 {
        assert_eq!(post("segunda-cobranca", &key).send().await.status, 303);
    }
    assert_eq!(app.count("SELECT count(*) FROM pagamentos").await, 2, "the same button twice is one code");
    app.clock.advance(Duration::hours(73));
    let overdue = pix().await;
    assert!(overdue.contains("Este Pix passou do prazo") && overdue.contains("segunda-cobranca"), "{overdue}");
    assert_eq!(post("segunda-cobranca", value_of(&overdue, "chave")).send().await.status, 303);
    assert!(pix().await.contains("Falta pagar o Pix"));
    for _ in 0..2 {
        assert_eq!(post("segunda-cobranca", &Uuid::new_v4().to_string()).send().await.status, 303);
    }
    let too_many = post("segunda-cobranca", &Uuid::new_v4().to_string()).send().await;
    assert_page(&too_many, 409);
    assert!(too_many.text.contains("Esta doação já tem códigos demais"));
    for _ in 0..2 {
        assert_eq!(post("cancelar", "").send().await.status, 303);
    }
    let cancelled = pix().await;
    assert!(cancelled.contains("Você desistiu desta doação") && cancelled.contains(&format!("/doar/{}?valor=5000", campaign.slug)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_of_a_page_is_a_page_and_one_of_the_api_is_json() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for (path, heading) in [
        ("/nada", "Não achamos esta página"),
        ("/campanhas/nada", "Não achamos esta página"),
        ("/campanhas/%ff", "Não achamos esta página"),
        ("/campanhas/nada/doacoes", "Não achamos esta página"),
        ("/organizadoras/nada", "Não achamos esta página"),
        ("/doacoes/nada", "Não achamos esta página"),
        ("/metrics", "Não achamos esta página"),
        ("/en/nada", "We cannot find this page"),
        ("/en/campanhas/nada", "We cannot find this page"),
    ] {
        let page = app.get(path).header("accept", "application/json").send().await;
        assert_page(&page, 404);
        assert_eq!(page.header("cache-control"), PRIVATE);
        assert!(page.text.contains(heading) && page.text.contains("404"), "{}", page.text);
    }
    let method = app.request("DELETE", &format!("/campanhas/{}", campaign.slug)).send().await;
    assert_page(&method, 405);
    assert_eq!(method.header("allow"), "GET,HEAD");
    let form = format!("/doar/{}", campaign.slug);
    let sent = |kind: &str| app.request("POST", &form).form(&fields(&key(), &[])).header("content-type", kind);
    assert_page(&sent("text/plain").send().await, 415);
    assert_page(&app.request("POST", &form).form(&[("mensagem", &"x".repeat(70_000))]).send().await, 413);
    let foreign = app.request("POST", &form).form(&fields(&key(), &[])).header("sec-fetch-site", "cross-site").send().await;
    assert_page(&foreign, 403);
    assert!(foreign.text.contains("Não deu para aceitar este envio"));
    let old_browser =
        |origin: &str| app.request("POST", &form).form(&fields(&key(), &[])).header("origin", origin).without("sec-fetch-site");
    assert_page(&old_browser("null").send().await, 403);
    assert_eq!(old_browser("http://localhost:8080").send().await.status, 303);
    app.get("/api/v1/nada").header("accept", "text/html").send().await.expect_problem(404, "nao-encontrado");
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_pages_stay_and_the_form_keeps_what_was_typed() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let paths = public_paths(&campaign);
    for path in &paths {
        assert_page(&app.get(path).send().await, 200);
    }
    app.get(&format!("/doar/{}", campaign.slug)).send().await;
    app.state.db.pool().close().await;
    app.state.cache.note_database(false);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    for path in [&paths[0], &paths[1], &paths[4], &paths[5]] {
        assert_page(&app.get(path).send().await, 200);
    }
    let key = key();
    let refused = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key, &[("mensagem", "Força!")])).send().await;
    assert_page(&refused, 503);
    assert!(refused.text.contains("Espere um instante e toque de novo") && refused.text.contains("Força!</textarea>"), "{}", refused.text);
    assert_eq!((value_of(&refused.text, "chave"), refused.header("retry-after")), (key.as_str(), "1"));
    let private = app.get("/doacoes/018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10/pix").send().await;
    assert_page(&private, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn production_has_secure_cookies_and_no_bank_of_its_own() {
    let app = TestApp::with(Options { profile: Profile::Production, frozen: true, ..Options::default() }).await;
    let org = app.org().await;
    sqlx::query("UPDATE organizadoras SET situacao = 'verificada'").execute(&app.owner).await.unwrap();
    // A new key is used from the next day on.
    app.clock.advance(Duration::hours(25));
    let campaign = app.campaign_of(&org).await;
    let form = app.get(&format!("/doar/{}", campaign.slug)).send().await;
    assert_page(&form, 200);
    assert!(form.header("set-cookie").ends_with("; Secure"));
    assert!(!form.text.contains("value=\"secreta\""), "the bank would show the donor all the same");
    let answer = app.request("POST", &format!("/doar/{}", campaign.slug)).form(&fields(&key(), &[])).send().await;
    let path = answer.header("location").strip_suffix("/pix").unwrap();
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let set: Vec<&str> = set.inspect(|cookie| assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}")).collect();
    assert_eq!(set.len(), 2);
    let cookie = set[0].split(';').next().unwrap();
    assert!(cookie.starts_with("__Secure-doacao=k"), "{cookie}");
    let page = app.get(&format!("{path}/pix")).header("cookie", cookie).send().await;
    assert_page(&page, 200);
    assert!(!page.text.contains("simular"));
    let simulated = app.request("POST", &format!("{path}/pix/simular")).form(&[]).header("cookie", cookie).send().await;
    assert_page(&simulated, 404);
}

/// During a rollout a page of one release asks the other for its files.
#[tokio::test(flavor = "multi_thread")]
async fn an_asset_of_another_release_is_todays_for_a_minute() {
    let app = TestApp::start().await;
    let page = app.get("/").send().await.text;
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let today = app.get(style).send().await;
    assert_eq!((today.status.as_u16(), today.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(today.header("cache-control"), "public, max-age=31536000, immutable");
    let old = app.get("/estatico/site.0123456789abcdef.css").send().await;
    assert_eq!((old.text, old.headers["cache-control"].to_str().unwrap()), (today.text.clone(), "public, max-age=60"));
    let same = app.get(style).header("if-none-match", today.header("etag")).send().await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    app.get("/estatico/outro.0123456789abcdef.css").send().await.expect_problem(404, "nao-encontrado");
}
