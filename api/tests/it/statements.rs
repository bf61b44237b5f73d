//! SQL statements counted per cold request. A page of many takes as many as a page of one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use doacoes_api::domain::email::Email;
use doacoes_api::service::resets;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tracing::{Event, Metadata, Subscriber, span};

use crate::harness::{Answer, Campaign, Person, Request, TestApp, cnpj, e2eid};

const SENHA: &str = "uma frase longa";

thread_local! {
    /// Statements that this thread has sent. A current-thread test and its application have a thread of their own.
    static SENT: Cell<usize> = const { Cell::new(0) };
}

/// Counts sqlx's log of statements; `BEGIN` and `COMMIT` are not in it.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn event(&self, _: &Event<'_>) {
        SENT.set(SENT.get() + 1);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Begins to count. Global, since tracing remembers of each place whether anybody listens there, and asks whichever test
/// comes by it first.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Counter).unwrap());
    SENT.set(0);
}

#[tokio::test]
async fn each_request_keeps_to_its_budget() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let owner = campaign.org.owner.clone();
    let donor = app.person().await;
    let (slug, org) = (campaign.slug.as_str(), campaign.org.slug.as_str());
    for _ in 0..30 {
        app.confirmed(&campaign, json!({})).await;
        let body = app.donation(json!({}));
        app.post(&format!("campanhas/{slug}/doacoes"), body).by(&donor).new_key().send().await.expect(201);
        app.campaign_of(&campaign.org).await;
        app.member(&campaign.org, "leitura").await;
    }
    app.roll_up().await;
    listen();
    let mut spent = BTreeMap::new();
    let mut spend = |what: &'static str, answer: Answer| {
        assert!(answer.status.is_success(), "{what}: {}", answer.text);
        spent.insert(what, SENT.replace(0));
    };
    // Lists first, each with a page of 1 and a page of 100: the same count, or there is an N+1.
    macro_rules! list {
        ($what:literal, $path:expr, $by:expr) => {{
            let path = $path;
            let joint = if path.contains('?') { '&' } else { '?' };
            let small = app.get(&format!("{path}{joint}limite=1"));
            let large = app.get(&format!("{path}{joint}limite=100"));
            let (small, large) = match $by {
                Some(person) => (small.by(person), large.by(person)),
                None => (small, large),
            };
            spend(concat!($what, " of 1"), small.send().await);
            spend(concat!($what, " of 100"), large.send().await);
        }};
    }
    list!("campaigns", "campanhas".to_owned(), None);
    list!("campaigns searched", "campanhas?q=campanha&ordem=arrecadado".to_owned(), None);
    list!("feed", format!("campanhas/{slug}/doacoes"), None);
    list!("organizadoras", "organizadoras".to_owned(), None);
    list!("own campaigns", format!("organizadoras/{org}/campanhas"), Some(&owner));
    list!("pending", format!("organizadoras/{org}/pagamentos-pendentes"), Some(&owner));
    list!("members", format!("organizadoras/{org}/membros"), Some(&owner));
    list!("own donations", "eu/doacoes".to_owned(), Some(&donor));
    list!("own sessions", "eu/sessoes".to_owned(), Some(&donor));
    list!("own organizadoras", "eu/organizadoras".to_owned(), Some(&owner));
    spend("campaign", app.get(&format!("campanhas/{slug}")).send().await);
    spend("totals", app.get(&format!("campanhas/{slug}/totais")).send().await);
    let donation = app.post(&format!("campanhas/{slug}/doacoes"), app.donation(json!({}))).new_key().send().await;
    let (id, token) = (donation.json()["id"].as_str().unwrap().to_owned(), donation.header("doacao-token").to_owned());
    let txid = donation.json()["pagamento"]["txid"].as_str().unwrap().to_owned();
    spend("donate", donation);
    spend("donation", app.get(&format!("doacoes/{id}")).header("doacao-token", &token).send().await);
    let paid = json!({"valor_centavos": 5000, "e2eid": crate::harness::e2eid()});
    spend("confirm", app.post(&format!("simulado/pagamentos/{txid}"), paid).send().await);
    spend("refund", app.post(&format!("doacoes/{id}/devolucoes"), json!({})).by(&owner).new_key().send().await);

    for (what, statements) in &spent {
        if let Some(list) = what.strip_suffix(" of 100") {
            assert_eq!(*statements, spent[format!("{list} of 1").as_str()], "{what}");
            assert!((1..=3).contains(statements), "{what} takes {statements} statements");
        }
    }
    let one = ["campaign", "totals", "donate", "donation", "confirm", "refund"].map(|what| (what, spent[what]));
    // The roll-up has told everyone the totals.
    assert_eq!(one, [("campaign", 1), ("totals", 0), ("donate", 7), ("donation", 2), ("confirm", 11), ("refund", 14)]);
}

/// What each operation of the document costs when it does all that it can do.
const BUDGETS: &str = "
acompanharTotais               1
adicionarMembro                8
alterarCampanha                7
alterarConta                   5
alterarDoacao                  8
alterarMembro                 13
alterarOrganizadora            7
cancelarDoacao                 8
confirmarPagamento             17
criarCampanha                  8
criarOrganizadora              10
criarPessoa                    4
devolver                       15
doar                           9
encerrarCampanha               8
encerrarSessao                 5
entrar                         4
lerCampanha                    3
lerChavePix                    2
lerConta                       2
lerDoacao                      3
lerOrganizadora                1
lerQrCode                      3
lerTotais                      1
listarCampanhas                1
listarCampanhasDaOrganizadora  2
listarDoacoesDaCampanha        2
listarMembros                  2
listarMinhasDoacoes            3
listarMinhasOrganizadoras      2
listarOrganizadoras            1
listarPagamentosPendentes      2
listarSessoes                  2
novaCobranca                   12
pagarSimulado                  12
pausarCampanha                 8
pedirSenha                     4
publicarCampanha               9
reautenticar                   6
redefinirSenha                 11
reivindicarDoacao              6
removerMembro                 12
retomarCampanha                9
sair                           5
trocarChavePix                 11
verificarEmail                 5
";

/// An organizadora with all that requests can be about.
struct World<'a> {
    app: &'a TestApp,
    campaign: Campaign,
    donor: Person,
}

impl World<'_> {
    fn owner(&self) -> &Person {
        &self.campaign.org.owner
    }

    /// A donation of the donor's, as JSON.
    async fn donation(&self) -> Value {
        let path = format!("campanhas/{}/doacoes", self.campaign.slug);
        self.app.post(&path, self.app.donation(json!({}))).by(&self.donor).new_key().send().await.expect(201)
    }

    /// A campaign that has gone through `steps`.
    async fn campaign(&self, steps: &[&str]) -> String {
        let draft = self.app.draft(&self.campaign.org, json!({})).await;
        let slug = draft["slug"].as_str().unwrap();
        for step in steps {
            self.app.post(&format!("campanhas/{slug}/{step}"), json!({})).by(self.owner()).send().await.expect(200);
        }
        slug.to_owned()
    }

    /// A request that does all that the operation can do.
    async fn request(&self, id: &str) -> Request<'_> {
        match id {
            "criarPessoa" | "entrar" | "sair" | "pedirSenha" | "redefinirSenha" | "verificarEmail" => self.about_accounts(id).await,
            "lerConta"
            | "alterarConta"
            | "listarSessoes"
            | "encerrarSessao"
            | "reautenticar"
            | "listarMinhasOrganizadoras"
            | "listarMinhasDoacoes"
            | "reivindicarDoacao" => self.about_oneself(id).await,
            "listarOrganizadoras"
            | "criarOrganizadora"
            | "lerOrganizadora"
            | "alterarOrganizadora"
            | "lerChavePix"
            | "trocarChavePix"
            | "listarCampanhasDaOrganizadora"
            | "listarPagamentosPendentes"
            | "listarMembros"
            | "adicionarMembro"
            | "alterarMembro"
            | "removerMembro" => self.about_organizadoras(id).await,
            "listarCampanhas"
            | "criarCampanha"
            | "lerCampanha"
            | "alterarCampanha"
            | "publicarCampanha"
            | "pausarCampanha"
            | "retomarCampanha"
            | "encerrarCampanha"
            | "lerTotais"
            | "acompanharTotais"
            | "listarDoacoesDaCampanha"
            | "doar" => self.about_campaigns(id).await,
            _ => self.about_donations(id).await,
        }
    }

    async fn about_accounts(&self, id: &str) -> Request<'_> {
        let (app, donor) = (self.app, &self.donor);
        let body =
            json!({"nome": "Ana", "email": "ana@exemplo.org.br", "senha": SENHA, "aviso_privacidade": "2026-11", "consentimento": true});
        match id {
            "criarPessoa" => app.post("pessoas", body),
            "verificarEmail" => {
                app.post("pessoas", body).send().await.expect(202);
                app.post("emails/verificacoes", json!({"codigo": app.code_for("ana@exemplo.org.br").await, "senha": SENHA}))
            }
            "entrar" => app.post("sessoes", json!({"email": donor.email, "senha": SENHA})),
            "sair" => app.request("DELETE", "sessoes/atual").by(&app.person_again(donor).await),
            "pedirSenha" => app.post("senhas/pedidos", json!({"email": donor.email})),
            _ => {
                let person = app.person().await;
                resets::send(&app.state, &Email::parse(&person.email).unwrap()).await.unwrap();
                app.post("senhas/redefinicoes", json!({"codigo": app.code_for(&person.email).await, "senha": "outra frase longa"}))
            }
        }
    }

    async fn about_oneself(&self, id: &str) -> Request<'_> {
        let (app, donor) = (self.app, &self.donor);
        match id {
            "lerConta" => app.get("eu").by(donor),
            "alterarConta" => app.patch("eu", json!({"nome": "Ana"})).by(&app.person().await).if_match(&json!(1)),
            "listarSessoes" => app.get("eu/sessoes").by(donor),
            "listarMinhasOrganizadoras" => app.get("eu/organizadoras").by(self.owner()),
            "listarMinhasDoacoes" => app.get("eu/doacoes").by(donor),
            "reautenticar" => app.post("eu/reautenticacao", json!({"senha": SENHA})).by(&app.person_again(donor).await),
            "encerrarSessao" => {
                let other = app.person_again(donor).await;
                let sessions = app.get("eu/sessoes").by(&other).send().await.expect(200);
                let current = sessions["itens"].as_array().unwrap().iter().find(|session| session["atual"] == true).unwrap();
                app.request("DELETE", &format!("eu/sessoes/{}", current["id"].as_str().unwrap())).by(donor)
            }
            _ => {
                let given = app.donate(&self.campaign, json!({})).await;
                app.post("eu/doacoes/reivindicacoes", json!({"doacao_id": given.json()["id"], "token": given.header("doacao-token")}))
                    .by(donor)
            }
        }
    }

    async fn about_organizadoras(&self, id: &str) -> Request<'_> {
        let (app, owner) = (self.app, self.owner());
        let at = |end: &str| format!("organizadoras/{}{end}", self.campaign.org.slug);
        let number = cnpj();
        let key = json!({"tipo": "cnpj", "chave": number, "nome_recebedor": "Casa", "cidade": "Natal"});
        match id {
            "listarOrganizadoras" => app.get("organizadoras"),
            "criarOrganizadora" => app.post("organizadoras", json!({"nome": "Casa", "cnpj": number, "chave_pix": key})).by(owner),
            "lerOrganizadora" => app.get(&at("")),
            "alterarOrganizadora" => app.patch(&at(""), json!({"nome": "Casa Nova"})).by(owner).if_match(&json!(1)),
            "lerChavePix" => app.get(&at("/chave-pix")).by(owner),
            "trocarChavePix" => app.request("PUT", &at("/chave-pix")).json(&json!({"chave_pix": key, "senha": SENHA})).by(owner),
            "listarCampanhasDaOrganizadora" => app.get(&at("/campanhas")).by(owner),
            "listarPagamentosPendentes" => app.get(&at("/pagamentos-pendentes")).by(owner),
            "listarMembros" => app.get(&at("/membros")).by(owner),
            "adicionarMembro" => app.post(&at("/membros"), json!({"pessoa_id": app.person().await.id, "papel": "leitura"})).by(owner),
            _ => {
                let member = app.member(&self.campaign.org, "dona").await;
                let path = at(&format!("/membros/{}", member.id));
                if id == "alterarMembro" {
                    app.patch(&path, json!({"papel": "leitura"})).by(owner)
                } else {
                    app.request("DELETE", &path).by(owner)
                }
            }
        }
    }

    async fn about_campaigns(&self, id: &str) -> Request<'_> {
        let (app, owner) = (self.app, self.owner());
        let here = |end: &str| format!("campanhas/{}{end}", self.campaign.slug);
        match id {
            "listarCampanhas" => app.get("campanhas?q=campanha&categoria=social&ordem=arrecadado"),
            "criarCampanha" => {
                // A title that is taken costs a second try.
                let body =
                    json!({"organizadora": self.campaign.org.slug, "titulo": "Natal", "descricao": "Cestas.", "categoria": "social"});
                app.post("campanhas", body.clone()).by(owner).send().await.expect(201);
                app.post("campanhas", body).by(owner)
            }
            "lerCampanha" => app.get(&format!("campanhas/{}", self.campaign(&[]).await)).by(owner),
            "alterarCampanha" => {
                app.patch(&format!("campanhas/{}", self.campaign(&[]).await), json!({"titulo": "Outro"})).by(owner).if_match(&json!(1))
            }
            "publicarCampanha" => app.post(&format!("campanhas/{}/publicacao", self.campaign(&[]).await), json!({})).by(owner),
            "pausarCampanha" => app.post(&format!("campanhas/{}/pausa", self.campaign(&["publicacao"]).await), json!({})).by(owner),
            "retomarCampanha" => {
                app.post(&format!("campanhas/{}/retomada", self.campaign(&["publicacao", "pausa"]).await), json!({})).by(owner)
            }
            "encerrarCampanha" => {
                app.post(&format!("campanhas/{}/encerramento", self.campaign(&["publicacao"]).await), json!({})).by(owner)
            }
            "lerTotais" => app.get(&here("/totais")),
            "acompanharTotais" => app.get(&format!("campanhas/{}/eventos", self.campaign(&["publicacao"]).await)),
            "listarDoacoesDaCampanha" => app.get(&here("/doacoes")),
            _ => app.post(&here("/doacoes"), app.donation(json!({}))).by(&self.donor).new_key(),
        }
    }

    async fn about_donations(&self, id: &str) -> Request<'_> {
        let (app, owner, donor) = (self.app, self.owner(), &self.donor);
        let donation = self.donation().await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (pid, txid) = (text(&donation["pagamento"]["id"]), text(&donation["pagamento"]["txid"]));
        let at = |end: &str| format!("doacoes/{}{end}", text(&donation["id"]));
        let now = app.state.clock.now().format(&Rfc3339).unwrap();
        match id {
            "lerDoacao" => app.get(&at("")).by(donor),
            "alterarDoacao" => app.patch(&at(""), json!({"visibilidade": "anonima"})).by(donor).if_match(&json!(1)),
            "cancelarDoacao" => app.post(&at("/cancelamento"), json!({})).by(donor),
            "novaCobranca" => app.post(&at("/pagamentos"), json!({})).by(donor).new_key(),
            "lerQrCode" => app.get(&at(&format!("/pagamentos/{pid}/qr.svg"))).by(donor),
            "confirmarPagamento" => {
                app.post(&at("/confirmacoes"), json!({"valor_recebido_centavos": 5000, "recebido_em": now})).by(owner).new_key()
            }
            "devolver" => {
                app.pay(&donation).await;
                app.post(&at("/devolucoes"), json!({})).by(owner).new_key()
            }
            "pagarSimulado" => app.post(&format!("simulado/pagamentos/{txid}"), json!({"valor_centavos": 5000, "e2eid": e2eid()})),
            _ => panic!("{id} is new: how is it asked for, and what does it cost?"),
        }
    }
}

#[tokio::test]
async fn every_operation_takes_as_many_statements_as_its_budget_says() {
    let app = TestApp::start().await;
    let world = World { campaign: app.campaign().await, donor: app.person().await, app: &app };
    let mut spent = BTreeMap::new();
    for operation in app.operations().await {
        let id = operation.spec["operationId"].as_str().unwrap().to_owned();
        let request = world.request(&id).await.header("sec-fetch-site", "same-origin");
        listen();
        let answer = request.send().await;
        assert!(answer.status.is_success(), "{id}: {} {}", answer.status, answer.text);
        // What goes on behind an answer counts as well.
        let mut statements = usize::MAX;
        while statements != SENT.get() {
            statements = SENT.get();
            tokio::time::sleep(Duration::from_millis(if id == "pedirSenha" { 100 } else { 0 })).await;
        }
        if operation.method == "GET" {
            assert!((1..=3).contains(&statements), "{id} reads with {statements} statements");
        }
        spent.insert(id, statements);
    }
    let budgets: BTreeMap<String, usize> = BUDGETS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, statements)| (id.to_owned(), statements.trim().parse().unwrap()))
        .collect();
    let table: Vec<String> = spent.iter().map(|(id, statements)| format!("{id:30} {statements}")).collect();
    assert!(spent == budgets, "what was spent:\n{}", table.join("\n"));
}

/// Each page, what it costs when nothing is kept of what is on it, and whether it lists campaigns.
const PAGES: [(&str, usize, bool); 7] = [
    ("/", 1, true),
    ("/campanhas?categoria=social", 1, true),
    ("/campanhas?q=sopa", 1, true),
    ("/campanhas/{slug}", 5, false),
    ("/campanhas/{slug}/doacoes", 3, false),
    ("/organizadoras/{org}", 2, true),
    ("/doar/{slug}", 2, false),
];

#[tokio::test]
async fn a_page_takes_as_many_statements_as_its_budget_says_and_none_while_it_is_warm() {
    for (path, budget, is_list) in PAGES {
        let app = TestApp::start().await;
        let campaign = app.campaign().await;
        let path = path.replace("{slug}", &campaign.slug).replace("{org}", &campaign.org.slug);
        listen();
        let answer = app.get(&path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(SENT.replace(0), budget, "{path}, cold");
        // The same and the other language, while the page is kept and when it is made anew of what is kept.
        for wait in [0, 1_100] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            for prefix in ["", "/en"] {
                assert_eq!(app.get(&format!("{prefix}{path}")).send().await.status, 200);
            }
            // A list that is a second old shows the totals of now, and Redis has none of a campaign that does not move. What is searched
            // for, and what one organizadora has, Redis does not keep.
            let expected = usize::from(is_list && wait > 0);
            assert_eq!(SENT.replace(0), expected, "{path}, warm, after {wait} ms");
        }
    }
}

#[tokio::test]
async fn what_a_donor_does_on_pages_takes_as_many_statements_as_through_the_api() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let form = format!("/doar/{}", campaign.slug);
    app.get(&form).send().await;
    let fields =
        [("chave", "018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10"), ("valor", "5000"), ("consentimento", "sim"), ("aviso_privacidade", "2026-11")];
    let mut refused = fields.to_vec();
    refused.retain(|(name, _)| *name != "consentimento");
    listen();
    assert_eq!(app.request("POST", &form).form(&refused).send().await.status, 422);
    assert_eq!(SENT.replace(0), 0, "a refused form asks nothing");
    let made = app.request("POST", &form).form(&fields).send().await;
    assert_eq!((made.status.as_u16(), SENT.replace(0)), (303, 7), "as much as `doar` of a guest");
    let path = made.header("location").strip_suffix("/pix").unwrap();
    let cookie = made.header("set-cookie").split(';').next().unwrap();
    for (below, budget) in [("/pix", 2), ("/pix/situacao", 1), ("/pix/qr.svg", 2)] {
        let answer = app.get(&format!("{path}{below}")).header("cookie", cookie).send().await;
        assert_eq!((answer.status.as_u16(), SENT.replace(0)), (200, budget), "{below}");
    }
    app.request("POST", &format!("{path}/pix/simular")).form(&[]).header("cookie", cookie).send().await;
    app.roll_up().await;
    SENT.set(0);
    let thanks = app.get(path).header("cookie", cookie).send().await;
    assert_eq!((thanks.status.as_u16(), SENT.replace(0)), (200, 1), "thanks");
}
