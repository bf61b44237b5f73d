//! Who may do what: every operation of the served document, sent by every kind of actor.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_api::config::Profile;
use doacoes_api::domain::email::Email;
use doacoes_api::service::donations::guest_token;
use doacoes_api::service::{administration, resets};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::harness::{Answer, Campaign, Operation, Options, Org, Person, TestApp, cnpj, e2eid};

/// What each actor gets: `ok` is any 2xx, and `public` is that for all of them. `elsewhere` owns another organizadora;
/// `donor` and `guest` gave the donation that the request is about, one with an account and one with its token;
/// `guest2` has the token of another donation. A line's last word says what the request is about, where that matters.
const MATRIX: &str = "
method path                                  nobody stranger owner editor finance reader elsewhere admin donor guest guest2 about

POST   /pessoas                              public
POST   /sessoes                              public
POST   /senhas/pedidos                       public
POST   /senhas/redefinicoes                  public
POST   /emails/verificacoes                  public
GET    /organizadoras                        public
GET    /organizadoras/{slug}                 public
GET    /campanhas                            public
GET    /campanhas/{slug}                     public                                                                          published
GET    /campanhas/{slug}/totais              public                                                                          published
GET    /campanhas/{slug}/eventos             public                                                                          published
GET    /campanhas/{slug}/doacoes             public                                                                          published
POST   /campanhas/{slug}/doacoes             public                                                                          published
POST   /simulado/pagamentos/{txid}           public

DELETE /sessoes/atual                        401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
GET    /eu                                   401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
PATCH  /eu                                   401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
GET    /eu/sessoes                           401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
DELETE /eu/sessoes/{id}                      401 404 404 404 404 404 404 404 ok  401 401   the-donors
POST   /eu/reautenticacao                    401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
GET    /eu/organizadoras                     401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
GET    /eu/doacoes                           401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
POST   /eu/doacoes/reivindicacoes            401 ok  ok  ok  ok  ok  ok  ok  ok  401 401   guests-with-token
POST   /eu/doacoes/reivindicacoes            401 404 404 404 404 404 404 404 404 401 401   guests-with-another-token
POST   /eu/doacoes/reivindicacoes            401 404 404 404 404 404 404 404 ok  401 401   guests-with-the-donors-address
POST   /eu/doacoes/reivindicacoes            401 404 404 404 404 404 404 404 ok  401 401   the-donors-with-token

POST   /organizadoras                        401 ok  ok  ok  ok  ok  ok  ok  ok  401 401
PATCH  /organizadoras/{slug}                 401 404 ok  403 403 403 404 404 404 401 401
GET    /organizadoras/{slug}/chave-pix       401 404 ok  ok  ok  ok  404 404 404 401 401
PUT    /organizadoras/{slug}/chave-pix       401 404 ok  403 403 403 404 404 404 401 401
GET    /organizadoras/{slug}/campanhas       401 404 ok  ok  ok  ok  404 404 404 401 401
GET    /organizadoras/{slug}/pagamentos-pendentes 401 404 ok ok ok ok 404 404 404 401 401
GET    /organizadoras/{slug}/membros         401 404 ok  ok  ok  ok  404 404 404 401 401
POST   /organizadoras/{slug}/membros         401 404 ok  403 403 403 404 404 404 401 401
PATCH  /organizadoras/{slug}/membros/{pessoa_id}  401 404 ok 403 403 403 404 404 404 401 401
DELETE /organizadoras/{slug}/membros/{pessoa_id}  401 404 ok 403 403 403 404 404 404 401 401

POST   /campanhas                            401 422 ok  ok  403 403 422 422 422 401 401
GET    /campanhas/{slug}                     404 404 ok  ok  ok  ok  404 404 404 404 404   draft
GET    /campanhas/{slug}/totais              404 404 404 404 404 404 404 404 404 404 404   draft
GET    /campanhas/{slug}/eventos             404 404 404 404 404 404 404 404 404 404 404   draft
GET    /campanhas/{slug}/doacoes             404 404 404 404 404 404 404 404 404 404 404   draft
POST   /campanhas/{slug}/doacoes             404 404 404 404 404 404 404 404 404 404 404   draft
PATCH  /campanhas/{slug}                     401 404 ok  ok  403 403 404 404 404 401 401   draft
PATCH  /campanhas/{slug}                     401 404 ok  ok  403 403 404 404 404 401 401   published
POST   /campanhas/{slug}/publicacao          401 404 ok  ok  403 403 404 404 404 401 401   draft
POST   /campanhas/{slug}/pausa               401 404 ok  ok  403 403 404 404 404 401 401   published
POST   /campanhas/{slug}/retomada            401 404 ok  ok  403 403 404 404 404 401 401   paused
POST   /campanhas/{slug}/encerramento        401 404 ok  ok  403 403 404 404 404 401 401   published

GET    /doacoes/{id}                         404 404 404 404 404 404 404 404 ok  404 404   the-donors
GET    /doacoes/{id}                         404 404 404 404 404 404 404 404 404 ok  404   guests
PATCH  /doacoes/{id}                         404 404 404 404 404 404 404 404 ok  404 404   the-donors
PATCH  /doacoes/{id}                         404 404 404 404 404 404 404 404 404 ok  404   guests
POST   /doacoes/{id}/cancelamento            404 404 404 404 404 404 404 404 ok  404 404   the-donors
POST   /doacoes/{id}/cancelamento            404 404 404 404 404 404 404 404 404 ok  404   guests
POST   /doacoes/{id}/pagamentos              404 404 404 404 404 404 404 404 ok  404 404   the-donors
POST   /doacoes/{id}/pagamentos              404 404 404 404 404 404 404 404 404 ok  404   guests
GET    /doacoes/{id}/pagamentos/{pid}/qr.svg 404 404 404 404 404 404 404 404 ok  404 404   the-donors
GET    /doacoes/{id}/pagamentos/{pid}/qr.svg 404 404 404 404 404 404 404 404 404 ok  404   guests
POST   /doacoes/{id}/confirmacoes            401 404 ok  403 ok  403 404 404 404 401 401   the-donors
POST   /doacoes/{id}/confirmacoes            401 404 ok  403 ok  403 404 404 404 401 401   guests
POST   /doacoes/{id}/devolucoes              401 404 ok  403 ok  403 404 ok  404 401 401   the-donors-paid
POST   /doacoes/{id}/devolucoes              401 404 ok  403 ok  403 404 ok  404 401 401   guests-paid
";

/// The operations that anyone may send, by the names they have in the document.
const PUBLIC: [&str; 14] = [
    "acompanharTotais",
    "criarPessoa",
    "doar",
    "entrar",
    "lerCampanha",
    "lerOrganizadora",
    "lerTotais",
    "listarCampanhas",
    "listarDoacoesDaCampanha",
    "listarOrganizadoras",
    "pagarSimulado",
    "pedirSenha",
    "redefinirSenha",
    "verificarEmail",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Nobody,
    Stranger,
    Owner,
    Editor,
    Finance,
    Reader,
    Elsewhere,
    Admin,
    Donor,
    Guest,
    Guest2,
}

impl Actor {
    /// In the order of the matrix's columns.
    const ALL: [Self; 11] = [
        Self::Nobody,
        Self::Stranger,
        Self::Owner,
        Self::Editor,
        Self::Finance,
        Self::Reader,
        Self::Elsewhere,
        Self::Admin,
        Self::Donor,
        Self::Guest,
        Self::Guest2,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Allowed,
    Refused(u16),
}

/// A line of the matrix.
#[derive(Clone, Debug)]
struct Entry {
    method: &'static str,
    path: &'static str,
    public: bool,
    outcomes: [Outcome; 11],
    about: &'static str,
}

impl Entry {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn matrix() -> Vec<Entry> {
    let mut lines = MATRIX.lines().filter(|line| !line.is_empty());
    let header: Vec<String> = Actor::ALL.iter().map(|actor| format!("{actor:?}").to_lowercase()).collect();
    assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>()[2..13], header);
    lines.map(entry).collect()
}

fn entry(line: &'static str) -> Entry {
    let words: Vec<&str> = line.split_whitespace().collect();
    let public = words[2] == "public";
    let (outcomes, rest) = if public {
        ([Outcome::Allowed; 11], &words[3..])
    } else {
        let outcome = |column: usize| match words[2 + column] {
            "ok" => Outcome::Allowed,
            status => Outcome::Refused(status.parse().unwrap()),
        };
        (std::array::from_fn(outcome), &words[13..])
    };
    assert!(rest.len() < 2, "{line}");
    Entry { method: words[0], path: words[1], public, outcomes, about: rest.first().unwrap_or(&"") }
}

/// People with every standing towards one organizadora, and donations to it.
struct World<'a> {
    app: &'a TestApp,
    org: Org,
    campaign: Campaign,
    people: BTreeMap<&'static str, Person>,
    other_token: String,
}

impl<'a> World<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let org = app.org().await;
        let campaign = app.campaign_of(&org).await;
        let admin = app.person().await;
        sqlx::query("UPDATE pessoas SET papel = 'admin' WHERE id::text = $1").bind(&admin.id).execute(&app.owner).await.unwrap();
        let people = BTreeMap::from([
            ("stranger", app.person().await),
            ("owner", org.owner.clone()),
            ("editor", app.member(&org, "editora").await),
            ("finance", app.member(&org, "financeiro").await),
            ("reader", app.member(&org, "leitura").await),
            ("elsewhere", app.org().await.owner),
            ("admin", admin),
            ("donor", app.person().await),
        ]);
        let other_token = app.donate(&campaign, json!({})).await.header("doacao-token").to_owned();
        Self { app, org, campaign, people, other_token }
    }

    fn person(&self, actor: Actor) -> Option<&Person> {
        self.people.get(format!("{actor:?}").to_lowercase().as_str())
    }

    fn donor(&self) -> &Person {
        &self.people["donor"]
    }

    /// A donation as the last word of a line describes it, with the token that it has or would have.
    async fn donation(&self, about: &str) -> (Value, String) {
        let path = format!("campanhas/{}/doacoes", self.campaign.slug);
        let request = self.app.post(&path, self.app.donation(json!({}))).new_key();
        let request = if about.starts_with("the-donors") { request.by(self.donor()) } else { request };
        let donation = request.send().await.expect(201);
        if about.ends_with("-paid") {
            self.app.pay(&donation).await;
        }
        let token = guest_token(&self.app.state.keys.token, donation["id"].as_str().unwrap().parse().unwrap());
        (donation, token)
    }

    async fn campaign(&self, about: &str) -> Value {
        let draft = self.app.draft(&self.org, json!({})).await;
        let steps: &[&str] = match about {
            "draft" => &[],
            "published" => &["publicacao"],
            "paused" => &["publicacao", "pausa"],
            _ => panic!("{about}"),
        };
        let mut campaign = draft.clone();
        for step in steps {
            let path = format!("campanhas/{}/{step}", draft["slug"].as_str().unwrap());
            campaign = self.app.post(&path, json!({})).by(&self.org.owner).send().await.expect(200);
        }
        campaign
    }

    async fn send(&self, entry: &Entry, wish: &Wish, actor: Actor) -> Answer {
        let mut request = self.app.request(entry.method, &wish.path);
        if let Some(body) = &wish.body {
            request = request.json(body);
        }
        if let Some(version) = &wish.version {
            request = request.if_match(version);
        }
        if wish.keyed {
            request = request.new_key();
        }
        if let Some(person) = self.person(actor) {
            request = request.by(person).header("sec-fetch-site", "same-origin");
        }
        request = match actor {
            Actor::Guest => request.header("doacao-token", &wish.token),
            Actor::Guest2 => request.header("doacao-token", &self.other_token),
            _ => request,
        };
        request.send().await
    }
}

/// A request that would be right from whoever may send it.
struct Wish {
    path: String,
    body: Option<Value>,
    version: Option<Value>,
    keyed: bool,
    /// What `guest` has in hand.
    token: String,
}

impl Wish {
    async fn new(world: &World<'_>, entry: &Entry) -> Self {
        let root = entry.path.split('/').nth(1).unwrap();
        match root {
            "eu" | "sessoes" | "pessoas" | "senhas" | "emails" => Self::about_accounts(world, entry).await,
            "organizadoras" => Self::about_organizadoras(world, entry).await,
            "campanhas" => Self::about_campaigns(world, entry).await,
            _ => Self::about_donations(world, entry).await,
        }
    }

    fn at(world: &World<'_>, path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap().to_owned();
        Self { path, body: None, version: None, keyed: false, token: world.other_token.clone() }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    async fn about_accounts(world: &World<'_>, entry: &Entry) -> Self {
        let app = world.app;
        let wish = Self::at(world, entry.path);
        let new_email = format!("{}@exemplo.org.br", Uuid::new_v4().simple());
        let sign_up =
            json!({"nome": "Nova", "email": new_email, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
        match (entry.name().as_str(), entry.about) {
            ("POST /pessoas", _) => wish.body(sign_up),
            ("POST /sessoes", _) => wish.body(json!({"email": world.donor().email, "senha": "uma frase longa"})),
            ("POST /senhas/pedidos", _) => wish.body(json!({"email": new_email})),
            ("POST /senhas/redefinicoes", _) => {
                let person = app.person().await;
                resets::send(&app.state, &Email::parse(&person.email).unwrap()).await.unwrap();
                wish.body(json!({"codigo": app.code_for(&person.email).await, "senha": "outra frase longa"}))
            }
            ("POST /emails/verificacoes", _) => {
                app.post("pessoas", sign_up).send().await.expect(202);
                wish.body(json!({"codigo": app.code_for(&new_email).await, "senha": "uma frase longa"}))
            }
            ("DELETE /eu/sessoes/{id}", "the-donors") => {
                let sessions = app.get("eu/sessoes").by(world.donor()).send().await.expect(200);
                Self { path: format!("eu/sessoes/{}", sessions["itens"][0]["id"].as_str().unwrap()), ..wish }
            }
            ("PATCH /eu", _) => Self { version: Some(json!(1)), ..wish }.body(json!({"nome": "Novo Nome"})),
            ("POST /eu/reautenticacao", _) => wish.body(json!({"senha": "uma frase longa"})),
            ("POST /eu/doacoes/reivindicacoes", "guests-with-the-donors-address") => {
                let given = app.donate(&world.campaign, json!({"email": world.donor().email})).await.json();
                wish.body(json!({"doacao_id": given["id"]}))
            }
            ("POST /eu/doacoes/reivindicacoes", about) => {
                let (donation, token) = world.donation(about).await;
                let proof = if about.contains("another") { &world.other_token } else { &token };
                let body = json!({"doacao_id": donation["id"], "token": proof});
                Self { token, ..wish }.body(body)
            }
            _ => wish,
        }
    }

    async fn about_organizadoras(world: &World<'_>, entry: &Entry) -> Self {
        let app = world.app;
        let mut path = entry.path.replace("{slug}", &world.org.slug);
        if path.contains("{pessoa_id}") {
            path = path.replace("{pessoa_id}", &app.member(&world.org, "leitura").await.id);
        }
        let wish = Self::at(world, &path);
        match entry.name().as_str() {
            "POST /organizadoras" => wish.body(json!({"nome": "Casa Nova", "cnpj": cnpj()})),
            "PATCH /organizadoras/{slug}" => Self { version: Some(json!(1)), ..wish }.body(json!({"nome": "Casa do Caminho Novo"})),
            "PUT /organizadoras/{slug}/chave-pix" => wish.body(json!({"senha": "uma frase longa", "chave_pix":
                {"tipo": "email", "chave": "doe@exemplo.org.br", "nome_recebedor": "Casa", "cidade": "Natal"}})),
            "POST /organizadoras/{slug}/membros" => wish.body(json!({"pessoa_id": app.person().await.id, "papel": "leitura"})),
            "PATCH /organizadoras/{slug}/membros/{pessoa_id}" => wish.body(json!({"papel": "editora"})),
            _ => wish,
        }
    }

    async fn about_campaigns(world: &World<'_>, entry: &Entry) -> Self {
        if entry.path == "/campanhas" {
            let wish = Self::at(world, entry.path);
            let body = json!({"organizadora": world.org.slug, "titulo": "Campanha", "descricao": "Cestas.", "categoria": "social"});
            return if entry.method == "POST" { wish.body(body) } else { wish };
        }
        let campaign = world.campaign(entry.about).await;
        let wish = Self::at(world, &entry.path.replace("{slug}", campaign["slug"].as_str().unwrap()));
        match entry.name().as_str() {
            "PATCH /campanhas/{slug}" => Self { version: Some(campaign["versao"].clone()), ..wish }.body(json!({"titulo": "Outro título"})),
            "POST /campanhas/{slug}/doacoes" => Self { keyed: true, ..wish }.body(world.app.donation(json!({}))),
            _ => wish,
        }
    }

    async fn about_donations(world: &World<'_>, entry: &Entry) -> Self {
        let (donation, token) = world.donation(entry.about).await;
        let payment = &donation["pagamento"];
        let path = entry
            .path
            .replace("{id}", donation["id"].as_str().unwrap())
            .replace("{pid}", payment["id"].as_str().unwrap())
            .replace("{txid}", payment["txid"].as_str().unwrap());
        let wish = Self { token, ..Self::at(world, &path) };
        match entry.name().as_str() {
            "POST /simulado/pagamentos/{txid}" => wish.body(json!({"valor_centavos": 5000, "e2eid": e2eid()})),
            "PATCH /doacoes/{id}" => Self { version: Some(donation["versao"].clone()), ..wish }.body(json!({"visibilidade": "anonima"})),
            "POST /doacoes/{id}/pagamentos" => Self { keyed: true, ..wish },
            "POST /doacoes/{id}/confirmacoes" => Self { keyed: true, ..wish }
                .body(json!({"valor_recebido_centavos": 5000, "recebido_em": donation["criada_em"], "justificativa": "extrato"})),
            "POST /doacoes/{id}/devolucoes" => Self { keyed: true, ..wish }.body(json!({"valor_centavos": 100})),
            _ => wish,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_has_every_operation_and_no_other() {
    let app = TestApp::start().await;
    let documented: BTreeSet<String> = app.operations().await.iter().map(Operation::name).collect();
    let listed: BTreeSet<String> = matrix().iter().map(Entry::name).collect();
    assert_eq!(documented.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "operations without an entry in the matrix");
    assert_eq!(listed.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "entries without an operation");
    let lines: BTreeSet<(String, &str)> = matrix().iter().map(|entry| (entry.name(), entry.about)).collect();
    assert_eq!(lines.len(), matrix().len(), "a line is there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anyone_may_send_is_listed_by_name_and_documented_as_such() {
    let app = TestApp::start().await;
    let entries = matrix();
    let mut public = BTreeSet::new();
    for operation in app.operations().await {
        let security: Vec<&Value> = operation.spec["security"].as_array().into_iter().flatten().collect();
        let open = security.is_empty() || security.contains(&&json!({}));
        let of_matrix = entries.iter().any(|entry| entry.public && entry.name() == operation.name());
        assert_eq!(open, of_matrix, "{}: {security:?}", operation.name());
        if of_matrix {
            public.insert(operation.spec["operationId"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(public.len(), 14);
    assert_eq!(public, PUBLIC.map(str::to_owned).into());
}

/// Sends a line's refused requests, which must change nothing, and then the others, each at something of its own.
async fn run(app: &TestApp, entry: &Entry, wrong: &mut Vec<String>) {
    let world = World::new(app).await;
    let what = format!("{} {}", entry.name(), entry.about);
    let outcomes = Actor::ALL.into_iter().zip(entry.outcomes);
    let wish = Wish::new(&world, entry).await;
    let before = world.app.rows().await;
    for (actor, outcome) in outcomes.clone() {
        let Outcome::Refused(expected) = outcome else { continue };
        let answer = world.send(entry, &wish, actor).await;
        if answer.status != expected {
            wrong.push(format!("{what}: {actor:?} gets {}, not {expected}: {}", answer.status, answer.text));
            continue;
        }
        let body = answer.json();
        let (slug, detail) = match expected {
            401 => ("nao-autenticada", None),
            403 => ("papel-insuficiente", None),
            // The same words as for what does not exist.
            404 => ("nao-encontrado", Some("Não existe, ou não é seu.")),
            _ => ("dados-invalidos", None),
        };
        answer.expect_problem(expected, slug);
        if detail.is_some_and(|detail| body["detail"] != detail) {
            wrong.push(format!("{what}: {actor:?} is told {}", body["detail"]));
        }
    }
    if world.app.rows().await != before {
        wrong.push(format!("{what}: a refused request changed what is stored"));
    }
    for (actor, outcome) in outcomes {
        if outcome == Outcome::Allowed {
            let answer = world.send(entry, &Wish::new(&world, entry).await, actor).await;
            if !answer.status.is_success() {
                wrong.push(format!("{what}: {actor:?} gets {}: {}", answer.status, answer.text));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_each_actor_as_the_matrix_says() {
    let app = TestApp::frozen().await;
    let world = World::new(&app).await;
    let before = world.app.rows().await;
    world.donation("guests").await;
    assert_ne!(world.app.rows().await, before, "a change is not seen");
    let mut wrong = vec![];
    for entry in matrix() {
        run(&app, &entry, &mut wrong).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Fails unless a cookie is worth nothing anywhere: as an account, as a member, as a donor.
async fn assert_worthless(app: &TestApp, org: &Org, cookie: &str) {
    let campaign = app.campaign_of(org).await;
    let donation = app.donate(&campaign, json!({})).await.json();
    let id = donation["id"].as_str().unwrap();
    let requests = [
        ("GET", "eu".to_owned()),
        ("PATCH", "eu".to_owned()),
        ("GET", "eu/sessoes".to_owned()),
        ("DELETE", "sessoes/atual".to_owned()),
        ("POST", "organizadoras".to_owned()),
        ("GET", format!("organizadoras/{}/membros", org.slug)),
        ("POST", format!("campanhas/{}/pausa", campaign.slug)),
        ("POST", format!("doacoes/{id}/confirmacoes")),
    ];
    for (method, path) in requests {
        let answer = app.request(method, &path).json(&json!({})).header("cookie", cookie).send().await;
        assert_eq!(answer.status, 401, "{method} {path}");
        answer.expect_problem(401, "nao-autenticada");
        assert_eq!(answer.header("www-authenticate"), "Cookie realm=\"doacoes\"");
    }
    // Nor does it make a guest, where guests are welcome.
    let donate = app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).new_key().header("cookie", cookie);
    donate.send().await.expect_problem(401, "nao-autenticada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_after_a_week_without_use_and_after_thirty_days_in_any_case() {
    let app = TestApp::frozen().await;
    let (idle, busy) = (app.org().await, app.org().await);
    for day in (5..30).step_by(5) {
        app.clock.advance(Duration::days(5));
        app.get("eu").by(&busy.owner).send().await.expect(200);
        if day == 5 {
            app.clock.advance(Duration::days(2));
            app.get("eu").by(&busy.owner).send().await.expect(200);
            assert_worthless(&app, &busy, &idle.owner.cookie).await;
        }
    }
    // 27 days have gone by.
    app.clock.advance(Duration::days(3) - Duration::seconds(1));
    app.get("eu").by(&busy.owner).send().await.expect(200);
    app.clock.advance(Duration::seconds(1));
    let fresh = app.org().await;
    assert_worthless(&app, &fresh, &busy.owner.cookie).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_session_and_opens_none() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let person = app.member(&org, "dona").await;
    let elsewhere = app.person_again(&person).await;
    app.get("eu").by(&elsewhere).send().await.expect(200);
    resets::send(&app.state, &Email::parse(&person.email).unwrap()).await.unwrap();
    let code = app.code_for(&person.email).await;
    let reset = app.post("senhas/redefinicoes", json!({"codigo": code, "senha": "outra frase longa"})).by(&person).send().await;
    assert_eq!(reset.status, 204);
    assert!(!reset.headers.contains_key("set-cookie"));
    assert_worthless(&app, &org, &person.cookie).await;
    assert_worthless(&app, &org, &elsewhere.cookie).await;
    let log_in = |senha: &str| app.post("sessoes", json!({"email": person.email, "senha": senha}));
    log_in("uma frase longa").send().await.expect_problem(401, "credenciais-invalidas");
    log_in("outra frase longa").send().await.expect(201);
    app.post("senhas/redefinicoes", json!({"codigo": code, "senha": "mais uma frase"})).send().await.expect_problem(400, "codigo-invalido");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_or_promoted_person_has_no_session_left() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let (suspended, promoted) = (app.member(&org, "dona").await, app.member(&org, "dona").await);
    sqlx::query("UPDATE pessoas SET situacao = 'suspensa' WHERE id::text = $1").bind(&suspended.id).execute(&app.owner).await.unwrap();
    assert_worthless(&app, &org, &suspended.cookie).await;
    let log_in = app.post("sessoes", json!({"email": suspended.email, "senha": "uma frase longa"})).send().await;
    log_in.expect_problem(401, "credenciais-invalidas");
    let email = Email::parse(&promoted.email).unwrap();
    assert!(administration::grant_admin(&app.command_line(), &email).await.unwrap());
    assert_worthless(&app, &org, &promoted.cookie).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_worth_nothing_and_the_others_go_on() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let here = org.owner.clone();
    let (there, lost) = (app.person_again(&here).await, app.person_again(&here).await);
    let sessions = app.get("eu/sessoes").by(&lost).send().await.expect(200);
    let current = sessions["itens"].as_array().unwrap().iter().find(|session| session["atual"] == true).unwrap();
    let path = format!("eu/sessoes/{}", current["id"].as_str().unwrap());
    let end = app.request("DELETE", &path).by(&here).header("sec-fetch-site", "same-origin").send().await;
    assert_eq!(end.status, 204);
    assert_worthless(&app, &org, &lost.cookie).await;
    let out = app.request("DELETE", "sessoes/atual").by(&there).header("sec-fetch-site", "same-origin").send().await;
    assert_eq!(out.status, 204);
    assert_eq!(out.header("set-cookie"), "sessao=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    assert_worthless(&app, &org, &there.cookie).await;
    let out = app.request("DELETE", "sessoes/atual").by(&there).header("sec-fetch-site", "same-origin").send().await;
    assert_eq!((out.status.as_u16(), out.header("set-cookie")), (401, "sessao=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"));
    app.get("eu").by(&here).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donation_repeated_after_its_session_ended_makes_no_guest() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donor = app.person().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let key = uuid::Uuid::new_v4();
    let donate = |cookie: &str| app.post(&path, app.donation(json!({}))).key(key).header("cookie", cookie);
    let first = donate(&donor.cookie).send().await;
    first.expect(201);
    app.request("DELETE", "sessoes/atual").by(&donor).header("sec-fetch-site", "same-origin").send().await;
    donate(&donor.cookie).send().await.expect_problem(401, "nao-autenticada");
    // Logged in again it is the same donation.
    let again = app.person_again(&donor).await;
    assert_eq!(donate(&again.cookie).send().await.text, first.text);
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 1);

    // Who reads with a dead cookie is told so, unless the donation's token is sent.
    let id = first.json()["id"].as_str().unwrap().to_owned();
    app.get(&format!("doacoes/{id}")).by(&donor).send().await.expect_problem(401, "nao-autenticada");
    let guest = app.donate(&campaign, json!({})).await;
    let own = format!("doacoes/{}", guest.json()["id"].as_str().unwrap());
    app.get(&own).by(&donor).header("doacao-token", guest.header("doacao-token")).send().await.expect(200);
    // A cleared cookie is none.
    app.post(&path, app.donation(json!({}))).new_key().header("cookie", "sessao=").send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_key_belongs_to_one_device() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let key = uuid::Uuid::new_v4();
    let (ana, bia) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
    let donate = || app.post(&path, app.donation(json!({}))).key(key);
    let first = donate().header("dispositivo", &ana).send().await;
    let same = [
        // From another network and browser; and as a page's form sends it.
        donate().header("dispositivo", &ana).header("user-agent", "outro").header("x-forwarded-for", "203.0.113.7").send().await,
        donate().header("cookie", &format!("_ga=1; dispositivo={ana}")).send().await,
        donate().header("dispositivo", &ana.to_uppercase()).send().await,
    ];
    for again in &same {
        assert_eq!((&again.text, again.header("doacao-token")), (&first.text, first.header("doacao-token")));
    }
    let other = donate().header("dispositivo", &bia).send().await;
    other.expect(201);
    assert_ne!(other.json()["id"], first.json()["id"]);
    assert_ne!(other.header("doacao-token"), first.header("doacao-token"));
    // Those who name no device share theirs in a campaign.
    let (nameless, again) = (donate().send().await, donate().header("user-agent", "outro").send().await);
    assert_eq!(nameless.text, again.text);
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 3);

    // A further charge is the donation's own, whatever the key.
    let charges = |donation: &crate::harness::Answer| {
        app.post(&format!("doacoes/{}/pagamentos", donation.json()["id"].as_str().unwrap()), json!({}))
            .key(key)
            .header("doacao-token", donation.header("doacao-token"))
    };
    let (one, two) = (charges(&first).send().await, charges(&other).send().await);
    one.expect(201);
    two.expect(201);
    assert_ne!(one.json()["id"], two.json()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_a_device_that_everyone_could_send_is_refused() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    for shared in [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "\"00000000-0000-0000-0000-000000000000\"",
        "11111111-1111-1111-1111-111111111111",
    ] {
        let answer = app.post(&path, app.donation(json!({}))).header("idempotency-key", shared).send().await;
        answer.expect_problem(400, "chave-de-idempotencia-obrigatoria");
        let answer = app.post(&path, app.donation(json!({}))).new_key().header("dispositivo", shared).send().await;
        assert_eq!(answer.status, 400, "{shared}");
    }
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_from_before_the_log_in_is_never_taken_over() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let victim = app.person().await;
    let planted = format!("sessao={}", "a".repeat(64));
    let log_in = app.post("sessoes", json!({"email": victim.email, "senha": "uma frase longa"})).header("cookie", &planted).send().await;
    log_in.expect(201);
    let set = log_in.header("set-cookie").to_owned();
    let cookie = set.split(';').next().unwrap();
    assert_ne!(cookie, planted);
    assert_eq!(set, format!("{cookie}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"));
    app.get("eu").header("cookie", cookie).send().await.expect(200);
    assert_worthless(&app, &org, &planted).await;
    // Nor is the session of somebody else who was logged in.
    let attacker = app.person().await;
    let log_in = app.post("sessoes", json!({"email": victim.email, "senha": "uma frase longa"})).by(&attacker).send().await;
    assert_eq!(log_in.expect(201)["pessoa_id"], victim.id.as_str());
    assert!(!log_in.header("set-cookie").starts_with(&attacker.cookie));
    assert_eq!(app.get("eu").by(&attacker).send().await.expect(200)["id"], attacker.id.as_str());
    // And a password entered again changes the cookie.
    let again = app.post("eu/reautenticacao", json!({"senha": "uma frase longa"})).header("cookie", cookie).send().await;
    again.expect(200);
    app.get("eu").header("cookie", again.header("set-cookie").split(';').next().unwrap()).send().await.expect(200);
    assert_worthless(&app, &org, cookie).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_cookies_are_bound_to_the_host_and_https() {
    let app = TestApp::with(Options { profile: Profile::Production, ..Options::default() }).await;
    let person = app.person().await;
    let log_in = app.post("sessoes", json!({"email": person.email, "senha": "uma frase longa"})).send().await;
    log_in.expect(201);
    let cookie = log_in.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-sessao="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let token = cookie.split(';').next().unwrap().replace("__Host-", "");
    app.get("eu").header("cookie", &token).send().await.expect_problem(401, "nao-autenticada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_role_counts_from_the_next_request_on() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let campaign = app.campaign_of(&org).await;
    let person = app.member(&org, "editora").await;
    let member = format!("organizadoras/{}/membros/{}", org.slug, person.id);
    let step = |name: &str| app.post(&format!("campanhas/{}/{name}", campaign.slug), json!({})).by(&person);
    step("pausa").send().await.expect(200);
    app.patch(&member, json!({"papel": "leitura"})).by(&org.owner).send().await.expect(200);
    step("retomada").send().await.expect_problem(403, "papel-insuficiente");
    assert_eq!(app.request("DELETE", &member).json(&json!({})).by(&org.owner).send().await.status, 204);
    step("retomada").send().await.expect_problem(404, "nao-encontrado");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_money_takes_a_password_entered_within_ten_minutes() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    let confirm = |donation: &Value, cookie: &str| {
        let body = json!({"valor_recebido_centavos": 5000, "recebido_em": donation["criada_em"]});
        app.post(&format!("doacoes/{}/confirmacoes", donation["id"].as_str().unwrap()), body).new_key().header("cookie", cookie)
    };
    let donation = app.donate(&campaign, json!({})).await.json();
    app.clock.advance(Duration::minutes(10));
    confirm(&donation, &owner.cookie).send().await.expect(201);
    let donation = app.donate(&campaign, json!({})).await.json();
    app.clock.advance(Duration::seconds(1));
    confirm(&donation, &owner.cookie).send().await.expect_problem(403, "reautenticacao-necessaria");
    let again = |senha: &str| app.post("eu/reautenticacao", json!({"senha": senha})).by(owner);
    again("uma frase errada").send().await.expect_problem(401, "credenciais-invalidas");
    let renewed = again("uma frase longa").send().await;
    renewed.expect(200);
    confirm(&donation, renewed.header("set-cookie").split(';').next().unwrap()).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn refunding_takes_a_password_entered_within_ten_minutes_from_members_and_administrators() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let admin = app.person().await;
    sqlx::query("UPDATE pessoas SET papel = 'admin' WHERE id::text = $1").bind(&admin.id).execute(&app.owner).await.unwrap();
    let people = [campaign.org.owner.clone(), app.member(&campaign.org, "financeiro").await, admin];
    let donation = app.confirmed(&campaign, json!({})).await.json();
    let path = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    let refund = async |cookie: &str| app.post(&path, json!({"valor_centavos": 100})).new_key().header("cookie", cookie).send().await;
    app.clock.advance(Duration::minutes(10));
    for person in &people {
        refund(&person.cookie).await.expect(201);
    }
    app.clock.advance(Duration::seconds(1));
    for person in &people {
        refund(&person.cookie).await.expect_problem(403, "reautenticacao-necessaria");
        let renewed = app.post("eu/reautenticacao", json!({"senha": "uma frase longa"})).by(person).send_patiently().await;
        renewed.expect(200);
        refund(renewed.header("set-cookie").split(';').next().unwrap()).await.expect(201);
    }
    // A stale session says nothing about whether there is such a donation to somebody else.
    let stranger = app.person().await;
    app.clock.advance(Duration::minutes(11));
    refund(&stranger.cookie).await.expect_problem(404, "nao-encontrado");
    assert_eq!(app.count("SELECT count(*) FROM devolucoes").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_claim_the_guests_token_is_worth_nothing() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let person = app.person().await;
    let given = app.donate(&campaign, json!({})).await;
    let (donation, token) = (given.json(), given.header("doacao-token").to_owned());
    let (id, pid) = (donation["id"].as_str().unwrap(), donation["pagamento"]["id"].as_str().unwrap());
    let path = format!("doacoes/{id}");
    app.get(&path).header("doacao-token", &token).send().await.expect(200);
    let claim = |who: &Person| app.post("eu/doacoes/reivindicacoes", json!({"doacao_id": id, "token": token})).by(who);
    claim(&person).send().await.expect(200);
    claim(&person).send().await.expect(200);
    claim(&app.person().await).send().await.expect_problem(404, "nao-encontrado");
    let requests = [
        app.get(&path),
        app.get(&format!("{path}/pagamentos/{pid}/qr.svg")),
        app.patch(&path, json!({"visibilidade": "anonima"})).if_match(&json!(2)),
        app.post(&format!("{path}/cancelamento"), json!({})),
        app.post(&format!("{path}/pagamentos"), json!({})).new_key(),
    ];
    for request in requests {
        request.header("doacao-token", &token).send().await.expect_problem(404, "nao-encontrado");
    }
    // Whose session has ended is asked to log in: the donation may be theirs. Without its token nothing tells that it exists.
    let out = app.person_again(&person).await;
    app.request("DELETE", "sessoes/atual").by(&out).header("sec-fetch-site", "same-origin").send().await;
    app.get(&path).by(&out).header("doacao-token", &token).send().await.expect_problem(401, "nao-autenticada");
    app.get(&path).by(&out).header("doacao-token", "errado").send().await.expect_problem(404, "nao-encontrado");
    // A blank token is none.
    app.get(&path).by(&out).header("doacao-token", " ").send().await.expect_problem(401, "nao-autenticada");
    assert_eq!(app.get(&path).by(&person).send().await.expect(200)["situacao"], "aguardando_pagamento");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proven_address_claims_a_donation() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let person = app.person().await;
    sqlx::query("UPDATE pessoas SET email_verificado_em = NULL WHERE id::text = $1").bind(&person.id).execute(&app.owner).await.unwrap();
    let donation = app.donate(&campaign, json!({"email": person.email})).await.json();
    let claim = || app.post("eu/doacoes/reivindicacoes", json!({"doacao_id": donation["id"]})).by(&person);
    claim().send().await.expect_problem(404, "nao-encontrado");
    sqlx::query("UPDATE pessoas SET email_verificado_em = now() WHERE id::text = $1").bind(&person.id).execute(&app.owner).await.unwrap();
    claim().send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_lists_hold_only_what_is_ones_own() {
    let app = TestApp::start().await;
    let (mine, theirs) = (app.campaign().await, app.campaign().await);
    let me = &mine.org.owner;
    let path = format!("campanhas/{}/doacoes", theirs.slug);
    let given = app.post(&path, app.donation(json!({}))).new_key().by(me).send().await.expect(201);
    app.post(&path, app.donation(json!({}))).new_key().by(&theirs.org.owner).send().await.expect(201);
    app.donate(&theirs, json!({"email": me.email})).await;
    let ids = async |path: &str, field: &str| {
        let list = app.get(path).by(me).send().await.expect(200);
        list["itens"].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("eu/doacoes", "id").await, [given["id"].as_str().unwrap()]);
    assert_eq!(ids("eu/organizadoras", "slug").await, [mine.org.slug.as_str()]);
    assert_eq!(ids("eu/sessoes", "id").await.len(), 1);
    assert_eq!(ids(&format!("organizadoras/{}/campanhas", mine.org.slug), "slug").await, [mine.slug.as_str()]);
    assert_eq!(ids(&format!("organizadoras/{}/membros", mine.org.slug), "pessoa_id").await, [me.id.as_str()]);
    assert!(ids(&format!("organizadoras/{}/pagamentos-pendentes", mine.org.slug), "pagamento_id").await.is_empty());
    // A member is looked for in the organizadora of the path only.
    let path = format!("organizadoras/{}/membros/{}", mine.org.slug, theirs.org.owner.id);
    app.patch(&path, json!({"papel": "leitura"})).by(me).send().await.expect_problem(404, "nao-encontrado");
}
