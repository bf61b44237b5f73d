//! What donors hide stays hidden, in every answer, cursor, message and log line.

use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doacoes_api::cache::Tag;
use doacoes_api::domain::provider::Provider;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::harness::{Answer, Campaign, Options, Person, START, TestApp, e2eid};

/// What must not be seen, in every form that it might be written in.
#[derive(Clone, Debug, Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn text(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text.as_bytes().to_vec()));
    }

    fn id(&mut self, what: &str, id: &str) {
        let id: Uuid = id.parse().unwrap();
        self.text(what, &id.hyphenated().to_string());
        self.text(what, &id.simple().to_string());
        self.0.push((format!("{what}, binary"), id.as_bytes().to_vec()));
    }

    fn time(&mut self, what: &str, time: &Value) {
        let time = OffsetDateTime::parse(time.as_str().unwrap(), &Rfc3339).unwrap();
        assert_ne!(time.second(), 0, "a whole minute would prove nothing");
        self.text(what, &format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()));
        let seconds = time.unix_timestamp();
        self.text(what, &seconds.to_string());
        for number in [seconds, seconds * 1_000, seconds * 1_000_000] {
            self.0.push((format!("{what}, binary"), number.to_be_bytes()[2..].to_vec()));
            self.0.push((format!("{what}, binary"), number.to_le_bytes()[..6].to_vec()));
        }
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        self.0.iter().find(|(_, secret)| bytes.windows(secret.len()).any(|window| window == secret)).map(|(what, _)| what.as_str())
    }

    /// Fails where an answer tells any of it: in its body, its headers, or sealed in its cursors.
    #[track_caller]
    fn assert_absent(&self, answer: &Answer) {
        assert_eq!(self.found_in(answer.text.as_bytes()), None, "{}", answer.text);
        // `Date` is the machine's time and not the test's.
        for (name, value) in answer.headers.iter().filter(|(name, _)| *name != "date") {
            assert_eq!(self.found_in(value.as_bytes()), None, "{name}: {value:?}");
        }
        for cursor in cursors(answer) {
            let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            assert_eq!(self.found_in(&bytes), None, "{cursor}");
            assert!(!String::from_utf8_lossy(&bytes).contains("position"), "{cursor}");
        }
    }
}

/// The cursors of an answer's body and `Link`.
fn cursors(answer: &Answer) -> Vec<String> {
    let body = serde_json::from_str::<Value>(&answer.text).unwrap_or_default();
    let link = answer.headers.get("link").and_then(|link| link.to_str().unwrap().split("cursor=").nth(1)?.split('&').next());
    body["proximo_cursor"].as_str().into_iter().chain(link).map(str::to_owned).collect()
}

/// A campaign with donations of every visibility, each at a moment of its own.
struct Feed {
    app: TestApp,
    campaign: Campaign,
    financeiro: Person,
    /// Of the donors who hide.
    secrets: Secrets,
    /// The donations of donors who hide.
    hidden: Vec<Value>,
    names: Vec<&'static str>,
    emails: Vec<String>,
}

impl Feed {
    /// `anonima` and `secreta`, each by a guest and by an account, between two public ones.
    async fn new() -> Self {
        let payments = vec![Provider::Simulated, Provider::StaticPix];
        let app = TestApp::with(Options { frozen: true, payments, ..Options::default() }).await;
        let campaign = app.campaign().await;
        let financeiro = app.member(&campaign.org, "financeiro").await;
        let mut feed = Self { app, campaign, financeiro, secrets: Secrets::default(), hidden: vec![], names: vec![], emails: vec![] };
        feed.give(None, json!({"nome_exibicao": "Bia", "email": "bia@exemplo.org.br"})).await;
        let kinds = [
            ("anonima", "Zulmira", false),
            ("secreta", "Quintiliana", false),
            ("anonima", "Hermenegildo", true),
            ("secreta", "Policarpo", true),
        ];
        for (visibility, name, account) in kinds {
            let person = if account { Some(feed.app.person().await) } else { None };
            feed.hide(visibility, name, person.as_ref()).await;
        }
        feed.give(None, json!({"nome_exibicao": "Caio", "oculta_valor": true, "valor_centavos": 76_543})).await;
        feed.app.clock.advance(Duration::seconds(101));
        feed.app.roll_up().await;
        feed
    }

    /// A confirmed donation, with the answer to its payment.
    async fn give(&self, person: Option<&Person>, changes: Value) -> (Answer, Answer) {
        self.app.clock.advance(Duration::seconds(97));
        let path = format!("campanhas/{}/doacoes", self.campaign.slug);
        let request = self.app.post(&path, self.app.donation(changes)).new_key();
        let request = if let Some(person) = person { request.by(person) } else { request };
        let answer = request.send().await;
        let donation = answer.expect(201);
        self.app.clock.advance(Duration::seconds(11));
        let txid = donation["pagamento"]["txid"].as_str().unwrap();
        let body = json!({"valor_centavos": donation["valor_centavos"], "e2eid": e2eid()});
        let paid = self.app.post(&format!("simulado/pagamentos/{txid}"), body).send().await;
        paid.expect(200);
        self.secrets.assert_absent(&answer);
        self.secrets.assert_absent(&paid);
        (answer, paid)
    }

    async fn hide(&mut self, visibility: &str, name: &'static str, person: Option<&Person>) {
        let email = person.map_or_else(|| format!("{}@exemplo.net", name.to_lowercase()), |person| person.email.clone());
        let mut wish = json!({"nome_exibicao": name, "visibilidade": visibility});
        if person.is_none() {
            wish["email"] = json!(email);
        }
        let (answer, paid) = self.give(person, wish).await;
        let mut secrets = Secrets::default();
        secrets.text("name", name);
        secrets.text("e-mail", &email);
        if let Some(person) = person {
            secrets.id("pessoa", &person.id);
        } else {
            secrets.text("token", answer.header("doacao-token"));
        }
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let donation = self.donation(&id).await;
        secrets.id("donation", &id);
        secrets.id("charge", donation["pagamento"]["id"].as_str().unwrap());
        secrets.time("time of the donation", &donation["criada_em"]);
        secrets.time("time of the payment", &donation["confirmada_em"]);
        // Who pays is told no more of the donation than the txid that they sent.
        secrets.assert_absent(&paid);
        secrets.text("txid", donation["pagamento"]["txid"].as_str().unwrap());
        self.secrets.0.extend(secrets.0);
        self.hidden.push(donation);
        self.names.push(name);
        self.emails.push(email);
    }

    /// The ids and times of a donation.
    async fn donation(&self, id: &str) -> Value {
        let row: (Uuid, OffsetDateTime, OffsetDateTime, Uuid, String) = sqlx::query_as(
            "SELECT d.id, d.criada_em, d.confirmada_em, p.id, p.txid FROM doacoes d JOIN pagamentos p ON p.doacao_id = d.id WHERE d.id::text = $1",
        )
        .bind(id)
        .fetch_one(&self.app.owner)
        .await
        .unwrap();
        let text = |time: OffsetDateTime| time.format(&Rfc3339).unwrap();
        json!({"id": row.0, "criada_em": text(row.1), "confirmada_em": text(row.2), "pagamento": {"id": row.3, "txid": row.4}})
    }

    /// Every page of a list, one item each; fails where one of them tells a secret.
    async fn pages(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut items = vec![];
        let mut next = format!("{path}{separator}limite=1");
        loop {
            let answer = self.app.get(&next).send().await;
            let page = answer.expect(200);
            self.secrets.assert_absent(&answer);
            items.extend(page["itens"].as_array().unwrap().clone());
            let Some(cursor) = page["proximo_cursor"].as_str() else { return items };
            next = format!("{path}{separator}limite=1&cursor={cursor}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_shows_anonymous_donations_without_their_donor_and_no_secret_ones() {
    let feed = Feed::new().await;
    let path = format!("campanhas/{}/doacoes", feed.campaign.slug);
    let items = feed.pages(&path).await;
    let names: Vec<&Value> = items.iter().map(|item| &item["nome_exibicao"]).collect();
    assert_eq!(names, [&json!("Caio"), &Value::Null, &Value::Null, &json!("Bia")]);
    for item in &items {
        let anonymous = item["nome_exibicao"].is_null();
        assert_eq!(item["anonima"], anonymous);
        assert_eq!(item.as_object().unwrap().contains_key("id"), !anonymous, "{item}");
        let time = OffsetDateTime::parse(item["confirmada_em"].as_str().unwrap(), &Rfc3339).unwrap();
        assert_eq!(time.second() == 0, anonymous, "{item}");
        let fields: Vec<&str> = item.as_object().unwrap().keys().map(String::as_str).filter(|field| *field != "id").collect();
        assert_eq!(fields, ["anonima", "confirmada_em", "mensagem", "nome_exibicao", "valor_centavos"]);
    }
    // One page holds the same.
    let whole = feed.app.get(&path).send().await;
    feed.secrets.assert_absent(&whole);
    assert_eq!(whole.json()["itens"], json!(items));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_for_people_shows_who_hides() {
    let feed = Feed::new().await;
    let (slug, org) = (&feed.campaign.slug, &feed.campaign.org.slug);
    for prefix in ["", "/en"] {
        for path in [
            format!("{prefix}/"),
            format!("{prefix}/campanhas"),
            format!("{prefix}/campanhas/{slug}"),
            format!("{prefix}/campanhas/{slug}/doacoes"),
            format!("{prefix}/organizadoras/{org}"),
            format!("{prefix}/doar/{slug}"),
        ] {
            let page = feed.app.get(&path).send().await;
            assert_eq!(page.status, 200, "{path}");
            feed.secrets.assert_absent(&page);
        }
        let page = feed.app.get(&format!("{prefix}/campanhas/{slug}/doacoes")).send().await.text;
        let anonymous = if prefix.is_empty() { "<strong>Anônimo</strong>" } else { "<strong>Anonymous</strong>" };
        assert_eq!(page.matches(anonymous).count(), 2, "{page}");
        assert_eq!(page.matches("<li><div class=\"entre\">").count(), 4, "who is secret is not there at all: {page}");
        assert!(page.contains("Bia") && page.contains("Caio") && !page.contains("765,43") && !page.contains("765.43"), "{page}");
        for name in &feed.names {
            let found = feed.app.get(&format!("{prefix}/campanhas?q={name}")).send().await.text;
            assert!(!found.contains(&format!("/campanhas/{slug}\"")), "{name}");
        }
    }
    for hidden in &feed.hidden {
        for below in ["", "/pix", "/pix/situacao", "/pix/qr.svg"] {
            let path = format!("/doacoes/{}{below}", hidden["id"].as_str().unwrap());
            for request in [feed.app.get(&path), feed.app.get(&path).by(&feed.campaign.org.owner), feed.app.get(&path).by(&feed.financeiro)]
            {
                let refused = request.send().await;
                assert_eq!(refused.status, 404, "{path}");
                assert_eq!(feed.secrets.found_in(refused.text.replace(&path, "").as_bytes()), None, "{}", refused.text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_lists_and_searches_know_nobody() {
    let feed = Feed::new().await;
    let totals = feed.app.get(&format!("campanhas/{}/totais", feed.campaign.slug)).send().await;
    feed.secrets.assert_absent(&totals);
    assert_eq!(totals.json()["doacoes_qtd"], 6);
    feed.app.campaign_of(&feed.campaign.org).await;
    let end = START + Duration::days(9);
    let body = json!({"fim_em": end.format(&Rfc3339).unwrap()});
    for _ in 0..2 {
        let draft = feed.app.draft(&feed.campaign.org, body.clone()).await;
        let publish = format!("campanhas/{}/publicacao", draft["slug"].as_str().unwrap());
        feed.app.post(&publish, json!({})).by(&feed.campaign.org.owner).send().await.expect(200);
    }
    for (order, count) in [("recentes", 4), ("arrecadado", 4), ("encerrando", 2)] {
        assert_eq!(feed.pages(&format!("campanhas?ordem={order}")).await.len(), count, "{order}");
    }
    for path in
        ["organizadoras".to_owned(), format!("organizadoras/{}", feed.campaign.org.slug), format!("campanhas/{}", feed.campaign.slug)]
    {
        let answer = feed.app.get(&path).send().await;
        answer.expect(200);
        feed.secrets.assert_absent(&answer);
    }
    assert_eq!(feed.pages("campanhas?q=campanha").await.len(), 4, "the search finds what is there");
    let words = feed.names.iter().map(|name| (*name).to_owned()).chain(feed.emails.iter().map(|email| email.replace('@', "%40")));
    for word in words {
        assert_eq!(feed.pages(&format!("campanhas?q={word}")).await.len(), 0, "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_nothing_of_hidden_donations() {
    let feed = Feed::new().await;
    let app = &feed.app;
    let stranger = app.person().await;
    for donation in &feed.hidden {
        let (id, pid) = (donation["id"].as_str().unwrap(), donation["pagamento"]["id"].as_str().unwrap());
        for who in [&stranger, &feed.campaign.org.owner, &feed.financeiro] {
            let claim = json!({"doacao_id": id, "token": "k1.00"});
            let requests = [
                app.get(&format!("doacoes/{id}")),
                app.get(&format!("doacoes/{id}/pagamentos/{pid}/qr.svg")),
                app.patch(&format!("doacoes/{id}"), json!({"mensagem": null})).if_match(&json!(1)),
                app.post(&format!("doacoes/{id}/cancelamento"), json!({})),
                app.post(&format!("doacoes/{id}/pagamentos"), json!({})).new_key(),
                app.post("eu/doacoes/reivindicacoes", claim),
            ];
            for request in requests {
                let answer = request.by(who).send().await;
                answer.expect_problem(404, "nao-encontrado");
                feed.secrets.assert_absent(&answer);
            }
        }
    }
    // Nor is what somebody sent said back to them.
    let wrong = [
        json!({"valor_centavos": "x", "nome_exibicao": "Zulmira", "email": "zulmira@exemplo.net"}),
        json!({"nome_exibicao": "Zulmira\u{0}", "email": "zulmira@exemplo.net@"}),
        json!({"visibilidade": "Zulmira"}),
        json!({"provedor": "Zulmira"}),
        json!({"valor_centavos": 1, "nome_exibicao": "Zulmira"}),
    ];
    for body in wrong {
        let path = format!("campanhas/{}/doacoes", feed.campaign.slug);
        let answer = app.post(&path, app.donation(body)).new_key().send().await;
        answer.expect_problem(422, "dados-invalidos");
        feed.secrets.assert_absent(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn organizers_see_the_name_of_anonymous_donors_only_and_no_address() {
    let feed = Feed::new().await;
    let (app, org) = (&feed.app, &feed.campaign.org);
    let waiting = [("anonima", "Gumercindo"), ("secreta", "Eufrasia")];
    let mut private = Secrets::default();
    for (visibility, name) in waiting {
        let email = format!("{}@exemplo.net", name.to_lowercase());
        let given = app.donate(&feed.campaign, json!({"visibilidade": visibility, "nome_exibicao": name, "email": email})).await;
        private.text("e-mail", &email);
        private.text("token", given.header("doacao-token"));
        let donor = app.person().await;
        private.id("pessoa", &donor.id);
        private.text("e-mail", &donor.email);
        let wish = app.donation(json!({"visibilidade": visibility, "nome_exibicao": name}));
        app.post(&format!("campanhas/{}/doacoes", feed.campaign.slug), wish).new_key().by(&donor).send().await.expect(201);
    }
    for query in ["", "?vencidos=true"] {
        let pending = app.get(&format!("organizadoras/{}/pagamentos-pendentes{query}", org.slug)).by(&org.owner).send().await;
        private.assert_absent(&pending);
        assert_eq!(pending.json()["itens"].as_array().unwrap().len(), 4);
        assert_eq!(pending.text.matches("Gumercindo").count(), 2, "{}", pending.text);
        assert!(!pending.text.contains("Eufrasia"), "{}", pending.text);
    }
    let list = app.get(&format!("organizadoras/{}/campanhas", org.slug)).by(&org.owner).send().await;
    feed.secrets.assert_absent(&list);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_organizers_record_and_mail_they_get_name_no_donor() {
    let feed = Feed::new().await;
    let (app, owner) = (&feed.app, &feed.app.person_again(&feed.campaign.org.owner).await);
    let mut donor = Secrets::default();
    for (name, email) in feed.names.iter().zip(&feed.emails) {
        donor.text("name", name);
        donor.text("e-mail", email);
    }
    for donation in &feed.hidden {
        let txid = donation["pagamento"]["txid"].as_str().unwrap();
        let again = app.post(&format!("simulado/pagamentos/{txid}"), json!({"valor_centavos": 5000, "e2eid": e2eid()})).send().await;
        assert_eq!(again.expect(200)["conciliacao"], "duplicada");
        donor.assert_absent(&again);
        let path = format!("doacoes/{}", donation["id"].as_str().unwrap());
        let refund = app.post(&format!("{path}/devolucoes"), json!({"valor_centavos": 100})).new_key().by(owner).send().await;
        refund.expect(201);
        donor.assert_absent(&refund);
        let received = json!({"valor_recebido_centavos": 5000, "recebido_em": "2026-11-24T10:40:00Z", "e2eid": e2eid()});
        let confirmed = app.post(&format!("{path}/confirmacoes"), received).new_key().by(owner).send().await;
        confirmed.expect(201);
        donor.assert_absent(&confirmed);
    }
    for member in [owner, &feed.financeiro] {
        let letters = app.mail_to(&member.email).await;
        assert_eq!(letters.iter().filter(|letter| letter.subject.contains("dobro")).count(), 8);
        for letter in letters {
            // The donation's id is theirs to know: they refund by it, and pending payments show it.
            let body: String = letter.body.lines().filter(|line| !line.starts_with("Doação: ")).collect();
            let text = format!("{:?} {} {} {body}", letter.name, letter.address, letter.subject);
            assert_eq!(feed.secrets.found_in(text.as_bytes()), None, "{text}");
        }
    }
    // Others who gave hear nothing of it either.
    for letter in app.mail_to("bia@exemplo.org.br").await {
        assert_eq!(feed.secrets.found_in(letter.body.as_bytes()), None, "{}", letter.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_hidden_where_the_donor_or_the_campaign_says_so() {
    let app = TestApp::start().await;
    let open = app.campaign().await;
    app.confirmed(&open, json!({"valor_centavos": 123_457, "oculta_valor": true})).await;
    app.confirmed(&open, json!({"valor_centavos": 765_431})).await;
    let discreet = app.draft(&open.org, json!({"mostra_valores": false})).await["slug"].as_str().unwrap().to_owned();
    app.post(&format!("campanhas/{discreet}/publicacao"), json!({})).by(&open.org.owner).send().await.expect(200);
    let discreet = Campaign { slug: discreet, ..open.clone() };
    app.confirmed(&discreet, json!({"valor_centavos": 123_457})).await;
    app.confirmed(&discreet, json!({"valor_centavos": 765_431, "visibilidade": "anonima"})).await;
    let feed = app.get(&format!("campanhas/{}/doacoes", open.slug)).send().await;
    assert_eq!(feed.json()["itens"][0]["valor_centavos"], 765_431);
    assert_eq!(feed.json()["itens"][1]["valor_centavos"], Value::Null);
    assert!(!feed.text.contains("123457"), "{}", feed.text);
    let feed = app.get(&format!("campanhas/{}/doacoes", discreet.slug)).send().await;
    assert_eq!(feed.json()["itens"].as_array().unwrap().len(), 2);
    assert!(!feed.text.contains("123457") && !feed.text.contains("765431"), "{}", feed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donor_who_changes_their_mind_leaves_the_feed() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let given = app.confirmed(&campaign, json!({"nome_exibicao": "Zulmira", "mensagem": "Força, vizinha!"})).await;
    let feed = async || app.get(&format!("campanhas/{}/doacoes", campaign.slug)).send().await.text;
    let change = async |version: i32, change: Value| {
        let path = given.header("location").to_owned();
        let request = app.patch(&path, change).if_match(&json!(version)).header("doacao-token", given.header("doacao-token"));
        request.send().await.expect(200);
    };
    let id = given.json()["id"].as_str().unwrap().to_owned();
    assert!(feed().await.contains(&id));
    change(2, json!({"oculta_valor": true, "mensagem": null})).await;
    assert!(feed().await.contains("Zulmira") && !feed().await.contains("5000") && !feed().await.contains("vizinha"));
    change(3, json!({"visibilidade": "anonima"})).await;
    assert!(!feed().await.contains("Zulmira") && !feed().await.contains(&id) && feed().await.contains("\"anonima\":true"));
    change(4, json!({"visibilidade": "secreta"})).await;
    assert_eq!(feed().await, "{\"itens\":[],\"tem_mais\":false}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_donations_are_refused_for_static_pix_with_the_reason() {
    let payments = vec![Provider::Simulated, Provider::StaticPix];
    let app = TestApp::with(Options { payments, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let assert_reason = |answer: &Answer| {
        assert_eq!(answer.expect_problem(422, "dados-invalidos"), ["visibilidade"]);
        let reason = answer.json()["violacoes"][0]["razao"].as_str().unwrap().to_owned();
        assert!(reason.contains("extrato bancário mostra o nome"), "{reason}");
    };
    let wish = json!({"provedor": "pix_estatico", "visibilidade": "secreta"});
    assert_reason(&app.post(&path, app.donation(wish)).new_key().send().await);
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 0);

    let given = app.donate(&campaign, json!({"provedor": "pix_estatico", "visibilidade": "anonima"})).await;
    let change = |visibility: &str| {
        let request = app.patch(given.header("location"), json!({"visibilidade": visibility})).if_match(&json!(1));
        request.header("doacao-token", given.header("doacao-token"))
    };
    assert_reason(&change("secreta").send().await);
    assert_eq!(app.count("SELECT count(*) FROM doacoes WHERE visibilidade = 'anonima' AND versao = 1").await, 1);
    change("publica").send().await.expect(200);
    app.donate(&campaign, json!({"provedor": "simulado", "visibilidade": "secreta"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_opens_for_its_own_list_filter_and_reader_only() {
    let feed = Feed::new().await;
    let app = &feed.app;
    let other = app.campaign().await;
    let first = async |path: &str, who: Option<&Person>| {
        let request = app.get(&format!("{path}{}limite=1", if path.contains('?') { '&' } else { '?' }));
        let request = if let Some(who) = who { request.by(who) } else { request };
        request.send().await.expect(200)["proximo_cursor"].as_str().unwrap().to_owned()
    };
    let donations = format!("campanhas/{}/doacoes", feed.campaign.slug);
    let cursor = first(&donations, None).await;
    app.state.cache.invalidate(&[Tag::feed(&feed.campaign.slug)]).await;
    assert_ne!(first(&donations, None).await, cursor, "equal positions look different");
    let campaigns = first("campanhas?categoria=social", None).await;
    let members = format!("organizadoras/{}/membros", feed.campaign.org.slug);
    let mine = first(&members, Some(&feed.campaign.org.owner)).await;
    let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let refused = [
        (format!("campanhas/{}/doacoes?cursor={cursor}", other.slug), None),
        (format!("campanhas?cursor={cursor}"), None),
        (format!("campanhas?cursor={campaigns}"), None),
        (format!("campanhas?categoria=saude&cursor={campaigns}"), None),
        (format!("{donations}?cursor={}", URL_SAFE_NO_PAD.encode(bytes)), None),
        (format!("{donations}?cursor={}", feed.hidden[0]["id"].as_str().unwrap()), None),
        (format!("{members}?cursor={mine}"), Some(&feed.financeiro)),
    ];
    for (path, who) in refused {
        let request = app.get(&path);
        let answer = if let Some(who) = who { request.by(who) } else { request }.send().await;
        answer.expect_problem(400, "cursor-invalido");
        feed.secrets.assert_absent(&answer);
    }
    app.get(&format!("{donations}?cursor={cursor}")).send().await.expect(200);
    app.clock.advance(Duration::hours(24) + Duration::seconds(1));
    app.get(&format!("{donations}?cursor={cursor}")).send().await.expect_problem(400, "cursor-invalido");
}

/// Where log lines go in a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that what the server logs meets this thread's subscriber.
#[tokio::test]
async fn logs_hold_no_personal_data_even_at_debug_level() {
    let app = TestApp::start().await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    // While there is but one subscriber, a thread without it decides for all that an event is wanted by nobody.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);

    let sign_up = json!({"nome": "Zulmira Quintiliana", "email": "zulmira@exemplo.net", "senha": "segredo muito longo",
        "aviso_privacidade": "2026-11", "consentimento": true});
    app.post("pessoas", sign_up).send().await.expect(202);
    let code = app.code_for("zulmira@exemplo.net").await;
    app.post("emails/verificacoes", json!({"codigo": code, "senha": "segredo muito longo"})).send().await.expect(201);
    let log_in = app.post("sessoes", json!({"email": "zulmira@exemplo.net", "senha": "segredo muito longo"})).send().await;
    log_in.expect(201);
    let cookie = log_in.header("set-cookie").split(';').next().unwrap().to_owned();
    app.post("sessoes", json!({"email": "zulmira@exemplo.net", "senha": "engano"})).send().await.expect(401);
    app.get("eu").header("cookie", &cookie).send().await.expect(200);
    let campaign = app.campaign().await;
    let given =
        app.confirmed(&campaign, json!({"nome_exibicao": "Zulmira", "email": "zulmira@exemplo.net", "mensagem": "Policarpo"})).await;
    let (token, id) = (given.header("doacao-token").to_owned(), given.json()["id"].as_str().unwrap().to_owned());
    app.get(&format!("doacoes/{id}?token={token}")).header("doacao-token", &token).send().await.expect(200);
    app.get("campanhas?q=Zulmira&limite=7").send().await.expect(200);
    app.get("campanhas?q=Zulmira&limite=700").send().await.expect(422);
    app.get("campanhas?Zulmira=1").send().await.expect(422);
    app.get("nada/zulmira@exemplo.net").send().await.expect(404);
    app.post("sessoes", json!({"email": "zulmira@exemplo.net", "Zulmira": 1})).send().await.expect(422);
    app.post("pessoas", json!("Zulmira")).send().await.expect(422);
    app.get("campanhas").header("x-request-id", "Zulmira Quintiliana").send().await.expect(200);
    drop((guard, second));

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // The subscriber saw the requests, and the statements behind them.
    assert!(text.contains("\"route\":\"/api/v1/campanhas/{slug}/doacoes\""), "{text}");
    assert!(text.contains("request answered") && text.contains("sqlx::query"), "{text}");
    let person_id = app.get("eu").header("cookie", &cookie).send().await.expect(200)["id"].as_str().unwrap().to_owned();
    let cookie = cookie.strip_prefix("sessao=").unwrap();
    let txid = given.json()["pagamento"]["txid"].as_str().unwrap().to_owned();
    let secret =
        ["zulmira", "Zulmira", "Quintiliana", "Policarpo", "segredo", "engano", "limite=7", &code, cookie, &token, &id, &person_id, &txid];
    for word in secret {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word}");
    }
}

#[test]
fn the_forms_of_a_secret_are_found() {
    let mut secrets = Secrets::default();
    let id = Uuid::from_u128(0x0191_2345_6789_7abc_8def_0123_4567_89ab);
    secrets.id("id", &id.to_string());
    secrets.time("time", &json!("2026-11-24T10:31:38Z"));
    let micros = datetime!(2026-11-24 10:31:38 UTC).unix_timestamp() * 1_000_000;
    for hit in
        [id.simple().to_string().into_bytes(), id.as_bytes().to_vec(), micros.to_string().into_bytes(), micros.to_le_bytes().to_vec()]
    {
        assert!(secrets.found_in(&hit).is_some(), "{hit:?}");
    }
    assert_eq!(secrets.found_in(b"2026-11-24T10:31:00Z"), None);
}
