//! Counts the streams of each client address and bounds their number.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounter;

use crate::domain::network::customer_network;

/// The number of open streams of each address that has any, and the most that one address may have.
pub(super) struct Addresses {
    clients: Arc<Mutex<HashMap<IpAddr, u32>>>,
    most: u32,
    shed: IntCounter,
}

/// The right of an address to one stream; dropping it gives the right back.
pub(super) struct AddressPermit {
    clients: Arc<Mutex<HashMap<IpAddr, u32>>>,
    address: IpAddr,
}

impl Addresses {
    /// Allows each address at most `most` streams; `shed` counts the refused ones.
    pub(super) fn new(most: u32, shed: IntCounter) -> Self {
        Self { clients: Arc::default(), most, shed }
    }

    /// A permit for a stream of `address`; `None`, which is counted, if it has the most that it may. All addresses of an IPv6
    /// network of 64 bits count as one.
    pub(super) fn enter(&self, address: IpAddr) -> Option<AddressPermit> {
        let address = customer_network(address);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(address).or_insert(0);
        if *count >= self.most {
            self.shed.inc();
            return None;
        }
        *count += 1;
        Some(AddressPermit { clients: Arc::clone(&self.clients), address })
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_address_has_its_share_and_nobody_who_left_is_remembered() {
        let addresses = Addresses::new(2, IntCounter::new("shed", "shed").unwrap());
        let enter = |text: &str| addresses.enter(text.parse().unwrap());
        let first = enter("203.0.113.9");
        let second = enter("203.0.113.9");
        assert!(first.is_some() && second.is_some() && enter("203.0.113.9").is_none());
        // One customer of IPv6.
        let third = enter("2001:db8::1");
        let fourth = enter("2001:db8::2");
        assert!(third.is_some() && fourth.is_some() && enter("2001:db8::3").is_none());
        assert_eq!(addresses.shed.get(), 2);
        drop(first);
        let again = enter("203.0.113.9");
        assert!(again.is_some());
        drop((again, second, third, fourth));
        assert!(addresses.clients.lock().unwrap().is_empty());
    }
}
