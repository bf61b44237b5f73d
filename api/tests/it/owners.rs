//! Owners of organisations come and go: everyone who has a say hears of it, and a new one cannot take over in silence.

use doacoes_api::background::Task;
use doacoes_api::config::Profile;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, Options, Org, Person, TestApp, cnpj};

const KEY: &str = "A chave PIX da organizadora mudou";
const ADDED: &str = "A organizadora tem uma nova dona";
const REMOVED: &str = "A organizadora perdeu uma dona";

async fn production() -> TestApp {
    TestApp::with(Options { profile: Profile::Production, frozen: true, ..Options::default() }).await
}

/// The subjects of the letters to a person.
async fn letters(app: &TestApp, person: &Person) -> Vec<String> {
    app.mail_to(&person.email).await.into_iter().map(|letter| letter.subject).collect()
}

/// The person in a new session, whose password was just entered.
async fn fresh(app: &TestApp, person: &Person) -> Person {
    app.person_again(person).await
}

async fn change_key(app: &TestApp, org: &Org, by: &Person) -> Answer {
    let number = cnpj();
    let body = json!({"senha": "uma frase longa",
        "chave_pix": {"tipo": "cnpj", "chave": number, "nome_recebedor": "Outra Casa", "cidade": "Recife"}});
    app.request("PUT", &format!("organizadoras/{}/chave-pix", org.slug)).json(&body).by(by).send().await
}

async fn remove(app: &TestApp, org: &Org, by: &Person, whom: &Person) -> Answer {
    app.request("DELETE", &format!("organizadoras/{}/membros/{}", org.slug, whom.id))
        .by(by)
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
}

async fn set_role(app: &TestApp, org: &Org, by: &Person, whom: &Person, role: &str) -> Answer {
    app.request("PATCH", &format!("organizadoras/{}/membros/{}", org.slug, whom.id)).json(&json!({"papel": role})).by(by).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_can_neither_remove_an_older_one_nor_change_the_key_for_a_day() {
    // By whichever way she became one.
    for promoted in [false, true] {
        let app = production().await;
        let org = app.org().await;
        app.clock.advance(Duration::HOUR);
        let owner = fresh(&app, &org.owner).await;
        let org = Org { owner: owner.clone(), ..org };
        let intruder = app.member(&org, if promoted { "editora" } else { "dona" }).await;
        if promoted {
            set_role(&app, &org, &owner, &intruder, "dona").await.expect(200);
        }
        assert_eq!(letters(&app, &owner).await, [ADDED]);

        let refused = |answer: Answer| {
            assert!(answer.text.contains("2026-11-25T11:30:15Z"), "{}", answer.text);
            answer.expect_problem(409, "dona-recente");
        };
        refused(remove(&app, &org, &intruder, &owner).await);
        refused(set_role(&app, &org, &intruder, &owner, "leitura").await);
        refused(change_key(&app, &org, &intruder).await);
        app.clock.advance(Duration::hours(24) - Duration::seconds(1));
        let intruder = fresh(&app, &intruder).await;
        refused(change_key(&app, &org, &intruder).await);
        assert_eq!(letters(&app, &owner).await, [ADDED]);

        // The older one may take it back at once, by role or by removal.
        let owner = fresh(&app, &owner).await;
        if promoted {
            set_role(&app, &org, &owner, &intruder, "leitura").await.expect(200);
        } else {
            assert_eq!(remove(&app, &org, &owner, &intruder).await.status, 204);
        }
        assert_eq!(letters(&app, &owner).await, [ADDED, REMOVED]);
        change_key(&app, &org, &owner).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cool_down_a_new_owner_is_one_like_the_others_and_who_leaves_still_hears() {
    let app = production().await;
    let org = app.org().await;
    let owner = org.owner.clone();
    let second = app.member(&org, "dona").await;
    app.clock.advance(Duration::hours(24));
    let second = fresh(&app, &second).await;
    assert_eq!(remove(&app, &org, &second, &owner).await.status, 204);
    assert_eq!(letters(&app, &owner).await, [ADDED, REMOVED]);
    change_key(&app, &org, &second).await.expect(200);
    assert_eq!(letters(&app, &owner).await, [ADDED, REMOVED, KEY]);
    // A third owner of the remaining one: told to who left, too.
    let third = app.member(&Org { owner: second.clone(), ..org.clone() }, "dona").await;
    assert_eq!(letters(&app, &owner).await, [ADDED, REMOVED, KEY, ADDED]);
    // Other roles are nobody's business but the organisation's.
    app.member(&Org { owner: second.clone(), ..org.clone() }, "editora").await;
    assert_eq!(letters(&app, &owner).await.len(), 4);

    // A month later she is forgotten.
    app.clock.advance(Duration::days(60));
    let second = fresh(&app, &second).await;
    change_key(&app, &org, &second).await.expect(200);
    assert_eq!(letters(&app, &owner).await.len(), 4);
    assert_eq!(letters(&app, &third).await.last().unwrap(), KEY);
    assert_eq!(app.count("SELECT count(*) FROM donas_anteriores").await, 1);
    app.turn(Task::Purge).await;
    assert_eq!(app.count("SELECT count(*) FROM donas_anteriores").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_predecessor_left_waits_too_and_the_first_owner_never() {
    let app = production().await;
    let org = app.org().await;
    // The first owner may change the key at once.
    change_key(&app, &org, &org.owner).await.expect(200);
    let second = app.member(&org, "dona").await;
    // With the first owner's session: she leaves, and the intruder is alone.
    assert_eq!(remove(&app, &org, &org.owner, &org.owner).await.status, 204);
    change_key(&app, &org, &second).await.expect_problem(409, "dona-recente");
    assert_eq!(letters(&app, &org.owner).await, [KEY, ADDED, REMOVED]);
    app.clock.advance(Duration::hours(24));
    let second = fresh(&app, &second).await;
    change_key(&app, &org, &second).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_a_key_does_not_wait_but_a_new_owner_does() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let second = app.member(&org, "dona").await;
    remove(&app, &org, &second, &org.owner).await.expect_problem(409, "dona-recente");
    change_key(&app, &org, &second).await.expect_problem(409, "dona-recente");
    change_key(&app, &org, &org.owner).await.expect(200);
    assert_eq!(letters(&app, &org.owner).await, [ADDED, KEY]);
    // The name of who became an owner is in the letter.
    let name: Value = app.get("eu").by(&second).send().await.expect(200)["nome"].clone();
    assert!(app.mail_to(&org.owner.email).await[0].body.contains(name.as_str().unwrap()));
}
