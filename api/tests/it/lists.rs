//! Lists: walked to their ends, searched with odd words.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::TestApp;

/// A list walked to its end gives everything once, in order, whatever the page size.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_walked_to_its_end_misses_and_repeats_nothing() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let mut slugs = BTreeSet::new();
    for number in 0..17 {
        let campaign = app.campaign_of(&org).await;
        if number % 3 == 0 {
            app.confirmed(&campaign, json!({"valor_centavos": 1000 * (number + 1)})).await;
        }
        slugs.insert(campaign.slug);
    }
    app.roll_up().await;
    for order in ["recentes", "arrecadado"] {
        for limit in [1, 2, 7, 16, 17, 100] {
            let mut seen = Vec::new();
            let mut path = format!("campanhas?organizadora={}&ordem={order}&limite={limit}", org.slug);
            loop {
                let page = app.get(&path).send().await.expect(200);
                let items = page["itens"].as_array().unwrap();
                seen.extend(
                    items.iter().map(|item| (item["arrecadado_centavos"].as_i64().unwrap(), item["slug"].as_str().unwrap().to_owned())),
                );
                let Some(cursor) = page["proximo_cursor"].as_str() else { break };
                path = format!("campanhas?organizadora={}&ordem={order}&limite={limit}&cursor={cursor}", org.slug);
            }
            assert_eq!(seen.len(), 17, "{order} {limit}");
            assert_eq!(seen.iter().map(|(_, slug)| slug.clone()).collect::<BTreeSet<_>>(), slugs);
            if order == "arrecadado" {
                assert!(seen.is_sorted_by(|a, b| a.0 >= b.0), "{seen:?}");
            }
        }
    }
}

/// Money that went back, and money that is only somebody's word, put no campaign before another.
#[tokio::test(flavor = "multi_thread")]
async fn campaigns_are_ranked_by_money_that_is_left_and_proven() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let by = &org.owner;
    let (refunded, declared, declared_and_refunded, part, honest) = (
        app.campaign_of(&org).await,
        app.campaign_of(&org).await,
        app.campaign_of(&org).await,
        app.campaign_of(&org).await,
        app.campaign_of(&org).await,
    );
    let refund = async |donation: &str, body: serde_json::Value| {
        app.post(&format!("doacoes/{donation}/devolucoes"), body).new_key().by(by).send().await.expect(201);
    };
    let declare = async |campaign, amount: i64| {
        let donation = app.donate(campaign, json!({"provedor": "pix_estatico"})).await.json()["id"].as_str().unwrap().to_owned();
        let now = app.state.clock.now().format(&time::format_description::well_known::Rfc3339).unwrap();
        let body = json!({"valor_recebido_centavos": amount, "recebido_em": now});
        app.post(&format!("doacoes/{donation}/confirmacoes"), body).new_key().by(by).send().await.expect(201);
        donation
    };
    let id = |answer: crate::harness::Answer| answer.json()["id"].as_str().unwrap().to_owned();
    refund(&id(app.confirmed(&refunded, json!({"valor_centavos": 100_000_000})).await), json!({})).await;
    declare(&declared, 100_000_000).await;
    refund(&declare(&declared_and_refunded, 50_000_000).await, json!({})).await;
    app.confirmed(&declared_and_refunded, json!({"valor_centavos": 2000})).await;
    refund(&id(app.confirmed(&part, json!({"valor_centavos": 10_000})).await), json!({"valor_centavos": 9000})).await;
    app.confirmed(&honest, json!({"valor_centavos": 3000})).await;
    app.roll_up().await;

    for path in [format!("campanhas?ordem=arrecadado&organizadora={}", org.slug), "campanhas?ordem=arrecadado".to_owned()] {
        let page = app.get(&path).send().await.expect(200);
        let rows: Vec<_> = page["itens"].as_array().unwrap().iter().collect();
        let of = |name: &str| rows.iter().map(|row| row[name].as_i64().unwrap()).collect::<Vec<_>>();
        let slugs: Vec<_> = rows.iter().map(|row| row["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs[..3], [&honest.slug, &declared_and_refunded.slug, &part.slug].map(String::as_str), "{path}");
        assert_eq!(of("comprovado_centavos"), [3000, 2000, 1000, 0, 0]);
        let mut tail = [
            (&slugs[3], of("devolvido_centavos")[3], of("declarado_centavos")[3]),
            (&slugs[4], of("devolvido_centavos")[4], of("declarado_centavos")[4]),
        ];
        tail.sort_by_key(|row| row.1);
        assert_eq!(
            tail.map(|row| (*row.0, row.1, row.2)),
            [(declared.slug.as_str(), 0, 100_000_000), (refunded.slug.as_str(), 100_000_000, 0)]
        );
        assert_eq!(of("arrecadado_centavos")[..3], [3000, 50_002_000, 10_000]);
        assert_eq!(of("devolvido_centavos")[..3], [0, 50_000_000, 9000]);
        assert_eq!(of("declarado_centavos")[..3], [0, 0, 0]);
    }
    app.assert_books_agree().await;
}

/// What a search makes of these must not be an error of ours.
#[tokio::test(flavor = "multi_thread")]
async fn odd_words_are_searched_for_like_others() {
    let app = TestApp::start().await;
    app.campaign().await;
    for query in ["%25", "_", "%5C", "'", "%22", "!%20%26%20|", "-x", "a%3A*", "%28%28", "%F0%9F%8E%84", "<->", "or%20or"] {
        app.get(&format!("campanhas?q={query}")).send().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percent_sign_of_any_width_is_searched_for_as_such() {
    let app = TestApp::start().await;
    let org = app.org().await;
    for title in ["Chegamos a 50% da meta", "Rumo aos 500 da meta", r"Cestas_básicas \o/"] {
        let draft = app.draft(&org, json!({"titulo": title})).await;
        let path = format!("campanhas/{}/publicacao", draft["slug"].as_str().unwrap());
        app.post(&path, json!({})).by(&org.owner).send().await.expect(200);
    }
    // Each sign as it is, and fullwidth.
    for (q, expected) in [
        ("0%25", 1),
        ("0%EF%BC%85", 1),
        ("%EF%BC%85", 1),
        ("50%EF%BC%85meta", 0),
        ("%25%25", 0),
        ("_", 1),
        ("%EF%BC%BF", 1),
        ("%5C", 1),
        ("%EF%BC%BC", 1),
        ("%5Co", 1),
        ("%5C%5C", 0),
        ("da%20meta", 2),
    ] {
        let found = app.get(&format!("campanhas?q={q}")).send().await.expect(200);
        assert_eq!(found["itens"].as_array().unwrap().len(), expected, "{q}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_with_and_without_accents_and_in_both_numbers() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let draft = app.draft(&org, json!({"titulo": "Cirurgias do João", "descricao": "Ajude nas operações do coração."})).await;
    let slug = draft["slug"].as_str().unwrap();
    let found = async |q: &str| app.get(&format!("campanhas?q={q}")).send().await.expect(200)["itens"].as_array().unwrap().len();
    assert_eq!(found("cirurgia").await, 0, "a draft is in no list");
    app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    for q in [
        "cirurgia",
        "cirurgias",
        "joao",
        "jo%C3%A3o",
        "coracao",
        "cora%C3%A7%C3%A3o",
        "opera%C3%A7%C3%B5es",
        "cirur",
        "jo%C3%A3o%20cora%C3%A7%C3%A3o",
    ] {
        assert_eq!(found(q).await, 1, "{q}");
    }
    assert_eq!(found("dentista").await, 0);
}

/// Refunds of declared donations from before campaigns were ranked by what is left are taken off by the migration.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_takes_earlier_refunds_off_what_is_declared() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({"provedor": "pix_estatico"})).await.json()["id"].as_str().unwrap().to_owned();
    let now = app.state.clock.now().format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"valor_recebido_centavos": 5000, "recebido_em": now});
    app.post(&format!("doacoes/{donation}/confirmacoes"), body).new_key().by(&campaign.org.owner).send().await.expect(201);
    let refund = app.post(&format!("doacoes/{donation}/devolucoes"), json!({"valor_centavos": 2000})).new_key().by(&campaign.org.owner);
    refund.send().await.expect(201);
    assert_eq!(app.totals(&campaign).await["declarado_centavos"], 3000);
    // As the release before left it.
    sqlx::query("UPDATE campanha_totais SET declarado_centavos = 5000").execute(&app.owner).await.unwrap();
    let migration = include_str!("../../../migrations/20261130000012_rank_by_what_is_left.sql");
    let statement = migration.split(';').find(|statement| statement.contains("INSERT INTO totais_delta")).unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&app.owner).await.unwrap();
    assert_eq!(app.totals(&campaign).await["declarado_centavos"], 3000);
    app.assert_books_agree().await;
}
