//! People, organisations, campaigns and donations to start from.

use std::sync::atomic::{AtomicU32, Ordering};

use doacoes_api::config::keys::{random_hex, sha256};
use doacoes_api::domain::cnpj::Cnpj;
use serde_json::{Value, json};

use super::{Answer, TestApp};

/// A person who is logged in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    /// The `Cookie` header.
    pub cookie: String,
}

/// An organisation with its owner.
#[derive(Clone, Debug)]
pub struct Org {
    pub slug: String,
    pub owner: Person,
}

/// A published campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub slug: String,
    pub org: Org,
}

static SERIAL: AtomicU32 = AtomicU32::new(1);

fn serial() -> u32 {
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// A CNPJ that no other test uses, with right check digits.
pub fn cnpj() -> String {
    Cnpj::with_check_digits(&format!("{:08}0001", serial())).unwrap().as_str().to_owned()
}

/// An end-to-end id that no other test uses.
pub fn e2eid() -> String {
    format!("E12345678202611241030abc{:08}", serial())
}

impl TestApp {
    /// A person with a session, made behind the API: hashing a password takes longer than most tests.
    pub async fn person(&self) -> Person {
        let number = serial();
        let email = format!("pessoa{number}@exemplo.org.br");
        let id = self.state.clock.new_id();
        let token = random_hex();
        let now = self.state.clock.now();
        sqlx::query(
            "WITH nova AS (
                 INSERT INTO pessoas (id, nome, email, email_verificado_em, senha_hash, aviso_privacidade, consentimento_em, criada_em, atualizada_em)
                 VALUES ($1, $2, $3, $4, $5, '2026-11', $4, $4, $4) RETURNING id)
             INSERT INTO sessoes (id, hash, pessoa_id, versao_auth, criada_em, visto_em, reautenticada_em, expira_em)
             SELECT gen_random_uuid(), $6, id, 1, $4, $4, $4, $4 + interval '30 days' FROM nova",
        )
        .bind(id)
        .bind(format!("Pessoa {number}"))
        .bind(&email)
        .bind(now)
        .bind(SENHA_HASH)
        .bind(sha256(token.as_bytes()).as_slice())
        .execute(&self.owner)
        .await
        .unwrap();
        let name = if self.state.public_url.is_secure() { "__Host-sessao" } else { "sessao" };
        Person { id: id.to_string(), email, cookie: format!("{name}={token}") }
    }

    /// The person in a further session, with the password just entered.
    pub async fn person_again(&self, person: &Person) -> Person {
        let token = random_hex();
        sqlx::query(
            "INSERT INTO sessoes (id, hash, pessoa_id, versao_auth, criada_em, visto_em, reautenticada_em, expira_em)
             SELECT gen_random_uuid(), $2, id, versao_auth, $3, $3, $3, $3 + interval '30 days' FROM pessoas WHERE id::text = $1",
        )
        .bind(&person.id)
        .bind(sha256(token.as_bytes()).as_slice())
        .bind(self.state.clock.now())
        .execute(&self.owner)
        .await
        .unwrap();
        let (name, _) = person.cookie.split_once('=').unwrap();
        Person { cookie: format!("{name}={token}"), ..person.clone() }
    }

    /// An organisation of a new person's, with a PIX key.
    pub async fn org(&self) -> Org {
        let owner = self.person().await;
        let number = cnpj();
        let body = json!({"nome": format!("Casa {number}"), "cnpj": number,
            "chave_pix": {"tipo": "cnpj", "chave": number, "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}});
        let made = self.post("organizadoras", body).by(&owner).send().await.expect(201);
        Org { slug: made["slug"].as_str().unwrap().to_owned(), owner }
    }

    /// A further member of an organisation.
    pub async fn member(&self, org: &Org, papel: &str) -> Person {
        let person = self.person().await;
        let path = format!("organizadoras/{}/membros", org.slug);
        self.post(&path, json!({"pessoa_id": person.id, "papel": papel})).by(&org.owner).send().await.expect(201);
        person
    }

    /// A draft of `org` with some fields changed.
    pub async fn draft(&self, org: &Org, changes: Value) -> Value {
        let mut body = json!({"organizadora": org.slug, "titulo": format!("Campanha {}", serial()), "descricao": "Cestas para cem famílias.",
            "categoria": "social"});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.post("campanhas", body).by(&org.owner).send().await.expect(201)
    }

    /// A published campaign of a new organisation.
    pub async fn campaign(&self) -> Campaign {
        let org = self.org().await;
        self.campaign_of(&org).await
    }

    /// A published campaign of `org`.
    pub async fn campaign_of(&self, org: &Org) -> Campaign {
        let draft = self.draft(org, json!({})).await;
        let slug = draft["slug"].as_str().unwrap().to_owned();
        self.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
        Campaign { slug, org: org.clone() }
    }

    /// A donation's body with some fields changed.
    pub fn donation(&self, changes: Value) -> Value {
        let mut body = json!({"valor_centavos": 5000, "nome_exibicao": "Bia", "aviso_privacidade": "2026-11", "consentimento": true});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    }

    /// A guest's donation with some fields changed.
    pub async fn donate(&self, campaign: &Campaign, changes: Value) -> Answer {
        let answer = self.post(&format!("campanhas/{}/doacoes", campaign.slug), self.donation(changes)).new_key().send().await;
        answer.expect(201);
        answer
    }

    /// Pays a donation's charge at the simulated bank.
    pub async fn pay(&self, donation: &Value) -> Value {
        let txid = donation["pagamento"]["txid"].as_str().unwrap();
        let body = json!({"valor_centavos": donation["valor_centavos"], "e2eid": e2eid()});
        self.post(&format!("simulado/pagamentos/{txid}"), body).send().await.expect(200)
    }

    /// A confirmed donation of a guest.
    pub async fn confirmed(&self, campaign: &Campaign, changes: Value) -> Answer {
        let answer = self.donate(campaign, changes).await;
        self.pay(&answer.json()).await;
        answer
    }

    /// The totals after every delta was rolled up.
    pub async fn totals(&self, campaign: &Campaign) -> Value {
        self.roll_up().await;
        self.get(&format!("campanhas/{}/totais", campaign.slug)).send().await.expect(200)
    }
}

/// argon2id of `uma frase longa`.
pub const SENHA_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$Cwu1SclBqKJIaGE6qSQm5A$Y395k+HQuvqUl15OrsVIBjcih3YnjEde5eCLOD1SIzI";
