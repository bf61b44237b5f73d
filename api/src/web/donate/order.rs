//! What a donor typed into the form, and the order that it is.

use serde_json::json;

use crate::domain::donation::Visibility;
use crate::domain::email::Email;
use crate::domain::money::Centavos;
use crate::domain::money_text::{self, MoneyTextError};
use crate::domain::text::{DisplayName, Message};
use crate::http::problem::Violation;
use crate::service::donations::DonationOrder;
use crate::state::PRIVACY_NOTICE;
use crate::web::form::Form;
use crate::web::format::reais;
use crate::web::language::Language;

/// The chip that stands for the field beside it.
pub(crate) const OTHER: &str = "outro";

/// What was typed, kept as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// The chip that is marked: centavos, or [`OTHER`].
    pub(crate) chip: String,
    /// The amount in the field beside the chips.
    pub(crate) amount: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) message: String,
    /// The visibility that is marked, by its name in the API.
    pub(crate) visibility: String,
    pub(crate) hides_amount: bool,
    pub(crate) consents: bool,
    /// The version of the privacy notice that was shown.
    pub(crate) notice: String,
}

/// A part of the form that something can be wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Amount,
    Name,
    Email,
    Message,
    Visibility,
    Consent,
}

/// Something that is wrong, in words for the donor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) field: Field,
    pub(crate) text: String,
}

/// What the campaign and the platform take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The least amount in centavos.
    pub(crate) least: i64,
    /// The largest amount in centavos.
    pub(crate) most: i64,
    /// Whether the provider can hide the donor from the organizadora.
    pub(crate) takes_secret: bool,
    /// Whether the donor is logged in.
    pub(crate) has_account: bool,
}

impl Typed {
    /// What a form says.
    pub(crate) fn of(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            chip: text("valor"),
            amount: text("valor_livre"),
            name: text("nome_exibicao"),
            email: text("email"),
            message: text("mensagem"),
            visibility: text("visibilidade"),
            hides_amount: form.filled("oculta_valor").is_some(),
            consents: form.filled("consentimento").is_some(),
            notice: text("aviso_privacidade"),
        }
    }

    /// The order, or all that is wrong with it.
    pub(crate) fn order(&self, bounds: Bounds, language: Language) -> Result<DonationOrder, Vec<Mistake>> {
        let t = &language.texts().donate;
        let mut wrong = vec![];
        let mut note = |field, text: &str| wrong.push(Mistake { field, text: text.to_owned() });
        let valor = self.valor(bounds, language).map_err(|text| note(Field::Amount, &text)).ok();
        let filled = |text: &'_ str| Some(text.to_owned()).filter(|text| !crate::domain::text::is_blank(text));
        let nome_exibicao = filled(&self.name).map(|text| DisplayName::parse(&text)).transpose();
        let nome_exibicao = nome_exibicao.map_err(|_| note(Field::Name, t.bad_name)).unwrap_or_default();
        let email = filled(&self.email).map(|text| Email::parse(&text)).transpose();
        let email = email.map_err(|_| note(Field::Email, t.bad_email)).unwrap_or_default();
        if bounds.has_account && email.is_some() {
            note(Field::Email, t.email_of_account);
        }
        let mensagem = filled(&self.message).map(|text| Message::parse(&text)).transpose();
        let mensagem = mensagem.map_err(|_| note(Field::Message, t.bad_message)).unwrap_or_default();
        let visibilidade = match Visibility::ALL.iter().find(|visibility| visibility.as_str() == self.visibility) {
            Some(Visibility::Secret) if !bounds.takes_secret => {
                note(Field::Visibility, t.no_secret);
                Visibility::Secret
            }
            Some(visibility) => *visibility,
            None if self.visibility.is_empty() => Visibility::Public,
            None => {
                note(Field::Visibility, t.bad_visibility);
                Visibility::Public
            }
        };
        if self.notice != PRIVACY_NOTICE {
            note(Field::Consent, t.notice_changed);
        } else if !self.consents {
            note(Field::Consent, t.consent_missing);
        }
        match valor {
            Some(valor) if wrong.is_empty() => {
                Ok(DonationOrder { valor, nome_exibicao, email, visibilidade, oculta_valor: self.hides_amount, mensagem, provedor: None })
            }
            _ => Err(wrong),
        }
    }

    /// The amount: the marked chip, or what was typed beside it. Where both say something else, nobody can know which is meant.
    fn valor(&self, bounds: Bounds, language: Language) -> Result<Centavos, String> {
        let t = &language.texts().donate;
        let typed = match money_text::parse(&self.amount, language.numbers()) {
            Err(MoneyTextError::Empty) => None,
            typed => Some(typed),
        };
        let marked = self.chip.parse().ok().and_then(|centavos: i64| Centavos::try_from(centavos).ok());
        let out_of_range = || (t.out_of_range)(&reais(bounds.least, language), &reais(bounds.most, language));
        let valor = match (marked, typed) {
            (Some(marked), Some(Ok(typed))) if marked != typed => {
                return Err((t.two_amounts)(&reais(marked.get(), language), &reais(typed.get(), language)));
            }
            (Some(valor), None) | (_, Some(Ok(valor))) => valor,
            (_, Some(Err(MoneyTextError::Range))) => return Err(out_of_range()),
            (_, Some(Err(MoneyTextError::Unclear | MoneyTextError::Empty))) => return Err(t.unclear_amount.to_owned()),
            (None, None) => return Err(t.choose_amount.to_owned()),
        };
        if (bounds.least..=bounds.most).contains(&valor.get()) { Ok(valor) } else { Err(out_of_range()) }
    }
}

/// The body that a client of the API would send for the same order: one donation, whichever way it comes.
pub(crate) fn body(order: &DonationOrder) -> Vec<u8> {
    let mut body = json!({
        "valor_centavos": order.valor.get(),
        "visibilidade": order.visibilidade.as_str(),
        "oculta_valor": order.oculta_valor,
        "aviso_privacidade": PRIVACY_NOTICE,
        "consentimento": true,
    });
    let texts = [
        ("nome_exibicao", order.nome_exibicao.as_ref().map(DisplayName::as_str)),
        ("email", order.email.as_ref().map(Email::as_str)),
        ("mensagem", order.mensagem.as_ref().map(Message::as_str)),
    ];
    if let Some(members) = body.as_object_mut() {
        members.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))));
    }
    body.to_string().into_bytes()
}

/// What is wrong with the fields that the service refused, in words for the donor. The service looks again at what may have changed since
/// the page was shown.
pub(crate) fn mistakes(violations: &[Violation], bounds: Bounds, language: Language) -> Vec<Mistake> {
    let t = &language.texts().donate;
    let in_words = |violation: &Violation| {
        let (field, text) = match violation.campo.as_str() {
            "valor_centavos" => (Field::Amount, (t.out_of_range)(&reais(bounds.least, language), &reais(bounds.most, language))),
            "visibilidade" => (Field::Visibility, t.no_secret.to_owned()),
            "email" => (Field::Email, t.bad_email.to_owned()),
            "mensagem" => (Field::Message, t.bad_message.to_owned()),
            "nome_exibicao" => (Field::Name, t.bad_name.to_owned()),
            _ => (Field::Consent, t.other_field.to_owned()),
        };
        Mistake { field, text }
    };
    violations.iter().map(in_words).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const BOUNDS: Bounds = Bounds { least: 100, most: 10_000_000, takes_secret: true, has_account: false };

    fn typed(chip: &str, amount: &str) -> Typed {
        Typed { chip: chip.to_owned(), amount: amount.to_owned(), consents: true, notice: PRIVACY_NOTICE.to_owned(), ..Typed::default() }
    }

    fn wrong(typed: &Typed, bounds: Bounds) -> Vec<Field> {
        typed.order(bounds, Language::Portuguese).map_or_else(|wrong| wrong.iter().map(|mistake| mistake.field).collect(), |_| vec![])
    }

    #[test]
    fn the_amount_is_the_chip_or_the_field_and_never_a_guess() {
        for (chip, amount, centavos) in
            [("2000", "", 2_000), (OTHER, "35,5", 3_550), ("", "1.000", 100_000), ("2000", "20", 2_000), ("2000", " ", 2_000)]
        {
            assert_eq!(typed(chip, amount).order(BOUNDS, Language::Portuguese).unwrap().valor.get(), centavos, "{chip} {amount}");
        }
        for (chip, amount, text) in [
            ("", "", "Escolha ou escreva um valor"),
            (OTHER, "", "Escolha ou escreva um valor"),
            ("abc", "", "Escolha ou escreva um valor"),
            (OTHER, "trinta", "Escreva um valor como 35,00"),
            ("2000", "trinta", "Escreva um valor como 35,00"),
            ("2000", "35", "Você marcou R$\u{a0}20,00 e escreveu R$\u{a0}35,00. Escolha um só"),
            (OTHER, "0,50", "Esta campanha recebe de R$\u{a0}1,00 a R$\u{a0}100.000,00 por doação"),
            (OTHER, "9999999999", "Esta campanha recebe de R$\u{a0}1,00 a R$\u{a0}100.000,00 por doação"),
            ("99", "", "Esta campanha recebe de R$\u{a0}1,00 a R$\u{a0}100.000,00 por doação"),
        ] {
            let wrong = typed(chip, amount).order(BOUNDS, Language::Portuguese).unwrap_err();
            assert_eq!(wrong, [Mistake { field: Field::Amount, text: text.to_owned() }], "{chip} {amount}");
        }
        assert_eq!(typed(OTHER, "1,000").order(BOUNDS, Language::English).unwrap().valor.get(), 100_000);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let all = Typed {
            chip: OTHER.to_owned(),
            amount: "x".to_owned(),
            name: "x".repeat(81),
            email: "ana@".to_owned(),
            message: "x".repeat(281),
            visibility: "todos".to_owned(),
            ..Typed::default()
        };
        assert_eq!(wrong(&all, BOUNDS), [Field::Amount, Field::Name, Field::Email, Field::Message, Field::Visibility, Field::Consent]);
        assert_eq!(wrong(&Typed { consents: false, ..typed("2000", "") }, BOUNDS), [Field::Consent]);
        assert_eq!(
            wrong(&Typed { visibility: "secreta".to_owned(), ..typed("2000", "") }, Bounds { takes_secret: false, ..BOUNDS }),
            [Field::Visibility]
        );
        let with_mail = Typed { email: "ana@exemplo.org.br".to_owned(), ..typed("2000", "") };
        assert_eq!(wrong(&with_mail, BOUNDS), []);
        assert_eq!(wrong(&with_mail, Bounds { has_account: true, ..BOUNDS }), [Field::Email]);
    }

    #[test]
    fn the_same_order_has_the_same_body_as_in_the_api() {
        let order = Typed { name: " Ana ".to_owned(), visibility: "anonima".to_owned(), hides_amount: true, ..typed("2000", "") }
            .order(BOUNDS, Language::Portuguese)
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body(&order)).unwrap();
        assert_eq!(
            body,
            json!({"valor_centavos": 2000, "visibilidade": "anonima", "oculta_valor": true, "nome_exibicao": "Ana",
                "aviso_privacidade": PRIVACY_NOTICE, "consentimento": true})
        );
    }
}
