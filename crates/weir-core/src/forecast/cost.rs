//! What was seen at a few widths becomes a cost at any width, with its interval.
//!
//! ```text
//!  widths seen      fit                                    interval
//!  none             nothing is known                       0 to infinite
//!  one or two       each pod costs as much (most likely)   low: all of it is a leader's, and stays
//!                                                          high: the dearest pod seen, times the width
//!  three or more    intercept and slope                    95 % of the mean response
//!  four or more     and a bend, if it is certain           the same
//! ```
//!
//! A cost is never negative: an intercept or slope below zero is taken for none. Intervals are those of
//! the fit alone: the floor comes last, once a figure is whole ([`Estimate::floored`]).

use super::{
    cells::Cells,
    estimate::Estimate,
    line::{Curve, Moments},
    quantity::Quantity,
};

/// Widths from which intercept and slope are told apart: by two a leader-elected agent cannot be told
/// from one that grows.
const WIDTHS_OF_LINE: usize = 3;

/// Widths from which a bend is looked for, and how many times as wide as the narrowest the widest must
/// be: within less anything is straight.
const WIDTHS_OF_BEND: usize = 4;
const WIDE: u32 = 8;

/// Windows from which what was seen at the widest width is no accident.
const WINDOWS_OF_EVIDENCE: usize = 3;

/// A cost by width, above what is used without the rollout.
///
/// The widest width has most weight in any fit. A leader's list that fell into the only window there
/// passes for a slope, or a bend: so as long as fewer than three windows were seen at it, the lower end is no
/// higher than what the narrower widths say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    fit: Fit,
    narrower: Option<Fit>,
}

/// What some widths tell of a cost.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fit {
    /// No window with pods was seen.
    Unknown,
    /// One or two widths.
    Few {
        /// What was surely used at the widest.
        seen: f64,
        /// What each pod used there.
        each: f64,
        /// The most that a pod may have used at any width.
        dearest: f64,
    },
    /// A straight line; also the other ends of what a fit without negative cost leaves out.
    Line {
        /// The curve that is most likely.
        likely: Shape,
        /// The line as it was fitted, for the upper end.
        fitted: Curve<2>,
    },
    /// It grows faster than the width.
    Bend(Curve<3>),
}

/// A line without negative cost.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Line(Curve<2>),
    /// An intercept below zero is none.
    ThroughOrigin(Curve<1>),
    /// A slope below zero is none.
    Flat(Curve<1>),
}

impl Cost {
    /// The cost of a quantity, above `base`.
    pub(super) fn fit(cells: &Cells, quantity: Quantity, base: f64) -> Self {
        let widest = cells.telling(quantity).next_back();
        let rests_on_few = widest.filter(|(_, cell)| cell.number(quantity) < WINDOWS_OF_EVIDENCE);
        Self {
            fit: Fit::of(cells, quantity, base),
            narrower: rests_on_few
                .map(|(widest, _)| Fit::of(&cells.without(widest), quantity, base)),
        }
    }

    /// Whether no window tells it.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self.fit, Fit::Unknown)
    }

    /// Whether more windows at the widest width may yet tell something else.
    pub(super) const fn rests_on_few(&self) -> bool {
        self.narrower.is_some()
    }

    /// Whether another was told in the same way.
    #[cfg(test)]
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.fit) == std::mem::discriminant(&other.fit)
            && self.narrower.is_some() == other.narrower.is_some()
    }

    /// Whether it surely grows with the width.
    pub(super) fn grows(&self) -> bool {
        self.fit.grows() && self.narrower.is_none_or(|narrower| narrower.grows())
    }

    /// Whether intercept and slope were told apart.
    pub(super) const fn is_fitted(&self) -> bool {
        self.fit.is_fitted()
    }

    /// The cost at a width.
    pub(super) fn at(&self, width: f64) -> Estimate {
        self.surely(|fit| fit.at(width))
    }

    /// What does not grow with the width.
    pub(super) fn fixed(&self) -> Estimate {
        self.surely(Fit::fixed)
    }

    /// What each pod adds, on average up to a width.
    pub(super) fn per_pod(&self, width: f64) -> Estimate {
        self.surely(|fit| fit.per_pod(width))
    }

    /// A figure, whose lower end the narrower widths bear out.
    fn surely(&self, of: impl Fn(&Fit) -> Estimate) -> Estimate {
        let figure = of(&self.fit);
        let narrower = self.narrower.as_ref().map_or(figure.low, |fit| of(fit).low);
        Estimate {
            low: figure.low.min(narrower),
            ..figure
        }
    }
}

impl Fit {
    /// What these widths tell.
    ///
    /// Windows at one width are taken for independent of each other where nobody but the account moves
    /// the quantity. Others' load drifts, and strays by minutes: there each width is one point.
    fn of(cells: &Cells, quantity: Quantity, base: f64) -> Self {
        let widths = cells.telling(quantity).count();
        if widths >= WIDTHS_OF_LINE {
            let grouped = !matches!(
                quantity,
                Quantity::Own | Quantity::Seats | Quantity::Attempts
            );
            let moments = cells.moments(quantity, base, grouped);
            let may_bend = widths >= WIDTHS_OF_BEND && is_wide(cells, quantity);
            let bend = may_bend.then(|| bend(&moments)).flatten();
            if let Some(cost) = bend.or_else(|| line(&moments)) {
                return cost;
            }
        }
        few(cells, quantity, base)
    }

    /// Whether it surely grows with the width.
    fn grows(&self) -> bool {
        match self {
            Self::Unknown | Self::Few { .. } => false,
            Self::Line { fitted, .. } => {
                let (slope, reach) = fitted.factor(1);
                slope - reach > 0.0
            }
            Self::Bend(_) => true,
        }
    }

    /// Whether intercept and slope were told apart.
    const fn is_fitted(&self) -> bool {
        matches!(self, Self::Line { .. } | Self::Bend(_))
    }

    /// The cost at a width.
    fn at(&self, width: f64) -> Estimate {
        match self {
            Self::Unknown => Estimate {
                low: 0.0,
                mid: 0.0,
                high: f64::INFINITY,
            },
            Self::Few {
                seen,
                each,
                dearest,
            } => Estimate {
                low: seen.min(each * width),
                mid: each * width,
                high: dearest * width,
            },
            Self::Line { likely, fitted } => {
                let estimate = Estimate::around(likely.at(width));
                let (mid, reach) = fitted.at(width);
                Estimate {
                    high: estimate.high.max(mid + reach),
                    ..estimate
                }
            }
            Self::Bend(curve) => Estimate::around(curve.at(width)),
        }
    }

    /// What does not grow with the width.
    fn fixed(&self) -> Estimate {
        let up_to = |high: f64| Estimate {
            low: 0.0,
            mid: 0.0,
            high,
        };
        match self {
            Self::Unknown => up_to(f64::INFINITY),
            Self::Few { seen, .. } => up_to(*seen),
            Self::Line { likely, .. } => match likely {
                Shape::Line(curve) => Estimate::around(curve.factor(0)),
                Shape::Flat(curve) => Estimate::around(curve.factor(0)),
                Shape::ThroughOrigin(_) => Estimate::default(),
            },
            Self::Bend(curve) => Estimate::around(curve.factor(0)),
        }
    }

    /// What each pod adds, on average up to a width.
    fn per_pod(&self, width: f64) -> Estimate {
        match self {
            Self::Unknown => self.at(1.0),
            Self::Few { each, dearest, .. } => Estimate {
                low: 0.0,
                mid: *each,
                high: *dearest,
            },
            Self::Line { likely, fitted } => match likely {
                Shape::Line(curve) => Estimate::around(curve.factor(1)),
                Shape::ThroughOrigin(curve) => Estimate::around(curve.factor(0)),
                Shape::Flat(_) => {
                    let (slope, reach) = fitted.factor(1);
                    Estimate {
                        low: 0.0,
                        mid: 0.0,
                        high: (slope + reach).max(0.0),
                    }
                }
            },
            Self::Bend(curve) => {
                let (fixed, _) = curve.factor(0);
                Estimate::around(curve.at(width))
                    .map(|value| ((value - fixed) / width.max(1.0)).max(0.0))
            }
        }
    }
}

impl Shape {
    fn at(&self, width: f64) -> (f64, f64) {
        match self {
            Self::Line(curve) => curve.at(width),
            Self::ThroughOrigin(curve) | Self::Flat(curve) => curve.at(width),
        }
    }
}

/// Whether the widest of the widths seen is many times as wide as the narrowest.
pub(super) fn is_wide(cells: &Cells, quantity: Quantity) -> bool {
    let mut widths = cells.telling(quantity).map(|(width, _)| width);
    let narrowest = widths.next();
    narrowest.is_some_and(|narrowest| widths.next_back() >= Some(WIDE.saturating_mul(narrowest)))
}

/// By one or two widths.
fn few(cells: &Cells, quantity: Quantity, base: f64) -> Fit {
    let above = |mean: f64| (mean - base).max(0.0);
    let dearest = cells.telling(quantity).map(|(width, cell)| {
        let most = above(cell.mean(quantity) + cell.reach(quantity));
        most / f64::from(width)
    });
    let dearest = dearest.fold(0.0, f64::max);
    match cells.telling(quantity).next_back() {
        None => Fit::Unknown,
        Some((width, cell)) => Fit::Few {
            seen: above(cell.mean(quantity) - cell.reach(quantity)),
            each: above(cell.mean(quantity)) / f64::from(width),
            dearest,
        },
    }
}

/// By a straight line, if the points tell one with some certainty.
fn line(moments: &Moments) -> Option<Fit> {
    let fitted = moments.fit([0, 1])?;
    if fitted.factor(1).1.is_infinite() {
        return None;
    }
    let likely = if fitted.factor(1).0 < 0.0 {
        Shape::Flat(moments.fit([0])?)
    } else if fitted.factor(0).0 < 0.0 {
        Shape::ThroughOrigin(moments.fit([1])?)
    } else {
        Shape::Line(fitted)
    };
    Some(Fit::Line { likely, fitted })
}

/// By a curve that bends upwards, if that is certain.
fn bend(moments: &Moments) -> Option<Fit> {
    let curve = moments.fit([0, 1, 2])?;
    let (bend, reach) = curve.factor(2);
    (bend - reach > 0.0).then_some(Fit::Bend(curve))
}
