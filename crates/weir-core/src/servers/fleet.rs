//! All API servers over time: what arrives is kept per address, and what is told is one
//! [`ServerEvidence`] per process.
//!
//! Whatever is not heard goes from fresh to stale to absent, and holds. It is left out only when it is
//! known to be gone, that is, when as many instances are freshly heard as there should be. Where the
//! cluster does not say how many that are, it is told as spare, and left to the verdict, which knows
//! what a policy states. (A hung API server leaves the endpoints after 15 seconds. Its identity Lease
//! stays for an hour, so that it goes on being missed.)

use std::collections::{BTreeMap, BTreeSet};

use super::{Cadence, PageCost, ProbeKind, ProbeResult, Scrape, ScrapeError, address::Address};
use crate::{
    evidence::{Reading, ServerEvidence, ServerId},
    time::Moment,
};

/// Addresses remembered after they left the endpoints.
const MAX_GONE: usize = 32;

/// All API servers that Weir knows of.
#[derive(Debug, Clone)]
pub struct Fleet {
    cadence: Cadence,
    quiet: bool,
    addresses: BTreeMap<String, Address>,
}

impl Fleet {
    /// No server is known yet, and no time is quiet.
    #[must_use]
    pub const fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            quiet: false,
            addresses: BTreeMap::new(),
        }
    }

    /// How often servers are asked from now on.
    pub const fn pace(&mut self, cadence: Cadence) {
        self.cadence = cadence;
    }

    /// Whether probes are made in quiet times from now on, and may be compared with: no rollout has
    /// any width.
    pub const fn quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// The addresses (`host:port`) of the API servers at `at`, all of them.
    pub fn endpoints(&mut self, addresses: &BTreeSet<String>, at: Moment) {
        for (known, address) in &mut self.addresses {
            if !addresses.contains(known) {
                address.leave(at);
            }
        }
        for address in addresses {
            self.addresses
                .entry(address.clone())
                .or_insert_with(|| Address::new(at))
                .join();
        }
        self.forget_gone();
    }

    /// A probe of an address ended at `at`. One of an address that never was an endpoint is ignored.
    pub fn probed(&mut self, address: &str, kind: ProbeKind, result: ProbeResult, at: Moment) {
        if let Some(address) = self.addresses.get_mut(address) {
            address.probed(kind, result, at, (self.cadence, self.quiet));
        }
    }

    /// An address's page was read, or not. `at` is when the response's head came: the server gathers
    /// all values before it sends that, and a large page takes its time. An address that never
    /// was an endpoint is ignored. Returns whether it is the first page of its process, of which
    /// nothing that takes two pages is known yet.
    pub fn scraped(
        &mut self,
        address: &str,
        scrape: Result<Scrape, ScrapeError>,
        at: Moment,
    ) -> bool {
        let address = self.addresses.get_mut(address);
        address.is_some_and(|address| address.scraped(scrape, at))
    }

    /// What it cost to read an address's whole page: how often the next ones come, and hence how old
    /// they may be, follows from it.
    pub fn cost(&mut self, address: &str, cost: PageCost) {
        if let Some(address) = self.addresses.get_mut(address) {
            address.cost(cost);
        }
    }

    /// What is known at `now` of every process, if there should be `expected` of them. An address
    /// that has not told its process yet is told without a start. Empty only if there never was an
    /// endpoint.
    #[must_use]
    pub fn evidence(
        &self,
        expected: &Reading<u32>,
        now: Moment,
    ) -> BTreeMap<ServerId, ServerEvidence> {
        let told: Vec<_> = self
            .addresses
            .iter()
            .flat_map(|(name, address)| address.tell(name, self.cadence, now))
            .collect();
        let live = told.iter().filter(|told| told.is_live).count();
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        let is_enough = expected.fresh().is_some_and(|expected| live >= *expected);
        told.into_iter()
            .filter(|told| !(told.is_given_up || told.is_spare && is_enough))
            .map(|told| (told.id, told.evidence))
            .collect()
    }

    /// Forgets the addresses that have been gone for longest, beyond the bound.
    fn forget_gone(&mut self) {
        let mut gone: Vec<(Moment, String)> = self
            .addresses
            .iter()
            .filter_map(|(name, address)| Some((address.gone()?, name.clone())))
            .collect();
        gone.sort();
        for (_, name) in gone.iter().rev().skip(MAX_GONE) {
            self.addresses.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
