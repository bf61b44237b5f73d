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
    app.fold().await;
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
