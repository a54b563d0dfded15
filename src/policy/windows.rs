//! The times at which waves may begin: from what people write to whether it is such a time now.
//!
//! ```text
//!  days: [Mon]  from: 22:00  to: 06:00     Mon 22:00 ════════════╗ Tue 06:00      as the zone's clocks show it
//! ```
//!
//! A window begins on each of its days, and ends at the next time that `to` names. Of several policies' windows one
//! of each must be open.

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, Time},
    tz::TimeZone,
};
use weir_core::{evidence::Window, time::Moment};

use super::lower::{Defect, Problem};
use crate::api::{Day, WindowSpec, times::timestamp};

/// How far ahead a window is looked for: each opens within a week, and at another hour where clocks change.
const AHEAD_DAYS: i64 = 8;

/// One window, as it can be evaluated.
#[derive(Debug, Clone, PartialEq)]
struct Opening {
    /// Whether it begins on a day, from Monday.
    days: [bool; 7],
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// When one policy lets waves begin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Windows {
    /// It names some.
    named: bool,
    /// Those of them that can be read.
    openings: Vec<Opening>,
}

impl Windows {
    /// The windows that a policy's spec names, and all that is wrong with them. What cannot be read opens nothing.
    pub(super) fn read(windows: Option<&[WindowSpec]>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let specs = windows.unwrap_or_default().iter();
        let openings = specs
            .enumerate()
            .filter_map(|(at, window)| Opening::new(window, at, &mut problems))
            .collect();
        let windows = Self {
            named: windows.is_some(),
            openings,
        };
        (windows, problems)
    }

    fn are_open(&self, at: Timestamp) -> bool {
        !self.named || self.openings.iter().any(|one| one.is_open(at))
    }

    const fn are_unreadable(&self) -> bool {
        self.named && self.openings.is_empty()
    }
}

/// Whether one window of each policy that names any is open at `now`; else when that will be.
#[must_use]
pub fn window(policies: &[Windows], now: Moment) -> Window {
    let are_open = |at: Timestamp| policies.iter().all(|windows| windows.are_open(at));
    let now = timestamp(now);
    if are_open(now) {
        return Window::Open;
    }
    if policies.iter().any(Windows::are_unreadable) {
        let opens = "once a person puts the policy's windows right: none of them can be read";
        return Window::Closed {
            opens: opens.to_owned(),
        };
    }
    let openings = policies.iter().flat_map(|windows| &windows.openings);
    let begins = openings.flat_map(|one| one.begins_after(now));
    let next = begins
        .filter(|begins| are_open(begins.timestamp()))
        .min_by_key(Zoned::timestamp);
    let opens = next.map_or_else(
        || "at no time within a week: the windows of the policies never meet".to_owned(),
        |begins| begins.strftime("%a %Y-%m-%d %H:%M %Q").to_string(),
    );
    Window::Closed { opens }
}

impl Opening {
    /// The window that is the policy's so-and-so-manyth.
    fn new(spec: &WindowSpec, at: usize, problems: &mut Vec<Problem>) -> Option<Self> {
        let WindowSpec {
            days,
            from,
            to,
            time_zone,
        } = spec;
        let mut problem = |field: &str, defect| {
            let field = format!("windows[{at}].{field}").into();
            problems.push(Problem { field, defect });
        };
        let [from, to] = [("from", from), ("to", to)].map(|(field, text)| {
            let time = Time::strptime("%H:%M", text).ok();
            if time.is_none() {
                let (text, want) = (text.clone(), "a time of day such as `09:30`");
                problem(field, Defect::Malformed { text, want });
            }
            time
        });
        let zone = match time_zone.as_deref() {
            None => Some(TimeZone::UTC),
            // A pod has none of its own, and two replicas might differ.
            Some("Local") => None,
            Some(name) => TimeZone::get(name).ok(),
        };
        if zone.is_none() {
            let text = time_zone.clone().unwrap_or_default();
            let want = "a time zone of the IANA database such as `Europe/Zurich`";
            problem("timeZone", Defect::Malformed { text, want });
        }
        Some(Self {
            days: on(days.as_deref()),
            from: from?,
            to: to?,
            zone: zone?,
        })
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let today = at.to_zoned(self.zone.clone()).date();
        let yesterday = today.yesterday().ok();
        let mut begun = [Some(today), yesterday].into_iter().flatten();
        begun.any(|day| {
            self.on_day(day)
                .is_some_and(|[begins, ends]| begins.timestamp() <= at && at < ends.timestamp())
        })
    }

    /// When it begins within the next days.
    fn begins_after(&self, at: Timestamp) -> impl Iterator<Item = Zoned> {
        let today = at.to_zoned(self.zone.clone()).date();
        let days = (0..=AHEAD_DAYS).filter_map(move |ahead| today.checked_add(ahead.days()).ok());
        let begins = days.filter_map(|day| self.on_day(day).map(|[begins, _]| begins));
        begins.filter(move |begins| begins.timestamp() > at)
    }

    /// When the one that begins on this day begins and ends, if one does. An hour that clocks pass over begins
    /// when they have.
    fn on_day(&self, day: Date) -> Option<[Zoned; 2]> {
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if !*self.days.get(weekday)? {
            return None;
        }
        let last = if self.to > self.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let begins = day.to_datetime(self.from).to_zoned(self.zone.clone());
        let ends = last.to_datetime(self.to).to_zoned(self.zone.clone());
        Some([begins.ok()?, ends.ok()?])
    }
}

/// The days that are named; all if none is.
fn on(days: Option<&[Day]>) -> [bool; 7] {
    let Some(days) = days.filter(|days| !days.is_empty()) else {
        return [true; 7];
    };
    Day::ALL.map(|day| days.contains(&day))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn windows(specs: Value) -> Windows {
        let specs: Vec<WindowSpec> = serde_json::from_value(specs).unwrap();
        let (windows, problems) = Windows::read(Some(&specs));
        assert_eq!(problems, []);
        windows
    }

    fn at(time: &str) -> Moment {
        crate::api::times::moment(time.parse().unwrap())
    }

    #[track_caller]
    fn opens(windows: &[Windows], now: &str, expected: Option<&str>) {
        let expected = match expected {
            None => Window::Open,
            Some(opens) => Window::Closed {
                opens: opens.to_owned(),
            },
        };
        assert_eq!(window(windows, at(now)), expected, "{now}");
    }

    #[test]
    fn working_hours_are_those_of_their_zone_in_summer_and_winter() {
        let of = [windows(json!([{
            "days": ["Mon", "Tue", "Wed", "Thu", "Fri"],
            "from": "09:00", "to": "17:00", "timeZone": "Europe/Zurich",
        }]))];
        // 2026-11-27 is a Friday.
        opens(
            &of,
            "2026-11-27T07:59:59Z",
            Some("Fri 2026-11-27 09:00 Europe/Zurich"),
        );
        opens(&of, "2026-11-27T08:00:00Z", None);
        opens(
            &of,
            "2026-11-27T16:00:00Z",
            Some("Mon 2026-11-30 09:00 Europe/Zurich"),
        );
        opens(&of, "2026-07-03T07:00:00Z", None);
        opens(
            &of,
            "2026-07-03T15:00:00Z",
            Some("Mon 2026-07-06 09:00 Europe/Zurich"),
        );
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let of = [windows(
            json!([{ "days": ["Fri"], "from": "22:00", "to": "06:00" }]),
        )];
        opens(
            &of,
            "2026-11-27T05:00:00Z",
            Some("Fri 2026-11-27 22:00 UTC"),
        );
        opens(&of, "2026-11-27T22:00:00Z", None);
        opens(&of, "2026-11-28T05:59:59Z", None);
        opens(
            &of,
            "2026-11-28T06:00:00Z",
            Some("Fri 2026-12-04 22:00 UTC"),
        );
    }

    #[test]
    fn each_policy_needs_one_of_its_windows_and_one_that_names_none_is_always_open() {
        let daily = |from: &str, to: &str| windows(json!([{ "from": from, "to": to }]));
        let [morning, noon] = [daily("06:00", "12:00"), daily("10:00", "14:00")];
        let both = [morning.clone(), noon, Windows::default()];
        opens(&both, "2026-11-27T11:00:00Z", None);
        opens(
            &both,
            "2026-11-27T07:00:00Z",
            Some("Fri 2026-11-27 10:00 UTC"),
        );
        let never = "at no time within a week: the windows of the policies never meet";
        let apart = [morning, daily("18:00", "20:00")];
        opens(&apart, "2026-11-27T07:00:00Z", Some(never));
        opens(&[], "2026-11-27T07:00:00Z", None);
        opens(&[daily("00:00", "00:00")], "2026-11-27T23:59:59Z", None);
    }

    #[test]
    fn an_hour_that_clocks_pass_over_begins_when_they_have() {
        // In Zurich 02:00 to 03:00 is not there on 2026-03-29.
        let early = json!([{ "from": "02:30", "to": "04:00", "timeZone": "Europe/Zurich" }]);
        let of = [windows(early)];
        opens(
            &of,
            "2026-03-29T01:29:59Z",
            Some("Sun 2026-03-29 03:30 Europe/Zurich"),
        );
        opens(&of, "2026-03-29T01:30:00Z", None);
        opens(
            &of,
            "2026-03-29T02:00:00Z",
            Some("Mon 2026-03-30 02:30 Europe/Zurich"),
        );
    }

    #[test]
    fn what_means_nothing_is_told_all_at_once_and_opens_nothing() {
        let specs = json!([
            { "from": "9 am", "to": "25:00" },
            { "from": "09:00", "to": "17:00", "timeZone": "Middle/Earth" },
            { "from": "09:00", "to": "17:00", "timeZone": "Local" },
        ]);
        let specs: Vec<WindowSpec> = serde_json::from_value(specs).unwrap();
        let (windows, problems) = Windows::read(Some(&specs));
        let fields: Vec<_> = problems.iter().map(|one| &*one.field).collect();
        let expected = [
            "windows[0].from",
            "windows[0].to",
            "windows[1].timeZone",
            "windows[2].timeZone",
        ];
        assert_eq!(fields, expected);
        let unreadable = "once a person puts the policy's windows right: none of them can be read";
        opens(&[windows], "2026-11-27T10:00:00Z", Some(unreadable));
    }
}
