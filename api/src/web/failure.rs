//! Problems as pages, in words for people. Every code has its words here: a new one must be given them.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::format::count;
use super::language::Language;
use super::page::Shell;
use super::text::{Catalogue, ErrorText};
use crate::cache::Media;
use crate::http::problem::{Code, Problem};

#[derive(Template)]
#[template(path = "error.html", whitespace = "minimize")]
struct ErrorPage {
    shell: Shell,
    heading: &'static str,
    text: &'static str,
    /// How long to wait, where that is known.
    wait: Option<String>,
    /// Status and id for whoever asks for help.
    code: String,
}

/// The page that tells `problem` to whoever asked for `path`.
pub(crate) fn page(problem: &Problem, path: &str, id: &str) -> Response {
    let (language, _) = Language::of(path);
    let t = language.texts();
    let status = problem.code.status();
    let code = if status.is_server_error() { (t.errors.code_and_id)(status.as_str(), id) } else { (t.errors.code)(status.as_str()) };
    // Only where it is worth counting: a second is over before it is read.
    let wait = problem.wait().filter(|seconds| *seconds > 1).map(|seconds| (t.errors.wait)(&duration(seconds, language)));
    let html = render(words(problem.code, t), language, wait, code);
    (status, [(header::CONTENT_TYPE, Media::Html.content_type())], html).into_response()
}

/// `seconds` as people say it: whole minutes above one minute and a half.
pub(crate) fn duration(seconds: u32, language: Language) -> String {
    let t = language.texts();
    let (say, number) = if seconds <= 90 { (t.errors.seconds, seconds) } else { (t.errors.minutes, seconds.div_ceil(60)) };
    say(i64::from(number), &count(i64::from(number), language))
}

fn render(words: &ErrorText, language: Language, wait: Option<String>, code: String) -> String {
    let shell = Shell::private(language, "/".to_owned(), words.heading.to_owned());
    // Writing to a string cannot fail, and the template asks nothing that can.
    ErrorPage { shell, heading: words.heading, text: words.text, wait, code }.render().unwrap_or_default()
}

/// The pages with which a web server in front of the API answers by itself: path below the folder of assets, and content.
pub fn files() -> impl Iterator<Item = (String, String)> {
    let served = [
        (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge),
        (StatusCode::URI_TOO_LONG, Code::Malformed),
        (StatusCode::TOO_MANY_REQUESTS, Code::RateLimited),
        (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
    ];
    Language::ALL.into_iter().flat_map(move |language| {
        served.into_iter().map(move |(status, code)| {
            let t = language.texts();
            let html = render(words(code, t), language, None, (t.errors.code)(status.as_str()));
            (format!("erros{}/{}.html", language.prefix(), status.as_str()), html)
        })
    })
}

const fn words(code: Code, t: &'static Catalogue) -> &'static ErrorText {
    let errors = &t.errors;
    match code {
        Code::NotFound => &errors.not_found,
        Code::MethodNotAllowed => &errors.method,
        Code::BadCursor | Code::BadToken => &errors.cursor,
        Code::Unauthenticated | Code::BadCredentials | Code::ReauthenticationRequired => &errors.unauthenticated,
        Code::CrossSite => &errors.cross_site,
        Code::Forbidden | Code::Suspended => &errors.forbidden,
        Code::InvalidTransition
        | Code::KeyInFlight
        | Code::SlugTaken
        | Code::CnpjTaken
        | Code::AlreadyMember
        | Code::LastOwner
        | Code::RecentOwner
        | Code::CampaignClosed
        | Code::NotVerified
        | Code::NoPixKey
        | Code::ReceiptTaken
        | Code::TooManyCharges
        | Code::RefundTooLate
        | Code::Stale
        | Code::KeyReused
        | Code::PreconditionRequired => &errors.conflict,
        Code::Malformed | Code::BadJson | Code::KeyRequired | Code::SlowBody | Code::UnsupportedMediaType | Code::Invalid => {
            &errors.malformed
        }
        Code::TooLarge => &errors.too_large,
        Code::RateLimited => &errors.too_many,
        Code::Internal => &errors.internal,
        Code::Unavailable => &errors.unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_page_in_each_language_that_tells_no_cause() {
        for code in Code::ALL {
            let problem =
                Problem { cause: Some(std::sync::Arc::new(std::io::Error::other("postgres://app:secret"))), ..Problem::new(*code, "x") };
            for (path, heading) in [("/x", words(*code, Language::Portuguese.texts())), ("/en/x", words(*code, Language::English.texts()))]
            {
                let html = page(&problem, path, "id-1");
                assert_eq!(html.status(), code.status());
                let html = render(heading, Language::of(path).0, None, String::new());
                assert!(html.contains(heading.heading) && !html.contains("secret"), "{html}");
            }
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_and_then_in_minutes() {
        for (seconds, told) in [(1, "1 segundo"), (90, "90 segundos"), (91, "2 minutos"), (3_600, "60 minutos")] {
            assert_eq!(duration(seconds, Language::Portuguese), told);
        }
    }
}
