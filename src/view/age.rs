//! Lengths of time as kubectl shows them: one or two units, the largest first.

use weir_core::time::Span;

/// `45s`, `12m`, `3h10m`, `2d4h`: as exact as a person needs it.
#[must_use]
pub(super) fn age(span: Span) -> String {
    let seconds = span.as_millis() / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{minutes}m"),
        7200..172_800 if minutes % 60 == 0 => format!("{hours}h"),
        7200..172_800 => format!("{hours}h{}m", minutes % 60),
        _ if hours % 24 == 0 => format!("{days}d"),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_units_that_matter() {
        let shown = |seconds| age(Span::from_secs(seconds));
        let ages = [0, 119, 120, 7199, 7200, 7260, 172_800, 176_400].map(shown);
        assert_eq!(
            ages,
            ["0s", "119s", "2m", "119m", "2h", "2h1m", "2d", "2d1h"]
        );
    }
}
