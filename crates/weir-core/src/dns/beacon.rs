//! The beacon: a moment ↔ two addresses that no one can be sent to.
//!
//! Weir writes the current [`Epoch`] as the addresses of one endpoint, and DNS hands them out like any others.
//! Whoever reads them back knows how old what DNS says is:
//!
//! ```text
//!  198.18.h.l    the epoch's lowest sixteen bits: they come round after 7.6 days
//!  198.19.w.c    who wrote it (eight bits of a hash), and a check over all three
//! ```
//!
//! 198.18.0.0/15 is for benchmarks between devices (RFC 2544, appendix C.2.2) and is routed nowhere, and
//! `ValidateEndpointIP` of kube-apiserver accepts it. DNS servers shuffle addresses, so that the two are told
//! apart by their prefix. An epoch follows from the time alone: whoever writes one at the same time writes the
//! same, and no counter can be lost.

use core::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::time::{Moment, Span};

/// How long an epoch lasts, and hence the shortest time between two beats: a node renews its Lease as often
/// (kubelet: a quarter of 40 s), so that the beacon costs an API server as much as one node more.
pub const BEAT: Span = Span::from_secs(10);

/// The second octet of addresses with the epoch's lowest bits, behind 198.
const EPOCH: u8 = 18;

/// The second octet of the address with the writer and the check, behind 198.
const CHECK: u8 = 19;

/// Ten seconds of time, counted from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

/// Why addresses tell no epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEpoch {
    /// They are none that Weir writes: something rewrites answers, or another object has the name.
    #[error(
        "its addresses are none that Weir writes: something rewrites answers, or another object has the name"
    )]
    Foreign,
    /// Of a pair that Weir writes one is missing, or there are more.
    #[error("its addresses are not one pair of those that Weir writes")]
    NotAPair,
    /// The check does not fit the epoch.
    #[error("of its addresses the check does not fit the epoch")]
    Altered,
}

impl Epoch {
    /// The epoch that a moment lies in.
    #[must_use]
    pub const fn at(moment: Moment) -> Self {
        Self(moment.as_millis() / BEAT.as_millis())
    }

    /// When it begins.
    #[must_use]
    pub const fn begins(self) -> Moment {
        Moment::from_millis(self.0.saturating_mul(BEAT.as_millis()))
    }

    /// The one with this number.
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// What a writer, known by eight bits of a hash, writes for it.
    #[must_use]
    pub const fn addresses(self, writer: u8) -> [Ipv4Addr; 2] {
        let [high, low] = self.lowest();
        [
            Ipv4Addr::new(198, EPOCH, high, low),
            Ipv4Addr::new(198, CHECK, writer, check([high, low, writer])),
        ]
    }

    /// The epoch that addresses tell, read at `now`: of all with the same lowest bits the one nearest to it.
    ///
    /// # Errors
    ///
    /// If they are not exactly what [`Epoch::addresses`] makes, in any order.
    pub fn read(addresses: &[Ipv4Addr], now: Moment) -> Result<Self, NoEpoch> {
        let (mut lowest, mut checks) = (Vec::new(), Vec::new());
        for address in addresses {
            match address.octets() {
                [198, EPOCH, high, low] => lowest.push([high, low]),
                [198, CHECK, writer, check] => checks.push([writer, check]),
                _ => return Err(NoEpoch::Foreign),
            }
        }
        let (&[[high, low]], &[[writer, told]]) = (&lowest[..], &checks[..]) else {
            return Err(NoEpoch::NotAPair);
        };
        if check([high, low, writer]) != told {
            return Err(NoEpoch::Altered);
        }
        Ok(Self::at(now).nearest([high, low]))
    }

    const fn lowest(self) -> [u8; 2] {
        let [low, high, ..] = self.0.to_le_bytes();
        [high, low]
    }

    /// The nearest epoch with these lowest bits (serial number arithmetic, RFC 1982 section 3.2).
    fn nearest(self, lowest: [u8; 2]) -> Self {
        let ahead = u16::from_be_bytes(lowest).wrapping_sub(u16::from_be_bytes(self.lowest()));
        Self(self.0.saturating_add_signed(i64::from(ahead.cast_signed())))
    }
}

/// CRC-8 with the polynomial x⁸ + x² + x + 1 (ITU-T I.432.1, section 4.3.2), without its final XOR. It finds
/// every single changed octet.
const fn check(octets: [u8; 3]) -> u8 {
    let mut crc = 0_u8;
    let mut at = 0;
    while at < octets.len() {
        crc ^= octets[at];
        let mut bit = 0;
        while bit < 8 {
            let carry = crc & 0x80 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x07;
            }
            bit += 1;
        }
        at += 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-28, 10:00 UTC.
    const NOW: Moment = Moment::from_millis(1_795_860_000_000);

    proptest! {
        #[test]
        fn an_epoch_is_read_back_for_three_days_whatever_the_order(
            late in -280_000_i64..280_000,
            writer: u8,
            turned: bool,
        ) {
            let written = Moment::from_millis(NOW.as_millis().saturating_add_signed(late * 1000));
            let epoch = Epoch::at(written);
            let mut addresses = epoch.addresses(writer);
            if turned {
                addresses.reverse();
            }
            prop_assert_eq!(Epoch::read(&addresses, NOW), Ok(epoch));
        }

        #[test]
        fn no_changed_octet_goes_unseen(writer: u8, which in 0_usize..2, octet in 2_usize..4, by in 1_u8..) {
            let mut addresses = Epoch::at(NOW).addresses(writer);
            let mut octets = addresses[which].octets();
            octets[octet] ^= by;
            addresses[which] = octets.into();
            prop_assert_eq!(Epoch::read(&addresses, NOW), Err(NoEpoch::Altered));
        }
    }

    #[test]
    fn an_epoch_begins_when_its_number_says() {
        let epoch = Epoch::at(NOW + Span::from_millis(9_999));
        assert_eq!(epoch, Epoch::at(NOW));
        assert_eq!(epoch.begins(), NOW);
        assert_eq!(epoch.number(), 179_586_000);
    }

    #[test]
    fn what_is_no_pair_of_weirs_is_told_apart() {
        let [epoch, check] = Epoch::at(NOW).addresses(7);
        let other = Ipv4Addr::new(10, 0, 0, 7);
        assert_eq!(Epoch::read(&[epoch, other], NOW), Err(NoEpoch::Foreign));
        for some in [&[][..], &[epoch], &[check], &[epoch, epoch, check]] {
            assert_eq!(Epoch::read(some, NOW), Err(NoEpoch::NotAPair));
        }
    }
}
