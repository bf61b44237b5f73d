//! Telling others of a campaign.

/// What the buttons for sharing need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) title: String,
    /// The whole address of the campaign's page.
    pub(crate) url: String,
    /// `WhatsApp` with the title and the address as text. It opens the app on phones and the site elsewhere.
    pub(crate) whatsapp: String,
}

impl Share {
    pub(crate) fn new(title: &str, url: String) -> Self {
        let text: String = form_urlencoded::Serializer::new(String::new()).append_pair("text", &format!("{title} {url}")).finish();
        Self { title: title.to_owned(), whatsapp: format!("https://api.whatsapp.com/send?{}", text.replace('+', "%20")), url }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_stays_one_text_in_the_link() {
        let share = Share::new("Pão & sopa + café?", "https://doe.example/campanhas/a".to_owned());
        assert_eq!(
            share.whatsapp,
            "https://api.whatsapp.com/send?text=P%C3%A3o%20%26%20sopa%20%2B%20caf%C3%A9%3F%20https%3A%2F%2Fdoe.example%2Fcampanhas%2Fa"
        );
    }
}
