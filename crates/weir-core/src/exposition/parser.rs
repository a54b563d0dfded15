//! Chunks become lines, and lines of wanted metrics become samples.
//!
//! ```text
//!            the line ends in the chunk        │  the chunk ends in the line
//!  chunk ──▶ looked at where it stands,        │  its beginning is kept until it is known whether
//!            nothing is copied                 │  the rest is of interest
//! ```
//!
//! What is found must not depend on where chunks end: every limit is one on the line, and a line is
//! counted, or found odd, when its end has come.

use memchr::{memchr, memchr_iter};

use super::{Oddities, Oddity, Sample};

/// The longest line of a wanted metric that is read, in bytes without the line feed. The longest
/// sample on a kube-apiserver's page has about 600; a hundred times that is no metric.
pub const LINE_LIMIT: usize = 64 * 1024;

/// The bytes of a line within which its metric's name must have ended.
pub const NAME_LIMIT: usize = 1024;

/// The comment that ends a page in the `OpenMetrics` format.
const END_MARK: &[u8] = b"# EOF";

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the end of a line. The text format has no end mark, so that a page that was cut exactly
    /// between two lines looks whole; whoever reads it has to miss something in it.
    Whole,
    /// In the middle of a line, which was not read: its number may have lost digits.
    Cut,
}

/// What a page was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its size in bytes.
    pub bytes: u64,
    /// Lines, without one that was cut.
    pub lines: u64,
    /// Samples that went to the sink.
    pub samples: u64,
    /// How it ended.
    pub end: End,
    /// What was not understood.
    pub oddities: Oddities,
}

/// A push parser for one page. It holds little more than [`LINE_LIMIT`] bytes, whatever the page's
/// size.
#[derive(Debug, Clone)]
pub struct Parser<'w> {
    names: Names<'w>,
    /// The line that the last chunk ended in.
    open: Open,
    /// Bytes of the open line, if they are kept.
    kept: Vec<u8>,
    /// `# EOF` has come.
    ended: bool,
    page: Page,
}

/// What is known of a line whose end has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// It may be of interest, or has no bytes yet.
    Kept,
    /// It is of no interest.
    Skipped,
    /// It is not understood, whatever its rest is.
    Odd(Oddity),
}

/// What the beginning of a line says.
enum Head {
    Blank,
    Comment,
    Name {
        start: usize,
        end: usize,
    },
    /// All bytes so far may be part of a name.
    Unfinished,
    Odd,
}

impl<'w> Parser<'w> {
    /// A parser for samples of exactly these names. They are looked for one after the other: good
    /// for dozens of names, not for thousands.
    #[must_use]
    pub fn new(wanted: &'w [&'w str]) -> Self {
        Self {
            names: Names {
                wanted,
                unwanted: Vec::new(),
            },
            open: Open::Kept,
            kept: Vec::new(),
            ended: false,
            page: Page {
                bytes: 0,
                lines: 0,
                samples: 0,
                end: End::Whole,
                oddities: Oddities::default(),
            },
        }
    }

    /// Takes the next bytes of the page and hands the wanted samples whose lines they complete to
    /// `sink`, in the page's order.
    pub fn push(&mut self, chunk: &[u8], mut sink: impl FnMut(Sample<'_>)) {
        self.page.bytes += chunk.len() as u64;
        let mut rest = chunk;
        if self.is_inside_line() {
            let Some(end) = memchr(b'\n', rest) else {
                return self.extend_line(rest);
            };
            self.end_line(&rest[..end], &mut sink);
            rest = &rest[end + 1..];
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', rest) {
            self.line(&rest[start..end], &mut sink);
            start = end + 1;
        }
        self.extend_line(&rest[start..]);
    }

    /// The page has ended: tells what it was like.
    #[must_use]
    pub fn finish(mut self) -> Page {
        let is_end_mark = self.open == Open::Kept && without_return(&self.kept) == END_MARK;
        if self.is_inside_line() && !is_end_mark {
            self.page.end = End::Cut;
        }
        self.page
    }

    fn is_inside_line(&self) -> bool {
        self.open != Open::Kept || !self.kept.is_empty()
    }

    /// A line that stands whole in one place, without its line feed.
    fn line(&mut self, line: &[u8], sink: &mut impl FnMut(Sample<'_>)) {
        self.page.lines += 1;
        if self.ended || !self.names.is_unwanted_again(line) {
            self.read_line(line, sink);
        }
    }

    fn read_line(&mut self, line: &[u8], sink: &mut impl FnMut(Sample<'_>)) {
        match Head::of(line) {
            Head::Blank if line.len() <= NAME_LIMIT => {}
            _ if self.ended => self.odd(Oddity::AfterEnd),
            Head::Comment => self.ended = without_return(line) == END_MARK,
            Head::Name { start, end } if self.names.is_wanted(&line[start..end]) => {
                self.read_sample(line, start, end, sink);
            }
            Head::Name { .. } => {}
            Head::Blank | Head::Unfinished | Head::Odd => self.odd(Oddity::NotASample),
        }
    }

    fn read_sample(
        &mut self,
        line: &[u8],
        start: usize,
        end: usize,
        sink: &mut impl FnMut(Sample<'_>),
    ) {
        if line.len() > LINE_LIMIT {
            return self.odd(Oddity::LongLine);
        }
        match Sample::read(&without_return(line)[start..], end - start) {
            Ok(sample) => {
                self.page.samples += 1;
                sink(sample);
            }
            Err(oddity) => self.odd(oddity),
        }
    }

    /// Takes bytes of a line whose end has not come yet.
    fn extend_line(&mut self, part: &[u8]) {
        if self.open != Open::Kept || part.is_empty() {
            return;
        }
        self.keep(part);
        self.open = self.look_at_open_line();
        if self.open != Open::Kept {
            self.kept.clear();
        }
    }

    /// Decides as early as possible whether the rest of the open line matters. It must decide as
    /// [`Self::read_line`] would.
    fn look_at_open_line(&mut self) -> Open {
        let length = self.kept.len();
        match Head::of(&self.kept) {
            Head::Blank | Head::Unfinished if length <= NAME_LIMIT => Open::Kept,
            _ if self.ended => Open::Odd(Oddity::AfterEnd),
            // The end mark may come with a carriage return.
            Head::Comment if length <= END_MARK.len() + 1 => Open::Kept,
            Head::Name { start, end } if self.names.is_wanted(&self.kept[start..end]) => {
                if length > LINE_LIMIT {
                    Open::Odd(Oddity::LongLine)
                } else {
                    Open::Kept
                }
            }
            Head::Comment | Head::Name { .. } => Open::Skipped,
            Head::Blank | Head::Unfinished | Head::Odd => Open::Odd(Oddity::NotASample),
        }
    }

    /// Takes the last bytes of the open line, without its line feed.
    fn end_line(&mut self, part: &[u8], sink: &mut impl FnMut(Sample<'_>)) {
        match std::mem::replace(&mut self.open, Open::Kept) {
            Open::Kept => {
                self.keep(part);
                let mut line = std::mem::take(&mut self.kept);
                self.line(&line, sink);
                // Its room is used again.
                line.clear();
                self.kept = line;
            }
            Open::Skipped => self.page.lines += 1,
            Open::Odd(oddity) => {
                self.page.lines += 1;
                self.odd(oddity);
            }
        }
    }

    /// Keeps as much of the open line as is read, and one byte more to see that it is too long.
    fn keep(&mut self, part: &[u8]) {
        let room = (LINE_LIMIT + 1).saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn odd(&mut self, oddity: Oddity) {
        self.page.oddities.add(oddity, self.page.lines);
    }
}

/// Which names are wanted.
#[derive(Debug, Clone)]
struct Names<'w> {
    wanted: &'w [&'w str],
    /// The last name that was not wanted. A page holds a metric's lines together, so that most lines
    /// are told by one comparison with it.
    unwanted: Vec<u8>,
}

impl Names<'_> {
    fn is_wanted(&mut self, name: &[u8]) -> bool {
        let is_wanted = self.wanted.iter().any(|wanted| wanted.as_bytes() == name);
        if !is_wanted {
            self.unwanted.clear();
            self.unwanted.extend_from_slice(name);
        }
        is_wanted
    }

    /// Whether the line begins with the last unwanted name.
    fn is_unwanted_again(&self, line: &[u8]) -> bool {
        let rest = line.strip_prefix(self.unwanted.as_slice());
        !self.unwanted.is_empty()
            && rest
                .and_then(<[u8]>::first)
                .is_some_and(|&byte| ends_name(byte))
    }
}

impl Head {
    /// Looks at no more than [`NAME_LIMIT`] bytes.
    fn of(line: &[u8]) -> Self {
        let line = &line[..line.len().min(NAME_LIMIT)];
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let Some(start) = line.iter().position(|byte| !is_blank(byte)) else {
            return Self::Blank;
        };
        let length = line[start..].iter().position(|&byte| !is_in_name(byte));
        match (line[start], length.map(|length| start + length)) {
            (b'#', _) => Self::Comment,
            (b'0'..=b'9', _) => Self::Odd,
            (_, None) => Self::Unfinished,
            (_, Some(end)) if end > start && ends_name(line[end]) => Self::Name { start, end },
            (_, Some(_)) => Self::Odd,
        }
    }
}

const fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

const fn ends_name(byte: u8) -> bool {
    matches!(byte, b'{' | b' ' | b'\t')
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
