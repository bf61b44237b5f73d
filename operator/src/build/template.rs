//! Files with places for values.

/// `template` with each value in the place of `@NAME@`. A place that fills a line takes as many lines as the value has, with the
/// line's indentation; with an empty value the line goes.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        let content = line.trim_start();
        let indentation = line.strip_suffix(content).unwrap_or_default();
        let filled = values.iter().fold(content.to_owned(), |filled, (name, value)| filled.replace(&format!("@{name}@"), value));
        if filled.is_empty() && !content.is_empty() {
            continue;
        }
        for line in filled.split('\n') {
            if !line.is_empty() {
                text.push_str(indentation);
                text.push_str(line);
            }
            text.push('\n');
        }
    }
    for (name, _) in values {
        debug_assert!(template.contains(&format!("@{name}@")), "there is no place for {name}");
    }
    debug_assert_eq!(place(&text), None);
    text
}

/// The first `@NAME@`.
fn place(text: &str) -> Option<&str> {
    let parts: Vec<&str> = text.split('@').collect();
    let (_, inner) = parts.split_first()?;
    let (_, inner) = inner.split_last()?;
    inner.iter().copied().find(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places() {
        let filled =
            fill("a {\n    @LINES@\n    @NONE@\n\n    rate=@RATE@r/s @api;\n}\n", &[("LINES", "x;\ny;"), ("NONE", ""), ("RATE", "5")]);
        assert_eq!(filled, "a {\n    x;\n    y;\n\n    rate=5r/s @api;\n}\n");
    }

    #[test]
    fn a_place_without_a_value_is_found_and_other_signs_are_none() {
        assert_eq!(place("a @HOST@ b"), Some("HOST"));
        assert_eq!(place("location @api { } location @away"), None);
        assert_eq!(place("log_line_prefix = '%m [%p] %q%u@%d '"), None);
    }
}
