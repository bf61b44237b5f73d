//! Who gives what to which campaign, and how it ends.

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::random::Random;
use super::records::{Batch, Fate, SeedDonation, SeedDonor, SeedReceipt, SeedRefund};
use super::world::{self, FAR_FUTURE, OPENED_AT, SeedCampaign, SeedPerson};
use super::{SeedError, legal, words};
use crate::config::keys::KeyRing;
use crate::domain::campaign::CampaignStatus;
use crate::domain::donation::{Evidence, Visibility};
use crate::domain::ids::ChargeId;
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::provider::Provider;
use crate::domain::txid::Txid;

/// When donations were made, counted from [`OPENED_AT`]; the first campaign is published by then.
const DONATED_AFTER: (Duration, Duration) = (Duration::days(12), Duration::days(292));
/// How long a charge can be paid.
const CHARGE_LIFE: Duration = Duration::hours(72);
/// What people give, in centavos; what is there more often is given more often.
const AMOUNTS_CENTAVOS: &[i64] = &[
    500, 1_000, 1_000, 1_500, 2_000, 2_000, 2_500, 3_000, 3_000, 5_000, 5_000, 5_000, 5_000, 7_500, 10_000, 10_000, 10_000, 15_000, 20_000,
    25_000, 50_000, 100_000,
];
/// Made-up numbers of banks (ISPB).
const BANKS: &[&str] = &["99000001", "99000002", "99000003", "99000004"];

/// Makes donations in the order of their time.
pub(super) struct Donations<'a> {
    random: Random,
    people: &'a [SeedPerson],
    campaigns: &'a [SeedCampaign<'a>],
    /// How many of the campaigns are published at the time of the next donation.
    published: usize,
    made: u32,
    total: u32,
}

impl<'a> Donations<'a> {
    pub(super) fn new(random: Random, people: &'a [SeedPerson], campaigns: &'a [SeedCampaign<'a>], total: u32) -> Self {
        Self { random, people, campaigns, published: 1, made: 0, total }
    }

    /// How many were made so far.
    pub(super) const fn made(&self) -> u32 {
        self.made
    }

    /// The rows of the next `size` donations, fewer at the end and none after it.
    pub(super) fn batch(&mut self, size: u32, emails: &KeyRing) -> Result<Option<Batch>, SeedError> {
        let end = self.total.min(self.made.saturating_add(size));
        if self.made == end {
            return Ok(None);
        }
        let mut batch = Batch::new();
        while self.made < end {
            let donation = self.next()?;
            batch.push(&donation, emails)?;
            self.made += 1;
        }
        Ok(Some(batch))
    }

    fn next(&mut self) -> Result<SeedDonation<'a>, SeedError> {
        let created = self.time();
        let campaign = self.campaign(created)?;
        let provider = if self.random.chance(150) { Provider::StaticPix } else { Provider::Simulated };
        let fate = match fate(&mut self.random) {
            // Nobody waits for the payment of a campaign that takes none any more.
            Fate::Waiting if campaign.status != CampaignStatus::Published => Fate::Expired,
            fate => fate,
        };
        let payment = self.random.id(created);
        let message = self.random.chance(250).then(|| self.random.word(words::MESSAGES));
        let mut donation = SeedDonation {
            id: self.random.id(created),
            campaign,
            donor: self.donor(),
            amount: self.amount()?,
            visibility: self.visibility(provider),
            hides_amount: self.random.chance(100),
            message,
            moderated: message.is_some() && self.random.chance(10),
            provider,
            payment,
            txid: Txid::from_uuid(payment.as_u128()),
            created,
            expires: if fate == Fate::Waiting { FAR_FUTURE } else { created + CHARGE_LIFE },
            fate,
            receipt: None,
        };
        if matches!(fate, Fate::Paid | Fate::PartlyRefunded | Fate::Refunded) {
            donation.receipt = Some(self.receipt(&donation)?);
        }
        Ok(donation)
    }

    /// The time of the next donation: an even step after the one before, give or take.
    fn time(&mut self) -> OffsetDateTime {
        let span = u64::try_from((DONATED_AFTER.1 - DONATED_AFTER.0).whole_milliseconds()).unwrap_or_default();
        let step = span / u64::from(self.total.max(1));
        let millis = step * u64::from(self.made) + self.random.below(step);
        OPENED_AT + DONATED_AFTER.0 + Duration::milliseconds(i64::try_from(millis).unwrap_or_default())
    }

    /// One in twenty goes to the first campaign, the others to any that is published, the older the more.
    fn campaign(&mut self, at: OffsetDateTime) -> Result<&'a SeedCampaign<'a>, SeedError> {
        while self.campaigns.get(self.published).is_some_and(|campaign| campaign.published <= at) {
            self.published += 1;
        }
        let published = self.campaigns.get(..self.published).ok_or(SeedError::Scale)?;
        let (first, others) = published.split_first().ok_or(SeedError::Scale)?;
        if self.random.chance(50) {
            return Ok(first);
        }
        let older = self.random.below(u64::try_from(others.len()).unwrap_or_default()) + 1;
        let upto = usize::try_from(self.random.below(older) + 1).unwrap_or_default();
        Ok(others.iter().take(upto).rev().find(|campaign| campaign.status.is_public()).unwrap_or(first))
    }

    fn donor(&mut self) -> SeedDonor<'a> {
        if self.random.chance(600)
            && let Some(person) = self.random.pick(self.people)
        {
            return SeedDonor { person: Some(person), name: Some(person.name.clone()), email: Some(person.email.clone()) };
        }
        // Guests come back, so there are fewer donors than donations.
        let number = 1 + self.random.below(u64::from(self.total / 5 + 1));
        let email = self.random.chance(500).then(|| format!("convidada{number}@exemplo.org.br"));
        let name = self.random.chance(700).then(|| world::short_name(&mut self.random));
        SeedDonor { person: None, name, email }
    }

    fn amount(&mut self) -> Result<Centavos, SeedError> {
        let round = self.random.pick(AMOUNTS_CENTAVOS).copied().unwrap_or_default();
        let odd = if self.random.chance(100) { self.random.below(1_000) } else { 0 };
        legal("valor", Centavos::try_from(round + i64::try_from(odd).unwrap_or_default()))
    }

    fn visibility(&mut self, provider: Provider) -> Visibility {
        match self.random.below(10) {
            // The bank's statement shows the organisation who gave.
            0 if provider == Provider::Simulated => Visibility::Secret,
            0..3 => Visibility::Anonymous,
            _ => Visibility::Public,
        }
    }

    fn receipt(&mut self, donation: &SeedDonation<'_>) -> Result<SeedReceipt, SeedError> {
        let asked = donation.amount.get();
        let amount = match self.random.below(100) {
            0 => asked - asked / 5,
            1 => asked + 500,
            _ => asked,
        };
        let (soonest, latest) = match donation.provider {
            Provider::Simulated => (Duration::seconds(15), Duration::hours(1)),
            Provider::StaticPix => (Duration::hours(1), Duration::hours(60)),
        };
        let at = donation.created + self.random.between(soonest, latest);
        let (id, evidence) = match donation.provider {
            Provider::Simulated => (self.end_to_end_id(&donation.txid, at)?, Evidence::Psp),
            Provider::StaticPix => (EndToEndId::manual(ChargeId(donation.payment)), Evidence::Declared),
        };
        let refund = match donation.fate {
            Fate::PartlyRefunded => Some(self.refund(at, amount / 2)),
            Fate::Refunded => Some(self.refund(at, amount)),
            _ => None,
        };
        Ok(SeedReceipt { id, amount, evidence, at, movement: self.random.id(at), refund })
    }

    fn end_to_end_id(&mut self, txid: &Txid, at: OffsetDateTime) -> Result<EndToEndId, SeedError> {
        let stamp = legal("horario", at.format(format_description!("[year][month][day][hour][minute]")))?;
        // The end of a txid is all random bits, so no two receipts share it.
        let tail = txid.as_str().get(14..).unwrap_or_default();
        legal("e2eid", EndToEndId::parse(&format!("E{}{stamp}{tail}", self.random.word(BANKS))))
    }

    fn refund(&mut self, paid: OffsetDateTime, amount: i64) -> SeedRefund {
        let at = paid + self.random.between(Duration::hours(1), Duration::days(6));
        SeedRefund { id: self.random.id(at), amount, reason: self.random.word(words::REFUND_REASONS), at, movement: self.random.id(at) }
    }
}

/// Chooses how a donation ends.
fn fate(random: &mut Random) -> Fate {
    match random.below(1_000) {
        0..850 => Fate::Paid,
        850..865 => Fate::PartlyRefunded,
        865..880 => Fate::Refunded,
        880..940 => Fate::Expired,
        940..970 => Fate::Cancelled,
        _ => Fate::Waiting,
    }
}
