//! The README's walk-through: from signing up to a refund, by the front door only.

use serde_json::json;

use crate::harness::{TestApp, cnpj, e2eid};

#[tokio::test(flavor = "multi_thread")]
async fn an_organizer_signs_up_and_a_guests_donation_is_paid_claimed_and_refunded() {
    let app = TestApp::start().await;
    let sign_up = json!({"nome": "Ana Souza", "email": "ana@exemplo.org.br", "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
    app.post("pessoas", sign_up).send().await.expect(202);
    let code = app.code_for("ana@exemplo.org.br").await;
    app.post("emails/verificacoes", json!({"codigo": code, "senha": "uma frase longa"})).send().await.expect(201);
    let log_in = app.post("sessoes", json!({"email": "ana@exemplo.org.br", "senha": "uma frase longa"})).send().await;
    log_in.expect(201);
    let cookie = log_in.header("set-cookie").split(';').next().unwrap().to_owned();

    let number = cnpj();
    let org = json!({"nome": "Casa do Caminho", "cnpj": number,
        "chave_pix": {"tipo": "cnpj", "chave": number, "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}});
    let org = app.post("organizadoras", org).header("cookie", &cookie).send().await.expect(201);
    assert_eq!(org["slug"], "casa-do-caminho");
    let campaign = json!({"organizadora": "casa-do-caminho", "titulo": "Natal solidário", "descricao": "Cestas.", "categoria": "social", "meta_centavos": 500_000});
    let campaign = app.post("campanhas", campaign).header("cookie", &cookie).send().await.expect(201);
    assert_eq!(campaign["slug"], "natal-solidario");
    app.post("campanhas/natal-solidario/publicacao", json!({})).header("cookie", &cookie).send().await.expect(200);

    let donation = app.post("campanhas/natal-solidario/doacoes", app.donation(json!({"mensagem": "Força!"}))).new_key().send().await;
    let body = donation.expect(201);
    let token = donation.header("doacao-token").to_owned();
    let path = donation.header("location").to_owned();
    assert!(body["pagamento"]["pix_copia_e_cola"].as_str().unwrap().starts_with("000201"));
    let image = app.get(body["pagamento"]["qr_svg_url"].as_str().unwrap()).header("doacao-token", &token).send().await;
    assert_eq!(image.status, 200);
    assert_eq!(image.header("content-type"), "image/svg+xml");
    assert_eq!(image.header("cache-control"), "private, no-store");

    let txid = body["pagamento"]["txid"].as_str().unwrap();
    let paid = app.post(&format!("simulado/pagamentos/{txid}"), json!({"valor_centavos": 5000, "e2eid": e2eid()})).send().await.expect(200);
    assert_eq!((&paid["situacao"], &paid["conciliacao"]), (&json!("confirmada"), &json!("exata")));
    app.roll_up().await;
    let totals = app.get("campanhas/natal-solidario/totais").send().await.expect(200);
    assert_eq!((&totals["arrecadado_centavos"], &totals["doadores_qtd"]), (&json!(5000), &json!(1)));
    let events = app.get("campanhas/natal-solidario/eventos").send().await;
    assert!(events.text.starts_with("retry: ") && events.text.contains("\nevent: totais\nid: 1\ndata: {\"arrecadado_centavos\":5000,"));

    let claim = json!({"doacao_id": body["id"], "token": token});
    app.post("eu/doacoes/reivindicacoes", claim).header("cookie", &cookie).send().await.expect(200);
    let mine = app.get("eu/doacoes").header("cookie", &cookie).send().await.expect(200);
    assert_eq!(mine["itens"][0]["id"], body["id"]);
    // The token has done its work.
    app.get(&path).header("doacao-token", &token).send().await.expect_problem(404, "nao-encontrado");

    let again = app.post("eu/reautenticacao", json!({"senha": "uma frase longa"})).header("cookie", &cookie).send_patiently().await;
    again.expect(200);
    let cookie = again.header("set-cookie").split(';').next().unwrap().to_owned();
    let refund = format!("doacoes/{}/devolucoes", body["id"].as_str().unwrap());
    let part = app.post(&refund, json!({"valor_centavos": 2000})).new_key().header("cookie", &cookie).send().await.expect(201);
    assert_eq!(part["situacao"], "parcialmente_devolvida");
    let rest = app.post(&refund, json!({})).new_key().header("cookie", &cookie).send().await.expect(201);
    assert_eq!((&rest["situacao"], &rest["valor_centavos"]), (&json!("devolvida"), &json!(3000)));
    app.roll_up().await;
    let totals = app.get("campanhas/natal-solidario/totais").send().await.expect(200);
    assert_eq!((&totals["arrecadado_centavos"], &totals["devolvido_centavos"]), (&json!(5000), &json!(5000)));
    app.assert_books_agree().await;
}
