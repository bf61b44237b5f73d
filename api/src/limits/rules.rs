//! Which limits there are, and what a file makes of them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::text_enum::texts;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = ($text:literal, $limit:literal, $seconds:literal)),+ $(,)?) => {
        /// What is limited, each by its own subject. Nothing is limited per campaign: a hot one is a success. Its text is its name
        /// in files, headers, metrics and Redis.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $name),+ }

        texts!(Rule { $($name = $text),+ });

        impl Rule {
            const fn default(self) -> Quota {
                match self { $(Self::$name => Quota { limit: $limit, period_seconds: $seconds }),+ }
            }
        }
    };
}

rules! {
    /// Donations of a person, a device that names itself, or an address and browser together.
    DonationDevice = ("donation_device", 10, 60),
    /// Donations from an address; a carrier puts thousands of phones behind one.
    DonationIp = ("donation_ip", 600, 60),
    /// Repeated donations from an address that cost no quota; counted in each process by itself.
    RepeatIp = ("repeat_ip", 60, 60),
    /// Donations from an address over their limit for which a kept answer is looked for; in each process by itself. A look-up costs
    /// less than a donation, of which an address has as many.
    LookUpIp = ("look_up_ip", 600, 60),
    /// Reads from an address, in each process by itself; only where a trusted proxy has named the address.
    ReadIp = ("read_ip", 20_000, 10),
    /// Failed log-ins with an e-mail.
    LoginEmail = ("login_email", 10, 900),
    /// Failed log-ins from an address.
    LoginIp = ("login_ip", 100, 900),
    /// Wrong passwords of a person who is logged in.
    Password = ("password", 10, 900),
    /// Sign-ups with an e-mail, each of which sends a message there.
    SignUpEmail = ("sign_up_email", 5, 3600),
    /// Sign-ups from an address.
    SignUpIp = ("sign_up_ip", 60, 3600),
    /// Requests for a new password of an e-mail.
    ResetEmail = ("reset_email", 5, 3600),
    /// Requests for a new password from an address.
    ResetIp = ("reset_ip", 60, 3600),
    /// Wrong codes and claims without proof from an address.
    CodeIp = ("code_ip", 60, 900),
    /// Streams of totals opened from an address: a carrier's phones open them again together when a process stops.
    StreamIp = ("stream_ip", 600, 60),
}

/// So many at once, and again so many over the period, evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many.
    pub limit: u32,
    /// In how many seconds.
    pub period_seconds: u32,
}

// Redis counts in microseconds.
const MAX_LIMIT_USES: u32 = 1_000_000;
const MAX_PERIOD_SECONDS: u32 = 31 * 86_400;

impl Quota {
    const fn is_sensible(self) -> bool {
        self.limit >= 1 && self.limit <= MAX_LIMIT_USES && self.period_seconds >= 1 && self.period_seconds <= MAX_PERIOD_SECONDS
    }

    /// The time in which one more is earned, in microseconds; at least one of a sensible quota.
    pub fn interval_micros(self) -> u64 {
        u64::from(self.period_seconds) * 1_000_000 / u64::from(self.limit)
    }

    /// The time in which all of it is earned, in microseconds.
    pub fn burst_micros(self) -> u64 {
        self.interval_micros() * u64::from(self.limit)
    }
}

/// A file of limits that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It cannot be read.
    #[error("RATE_LIMITS: {0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// It is no JSON of the expected shape.
    #[error("RATE_LIMITS: {0} must be like {{\"donation_ip\": {{\"limit\": 600, \"period_seconds\": 60}}, \"login_ip\": null}}")]
    Parse(PathBuf, #[source] serde_json::Error),
    /// It names a rule that does not exist.
    #[error("RATE_LIMITS: {0} names {1:?}; there are * (all others) and {2}")]
    Unknown(PathBuf, String, String),
    /// A number is out of range.
    #[error("RATE_LIMITS: {0}: {1} needs a limit from 1 to {MAX_LIMIT_USES} and a period_seconds from 1 to {MAX_PERIOD_SECONDS}")]
    Range(PathBuf, String),
}

/// The quota of each rule that is not lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(HashMap<Rule, Quota>);

impl Default for Rules {
    fn default() -> Self {
        Self(Rule::ALL.iter().map(|rule| (*rule, rule.default())).collect())
    }
}

impl Rules {
    /// The quotas by the names of their rules, which serialise to a file that [`Rules::load`] reads.
    pub fn by_name(&self) -> BTreeMap<&'static str, Quota> {
        self.0.iter().map(|(rule, quota)| (rule.as_str(), *quota)).collect()
    }

    /// The defaults, changed by a file where there is one. `null` lifts a rule, `"*": null` all that the file does not name.
    pub fn load(file: Option<&Path>) -> Result<Self, RulesError> {
        let Some(path) = file else { return Ok(Self::default()) };
        let text = std::fs::read(path).map_err(|error| RulesError::Read(path.to_owned(), error))?;
        let named: BTreeMap<String, Option<Quota>> =
            serde_json::from_slice(&text).map_err(|error| RulesError::Parse(path.to_owned(), error))?;
        let mut rules = Self::default().0;
        if let Some(all) = named.get("*") {
            match all {
                None => rules.clear(),
                Some(_) => return Err(RulesError::Range(path.to_owned(), "\"*\" can only be null, and".to_owned())),
            }
        }
        for (name, quota) in named.into_iter().filter(|(name, _)| name != "*") {
            let Some(rule) = Rule::ALL.iter().find(|rule| rule.as_str() == name) else {
                let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
                return Err(RulesError::Unknown(path.to_owned(), name, names.join(", ")));
            };
            match quota {
                Some(quota) if quota.is_sensible() => drop(rules.insert(*rule, quota)),
                Some(_) => return Err(RulesError::Range(path.to_owned(), name)),
                None => drop(rules.remove(rule)),
            }
        }
        Ok(Self(rules))
    }

    /// The quota, unless the rule is lifted.
    pub fn quota(&self, rule: Rule) -> Option<Quota> {
        self.0.get(&rule).copied()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_committed_limits_are_the_defaults() {
        let printed = serde_json::to_string_pretty(&Rules::default().by_name()).unwrap() + "\n";
        assert_eq!(include_str!("../../../docs/rate-limits.json"), printed, "run: hack/gen");
    }

    fn load(text: &str) -> Result<Rules, RulesError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limits.json");
        std::fs::write(&path, text).unwrap();
        Rules::load(Some(&path))
    }

    #[test]
    fn a_file_changes_and_lifts_what_it_names() {
        let rules = load(r#"{"donation_ip": {"limit": 7, "period_seconds": 2}, "login_ip": null}"#).unwrap();
        assert_eq!(rules.quota(Rule::DonationIp), Some(Quota { limit: 7, period_seconds: 2 }));
        assert_eq!(rules.quota(Rule::LoginIp), None);
        assert_eq!(rules.quota(Rule::LoginEmail), Some(Quota { limit: 10, period_seconds: 900 }));
        let lifted = load(r#"{"*": null, "code_ip": {"limit": 1, "period_seconds": 1}}"#).unwrap();
        let left: Vec<Rule> = Rule::ALL.iter().copied().filter(|rule| lifted.quota(*rule).is_some()).collect();
        assert_eq!(left, [Rule::CodeIp]);
        assert_eq!(load("{}").unwrap(), Rules::default());
    }

    #[test]
    fn a_bad_file_says_what_is_wrong_with_it() {
        for (text, said) in [
            ("[]", "must be like"),
            ("{", "must be like"),
            (r#"{"donation_ip": 5}"#, "must be like"),
            (r#"{"donation_ip": {"limit": -1, "period_seconds": 1}}"#, "must be like"),
            (r#"{"donation_ip": {"limit": 1, "period_seconds": 1, "burst": 2}}"#, "must be like"),
            (r#"{"donations": null}"#, "names \"donations\"; there are * (all others) and donation_device, donation_ip"),
            (r#"{"donation_ip": {"limit": 0, "period_seconds": 1}}"#, "donation_ip needs a limit from 1"),
            (r#"{"donation_ip": {"limit": 1, "period_seconds": 99999999}}"#, "donation_ip needs"),
            (r#"{"*": {"limit": 1, "period_seconds": 1}}"#, "can only be null"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("limits.json"), "{text}: {error}");
        }
        assert!(matches!(Rules::load(Some(Path::new("/nowhere/limits.json"))), Err(RulesError::Read(..))));
    }
}
