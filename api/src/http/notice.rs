//! Consent to the privacy notice, asked wherever personal data enters.

use super::problem::Violations;
use crate::state::PRIVACY_NOTICE;

/// Notes what is missing of a consent to the notice in force.
pub(super) fn check(wrong: &mut Violations, version: &str, consent: bool) {
    if version != PRIVACY_NOTICE {
        wrong.add("aviso_privacidade", format!("a versão em vigor é `{PRIVACY_NOTICE}`; mostre-a e envie a sua versão"));
    }
    if !consent {
        wrong.add("consentimento", "é preciso concordar com o aviso de privacidade");
    }
}
