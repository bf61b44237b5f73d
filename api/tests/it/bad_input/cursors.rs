//! Cursors open only what they were made for.

use serde_json::json;
use time::Duration;

use super::Stage;
use crate::harness::{Person, TestApp};

/// A list with more than one page: its address without and with its query, and who reads it.
struct Listing<'a> {
    path: String,
    query: &'a str,
    reader: Option<&'a Person>,
}

impl Listing<'_> {
    async fn page(&self, app: &TestApp, more: &str) -> crate::harness::Answer {
        let request = app.get(&format!("{}?limite=1{}{more}", self.path, self.query));
        let request = if let Some(reader) = self.reader { request.by(reader) } else { request };
        request.send().await
    }

    async fn cursor(&self, app: &TestApp) -> String {
        let page = self.page(app, "").await.expect(200);
        page["proximo_cursor"].as_str().unwrap_or_else(|| panic!("{} has one page: {page}", self.path)).to_owned()
    }

    async fn assert_refused(&self, app: &TestApp, cursor: &str) {
        self.page(app, &format!("&cursor={cursor}")).await.expect_problem(400, "cursor-invalido");
    }
}

/// A stage where every list has a second page for its reader.
async fn stage_with_pages() -> Stage {
    let stage = Stage::new().await;
    let (app, owner) = (&stage.app, &stage.org.owner);
    let second = app.campaign_of(&stage.org).await;
    for campaign in [&stage.campaign, &second] {
        for _ in 0..2 {
            app.confirmed(campaign, json!({})).await;
            let path = format!("campanhas/{}/doacoes", campaign.slug);
            for person in [owner, &stage.member] {
                app.post(&path, app.donation(json!({}))).new_key().by(person).send().await.expect(201);
            }
        }
    }
    let other = app.org().await;
    for org in [&stage.org, &other] {
        app.member(org, "editora").await;
    }
    for person in [owner, &stage.member] {
        app.person_again(person).await;
        for _ in 0..2 {
            let number = crate::harness::cnpj();
            app.post("organizadoras", json!({"nome": number, "cnpj": number})).by(person).send().await.expect(201);
        }
    }
    app.turn(doacoes_api::background::Task::TotalsRollup).await;
    stage
}

fn listings(stage: &Stage) -> Vec<Listing<'_>> {
    let (owner, member) = (Some(&stage.org.owner), Some(&stage.member));
    let org = |end: &str| format!("organizadoras/{}/{end}", stage.org.slug);
    let listing = |path: &str, query, reader| Listing { path: path.to_owned(), query, reader };
    vec![
        listing("campanhas", "", None),
        listing("campanhas", "&categoria=social", None),
        listing("campanhas", "&ordem=arrecadado", None),
        listing("campanhas", "&q=campanha", None),
        listing("organizadoras", "", None),
        listing(&format!("campanhas/{}/doacoes", stage.campaign.slug), "", None),
        listing(&org("campanhas"), "", owner),
        listing(&org("campanhas"), "", member),
        listing(&org("pagamentos-pendentes"), "", owner),
        listing(&org("pagamentos-pendentes"), "&vencidos=true", owner),
        listing(&org("pagamentos-pendentes"), "", member),
        listing(&org("membros"), "", owner),
        listing("eu/doacoes", "", owner),
        listing("eu/doacoes", "", member),
        listing("eu/organizadoras", "", owner),
        listing("eu/organizadoras", "", member),
        listing("eu/sessoes", "", owner),
        listing("eu/sessoes", "", member),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_opens_only_its_own_list_with_its_own_filter_for_its_own_reader() {
    let stage = stage_with_pages().await;
    let listings = listings(&stage);
    let in_document = stage.document.operations.iter().filter(|operation| operation.has_parameter("query", "cursor")).count();
    let mut paths: Vec<&str> = listings.iter().map(|listing| listing.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), in_document, "a list is not tried here");
    for listing in &listings {
        let cursor = listing.cursor(&stage.app).await;
        listing.page(&stage.app, &format!("&cursor={cursor}")).await.expect(200);
        for other in listings.iter().filter(|other| !std::ptr::eq(*other, listing)) {
            other.assert_refused(&stage.app, &cursor).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cursor_opens_nothing() {
    let stage = stage_with_pages().await;
    for listing in listings(&stage).iter().filter(|listing| listing.query.is_empty()) {
        let cursor = listing.cursor(&stage.app).await;
        for index in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            listing.assert_refused(&stage.app, std::str::from_utf8(&changed).unwrap()).await;
        }
        for end in (1..cursor.len() - 1).step_by(5) {
            listing.assert_refused(&stage.app, &cursor[..end]).await;
            listing.assert_refused(&stage.app, &cursor[end + 1..]).await;
        }
        for changed in
            [format!("{cursor}A"), format!("{cursor}="), format!("A{cursor}"), format!("{cursor}{cursor}"), format!("{cursor}%0A")]
        {
            listing.assert_refused(&stage.app, &changed).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_24_hours() {
    let stage = stage_with_pages().await;
    let listing = Listing { path: "campanhas".to_owned(), query: "", reader: None };
    let cursor = listing.cursor(&stage.app).await;
    stage.app.clock.advance(Duration::hours(24));
    listing.page(&stage.app, &format!("&cursor={cursor}")).await.expect(200);
    stage.app.clock.advance(Duration::seconds(1));
    listing.assert_refused(&stage.app, &cursor).await;
}
