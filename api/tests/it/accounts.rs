//! Signing up, logging in and out, passwords, and that none of it tells a stranger who has an account.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Person, Request, TestApp, all_at_once, e2eid, metric, until};

const SENHA: &str = "uma frase longa";

fn sign_up(email: &str, senha: &str) -> Value {
    json!({"nome": "Ana Souza", "email": email, "senha": senha, "aviso_privacidade": "2026-11", "consentimento": true})
}

async fn verify(app: &TestApp, code: &str, senha: &str) -> Answer {
    app.post("emails/verificacoes", json!({"codigo": code, "senha": senha})).send_patiently().await
}

async fn log_in(app: &TestApp, email: &str, senha: &str) -> Answer {
    app.post("sessoes", json!({"email": email, "senha": senha})).send_patiently().await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_exists_only_once_its_address_was_proven() {
    let app = TestApp::start().await;
    app.post("pessoas", sign_up("Ana@Exemplo.org.br", SENHA)).send().await.expect(202);
    log_in(&app, "ana@exemplo.org.br", SENHA).await.expect_problem(401, "credenciais-invalidas");
    let code = app.code_for("ana@exemplo.org.br").await;
    let body = verify(&app, &code, SENHA).await.expect(201);
    assert_eq!(body["email"], "ana@exemplo.org.br");
    assert!(body["email_verificado_em"].is_string());
    verify(&app, &code, SENHA).await.expect_problem(400, "codigo-invalido");
    let session = log_in(&app, " ANA@exemplo.org.br", SENHA).await;
    session.expect(201);
    let set_cookie = session.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set_cookie.contains(attribute), "{set_cookie}");
    }
    log_in(&app, "ana@exemplo.org.br", "outra frase").await.expect_problem(401, "credenciais-invalidas");
    assert_eq!(app.count("SELECT count(*) FROM registro_acesso WHERE acao IN ('cadastro', 'entrada')").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sign_ups_with_one_address_the_proven_one_counts_and_leaves_no_other_password() {
    let app = TestApp::start().await;
    let email = "bia@exemplo.org.br";
    app.post("pessoas", sign_up(email, "senha da estranha")).send().await.expect(202);
    let strangers = app.code_for(email).await;
    app.post("pessoas", sign_up(email, "senha da dona")).send().await.expect(202);
    let owners = app.code_for(email).await;
    verify(&app, &owners, "senha da dona").await.expect(201);
    verify(&app, &strangers, "senha da estranha").await.expect_problem(400, "codigo-invalido");
    log_in(&app, email, "senha da estranha").await.expect_problem(401, "credenciais-invalidas");
    log_in(&app, email, "senha da dona").await.expect(201);
    // A third sign-up changes nothing and tells the owner.
    app.post("pessoas", sign_up(email, "mais uma senha")).send().await.expect(202);
    assert_eq!(app.mail_to(email).await.last().unwrap().subject, "Você já tem uma conta");
    log_in(&app, email, "senha da dona").await.expect(201);
    assert_eq!(app.count("SELECT count(*) FROM pessoas").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_code_does_not_give_the_owner_the_strangers_password() {
    let app = TestApp::start().await;
    let email = "ana@exemplo.org.br";
    app.post("pessoas", sign_up(email, "senha da estranha")).send().await.expect(202);
    let strangers = app.code_for(email).await;
    app.post("pessoas", sign_up(email, "senha da Ana")).send().await.expect(202);
    let owners = app.code_for(email).await;
    // Ana gets both mails and takes the wrong one.
    let before = app.rows().await;
    let refused = verify(&app, &strangers, "senha da Ana").await;
    refused.expect_problem(401, "credenciais-invalidas");
    assert!(refused.json()["detail"].as_str().unwrap().contains("cadastre-se de novo"), "{}", refused.text);
    assert_eq!(app.rows().await, before);
    verify(&app, &owners, "senha da Ana").await.expect(201);
    log_in(&app, email, "senha da estranha").await.expect_problem(401, "credenciais-invalidas");
    log_in(&app, email, "senha da Ana").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_one_address_used_at_once_make_one_account() {
    let app = TestApp::start().await;
    let email = "bia@exemplo.org.br";
    let mut codes = vec![];
    for number in 0..8 {
        app.post("pessoas", sign_up(email, &format!("frase número {number}"))).send().await.expect(202);
        codes.push(app.code_for(email).await);
    }
    let (http, url) = (app.http.clone(), format!("{}/api/v1/emails/verificacoes", app.base));
    let statuses = all_at_once(codes.len(), |index| {
        let request = http.post(&url).json(&json!({"codigo": codes[index], "senha": format!("frase número {index}")}));
        async move { request.send().await.unwrap().status().as_u16() }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 7, "{statuses:?}");
    let mut logged_in = 0;
    for number in 0..8 {
        logged_in += usize::from(log_in(&app, email, &format!("frase número {number}")).await.status == 201);
    }
    assert_eq!((logged_in, app.count("SELECT count(*) FROM pessoas").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_end_by_themselves() {
    let app = TestApp::frozen().await;
    app.post("pessoas", sign_up("caio@exemplo.org.br", SENHA)).send().await.expect(202);
    let code = app.code_for("caio@exemplo.org.br").await;
    app.clock.advance(time::Duration::hours(25));
    verify(&app, &code, SENHA).await.expect_problem(400, "codigo-invalido");

    let person = app.person().await;
    let code = reset_code(&app, &person).await;
    app.clock.advance(time::Duration::minutes(31));
    app.post("senhas/redefinicoes", json!({"codigo": code, "senha": "nova frase"})).send().await.expect_problem(400, "codigo-invalido");
}

/// Asks for a reset and waits for its mail: the answer does not wait for it.
async fn reset_code(app: &TestApp, person: &Person) -> String {
    app.post("senhas/pedidos", json!({"email": person.email})).send().await.expect(202);
    let asked = Instant::now();
    while app.mail_to(&person.email).await.is_empty() {
        assert!(asked.elapsed() < Duration::from_secs(5), "no mail");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.code_for(&person.email).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_every_session_tells_the_person_and_opens_none() {
    let app = TestApp::start().await;
    let person = app.person().await;
    let other = cookie(&log_in(&app, &person.email, SENHA).await);
    let code = reset_code(&app, &person).await;
    let reset = json!({"codigo": code, "senha": "nova frase longa"});
    let done = app.post("senhas/redefinicoes", reset.clone()).send().await;
    done.expect(204);
    assert!(!done.headers.contains_key("set-cookie"));
    app.post("senhas/redefinicoes", reset).send().await.expect_problem(400, "codigo-invalido");
    app.get("eu").by(&person).send().await.expect_problem(401, "nao-autenticada");
    app.get("eu").header("cookie", &other).send().await.expect_problem(401, "nao-autenticada");
    log_in(&app, &person.email, SENHA).await.expect_problem(401, "credenciais-invalidas");
    log_in(&app, &person.email, "nova frase longa").await.expect(201);
    assert_eq!(app.mail_to(&person.email).await.last().unwrap().subject, "Sua senha foi alterada");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let person = app.person().await;
    let second = cookie(&log_in(&app, &person.email, SENHA).await);
    let list = app.get("eu/sessoes").by(&person).send().await.expect(200);
    let sessions = list["itens"].as_array().unwrap();
    assert_eq!(sessions.iter().filter(|session| session["atual"] == true).count(), 1);
    let id = sessions.iter().find(|session| session["atual"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    let stranger = app.person().await;
    let end = |by: &Person| app.request("DELETE", &format!("eu/sessoes/{id}")).header("content-type", "application/json").by(by).send();
    end(&stranger).await.expect_problem(404, "nao-encontrado");
    end(&person).await.expect(204);
    app.get("eu").header("cookie", &second).send().await.expect_problem(401, "nao-autenticada");
    let out = app.request("DELETE", "sessoes/atual").header("content-type", "application/json").by(&person).send().await;
    out.expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    app.get("eu").by(&person).send().await.expect_problem(401, "nao-autenticada");
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_and_old_sessions_end() {
    let app = TestApp::frozen().await;
    let person = app.person().await;
    for _ in 0..4 {
        app.clock.advance(time::Duration::days(6));
        app.get("eu").by(&person).send().await.expect(200);
    }
    // 24 days old and in use; at 30 days it ends all the same.
    app.clock.advance(time::Duration::days(6));
    app.get("eu").by(&person).send().await.expect_problem(401, "nao-autenticada");
    let idle = app.person().await;
    app.clock.advance(time::Duration::days(7) + time::Duration::seconds(1));
    app.get("eu").by(&idle).send().await.expect_problem(401, "nao-autenticada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_changes_only_from_its_newest_version() {
    let app = TestApp::start().await;
    let person = app.person().await;
    let read = app.get("eu").by(&person).send().await;
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(app.get("eu").by(&person).header("if-none-match", "\"1\"").send().await.status, 304);
    let change = |name: &'static str| app.patch("eu", json!({"nome": name})).by(&person);
    change("Ana").send().await.expect_problem(428, "precondicao-obrigatoria");
    change("Ana").header("if-match", "\"7\"").send().await.expect_problem(412, "versao-desatualizada");
    let changed = change("Ana").header("if-match", "\"1\"").send().await;
    assert_eq!((&changed.expect(200)["nome"], changed.header("etag")), (&json!("Ana"), "\"2\""));
    change("Bia").header("if-match", "\"1\"").send().await.expect_problem(412, "versao-desatualizada");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_money_takes_a_password_of_the_last_ten_minutes() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    let donation = app.donate(&campaign, json!({"provedor": "pix_estatico"})).await.json();
    let path = format!("doacoes/{}/confirmacoes", donation["id"].as_str().unwrap());
    let received = app.state.clock.now().format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"valor_recebido_centavos": 5000, "recebido_em": received});
    app.clock.advance(time::Duration::minutes(10) + time::Duration::seconds(1));
    app.post(&path, body.clone()).new_key().by(owner).send().await.expect_problem(403, "reautenticacao-necessaria");
    let again = async |senha: &str| app.post("eu/reautenticacao", json!({"senha": senha})).by(owner).send_patiently().await;
    again("errada").await.expect_problem(401, "credenciais-invalidas");
    let renewed = again(SENHA).await;
    renewed.expect(200);
    let renewed = cookie(&renewed);
    assert_ne!(renewed, owner.cookie);
    app.get("eu").by(owner).send().await.expect_problem(401, "nao-autenticada");
    app.post(&path, body).new_key().header("cookie", &renewed).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_whatever_cookies_other_sites_have_set() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    let (name, token) = owner.cookie.split_once('=').unwrap();
    let ours = owner.cookie.as_bytes();
    let dead = format!("{name}={}", "0".repeat(64));
    let quoted = format!("{name}=\"{token}\"");
    let lines: [&[&[u8]]; 9] = [
        &[&[b"cidade=S\xc3\xa3o Paulo; ", ours].concat()],
        &[&[b"cidade=S\xe3o Paulo; ", ours, b"; x=\xff"].concat()],
        &[b"cidade=\xff\xfe", ours],
        &[ours, b"cidade=\xff"],
        &[&[b"=; ; a; ", ours].concat()],
        &[quoted.as_bytes()],
        // Of another path or domain of the same name, in either order.
        &[&[dead.as_bytes(), b"; ", ours].concat()],
        &[&[ours, b"; ", dead.as_bytes()].concat()],
        &[&[name.as_bytes(), b"=; ", ours].concat()],
    ];
    for lines in lines {
        let what = lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
        let with = |request| lines.iter().fold(request, |request: Request<'_>, line| request.more("cookie", line));
        assert_eq!(with(app.get("eu")).send().await.expect(200)["id"], owner.id.as_str(), "{what:?}");
        assert_eq!(with(app.get("eu/doacoes")).send().await.status, 200, "{what:?}");
        assert_eq!(with(app.get(&format!("organizadoras/{}/membros", campaign.org.slug))).send().await.status, 200, "{what:?}");
        let path = format!("campanhas/{}/doacoes", campaign.slug);
        let given = with(app.post(&path, app.donation(json!({}))).new_key()).send().await;
        given.expect(201);
        assert!(!given.headers.contains_key("doacao-token"), "not a guest's: {what:?}");
    }
}

/// A code as it comes out of a letter, a chat or a document.
fn pasted(code: &str) -> [String; 6] {
    let (first, second) = code.split_at(code.len() / 2);
    [
        format!("{code}\n"),
        format!(" \u{a0}{code}\r\n"),
        code.to_uppercase(),
        format!("\u{feff}{first}\u{200b}{second}\u{2060}"),
        format!("> {first}=\r\n> {second}"),
        format!("{first} {second}\u{2028}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_taken_as_it_is_pasted() {
    let app = TestApp::start().await;
    for (number, how) in (0..6).zip(["line end", "spaces", "capitals", "zero width", "quoted letter", "halves"]) {
        let email = format!("ana{number}@exemplo.org.br");
        let sign_up = json!({"nome": "Ana", "email": email, "senha": SENHA, "aviso_privacidade": "2026-11", "consentimento": true});
        app.post("pessoas", sign_up).send_patiently().await.expect(202);
        let code = &pasted(&app.code_for(&email).await)[number];
        let proven = app.post("emails/verificacoes", json!({"codigo": code, "senha": SENHA})).send_patiently().await;
        assert_eq!(proven.status, 201, "{how}: {}", proven.text);
        doacoes_api::service::resets::send(&app.state, &doacoes_api::domain::email::Email::parse(&email).unwrap()).await.unwrap();
        let code = &pasted(&app.code_for(&email).await)[number];
        let reset = app.post("senhas/redefinicoes", json!({"codigo": code, "senha": "outra frase longa"})).send_patiently().await;
        assert_eq!(reset.status, 204, "{how}: {}", reset.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ids_of_a_donation_are_taken_as_they_are_pasted() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    for (before, after) in [("", "\n"), (" \u{a0}", "\u{200b}"), ("> ", "\r\n"), ("\u{feff}", "\t")] {
        let given = app.donate(&campaign, json!({})).await;
        let (donation, token) = (given.json(), given.header("doacao-token").to_owned());
        let path = format!("doacoes/{}", donation["id"].as_str().unwrap());
        app.get(&path).header("doacao-token", &format!("{token}\u{a0}")).send().await.expect(200);
        let txid = donation["pagamento"]["txid"].as_str().unwrap();
        let id = e2eid();
        let paid = json!({"valor_centavos": 5000, "e2eid": format!("{before}{id}{after}")});
        let paid = app.post(&format!("simulado/pagamentos/%20{txid}%0A"), paid).send().await.expect(200);
        assert_eq!(paid["e2eid"], id.as_str());
        let refund = json!({"valor_centavos": 100, "e2eid": format!("{before}{id}{after}")});
        app.post(&format!("{path}/devolucoes"), refund).new_key().by(owner).send().await.expect(201);
        // Of the receipts of one donation, the case of letters decides only between two that are alike.
        let refund = json!({"valor_centavos": 100, "e2eid": id.to_lowercase()});
        app.post(&format!("{path}/devolucoes"), refund).new_key().by(owner).send().await.expect(201);
        let donation_id = format!("{before}{}{after}", donation["id"].as_str().unwrap());
        let claim = json!({"doacao_id": donation_id, "token": format!("{before}{token}{after}")});
        app.post("eu/doacoes/reivindicacoes", claim).by(owner).send().await.expect(200);
        // A token's case is part of it.
        let other = app.donate(&campaign, json!({})).await;
        let claim = json!({"doacao_id": other.json()["id"], "token": other.header("doacao-token").to_uppercase()});
        app.post("eu/doacoes/reivindicacoes", claim).by(owner).send().await.expect_problem(404, "nao-encontrado");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_people_and_organizadoras_are_taken_as_they_are_pasted() {
    let app = TestApp::start().await;
    let org = app.org().await;
    for (number, (before, after)) in (0..).zip([("", "\n"), (" \u{a0}", " "), ("\t", "\r\n")]) {
        let pasted = |text: &str| format!("{before}{text}{after}");
        let member = app.person().await;
        let body = json!({"pessoa_id": pasted(&member.id), "papel": "leitura"});
        app.post(&format!("organizadoras/{}/membros", org.slug), body).by(&org.owner).send().await.expect(201);
        let body = json!({"organizadora": pasted(&org.slug), "titulo": "Natal", "descricao": "Cestas.", "categoria": "social",
            "slug": pasted(&format!("natal-{number}"))});
        let made = app.post("campanhas", body).by(&org.owner).send().await.expect(201);
        assert_eq!(made["slug"], format!("natal-{number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_member_is_told_the_name_of_the_organizadora() {
    let app = TestApp::start().await;
    let org = app.org().await;
    app.patch(&format!("organizadoras/{}", org.slug), json!({"nome": "Casa do Caminho"})).if_match(&json!(1)).by(&org.owner).send().await;
    let member = app.member(&org, "leitura").await;
    let letters = app.mail_to(&member.email).await;
    assert!(letters.iter().any(|letter| letter.body.contains("à organizadora “Casa do Caminho”.")), "{letters:?}");
}

/// What differs between two answers that must not differ.
fn told(answer: &Answer) -> (u16, Vec<String>, String) {
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    let id = answer.header("x-request-id");
    (answer.status.as_u16(), headers, answer.text.replace(id, "ID"))
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_are_answered_alike() {
    let app = TestApp::start().await;
    let known = app.person().await.email;
    let unknown = "ninguem@exemplo.org.br";
    assert_eq!(told(&log_in(&app, &known, "errada").await), told(&log_in(&app, unknown, "errada").await));
    let ask = async |email: &str| told(&app.post("senhas/pedidos", json!({"email": email})).send().await);
    assert_eq!(ask(&known).await, ask(unknown).await);
    let join = async |email: &str| told(&app.post("pessoas", sign_up(email, SENHA)).send_patiently().await);
    assert_eq!(join(&known).await, join(unknown).await);
}

const RESETS: &str = r#"queue="resets""#;

/// Pairs of requests, known and unknown address in turn and in both orders, so that whatever else the machine does hits both.
/// As many pairs as it takes to know the median of their differences: few on a quiet machine. A hash that only one side
/// computes would be most of the time.
#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_take_the_same_time() {
    const PAIRS: std::ops::RangeInclusive<usize> = 40..=400;
    let app = TestApp::start().await;
    let known = app.person().await.email;
    for route in ["sessoes", "pessoas", "senhas/pedidos"] {
        let body = |email: &str| match route {
            "sessoes" => json!({"email": email, "senha": "errada"}),
            "pessoas" => sign_up(email, SENHA),
            _ => json!({"email": email}),
        };
        let timed = async |email: &str| {
            let began = Instant::now();
            let status = app.post(route, body(email)).send().await.status.as_u16();
            assert!(matches!(status, 202 | 401), "{route}: {status}");
            began.elapsed().as_secs_f64()
        };
        let mut times = Times::default();
        while times.known.len() < *PAIRS.end() {
            // A client that waits for nothing asks for codes faster than they can be sent, and would be told to come back.
            until(Duration::from_secs(10), "no code is waited for", async || metric(&app, "doacoes_queue_waiting", &[RESETS]).await == 0)
                .await;
            let pair = times.known.len();
            let unknown = format!("ninguem{pair}@exemplo.org.br");
            if pair % 2 == 0 {
                times.known.push(timed(&known).await);
                times.unknown.push(timed(&unknown).await);
            } else {
                times.unknown.push(timed(&unknown).await);
                times.known.push(timed(&known).await);
            }
            if pair >= *PAIRS.start() && times.are_surely_alike() {
                break;
            }
        }
        assert!(times.known.len() < *PAIRS.end() || times.may_be_alike(), "{route}: {:?}", times.apart());
    }
}

/// What pairs of requests took, in seconds.
#[derive(Default)]
struct Times {
    known: Vec<f64>,
    unknown: Vec<f64>,
}

impl Times {
    fn differences(&self) -> Vec<f64> {
        sorted(self.known.iter().zip(&self.unknown).map(|(known, unknown)| known - unknown).collect())
    }

    /// What counts as the same: a tenth of the typical time, and 3 ms where that is less.
    fn tolerance(&self) -> f64 {
        (median(self.known.clone()).min(median(self.unknown.clone())) * 0.1).max(0.003)
    }

    /// Whether the median of the differences is within the tolerance in 997 of 1000 cases (order statistics, z = 3).
    fn are_surely_alike(&self) -> bool {
        let differences = self.differences();
        let count = differences.len();
        // 1.5 √n places to either side of the middle.
        let reach = (count * 9 / 4).isqrt();
        let tolerance = self.tolerance();
        differences[count / 2 - reach] > -tolerance && differences[count / 2 + reach] < tolerance
    }

    /// The median of the differences, and the difference of the fastest tenths. What one side does in addition is in both,
    /// what else the machine does hardly in the second.
    fn apart(&self) -> [f64; 2] {
        let fast = |times: &Vec<f64>| sorted(times.clone())[times.len() / 10];
        [median(self.differences()), fast(&self.known) - fast(&self.unknown)]
    }

    fn may_be_alike(&self) -> bool {
        self.apart().iter().any(|apart| apart.abs() < self.tolerance())
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    sorted(values)[middle]
}
