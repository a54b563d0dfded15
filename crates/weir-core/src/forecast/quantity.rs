//! What is measured in each window, side by side.

use serde::{Deserialize, Serialize};

/// What a window measures, over all API servers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// CPU, in cores.
    Cpu,
    /// Requests of the rollout's account that ran, on average: execution seconds per second. Without
    /// a meter nothing.
    Own,
    /// CPU that nobody's requests explain, were all the time that they run CPU time, in cores: the events
    /// of watches, which no request is counted for, and what an API server does for itself.
    Unexplained,
    /// Attempts of the account per second: requests let run and requests refused.
    Attempts,
    /// Seats that the account's requests took, on average.
    Seats,
    /// Resident memory, in bytes.
    Memory,
    /// Resident memory of the API server that has most, in bytes.
    LargestMemory,
    /// Requests to etcd per second.
    EtcdRequests,
    /// Bytes of responses per second.
    ResponseBytes,
    /// Open watches.
    Watches,
}

/// How many there are.
const QUANTITIES: usize = 10;

/// CPU seconds for a second that requests run, as far as it is known before it is seen. Measured on a
/// calm server: 0.9 at two clients, 0.65 at four, and less the more run at once (reference,
/// control-plane, section 2: 0.10 cores of 0.11, 0.13 of 0.20).
pub(super) const USUAL_KAPPA: f64 = 0.8;

/// By which share what others use strays while a wave starts, or from one width to the next: days have
/// mornings, and the creation of a rollout's pods is felt for a minute (measured: 0.30 of a core against
/// 0.15 later).
pub(super) const OTHERS_STRAY: f64 = 0.5;

/// By which share of their mean single windows, and single waves, are taken to have strayed where only that
/// mean is on record.
pub(super) const RECALLED_SPREAD: f64 = 0.5;

/// One value of each.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Values([f64; QUANTITIES]);

impl Values {
    pub(super) const fn of(&self, quantity: Quantity) -> f64 {
        self.0[quantity as usize]
    }

    pub(super) const fn set(&mut self, quantity: Quantity, value: f64) {
        self.0[quantity as usize] = value;
    }

    /// What is left of them where no meter counts.
    pub(super) const fn without_meter(mut self) -> Self {
        self.set(Quantity::Own, 0.0);
        self.set(Quantity::Unexplained, 0.0);
        self.set(Quantity::Attempts, 0.0);
        self.set(Quantity::Seats, 0.0);
        self
    }

    /// What `make` makes of each pair of values.
    pub(super) fn zip(&self, other: &Self, make: impl Fn(f64, f64) -> f64) -> Self {
        let mut values = *self;
        for (value, other) in values.0.iter_mut().zip(&other.0) {
            *value = make(*value, *other);
        }
        values
    }
}
