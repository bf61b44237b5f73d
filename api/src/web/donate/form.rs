//! `/doar/{slug}`: the form, and making the donation.

use askama::Template;
use axum::extract::{FromRequest as _, FromRequestParts as _, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use uuid::Uuid;

use super::order::{Bounds, Field, Mistake, OTHER, Typed, body};
use super::{amounts, order};
use crate::domain::donation::Visibility;
use crate::domain::ids::client_uuid;
use crate::domain::slug::Slug;
use crate::http::campaigns::CampaignBody;
use crate::http::campaigns::donate::{self, Donating, Made};
use crate::http::campaigns::get::PublicCampaign;
use crate::http::extract::device;
use crate::http::extract::donor::token_cookie;
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::extract::load_shed::QueueHasRoom;
use crate::http::extract::path::SlugPath;
use crate::http::extract::session::clear_cookie;
use crate::http::layers::ToldOnPage;
use crate::http::organizadoras::OrganizadoraBody;
use crate::http::organizadoras::get::PublicOrganizadora;
use crate::http::problem::{Code, Problem};
use crate::state::{AppState, Core, PRIVACY_NOTICE};
use crate::web::failure::duration;
use crate::web::form::Form;
use crate::web::format::{self, count, reais};
use crate::web::language::Language;
use crate::web::page::{self, Here, Shell};
use crate::web::public::campaign::Openness;
use crate::web::public::organizadora::Organizer;

#[derive(Template)]
#[template(path = "donate/form.html", whitespace = "minimize")]
struct DonatePage {
    shell: Shell,
    title: String,
    /// The path of the campaign's page, without the language's prefix.
    campaign_path: String,
    organizer: Organizer,
    key: Uuid,
    notice: &'static str,
    typed: Typed,
    chips: Vec<AmountChip>,
    is_other: bool,
    amount_hint: String,
    takes_secret: bool,
    /// Whether the folded part is shown, because something in it is filled in.
    is_unfolded: bool,
    summary: Option<Summary>,
    wrong: Wrong,
}

struct AmountChip {
    centavos: i64,
    label: String,
    is_marked: bool,
}

/// What stands above a form that was not taken.
struct Summary {
    heading: String,
    lines: Vec<SummaryLine>,
    /// The path of the donation that there is already, without the language's prefix.
    earlier: Option<String>,
}

/// A line of the summary, with the id of the field that it leads to.
struct SummaryLine {
    id: &'static str,
    text: String,
}

/// What stands beside each field.
#[derive(Default)]
struct Wrong {
    amount: Option<String>,
    name: Option<String>,
    email: Option<String>,
    message: Option<String>,
    visibility: Option<String>,
    consent: Option<String>,
}

impl Wrong {
    fn new(mistakes: &[Mistake]) -> Self {
        let mut wrong = Self::default();
        for Mistake { field, text } in mistakes {
            let place = match field {
                Field::Amount => &mut wrong.amount,
                Field::Name => &mut wrong.name,
                Field::Email => &mut wrong.email,
                Field::Message => &mut wrong.message,
                Field::Visibility => &mut wrong.visibility,
                Field::Consent => &mut wrong.consent,
            };
            place.get_or_insert_with(|| text.clone());
        }
        wrong
    }
}

const fn id_of(field: Field) -> &'static str {
    match field {
        Field::Amount => "valor-livre",
        Field::Name => "nome",
        Field::Email => "email",
        Field::Message => "mensagem",
        Field::Visibility => "visibilidade",
        Field::Consent => "consentimento",
    }
}

/// What the form needs to know of the campaign.
struct Target {
    here: Here,
    campaign: CampaignBody,
    organizer: Organizer,
    bounds: Bounds,
}

impl Target {
    /// From what caches have: the form costs the database nothing while it is warm.
    async fn find(state: &AppState, slug: &Slug, here: Here, has_account: bool) -> Result<Self, Problem> {
        let campaign = page::part::<CampaignBody, _>(state, PublicCampaign(slug.clone())).await?.ok_or_else(Problem::not_found)?.value;
        let owner = Slug::parse(&campaign.organizadora.slug).map_err(Problem::internal)?;
        let organizer = page::part::<OrganizadoraBody, _>(state, PublicOrganizadora(owner)).await?.ok_or_else(Problem::not_found)?;
        let gateway = state.gateways.get(None);
        let bounds = Bounds {
            least: campaign.minimo_centavos,
            most: campaign.maximo_centavos,
            takes_secret: gateway.is_none_or(|gateway| gateway.refuses(Visibility::Secret).is_none()),
            has_account,
        };
        Ok(Self { here, organizer: Organizer::new(organizer.value), campaign, bounds })
    }

    fn is_open(&self, core: &Core) -> bool {
        Openness::of(&self.campaign, core.clock.now(), self.here.language).is_open()
    }

    fn campaign_path(&self) -> String {
        format!("/campanhas/{}", self.campaign.slug)
    }

    /// The form with `typed` in it.
    fn page(self, key: Uuid, typed: Typed) -> DonatePage {
        let campaign_path = self.campaign_path();
        let Self { here: Here { language, path }, campaign, organizer, bounds } = self;
        let t = language.texts();
        let chips: Vec<AmountChip> = amounts::suggested(bounds.least, bounds.most)
            .into_iter()
            .map(|centavos| AmountChip {
                centavos,
                label: format::round_reais(centavos, language),
                is_marked: typed.chip == centavos.to_string(),
            })
            .collect();
        let is_marked = chips.iter().any(|chip| chip.is_marked);
        DonatePage {
            shell: Shell::private(language, path, (t.donate.title)(&campaign.titulo)),
            campaign_path,
            organizer,
            key,
            notice: PRIVACY_NOTICE,
            is_other: typed.chip == OTHER || (!is_marked && !typed.amount.is_empty()),
            amount_hint: (t.donate.amount_hint)(&reais(bounds.least, language), &reais(bounds.most, language)),
            takes_secret: bounds.takes_secret,
            is_unfolded: [&typed.name, &typed.email, &typed.message].iter().any(|text| !text.is_empty())
                || typed.hides_amount
                || !matches!(typed.visibility.as_str(), "" | "publica"),
            title: campaign.titulo,
            summary: None,
            wrong: Wrong::default(),
            chips,
            typed,
        }
    }
}

/// `GET`: an empty form with a key of its own, so that what it is sent with is done once.
pub(crate) async fn get(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    RawQuery(query): RawQuery,
    here: Here,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let cookie = device::new_cookie(&state, &request, &format!("{}/doar", here.language.prefix()));
    let target = Target::find(&state, &slug, here, false).await?;
    if !target.is_open(&state) {
        return Ok(see_other(target.here.language, &target.campaign_path()));
    }
    let typed = wished(&query.unwrap_or_default(), target.bounds, target.here.language);
    let mut response = page::private(StatusCode::OK, &target.page(Uuid::new_v4(), typed))?;
    response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

/// What a link asks to fill in: an amount in centavos.
fn wished(query: &str, bounds: Bounds, language: Language) -> Typed {
    let amount = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "valor").and_then(|(_, value)| value.parse().ok());
    let amount = amount.filter(|amount| (bounds.least..=bounds.most).contains(amount));
    let typed = Typed { visibility: Visibility::Public.as_str().to_owned(), ..Typed::default() };
    match amount {
        Some(amount) if amounts::suggested(bounds.least, bounds.most).contains(&amount) => Typed { chip: amount.to_string(), ..typed },
        Some(amount) => Typed { chip: OTHER.to_owned(), amount: format::number(amount, language), ..typed },
        None => typed,
    }
}

/// `POST`: makes the donation and goes on to its PIX, or shows the form again with what keeps it from being made.
pub(crate) async fn post(
    State(state): State<AppState>,
    queue: Result<QueueHasRoom, Problem>,
    SlugPath(slug): SlugPath,
    here: Here,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, content) = request.into_parts();
    let from = Donating::from_request_parts(&mut parts, &state).await;
    let form = Form::from_request(Request::from_parts(parts, content), &state).await?;
    // A key that somebody changed is as good as none: then the page gets a new one.
    let key = client_uuid(form.text("chave"));
    let typed = Typed::of(&form);
    let has_account = from.as_ref().is_ok_and(Donating::has_account);
    let target = Target::find(&state, &slug, here, has_account).await?;
    let language = target.here.language;
    let refusal = match (queue.and(from), typed.order(target.bounds, language)) {
        (_, Err(mistakes)) => Refusal::Mistakes(mistakes),
        (Err(problem), Ok(_)) => Refusal::Problem(problem),
        (Ok(from), Ok(order)) => {
            let attempt = IdempotencyKey(key.unwrap_or_else(Uuid::new_v4)).attempt(slug.as_str(), &body(&order));
            match donate::make(&state, &slug, from.clone(), order, attempt).await {
                Ok((_, made)) => return Ok(made_it(&state, language, &made)),
                Err(problem) if problem.code == Code::KeyReused => match donate::earlier(&state, &slug, &from, attempt.key).await? {
                    Some(made) => Refusal::Made(problem, Box::new(made)),
                    None => Refusal::Problem(problem),
                },
                Err(problem) => Refusal::Problem(problem),
            }
        }
    };
    refused(&state, target, key, typed, refusal)
}

/// Why the form is shown again.
enum Refusal {
    /// Fields are wrong.
    Mistakes(Vec<Mistake>),
    /// Another order was sent with its key before, and is this donation now.
    Made(Problem, Box<Made>),
    /// It could not be done, or not now.
    Problem(Problem),
}

/// On to the PIX. Of a guest, the browser keeps the token for the pages of this donation alone.
fn made_it(state: &AppState, language: Language, made: &Made) -> Response {
    let mut response = see_other(language, &format!("{}/pix", path_of(made)));
    response.headers_mut().extend(token_cookies(state, made));
    response
}

/// The path of a donation's pages, without the language's prefix.
fn path_of(made: &Made) -> String {
    format!("/doacoes/{}", made.donated.doacao.id)
}

/// The cookies that open a guest's donation to its pages in each language.
fn token_cookies(core: &Core, made: &Made) -> Vec<(HeaderName, HeaderValue)> {
    let path = path_of(made);
    let tokens = made.token.iter();
    let cookies = tokens.flat_map(|token| Language::ALL.map(|language| token_cookie(core, &format!("{}{path}", language.prefix()), token)));
    cookies.map(|cookie| (header::SET_COOKIE, cookie)).collect()
}

/// 303 to a page of ours.
pub(super) fn see_other(language: Language, path: &str) -> Response {
    let address = HeaderValue::try_from(format!("{}{path}", language.prefix())).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response()
}

fn refused(state: &AppState, target: Target, key: Option<Uuid>, typed: Typed, refusal: Refusal) -> Result<Response, Problem> {
    let language = target.here.language;
    let t = &language.texts().donate;
    let bounds = target.bounds;
    let mut key = key.unwrap_or_else(Uuid::new_v4);
    let (mut cookies, mut earlier) = (vec![], None);
    let (problem, mistakes, notice) = match refusal {
        Refusal::Mistakes(mistakes) => (Problem::violations(vec![]), mistakes, None),
        Refusal::Made(problem, made) => {
            key = Uuid::new_v4();
            cookies = token_cookies(state, &made);
            earlier = Some(format!("{}/pix", path_of(&made)));
            (problem, vec![], Some((t.key_reused)(&reais(made.donated.doacao.valor_centavos, language))))
        }
        Refusal::Problem(problem) => match problem.code {
            Code::Invalid => {
                let mistakes = order::mistakes(&problem.violations, bounds, language);
                (problem, mistakes, None)
            }
            Code::KeyInFlight => (problem, vec![], Some(t.in_flight.to_owned())),
            Code::Unavailable => (problem, vec![], Some(t.away.to_owned())),
            Code::CampaignClosed => (problem, vec![], Some(t.closed.to_owned())),
            Code::NoPixKey => (problem, vec![], Some(t.no_pix_key.to_owned())),
            Code::RateLimited => {
                let wait = duration(problem.wait().unwrap_or(1), language);
                (problem, vec![], Some((t.too_many)(&wait)))
            }
            Code::Unauthenticated => {
                cookies.push((header::SET_COOKIE, clear_cookie(state)));
                (problem, vec![], Some(t.session_ended.to_owned()))
            }
            _ => return Err(problem),
        },
    };
    let mut page = target.page(key, typed);
    page.shell.title = (t.error_title)(&page.shell.title);
    let number = i64::try_from(mistakes.len()).unwrap_or(i64::MAX);
    page.summary = Some(match notice {
        Some(notice) => Summary { heading: notice, lines: vec![], earlier },
        None => Summary {
            heading: (t.things_to_mend)(number, &count(number, language)),
            lines: mistakes.iter().map(|mistake| SummaryLine { id: id_of(mistake.field), text: mistake.text.clone() }).collect(),
            earlier: None,
        },
    });
    page.is_unfolded |= mistakes.iter().any(|mistake| !matches!(mistake.field, Field::Amount | Field::Consent));
    page.wrong = Wrong::new(&mistakes);
    let mut response = page::private(problem.code.status(), &page)?;
    problem.add_headers(response.headers_mut());
    response.headers_mut().extend(cookies);
    response.extensions_mut().insert(ToldOnPage(problem));
    Ok(response)
}
