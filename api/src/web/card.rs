//! A campaign in a list.

use super::bar::{Bar, Raised};
use super::format::{Moment, Money, count, reais};
use super::language::Language;
use crate::http::campaigns::list::CampaignItem;

/// A campaign in a list, as it is shown.
pub(crate) struct Card {
    /// The path of its page, without the language's prefix.
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) organizadora: String,
    pub(crate) category: &'static str,
    /// The end of the name of its picture.
    pub(crate) picture: &'static str,
    pub(crate) raised: Money,
    pub(crate) bar: Option<Bar>,
    /// How far it is, or how many gave, and until when it goes.
    pub(crate) note: String,
}

impl Card {
    pub(crate) fn new(item: CampaignItem, language: Language) -> Self {
        let t = language.texts();
        let raised = Raised::new(item.arrecadado_centavos, item.devolvido_centavos, item.declarado_centavos);
        let far = match item.meta_centavos {
            Some(goal) => (t.lists.card_goal)(&raised.percent(goal), &reais(goal, language)),
            None => (t.common.donors)(item.doadores_qtd, &count(item.doadores_qtd, language)),
        };
        let note = match item.fim_em {
            Some(end) => format!("{far} · {}", (t.common.until)(&Moment::of(end, language).day)),
            None => far,
        };
        Self {
            path: format!("/campanhas/{}", item.slug),
            title: item.titulo,
            organizadora: item.organizadora.nome,
            category: (t.category)(item.categoria),
            picture: item.categoria.as_str(),
            raised: Money::of(raised.net, language),
            bar: item.meta_centavos.map(|goal| Bar::new(raised, goal, language)),
            note,
        }
    }
}
