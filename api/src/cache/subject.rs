//! What is cached, under which name, and for how long.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::PersonId;
use crate::domain::text_enum::texts;

const MINUTE: Duration = Duration::from_mins(1);

/// A kind of cached answer, with its times to live; its text is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheClass {
    /// A campaign, without money.
    Campaign,
    /// A page of campaigns.
    Campaigns,
    /// A page of campaigns by money raised.
    CampaignsByMoney,
    /// The totals of a campaign.
    Totals,
    /// The first page of a campaign's donations.
    Feed,
    /// An organizadora.
    Organizadora,
    /// A page of organizadoras.
    Organizadoras,
    /// A person, for themselves.
    Person,
    /// A session.
    Session,
    /// A page for people, made of the answers above; only processes keep it.
    Page,
}

texts!(CacheClass {
    Campaign = "campanha",
    Campaigns = "campanhas",
    CampaignsByMoney = "campanhas_arrecadado",
    Totals = "totais",
    Feed = "doacoes",
    Organizadora = "organizadora",
    Organizadoras = "organizadoras",
    Person = "pessoa",
    Session = "sessao",
    Page = "pagina",
});

impl CacheClass {
    /// How long Redis keeps it, before jitter.
    pub(super) const fn redis_life(self) -> Duration {
        match self {
            Self::Campaign | Self::Campaigns | Self::Organizadora | Self::Organizadoras => Duration::from_hours(1),
            // No page is there: it is made of what is.
            Self::Page => Duration::ZERO,
            // The order moves with every donation.
            Self::CampaignsByMoney => Duration::from_secs(10),
            // After this long without word from PostgreSQL a session is checked there again.
            Self::Totals | Self::Session => MINUTE,
            Self::Feed => Duration::from_mins(15),
            Self::Person => Duration::from_mins(30),
        }
    }

    /// How long a process keeps it at most.
    pub(super) const fn local_life(self) -> Duration {
        match self {
            // Lists and pages show totals, which are pushed one by one and not into them.
            Self::Campaigns | Self::CampaignsByMoney | Self::Page => Duration::from_secs(1),
            _ => Duration::from_secs(4),
        }
    }
}

/// What changes together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The campaign `slug`.
    pub fn campaign(slug: &str) -> Self {
        Self(format!("campanha:{slug}").into())
    }

    /// The totals of campaign `slug`.
    pub fn totals(slug: &str) -> Self {
        Self(format!("totais:{slug}").into())
    }

    /// The donations of campaign `slug`.
    pub fn feed(slug: &str) -> Self {
        Self(format!("doacoes:{slug}").into())
    }

    /// Every page of campaigns.
    pub fn campaigns() -> Self {
        Self("campanhas".into())
    }

    /// The organizadora `slug`.
    pub fn organizadora(slug: &str) -> Self {
        Self(format!("organizadora:{slug}").into())
    }

    /// Every page of organizadoras.
    pub fn organizadoras() -> Self {
        Self("organizadoras".into())
    }

    /// A person.
    pub fn person(id: PersonId) -> Self {
        Self(format!("pessoa:{id}").into())
    }

    /// The session whose token has this SHA-256.
    pub fn session(hash: &[u8]) -> Self {
        Self(format!("sessao:{}", hex::encode(hash)).into())
    }

    /// What everyone sees of the campaigns `slugs`, each tag once; nothing of none.
    pub fn all_of_campaigns<'a>(slugs: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let of_one = |slug| [Self::campaign(slug), Self::totals(slug), Self::feed(slug)];
        let mut tags: Vec<Self> = slugs.into_iter().flat_map(of_one).collect();
        if !tags.is_empty() {
            tags.push(Self::campaigns());
        }
        tags
    }

    /// A tag as it was written to the outbox or sent by another process.
    pub fn parse(text: &str) -> Self {
        Self(text.into())
    }

    /// Its name, which is also the key of a subject that has its tag to itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of what processes keep: not what is one person's.
    pub(super) fn is_public(&self) -> bool {
        !self.0.starts_with("pessoa:") && !self.0.starts_with("sessao:")
    }

    /// Whether one tag stands for many keys, which a generation in their names makes obsolete together.
    pub(super) fn is_shared(&self) -> bool {
        matches!(&*self.0, "campanhas" | "organizadoras") || self.0.starts_with("doacoes:")
    }
}

/// One cached answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    class: CacheClass,
    tag: Tag,
    /// What else it changes with; only a page changes with several things.
    further: Option<Arc<[Tag]>>,
    /// Which of the answers of a shared tag.
    variant: Option<Arc<str>>,
}

impl Subject {
    /// The campaign `slug`.
    pub fn campaign(slug: &str) -> Self {
        Self { class: CacheClass::Campaign, tag: Tag::campaign(slug), further: None, variant: None }
    }

    /// Its totals.
    pub fn totals(slug: &str) -> Self {
        Self { class: CacheClass::Totals, tag: Tag::totals(slug), further: None, variant: None }
    }

    /// The first page of its donations.
    pub fn feed(slug: &str, limit: u8) -> Self {
        Self { class: CacheClass::Feed, tag: Tag::feed(slug), further: None, variant: Some(limit.to_string().into()) }
    }

    /// The first page of campaigns for a query string with sorted names.
    pub fn campaigns(query: &str, limit: u8, by_money: bool) -> Self {
        let class = if by_money { CacheClass::CampaignsByMoney } else { CacheClass::Campaigns };
        Self { class, tag: Tag::campaigns(), further: None, variant: Some(format!("{limit}:{query}").into()) }
    }

    /// The organizadora `slug`.
    pub fn organizadora(slug: &str) -> Self {
        Self { class: CacheClass::Organizadora, tag: Tag::organizadora(slug), further: None, variant: None }
    }

    /// The first page of organizadoras.
    pub fn organizadoras(limit: u8) -> Self {
        Self { class: CacheClass::Organizadoras, tag: Tag::organizadoras(), further: None, variant: Some(limit.to_string().into()) }
    }

    /// A person.
    pub fn person(id: PersonId) -> Self {
        Self { class: CacheClass::Person, tag: Tag::person(id), further: None, variant: None }
    }

    /// The session whose token has this SHA-256.
    pub fn session(hash: &[u8]) -> Self {
        Self { class: CacheClass::Session, tag: Tag::session(hash), further: None, variant: None }
    }

    /// The page that has the name `name` among all pages, and changes with `tag` and with each of `further`.
    pub fn page(name: &str, tag: Tag, further: &[Tag]) -> Self {
        let further = if further.is_empty() { None } else { Some(further.into()) };
        Self { class: CacheClass::Page, tag, further, variant: Some(name.into()) }
    }

    /// Its kind.
    pub const fn class(&self) -> CacheClass {
        self.class
    }

    /// What it changes with. A page has [`Subject::tags`] instead, and is asked of nothing but the process's own cache.
    pub(super) const fn tag(&self) -> &Tag {
        &self.tag
    }

    /// All that it changes with.
    pub(super) fn tags(&self) -> impl Iterator<Item = &Tag> {
        std::iter::once(&self.tag).chain(self.further.iter().flat_map(|further| further.iter()))
    }

    pub(super) fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_with_variants_has_a_shared_tag() {
        let subjects = [
            Subject::campaign("a"),
            Subject::totals("a"),
            Subject::feed("a", 20),
            Subject::campaigns("ordem=recentes", 20, false),
            Subject::campaigns("ordem=arrecadado", 20, true),
            Subject::organizadora("a"),
            Subject::organizadoras(20),
            Subject::session(&[0xab; 32]),
        ];
        for subject in subjects {
            assert_eq!(subject.tag.is_shared(), subject.variant.is_some(), "{subject:?}");
            assert_eq!(Tag::parse(subject.tag.as_str()), subject.tag);
        }
        assert!(Tag::session(&[0x0b; 32]).as_str().starts_with("sessao:0b0b"));
    }
}
