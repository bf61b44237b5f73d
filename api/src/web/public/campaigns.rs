//! `GET /campanhas`: search and lists of open campaigns.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;

use crate::cache::{LoadError, Resource as _, Subject, Tag};
use crate::domain::campaign::Category;
use crate::domain::text::is_blank;
use crate::http::campaigns::list::{CampaignItem, CampaignsPage, CampaignsQuery};
use crate::http::cursor::Page;
use crate::http::problem::{Code, Problem};
use crate::state::AppState;
use crate::web::card::Card;
use crate::web::language::Language;
use crate::web::page::{self, MadePage, PagePart, Shell};
use crate::web::text::Catalogue;

/// The orders, by their names in the query; the first is meant where there is none.
const ORDERS: [&str; 3] = ["recentes", "arrecadado", "encerrando"];

#[derive(Template)]
#[template(path = "public/campaigns.html", whitespace = "minimize")]
struct Listing {
    shell: Shell,
    heading: String,
    list: CampaignList,
    /// What is wrong with the words that were searched for.
    wrong: Option<&'static str>,
}

/// A list of campaigns with what narrows and orders it.
pub(crate) struct CampaignList {
    pub(crate) wish: Wish,
    pub(crate) cards: Vec<Card>,
    /// The address of the next page, without the language's prefix.
    pub(crate) next: Option<String>,
    pub(crate) categories: Vec<Choice>,
    pub(crate) orders: Vec<Choice>,
}

/// A link that narrows or orders the list.
pub(crate) struct Choice {
    pub(crate) label: &'static str,
    /// Without the language's prefix.
    pub(crate) path: String,
    pub(crate) is_chosen: bool,
}

/// What somebody wants to see. What nobody can have meant is left out, and so is what others add to links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Words to search for, as they were written.
    pub(crate) words: Option<String>,
    pub(crate) category: Option<Category>,
    /// One of [`ORDERS`] but the first.
    pub(crate) order: Option<&'static str>,
    cursor: Option<String>,
}

impl Wish {
    fn read(query: &str) -> Self {
        let mut wish = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !is_blank(value)) {
            match &*name {
                "q" => wish.words = Some(value.into_owned()),
                "categoria" => wish.category = word(&value),
                "ordem" => wish.order = ORDERS.into_iter().skip(1).find(|order| *order == value),
                "cursor" => wish.cursor = Some(value.into_owned()),
                _ => {}
            }
        }
        wish
    }

    /// The address of the list, without the language's prefix.
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", self.words.as_deref()),
            ("categoria", self.category.map(Category::as_str)),
            ("ordem", self.order),
            ("cursor", self.cursor.as_deref()),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/campanhas".to_owned() } else { format!("/campanhas?{query}") }
    }

    fn page(&self, state: &AppState) -> Result<CampaignsPage, Problem> {
        CampaignsPage::at(
            state,
            CampaignsQuery {
                q: self.words.clone(),
                categoria: self.category,
                ordem: self.order.and_then(word),
                cursor: self.cursor.clone(),
                ..CampaignsQuery::default()
            },
        )
    }

    fn categories(&self, t: &Catalogue) -> Vec<Choice> {
        let all = std::iter::once(None).chain(Category::ALL.iter().copied().map(Some));
        all.map(|category| Choice {
            label: category.map_or(t.lists.all, t.category),
            path: Self { category, cursor: None, ..self.clone() }.path(),
            is_chosen: category == self.category,
        })
        .collect()
    }

    fn orders(&self, t: &Catalogue) -> Vec<Choice> {
        [(None, t.lists.newest), (Some("arrecadado"), t.lists.raised), (Some("encerrando"), t.lists.ending)]
            .into_iter()
            .map(|(order, label)| Choice {
                label,
                path: Self { order, cursor: None, ..self.clone() }.path(),
                is_chosen: order == self.order,
            })
            .collect()
    }
}

/// The value that has the name `text` in the API.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(text).ok()
}

impl CampaignList {
    /// The list that `wish` asks for, without campaigns yet.
    fn empty(wish: Wish, language: Language) -> Self {
        let t = language.texts();
        Self { categories: wish.categories(t), orders: wish.orders(t), cards: vec![], next: None, wish }
    }

    fn new(wish: Wish, page: Page<CampaignItem>, language: Language) -> Self {
        let next = page.proximo_cursor.map(|cursor| Wish { cursor: Some(cursor), ..wish.clone() }.path());
        Self { cards: page.itens.into_iter().map(|item| Card::new(item, language)).collect(), next, ..Self::empty(wish, language) }
    }

    /// The first page of all open campaigns, newest first.
    pub(crate) async fn first(state: &AppState, language: Language) -> Result<(Self, bool), Problem> {
        let wish = Wish::default();
        let page = wish.page(state)?;
        let PagePart { value, stale } = page::part(state, page).await?.ok_or_else(Problem::not_found)?;
        Ok((Self::new(wish, value, language), stale))
    }
}

/// The page.
pub(crate) async fn get(
    State(state): State<AppState>,
    language: Language,
    RawQuery(query): RawQuery,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let wish = Wish::read(&query.unwrap_or_default());
    let wanted = match wish.page(&state) {
        Ok(page) => page,
        Err(problem) if problem.code == Code::Invalid => {
            let wrong = Some(language.texts().lists.search_error);
            let page = listing(&state, CampaignList::empty(wish, language), language, wrong);
            let mut response = page::private(StatusCode::UNPROCESSABLE_ENTITY, &page)?;
            response.extensions_mut().insert(crate::http::layers::ToldOnPage(problem));
            return Ok(response);
        }
        Err(problem) => return Err(problem),
    };
    if !wanted.is_first() {
        let stored = wanted.load(&state).await.map_err(|error: LoadError| Problem::from(std::sync::Arc::new(error)))?;
        let stored = stored.ok_or_else(Problem::not_found)?;
        let found = serde_json::from_str(stored.body.get()).map_err(Problem::internal)?;
        return page::rare(&request, &listing(&state, CampaignList::new(wish, found, language), language, None));
    }
    let subject = Subject::page(&format!("{} /campanhas?{}", language.tag(), wanted.query_string()), Tag::campaigns(), &[]);
    let compose = async || {
        let PagePart { value, stale } = page::part(&state, wanted).await?.ok_or_else(Problem::not_found)?;
        let mut page = listing(&state, CampaignList::new(wish, value, language), language, None);
        page.shell.stale = stale;
        Ok(MadePage { page, stale })
    };
    page::kept(&state, &request, &subject, compose).await
}

fn listing(state: &AppState, list: CampaignList, language: Language, wrong: Option<&'static str>) -> Listing {
    let t = language.texts();
    let (heading, title) = match (&list.wish.words, list.wish.category) {
        (Some(words), _) => ((t.lists.results)(words), (t.lists.results)(words)),
        (None, Some(category)) => ((t.category)(category).to_owned(), (t.category)(category).to_owned()),
        (None, None) => (t.lists.open.to_owned(), t.common.campaigns.to_owned()),
    };
    let mut shell = match wrong {
        None => Shell::public(state, language, list.wish.path(), title),
        Some(_) => Shell::private(language, list.wish.path(), title),
    };
    t.lists.home_description.clone_into(&mut shell.description);
    Listing { shell, heading, list, wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_what_was_meant_and_nothing_that_others_added() {
        for (query, path) in [
            ("", "/campanhas"),
            ("q=&categoria=&fbclid=abc", "/campanhas"),
            ("q=sopa+quente&utm_source=whatsapp", "/campanhas?q=sopa+quente"),
            ("categoria=saude&ordem=arrecadado", "/campanhas?categoria=saude&ordem=arrecadado"),
            ("ordem=recentes", "/campanhas"),
            ("categoria=nada&ordem=nada", "/campanhas"),
            ("q=%22%3E%3Cscript%3E&cursor=x", "/campanhas?q=%22%3E%3Cscript%3E&cursor=x"),
        ] {
            assert_eq!(Wish::read(query).path(), path, "{query}");
        }
        let chosen = Wish::read("q=sopa&categoria=saude&cursor=x").categories(Language::Portuguese.texts());
        assert_eq!(chosen.len(), 10);
        assert_eq!(chosen.iter().filter(|choice| choice.is_chosen).map(|choice| choice.label).collect::<Vec<_>>(), ["Saúde"]);
        assert!(chosen.iter().all(|choice| choice.path.contains("q=sopa") && !choice.path.contains("cursor")));
    }
}
