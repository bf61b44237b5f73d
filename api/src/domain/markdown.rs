//! Campaign texts in Markdown, as HTML that is safe to show.
//!
//! Two walls, since each alone has been climbed before: comrak writes no HTML of its own accord that was in the text, and ammonia
//! keeps only the elements below, without attributes but for a link's address. Neither SVG nor `MathML` is among them, which past ways
//! around ammonia needed (RUSTSEC-2025-0071, RUSTSEC-2026-0193).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

/// HTML that came out of [`render`]. Only this may be put into a page unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanitizedHtml(String);

impl fmt::Display for SanitizedHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ELEMENTS: [&str; 14] = ["a", "blockquote", "br", "code", "em", "h3", "h4", "hr", "li", "ol", "p", "pre", "strong", "ul"];

/// The page has its own first two levels of headings.
const HEADING_OFFSET: u8 = 2;

static CLEANER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = ammonia::Builder::empty();
    cleaner
        .tags(HashSet::from(ELEMENTS))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .url_schemes(HashSet::from(["https", "http", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("nofollow ugc noopener"));
    cleaner
});

/// `text`, at most 20,000 characters, as HTML. Headings begin at the third level; HTML in the text is shown as text or dropped.
pub fn render(text: &str) -> SanitizedHtml {
    let mut options = comrak::Options::default();
    options.extension.autolink = true;
    options.render.escape = true;
    options.parse.smart = false;
    let html = comrak::markdown_to_html(&deeper_headings(text), &options);
    SanitizedHtml(CLEANER.clean(&html).to_string())
}

/// Moves ATX headings down, so that a text cannot have a heading above the page's own.
fn deeper_headings(text: &str) -> String {
    let mut in_code = false;
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start_matches(' ');
        in_code ^= trimmed.starts_with("```") || trimmed.starts_with("~~~");
        let level = trimmed.bytes().take_while(|byte| *byte == b'#').count();
        let is_heading = !in_code && (1..=6).contains(&level) && trimmed.as_bytes().get(level).is_none_or(u8::is_ascii_whitespace);
        if is_heading {
            let kept = if level == 1 { usize::from(HEADING_OFFSET) + 1 } else { usize::from(HEADING_OFFSET) + 2 };
            out.push_str(&"#".repeat(kept));
            out.push_str(trimmed.trim_start_matches('#'));
        } else {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        render(text).to_string()
    }

    #[test]
    fn what_people_write_is_shown() {
        let shown = html("# Por quê\n\nUm **prato** por dia:\n\n- arroz\n- feijão\n\nVeja <https://exemplo.org.br>");
        assert!(shown.contains("<h3>Por quê</h3>"), "{shown}");
        assert!(shown.contains("<strong>prato</strong>"), "{shown}");
        assert!(shown.contains("<li>feijão</li>"), "{shown}");
        assert!(shown.contains(r#"<a href="https://exemplo.org.br" rel="nofollow ugc noopener">"#), "{shown}");
    }

    #[test]
    fn nothing_in_a_text_is_a_script_or_looks_like_the_page() {
        for text in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x)",
            "![x](https://exemplo.org/a.png)",
            "<svg><animate onbegin=alert(1)></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<style>*{display:none}</style>",
            "</textarea></title><iframe src=//x>",
            "[x](//exemplo.org/a)",
            "[x](/conta/apagar)",
            "<div style=\"position:fixed\">x</div>",
        ] {
            let shown = html(text);
            for wrong in [
                "<script",
                "<img",
                "<svg",
                "<style",
                "<iframe",
                "<math",
                "<div",
                "<a href=\"j",
                "<a href=\"J",
                "<a href=\"d",
                "<a href=\"v",
                "<a href=\"/",
            ] {
                assert!(!shown.contains(wrong), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn no_text_has_a_heading_above_the_third_level() {
        let shown = html("# a\n## b\n###### c\nd\n===\n\ne\n---\n");
        assert!(!shown.contains("<h1") && !shown.contains("<h2"), "{shown}");
    }

    /// Texts that make parsers quadratic; see commonmark.js issue 129.
    #[test]
    fn long_texts_of_one_kind_are_quick() {
        let started = std::time::Instant::now();
        for piece in ["[", "![", "*a ", "`a", "> ", "<", "- ", "\\", "[a](", "&#"] {
            let text: String = piece.repeat(20_000 / piece.len());
            let _ = html(&text);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
