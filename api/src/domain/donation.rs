//! Donations: who sees them, and the state machine.

use super::text_enum::text_enum;

text_enum! {
    /// Who sees the donor.
    pub enum Visibility {
        /// Everyone sees the name.
        Public = "publica",
        /// The public does not see who gave; the organizadora does.
        Anonymous = "anonima",
        /// The organizadora does not see it either, and the donation is not in the feed.
        Secret = "secreta",
    }
}

text_enum! {
    /// Whether the feed shows a donor's message.
    pub enum MessageStatus {
        /// It does.
        Published = "publicada",
        /// It does not: the platform hid it.
        Hidden = "oculta",
    }
}

text_enum! {
    /// What says that a payment was made.
    pub enum Evidence {
        /// The payment provider.
        Psp = "psp",
        /// A bank statement that was read in.
        Statement = "extrato",
        /// A member of the organizadora, under their own name.
        Declared = "declarada",
    }
}

text_enum! {
    /// How what was received compares with what was asked.
    pub enum Reconciliation {
        /// The amount that was asked.
        Exact = "exata",
        /// More than was asked; all of it is credited.
        Over = "a_maior",
        /// Less than was asked; what came is credited.
        Under = "a_menor",
        /// A further payment of a donation that was paid already; held to be returned.
        Duplicate = "duplicada",
        /// A payment that belongs to no known charge.
        Orphan = "orfa",
    }
}

impl Reconciliation {
    /// Compares a first receipt with its charge.
    pub fn of(received: i64, charged: i64) -> Self {
        match received.cmp(&charged) {
            std::cmp::Ordering::Equal => Self::Exact,
            std::cmp::Ordering::Greater => Self::Over,
            std::cmp::Ordering::Less => Self::Under,
        }
    }
}

text_enum! {
    /// The state of a donation.
    pub enum DonationStatus {
        /// Just made, without a charge yet.
        Created = "criada",
        /// Has a charge that can be paid.
        AwaitingPayment = "aguardando_pagamento",
        /// Paid, with evidence.
        Confirmed = "confirmada",
        /// Part of it went back.
        PartlyRefunded = "parcialmente_devolvida",
        /// All of it went back.
        Refunded = "devolvida",
        /// Not paid in time. A late payment still confirms it.
        Expired = "expirada",
        /// Given up by the donor. A payment that arrives all the same confirms it.
        Cancelled = "cancelada",
        /// The provider could not make the charge.
        Failed = "falhou",
        /// Looked at by a person before it counts.
        InReview = "em_analise",
        /// The payment is disputed.
        Contested = "contestada",
        /// The dispute was lost.
        Reversed = "estornada",
    }
}

/// What happens to a donation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DonationEvent {
    /// A charge was made.
    Charge,
    /// The money arrived.
    Settle,
    /// The time to pay is over.
    Expire,
    /// The donor gave up.
    Cancel,
    /// The provider refused the charge.
    Fail,
    /// Held for a person to look at.
    Review,
    /// Some of the money went back, not all.
    RefundPart,
    /// The rest of the money went back.
    RefundAll,
    /// The payer disputes the payment.
    Dispute,
    /// The dispute was won.
    WinDispute,
    /// The dispute was lost.
    LoseDispute,
}

impl DonationEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::Charge,
        Self::Settle,
        Self::Expire,
        Self::Cancel,
        Self::Fail,
        Self::Review,
        Self::RefundPart,
        Self::RefundAll,
        Self::Dispute,
        Self::WinDispute,
        Self::LoseDispute,
    ];
}

impl DonationStatus {
    /// The state after `event`, or nothing where it is not legal. `None` is answered as 409 `transicao-invalida`.
    ///
    /// Money that did arrive is never refused: expired, cancelled and failed donations can still be settled.
    /// The database holds the same table in `exigir_transicao_valida()`.
    pub const fn next(self, event: DonationEvent) -> Option<Self> {
        use DonationEvent as E;
        match (self, event) {
            (Self::Created, E::Charge) => Some(Self::AwaitingPayment),
            (Self::AwaitingPayment | Self::InReview | Self::Expired | Self::Cancelled | Self::Failed, E::Settle)
            | (Self::Contested, E::WinDispute) => Some(Self::Confirmed),
            (Self::AwaitingPayment, E::Expire) => Some(Self::Expired),
            (Self::AwaitingPayment | Self::InReview, E::Cancel) => Some(Self::Cancelled),
            (Self::AwaitingPayment | Self::InReview, E::Fail) => Some(Self::Failed),
            (Self::AwaitingPayment, E::Review) => Some(Self::InReview),
            (Self::Confirmed | Self::PartlyRefunded, E::RefundPart) => Some(Self::PartlyRefunded),
            (Self::Confirmed | Self::PartlyRefunded, E::RefundAll) => Some(Self::Refunded),
            (Self::Confirmed, E::Dispute) => Some(Self::Contested),
            (Self::Contested, E::LoseDispute) => Some(Self::Reversed),
            _ => None,
        }
    }

    /// Whether money was credited.
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Confirmed | Self::PartlyRefunded | Self::Refunded | Self::Contested | Self::Reversed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the sequence of events, no unpaid state is reached from a paid one: money cannot be un-received.
        #[test]
        fn a_paid_donation_never_becomes_unpaid(events in proptest::collection::vec(0..DonationEvent::ALL.len(), 0..40)) {
            let mut status = DonationStatus::Created;
            for event in events.into_iter().filter_map(|index| DonationEvent::ALL.get(index)) {
                if let Some(next) = status.next(*event) {
                    prop_assert!(!status.is_paid() || next.is_paid(), "{status:?} -> {next:?}");
                    status = next;
                }
            }
        }
    }

    #[test]
    fn ends_are_ends() {
        for end in [DonationStatus::Refunded, DonationStatus::Reversed] {
            for event in DonationEvent::ALL {
                assert_eq!(end.next(*event), None, "{end:?} {event:?}");
            }
        }
    }

    #[test]
    fn names_agree_with_serde() {
        for status in DonationStatus::ALL {
            assert_eq!(serde_json::json!(status), serde_json::json!(status.as_str()));
        }
    }
}
