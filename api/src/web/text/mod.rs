//! The words of the pages: one structure, filled once for each language, so that a text which is missing does not compile.
//!
//! Texts are short and say one thing. The same thing has the same word everywhere. What is filled in comes formatted already.

pub(crate) mod en;
pub(crate) mod pt;

use crate::domain::campaign::Category;

/// The name of the site.
pub(crate) const SITE: &str = "doacoes";

/// A text with one gap.
pub(crate) type With = fn(&str) -> String;
/// A text with two gaps.
pub(crate) type WithTwo = fn(&str, &str) -> String;
/// A text about a number of things: the number, and how it is written.
pub(crate) type Counted = fn(i64, &str) -> String;

/// Every text of the pages in one language.
pub(crate) struct Catalogue {
    pub(crate) common: CommonTexts,
    pub(crate) lists: ListTexts,
    pub(crate) campaign: CampaignTexts,
    pub(crate) organizadora: OrganizadoraTexts,
    pub(crate) donate: DonateTexts,
    pub(crate) pix: PixTexts,
    pub(crate) thanks: ThanksTexts,
    pub(crate) errors: ErrorTexts,
    pub(crate) category: fn(Category) -> &'static str,
}

/// What several pages say.
pub(crate) struct CommonTexts {
    pub(crate) skip: &'static str,
    pub(crate) main_navigation: &'static str,
    pub(crate) campaigns: &'static str,
    pub(crate) footer: &'static str,
    pub(crate) stale: &'static str,
    pub(crate) verified: &'static str,
    pub(crate) verified_question: &'static str,
    pub(crate) verified_answer: &'static str,
    pub(crate) receiver: &'static str,
    pub(crate) check_name: &'static str,
    pub(crate) donate: &'static str,
    pub(crate) donate_amount: &'static str,
    pub(crate) anonymous: &'static str,
    pub(crate) hidden_amount: &'static str,
    pub(crate) brasilia: &'static str,
    pub(crate) to_campaign: &'static str,
    pub(crate) share_heading: &'static str,
    pub(crate) whatsapp: &'static str,
    pub(crate) share: &'static str,
    pub(crate) address: &'static str,
    pub(crate) copy_link: &'static str,
    pub(crate) next_page: &'static str,
    /// Percent, and the goal as an amount.
    pub(crate) of_goal: WithTwo,
    /// The goal as an amount.
    pub(crate) the_goal: With,
    pub(crate) donors: Counted,
    /// A day.
    pub(crate) until: With,
}

/// Home, search and lists.
pub(crate) struct ListTexts {
    pub(crate) home_title: &'static str,
    pub(crate) home_description: &'static str,
    pub(crate) home_heading: &'static str,
    pub(crate) home_lead: &'static str,
    pub(crate) search_heading: &'static str,
    pub(crate) search_label: &'static str,
    pub(crate) search_button: &'static str,
    pub(crate) search_error: &'static str,
    pub(crate) categories: &'static str,
    pub(crate) all: &'static str,
    pub(crate) open: &'static str,
    pub(crate) order: &'static str,
    pub(crate) newest: &'static str,
    pub(crate) raised: &'static str,
    pub(crate) ending: &'static str,
    pub(crate) more: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) nothing_hint: &'static str,
    pub(crate) none_open: &'static str,
    pub(crate) search_all: &'static str,
    /// What was searched for.
    pub(crate) results: With,
    /// What was searched for.
    pub(crate) no_results: With,
    /// Percent, and the goal as an amount.
    pub(crate) card_goal: WithTwo,
}

/// A campaign's page and the list of its donations.
pub(crate) struct CampaignTexts {
    pub(crate) story: &'static str,
    pub(crate) organizer: &'static str,
    pub(crate) latest: &'static str,
    pub(crate) nobody_yet: &'static str,
    pub(crate) all_donations: &'static str,
    pub(crate) panel: &'static str,
    pub(crate) result: &'static str,
    pub(crate) whence: &'static str,
    pub(crate) confirmed: &'static str,
    pub(crate) declared: &'static str,
    pub(crate) refunded: &'static str,
    pub(crate) whence_note: &'static str,
    pub(crate) paused: &'static str,
    pub(crate) paused_note: &'static str,
    pub(crate) ended_note: &'static str,
    pub(crate) others_of: &'static str,
    pub(crate) refresh: &'static str,
    /// A day.
    pub(crate) ended: With,
    /// Day and time.
    pub(crate) starts: With,
    /// The campaign's title.
    pub(crate) donations_of: With,
}

/// An organizadora's page.
pub(crate) struct OrganizadoraTexts {
    pub(crate) campaigns: &'static str,
    pub(crate) none: &'static str,
    pub(crate) not_verified: &'static str,
    /// Its name.
    pub(crate) description: With,
}

/// The form of a donation.
pub(crate) struct DonateTexts {
    pub(crate) heading: &'static str,
    /// The campaign's title.
    pub(crate) title: With,
    /// The page's title.
    pub(crate) error_title: With,
    pub(crate) things_to_mend: Counted,
    pub(crate) amount: &'static str,
    pub(crate) other: &'static str,
    pub(crate) other_label: &'static str,
    /// The least and the largest amount.
    pub(crate) amount_hint: WithTwo,
    pub(crate) optional: &'static str,
    pub(crate) name: &'static str,
    pub(crate) name_hint: &'static str,
    pub(crate) email: &'static str,
    pub(crate) email_hint: &'static str,
    pub(crate) message: &'static str,
    pub(crate) message_hint: &'static str,
    pub(crate) who_sees: &'static str,
    pub(crate) everybody: &'static str,
    pub(crate) organizer_only: &'static str,
    pub(crate) organizer_only_hint: &'static str,
    pub(crate) nobody: &'static str,
    pub(crate) nobody_hint: &'static str,
    pub(crate) hide_amount: &'static str,
    pub(crate) consent: &'static str,
    pub(crate) notice: &'static str,
    pub(crate) notice_text: &'static [&'static str],
    pub(crate) nothing_added: &'static str,
    pub(crate) error_prefix: &'static str,
    pub(crate) choose_amount: &'static str,
    pub(crate) unclear_amount: &'static str,
    /// The marked and the written amount.
    pub(crate) two_amounts: WithTwo,
    /// The least and the largest amount.
    pub(crate) out_of_range: WithTwo,
    pub(crate) bad_name: &'static str,
    pub(crate) bad_email: &'static str,
    pub(crate) email_of_account: &'static str,
    pub(crate) bad_message: &'static str,
    pub(crate) bad_visibility: &'static str,
    pub(crate) no_secret: &'static str,
    pub(crate) consent_missing: &'static str,
    pub(crate) notice_changed: &'static str,
    pub(crate) other_field: &'static str,
    /// The amount of the donation that there is.
    pub(crate) key_reused: With,
    pub(crate) go_on: &'static str,
    pub(crate) in_flight: &'static str,
    pub(crate) away: &'static str,
    pub(crate) session_ended: &'static str,
    pub(crate) no_pix_key: &'static str,
    pub(crate) closed: &'static str,
    /// How long to wait.
    pub(crate) too_many: With,
}

/// The page on which a donation is paid.
pub(crate) struct PixTexts {
    /// The amount.
    pub(crate) title: With,
    pub(crate) heading: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) to: &'static str,
    pub(crate) copy_step: &'static str,
    pub(crate) copy: &'static str,
    pub(crate) bank_step: &'static str,
    pub(crate) bank_hint: &'static str,
    pub(crate) check_step: &'static str,
    pub(crate) name: &'static str,
    pub(crate) amount: &'static str,
    pub(crate) return_step: &'static str,
    pub(crate) return_hint: &'static str,
    pub(crate) other_device: &'static str,
    pub(crate) save_picture: &'static str,
    pub(crate) pay_until: &'static str,
    pub(crate) paid: &'static str,
    pub(crate) not_yet: &'static str,
    pub(crate) by_itself: &'static str,
    pub(crate) stop_by_itself: &'static str,
    pub(crate) trouble: &'static str,
    pub(crate) trouble_hint: &'static str,
    pub(crate) another: &'static str,
    pub(crate) give_up: &'static str,
    pub(crate) simulate: &'static str,
    pub(crate) expired_heading: &'static str,
    pub(crate) expired: &'static str,
    pub(crate) expired_hint: &'static str,
    pub(crate) expired_paid: &'static str,
    pub(crate) over_hint: &'static str,
    pub(crate) cancelled_heading: &'static str,
    pub(crate) cancelled: &'static str,
    pub(crate) cancelled_hint: &'static str,
    pub(crate) donate_again: &'static str,
    pub(crate) too_many: &'static str,
}

/// The page after the payment.
pub(crate) struct ThanksTexts {
    pub(crate) title: &'static str,
    /// The donor's name.
    pub(crate) heading_to: With,
    pub(crate) heading: &'static str,
    pub(crate) arrived: &'static str,
    pub(crate) confirmed: &'static str,
    pub(crate) partly_refunded: &'static str,
    pub(crate) refunded: &'static str,
    pub(crate) disputed: &'static str,
    pub(crate) refunded_heading: &'static str,
    pub(crate) refunded_note: &'static str,
    pub(crate) received_at: &'static str,
    pub(crate) number: &'static str,
    /// Percent before and after.
    pub(crate) moved: WithTwo,
    /// Percent before and after.
    pub(crate) moved_label: WithTwo,
}

/// A heading and what to do.
pub(crate) struct ErrorText {
    pub(crate) heading: &'static str,
    pub(crate) text: &'static str,
}

/// Pages that tell a problem.
pub(crate) struct ErrorTexts {
    pub(crate) not_found: ErrorText,
    pub(crate) method: ErrorText,
    pub(crate) cursor: ErrorText,
    pub(crate) unauthenticated: ErrorText,
    pub(crate) cross_site: ErrorText,
    pub(crate) forbidden: ErrorText,
    pub(crate) conflict: ErrorText,
    pub(crate) malformed: ErrorText,
    pub(crate) too_large: ErrorText,
    pub(crate) too_many: ErrorText,
    pub(crate) internal: ErrorText,
    pub(crate) unavailable: ErrorText,
    pub(crate) see_campaigns: &'static str,
    /// The status.
    pub(crate) code: With,
    /// The status, and the id of the request.
    pub(crate) code_and_id: WithTwo,
    /// How long.
    pub(crate) wait: With,
    pub(crate) seconds: Counted,
    pub(crate) minutes: Counted,
}
