//! What forms and people send: line ends and tabs of every system, and empty fields.

use serde_json::{Value, json};

use crate::harness::{TestApp, cnpj};

/// A text of two lines as Windows, old Macs, Word, EBCDIC gateways and Unicode write it.
const LINE_ENDS: [&str; 7] = ["\n", "\r\n", "\r", "\u{b}", "\u{85}", "\u{2028}", "\u{2029}"];

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_kept_without_the_line_ends_and_tabs_of_a_system() {
    let app = TestApp::start().await;
    for end in LINE_ENDS {
        let (typed, line, lines) = (format!("Linha 1{end}\tLinha 2{end}"), "Linha 1 Linha 2", "Linha 1\n Linha 2");
        let owner = app.person().await;
        let changed = app.patch("eu", json!({"nome": typed})).if_match(&json!(1)).by(&owner).send().await.expect(200);
        assert_eq!(changed["nome"], line, "{end:?}");
        let number = cnpj();
        let key =
            json!({"tipo": "cnpj", "chave": number, "nome_recebedor": format!("Casa{end}Azul"), "cidade": format!("São\tPaulo{end}")});
        let body = json!({"nome": typed, "cnpj": number, "chave_pix": key});
        let org = app.post("organizadoras", body).by(&owner).send().await.expect(201);
        assert_eq!(org["nome"], line, "{end:?}");
        let slug = org["slug"].as_str().unwrap();
        let keys = app.get(&format!("organizadoras/{slug}/chave-pix")).by(&owner).send().await.expect(200);
        assert_eq!((&keys["chaves"][0]["nome_recebedor"], &keys["chaves"][0]["cidade"]), (&json!("Casa Azul"), &json!("Sao Paulo")));
        let body = json!({"organizadora": slug, "titulo": typed, "descricao": typed, "categoria": "social"});
        let campaign = app.post("campanhas", body).by(&owner).send().await.expect(201);
        assert_eq!((&campaign["titulo"], &campaign["descricao"]), (&json!(line), &json!(lines)), "{end:?}");
        let path = format!("campanhas/{}", campaign["slug"].as_str().unwrap());
        app.post(&format!("{path}/publicacao"), json!({})).by(&owner).send().await.expect(200);
        // What is counted is what is kept: a line end of two characters is one.
        let message = format!("{}{end}", "a".repeat(139)).repeat(2);
        let body = app.donation(json!({"nome_exibicao": typed, "mensagem": message}));
        let given = app.post(&format!("{path}/doacoes"), body).new_key().send().await;
        let donation = given.expect(201);
        assert_eq!(donation["nome_exibicao"], line, "{end:?}");
        assert_eq!(donation["mensagem"], format!("{0}\n{0}", "a".repeat(139)).as_str(), "{end:?}");
        let donation_path = format!("doacoes/{}", donation["id"].as_str().unwrap());
        let change = app.patch(&donation_path, json!({"mensagem": typed})).header("doacao-token", given.header("doacao-token"));
        assert_eq!(change.if_match(&donation["versao"]).send().await.expect(200)["mensagem"], lines, "{end:?}");
        app.pay(&donation).await;
        let refund = app.post(&format!("{donation_path}/devolucoes"), json!({"motivo": typed})).new_key().by(&owner).send().await;
        assert_eq!(refund.expect(201)["motivo"], line, "{end:?}");
    }
    let reasons = app.count("SELECT count(*) FROM devolucoes WHERE motivo = 'Linha 1 Linha 2'").await;
    assert_eq!(usize::try_from(reasons).unwrap(), LINE_ENDS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_field_left_empty_is_absent_and_a_required_one_is_missing() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    let donations = format!("campanhas/{}/doacoes", campaign.slug);
    for blank in ["", " ", "\r\n", "\t\u{a0}"] {
        let fields = json!({"nome_exibicao": blank, "email": blank, "mensagem": blank});
        let given = app.post(&donations, app.donation(fields.clone())).new_key().send().await;
        let donation = given.expect(201);
        assert_eq!((&donation["nome_exibicao"], &donation["email"], &donation["mensagem"]), (&Value::Null, &Value::Null, &Value::Null));
        // Whoever is logged in gives with the account's address, also where the form has a field for one.
        let own = app.post(&donations, app.donation(fields)).new_key().by(owner).send().await;
        assert_eq!(own.expect(201)["email"], owner.email.as_str());
        let path = format!("doacoes/{}", donation["id"].as_str().unwrap());
        let token = given.header("doacao-token");
        let change = async |message: &str, version: i64| {
            let change = app.patch(&path, json!({"mensagem": message})).header("doacao-token", token);
            change.if_match(&json!(version)).send().await.expect(200)["mensagem"].clone()
        };
        let version = donation["versao"].as_i64().unwrap();
        assert_eq!(change("Força!", version).await, "Força!");
        assert_eq!(change(blank, version + 1).await, Value::Null);
        app.pay(&donation).await;
        let refund = json!({"valor_centavos": 100, "motivo": blank, "e2eid": blank});
        let refund = app.post(&format!("{path}/devolucoes"), refund).new_key().by(owner).send().await.expect(201);
        assert_eq!(refund["motivo"], Value::Null);
        let claim = json!({"doacao_id": donation["id"], "token": blank});
        app.post("eu/doacoes/reivindicacoes", claim).by(owner).send().await.expect_problem(404, "nao-encontrado");

        let new = json!({"organizadora": campaign.org.slug, "titulo": format!("Blank {blank:?}"), "descricao": "Cestas.", "categoria": "social",
            "slug": blank, "inicio_em": blank, "fim_em": blank});
        let made = app.post("campanhas", new).by(owner).send().await.expect(201);
        assert_eq!((&made["inicio_em"], &made["fim_em"]), (&Value::Null, &Value::Null));
        let path = format!("campanhas/{}", made["slug"].as_str().unwrap());
        let change = async |body: Value, version: i64| app.patch(&path, body).if_match(&json!(version)).by(owner).send().await;
        assert_eq!(change(json!({"fim_em": "2030-12-31T20:59:59-03:00"}), 1).await.expect(200)["fim_em"], "2030-12-31T23:59:59Z");
        assert_eq!(change(json!({"fim_em": blank}), 2).await.expect(200)["fim_em"], Value::Null);
        for field in ["titulo", "descricao"] {
            assert_eq!(change(json!({field: blank}), 3).await.expect_problem(422, "dados-invalidos"), [field]);
        }
        let nameless = app.patch("eu", json!({"nome": blank})).if_match(&json!(1)).by(owner).send().await;
        assert_eq!(nameless.expect_problem(422, "dados-invalidos"), ["nome"]);
        // An empty amount is not all of it.
        let path = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
        let refund = app.post(&path, json!({"valor_centavos": blank})).new_key().by(owner).send().await;
        assert_eq!(refund.expect_problem(422, "dados-invalidos"), ["valor_centavos"]);
    }
}
