//! What a page held that was not understood, counted by kind. Counting never stops the parser.

use std::fmt;

/// A kind of line that was not understood. The line gave no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// Neither empty, nor a comment, nor begun by a metric's name: another format, or torn bytes.
    NotASample,
    /// A wanted metric's line longer than [`LINE_LIMIT`](super::LINE_LIMIT).
    LongLine,
    /// A wanted metric's line that is not UTF-8.
    BadUtf8,
    /// A wanted metric's labels that are not `{name="value",…}`.
    BadLabels,
    /// A wanted metric's value that is not a number.
    BadValue,
    /// Something other than a timestamp after a wanted metric's value.
    BadTimestamp,
    /// Something after `# EOF`.
    AfterEnd,
}

impl Oddity {
    /// All kinds, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::NotASample,
        Self::LongLine,
        Self::BadUtf8,
        Self::BadLabels,
        Self::BadValue,
        Self::BadTimestamp,
        Self::AfterEnd,
    ];

    /// What such lines are, to be read after their number.
    const fn describe(self) -> &'static str {
        match self {
            Self::NotASample => "not a sample",
            Self::LongLine => "too long",
            Self::BadUtf8 => "not UTF-8",
            Self::BadLabels => "with unreadable labels",
            Self::BadValue => "with an unreadable value",
            Self::BadTimestamp => "with an unreadable timestamp",
            Self::AfterEnd => "after the end mark",
        }
    }
}

/// How many lines were not understood, by kind, and where the first was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oddities {
    counts: [u64; Oddity::ALL.len()],
    first_line: Option<u64>,
}

impl Oddities {
    /// Lines of one kind.
    #[must_use]
    pub const fn count(&self, oddity: Oddity) -> u64 {
        self.counts[oddity as usize]
    }

    /// Lines of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Lines of wanted metrics among them: whoever adds samples up knows that some are missing.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.total() - self.count(Oddity::NotASample) - self.count(Oddity::AfterEnd)
    }

    pub(super) fn add(&mut self, oddity: Oddity, line: u64) {
        self.counts[oddity as usize] += 1;
        self.first_line.get_or_insert(line);
    }
}

/// `3 lines were not understood (2 not a sample, 1 too long), the first is line 17`.
impl fmt::Display for Oddities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total() {
            0 => return f.write_str("every line was understood"),
            1 => f.write_str("1 line was not understood (")?,
            total => write!(f, "{total} lines were not understood (")?,
        }
        let kinds = Oddity::ALL.into_iter().filter(|kind| self.count(*kind) > 0);
        for (index, kind) in kinds.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} {}", self.count(kind), kind.describe())?;
        }
        write!(f, "), the first is line {}", self.first_line.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_kinds_and_the_first_line() {
        let mut oddities = Oddities::default();
        assert_eq!(oddities.to_string(), "every line was understood");
        oddities.add(Oddity::NotASample, 17);
        assert_eq!(
            oddities.to_string(),
            "1 line was not understood (1 not a sample), the first is line 17"
        );
        oddities.add(Oddity::BadValue, 20);
        oddities.add(Oddity::NotASample, 21);
        assert_eq!(
            oddities.to_string(),
            "3 lines were not understood (2 not a sample, 1 with an unreadable value), \
             the first is line 17"
        );
        assert_eq!((oddities.total(), oddities.wanted()), (3, 1));
    }

    #[test]
    fn kinds_are_counted_where_they_stand() {
        for (index, kind) in Oddity::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
