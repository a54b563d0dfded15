//! What was seen at each width, added up: neither the number of windows nor their order matters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    line::Moments,
    quantity::{Quantity, RECALLED_SPREAD, Values},
    student,
    told::{Counted, Point},
};

/// Widths kept apart. A rollout has some twenty; one that rolls at its own pace has as many as pods.
const MAX_WIDTHS: usize = 64;

/// More windows say no more, and a record is what anybody may have written there.
const MOST_RECALLED: u32 = 200;

/// How long a window is while a rollout is in flight: pages are read this often.
const WINDOW_SECONDS: f64 = 5.0;

/// All windows at one width, each weighted by its length.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Cell {
    /// Windows that were seen.
    seen: Windows,
    /// Those of them in which the account's requests were counted.
    metered: Windows,
    /// Windows of which only means are on record: of all of them CPU …
    recalled: Windows,
    /// … and of these what was counted of the account, what nobody's requests explain, and watches.
    recalled_metered: Windows,
    /// Σ seconds·value.
    sums: Values,
    /// Σ seconds·value².
    squares: Values,
}

/// How many windows, and how long they are together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Windows {
    number: usize,
    seconds: f64,
}

impl Windows {
    fn and(self, other: Self) -> Self {
        Self {
            number: self.number + other.number,
            seconds: self.seconds + other.seconds,
        }
    }

    fn add(&mut self, seconds: f64) {
        self.number += 1;
        self.seconds += seconds;
    }
}

impl Cell {
    fn add(&mut self, seconds: f64, values: &Values, is_metered: bool) {
        self.seen.add(seconds);
        if is_metered {
            self.metered.add(seconds);
            self.sum(seconds, values);
        } else {
            self.sum(seconds, &values.without_meter());
        }
    }

    fn recall(&mut self, seconds: f64, values: &Values, is_metered: bool) {
        self.recalled.add(seconds);
        if is_metered {
            self.recalled_metered.add(seconds);
        }
        self.sum(seconds, values);
    }

    fn sum(&mut self, seconds: f64, values: &Values) {
        self.sums = self.sums.zip(values, |sum, value| sum + seconds * value);
        self.squares = self
            .squares
            .zip(values, |sum, value| sum + seconds * value * value);
    }

    /// How many windows there are.
    pub(super) const fn windows(&self) -> usize {
        self.seen.number + self.recalled.number
    }

    /// How long the windows are together that tell a quantity, in seconds.
    pub(super) fn seconds_that_tell(&self, quantity: Quantity) -> f64 {
        self.of(quantity).seconds
    }

    /// Takes in the windows of another.
    fn merge(&mut self, other: &Self) {
        let sum = |one: &Values, other: &Values| one.zip(other, |one, other| one + other);
        *self = Self {
            seen: self.seen.and(other.seen),
            metered: self.metered.and(other.metered),
            recalled: self.recalled.and(other.recalled),
            recalled_metered: self.recalled_metered.and(other.recalled_metered),
            sums: sum(&self.sums, &other.sums),
            squares: sum(&self.squares, &other.squares),
        };
    }

    /// The windows that tell a quantity.
    fn of(&self, quantity: Quantity) -> Windows {
        match quantity {
            Quantity::Cpu => self.seen.and(self.recalled),
            Quantity::Own | Quantity::Unexplained => self.metered.and(self.recalled_metered),
            Quantity::Attempts | Quantity::Seats => self.metered,
            Quantity::Watches => self.seen.and(self.recalled_metered),
            Quantity::Memory
            | Quantity::LargestMemory
            | Quantity::EtcdRequests
            | Quantity::ResponseBytes => self.seen,
        }
    }

    /// How many windows tell a quantity.
    pub(super) fn number(&self, quantity: Quantity) -> usize {
        self.of(quantity).number
    }

    /// Whether anything tells a quantity.
    pub(super) fn tells(&self, quantity: Quantity) -> bool {
        self.number(quantity) > 0
    }

    /// The mean per second; nothing (not a number) where nothing tells it.
    pub(super) fn mean(&self, quantity: Quantity) -> f64 {
        self.sums.of(quantity) / self.of(quantity).seconds
    }

    /// How far the 95 % interval of the mean reaches to each side. One window says no more than the
    /// order of magnitude: as far as the mean itself.
    pub(super) fn reach(&self, quantity: Quantity) -> f64 {
        let windows = self.of(quantity).number;
        if windows < 2 {
            return self.mean(quantity).abs();
        }
        let variance = self.deviation(quantity).powi(2) / windows as f64;
        student::quantile(windows - 1) * variance.sqrt()
    }

    /// The standard deviation of single windows; nothing of less than two.
    pub(super) fn deviation(&self, quantity: Quantity) -> f64 {
        let Windows { number, seconds } = self.of(quantity);
        if number < 2 {
            return 0.0;
        }
        let mean = self.mean(quantity);
        let spread = (self.squares.of(quantity) / seconds - mean * mean).max(0.0);
        (spread * number as f64 / (number - 1) as f64).sqrt()
    }

    /// The windows as points above `base`, in a curve over widths.
    fn add_to(&self, moments: &mut Moments, width: u32, quantity: Quantity, base: f64) {
        let Windows { number, seconds } = self.of(quantity);
        if number == 0 {
            return;
        }
        let sum = self.sums.of(quantity);
        let value = above_rounding(sum - base * seconds, sum);
        let squares = self.squares.of(quantity);
        let square = squares - 2.0 * base * sum + base * base * seconds;
        let square = above_rounding(square, squares).max(0.0);
        moments.add(number, f64::from(width), [seconds, value, square]);
    }
}

/// A difference of something `large`, without what is left of it by rounding alone.
fn above_rounding(difference: f64, large: f64) -> f64 {
    if difference.abs() <= 1e-9 * large.abs() {
        0.0
    } else {
        difference
    }
}

/// What was seen at each width.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Cells(BTreeMap<u32, Cell>);

impl Cells {
    /// Takes in a window; of too many widths the one in the middle that is closest to its neighbour is
    /// given up, since the ends tell most of a slope.
    pub(super) fn add(&mut self, width: u32, seconds: f64, values: &Values, is_metered: bool) {
        let cell = self.0.entry(width).or_default();
        cell.add(seconds, values, is_metered);
        if self.0.len() <= MAX_WIDTHS {
            return;
        }
        let widths: Vec<u32> = self.0.keys().copied().collect();
        let inner = widths.windows(3).filter(|three| three[0] > 0);
        let closest = inner.min_by(|a, b| crowding(a).total_cmp(&crowding(b)));
        if let Some([_, middle, _]) = closest {
            self.0.remove(middle);
        }
    }

    /// What was seen at a width was only this.
    pub(super) fn replace<'a>(
        &mut self,
        width: u32,
        windows: impl Iterator<Item = &'a (f64, Values)>,
    ) {
        let mut cell = Cell::default();
        for (seconds, values) in windows {
            cell.add(*seconds, values, true);
        }
        self.0.insert(width, cell);
    }

    /// Takes back what a status tells of a width. How far single windows strayed is not on record:
    /// each is taken to have strayed by half of what the account was counted to use.
    pub(super) fn recall(&mut self, point: &Point, kappa: f64) {
        let counted = point.counted.filter(|_| kappa > 0.0);
        let Counted {
            own_cores,
            unexplained_cores,
            watches,
        } = counted.unwrap_or_default();
        let windows = point.windows.min(MOST_RECALLED);
        for index in 0..windows {
            let strayed = if windows < 2 {
                1.0
            } else if index < windows / 2 {
                1.0 + RECALLED_SPREAD
            } else if index >= windows.div_ceil(2) {
                1.0 - RECALLED_SPREAD
            } else {
                1.0
            };
            let mut values = Values::default();
            let strayed_cores = own_cores * (strayed - 1.0);
            values.set(Quantity::Cpu, point.cpu_cores + strayed_cores);
            if counted.is_some() {
                values.set(Quantity::Own, own_cores / kappa * strayed);
                values.set(Quantity::Unexplained, unexplained_cores);
                values.set(Quantity::Watches, watches);
            }
            let cell = self.0.entry(point.width).or_default();
            cell.recall(WINDOW_SECONDS, &values, counted.is_some());
        }
    }

    /// The mean of a quantity before any pod was out, if anything told it then.
    pub(super) fn quiet_mean(&self, quantity: Quantity) -> Option<f64> {
        let quiet = self.0.get(&0).filter(|cell| cell.tells(quantity));
        quiet.map(|cell| cell.mean(quantity))
    }

    /// Whether anything told a quantity at a width.
    pub(super) fn tells(&self, width: u32, quantity: Quantity) -> bool {
        self.0.get(&width).is_some_and(|cell| cell.tells(quantity))
    }

    /// Widths with pods at which something tells a quantity, with what was seen at each.
    pub(super) fn telling(
        &self,
        quantity: Quantity,
    ) -> impl DoubleEndedIterator<Item = (u32, &Cell)> {
        self.out().filter(move |(_, cell)| cell.tells(quantity))
    }

    /// Widths with pods, with what was seen at each.
    fn out(&self) -> impl DoubleEndedIterator<Item = (u32, &Cell)> {
        self.0.range(1..).map(|(width, cell)| (*width, cell))
    }

    /// How far single windows with pods stray from the mean at their width, to each side (95 %, pooled over
    /// the widths). While each width has one window only, nobody knows: as far as the mean itself.
    pub(super) fn strays(&self, quantity: Quantity) -> f64 {
        let (mut degrees, mut squares, mut most) = (0, 0.0, 0.0_f64);
        for (_, cell) in self.telling(quantity) {
            let free = cell.of(quantity).number.saturating_sub(1);
            degrees += free;
            squares += free as f64 * cell.deviation(quantity).powi(2);
            most = most.max(cell.mean(quantity).abs());
        }
        if degrees == 0 {
            return most;
        }
        student::quantile(degrees) * (squares / degrees as f64).sqrt()
    }

    /// What was seen at a width.
    pub(super) fn get(&self, width: u32) -> Option<&Cell> {
        self.0.get(&width)
    }

    /// Whether anything was seen at a width.
    pub(super) fn has(&self, width: u32) -> bool {
        self.0.contains_key(&width)
    }

    /// Takes in more that was seen at a width.
    pub(super) fn merge(&mut self, width: u32, cell: &Cell) {
        self.0.entry(width).or_default().merge(cell);
    }

    /// Whether nothing was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives up what was seen at a width.
    pub(super) fn remove(&mut self, width: u32) {
        self.0.remove(&width);
    }

    /// What was seen at all widths but one.
    pub(super) fn without(&self, width: u32) -> Self {
        let mut others = self.clone();
        others.remove(width);
        others
    }

    /// Everything seen.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Cell)> {
        self.0.iter().map(|(width, cell)| (*width, cell))
    }

    /// The points above `base` at widths with pods: each window's, or, where windows at one width stray
    /// together, one for each width.
    pub(super) fn moments(&self, quantity: Quantity, base: f64, grouped: bool) -> Moments {
        let mut moments = Moments::default();
        for (width, cell) in self.telling(quantity) {
            if grouped {
                let mean = cell.mean(quantity) - base;
                moments.add(1, f64::from(width), [1.0, mean, mean * mean]);
            } else {
                cell.add_to(&mut moments, width, quantity, base);
            }
        }
        moments
    }
}

/// How close the middle of three widths is to its neighbours, relative to where it is.
fn crowding(three: &[u32]) -> f64 {
    f64::from(three[2] - three[0]) / f64::from(three[1])
}
