//! A slow, plain parser of a whole page, written from the format's description and not from the
//! fast one: what it finds, the fast one must find.

use weir_core::exposition::{LINE_LIMIT, NAME_LIMIT, Oddity};

/// A sample that owns everything; its numbers are bits, so that NaN equals NaN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: u64,
    pub(crate) timestamp: Option<u64>,
}

/// All that was found on a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    pub(crate) samples: Vec<Plain>,
    pub(crate) odd: Vec<Oddity>,
    pub(crate) lines: u64,
    pub(crate) cut: bool,
}

/// Parses a whole page.
pub(crate) fn parse(page: &[u8], wanted: &[&str]) -> Found {
    let mut found = Found::default();
    let mut ended = false;
    let mut lines: Vec<&[u8]> = page.split(|byte| *byte == b'\n').collect();
    let tail = lines.pop().unwrap_or_default();
    for raw in lines {
        found.lines += 1;
        match parse_line(raw, wanted, &mut ended) {
            Ok(sample) => found.samples.extend(sample),
            Err(oddity) => found.odd.push(oddity),
        }
    }
    let is_end_mark = !ended && (tail == b"# EOF" || tail == b"# EOF\r");
    found.cut = !tail.is_empty() && !is_end_mark;
    found
}

fn parse_line(raw: &[u8], wanted: &[&str], ended: &mut bool) -> Result<Option<Plain>, Oddity> {
    let blanks = raw
        .iter()
        .take_while(|byte| b" \t\r".contains(byte))
        .count();
    if blanks == raw.len() && raw.len() <= NAME_LIMIT {
        return Ok(None);
    }
    if *ended {
        return Err(Oddity::AfterEnd);
    }
    if blanks >= raw.len().min(NAME_LIMIT) {
        return Err(Oddity::NotASample);
    }
    let text = &raw[blanks..];
    if text[0] == b'#' {
        *ended = raw == b"# EOF" || raw == b"# EOF\r";
        return Ok(None);
    }
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte == b':';
    let name_length = text.iter().take_while(is_name).count();
    let has_end = text
        .get(name_length)
        .is_some_and(|byte| b"{ \t".contains(byte));
    let is_in_limit = blanks + name_length < NAME_LIMIT;
    if name_length == 0 || text[0].is_ascii_digit() || !has_end || !is_in_limit {
        return Err(Oddity::NotASample);
    }
    if !wanted
        .iter()
        .any(|name| name.as_bytes() == &text[..name_length])
    {
        return Ok(None);
    }
    if raw.len() > LINE_LIMIT {
        return Err(Oddity::LongLine);
    }
    let text = std::str::from_utf8(text).map_err(|_| Oddity::BadUtf8)?;
    let chars: Vec<char> = text.strip_suffix('\r').unwrap_or(text).chars().collect();
    Reader { chars, at: 0 }.sample().map(Some)
}

/// Reads a line character by character.
struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn take_while(&mut self, is_taken: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(char) = self.peek().filter(|char| is_taken(*char)) {
            taken.push(char);
            self.at += 1;
        }
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_while(|char| char == ' ' || char == '\t');
    }

    fn token(&mut self) -> String {
        self.skip_blanks();
        self.take_while(|char| char != ' ' && char != '\t')
    }

    fn expect(&mut self, expected: char) -> Option<()> {
        self.skip_blanks();
        (self.next()? == expected).then_some(())
    }

    fn sample(&mut self) -> Result<Plain, Oddity> {
        let name = self.take_while(|char| !" \t{".contains(char));
        self.skip_blanks();
        let labels = if self.peek() == Some('{') {
            self.labels().ok_or(Oddity::BadLabels)?
        } else {
            Vec::new()
        };
        let value: f64 = self.token().parse().map_err(|_| Oddity::BadValue)?;
        let timestamp = self.timestamp().map_err(|()| Oddity::BadTimestamp)?;
        Ok(Plain {
            name,
            labels,
            value: value.to_bits(),
            timestamp: timestamp.map(f64::to_bits),
        })
    }

    fn timestamp(&mut self) -> Result<Option<f64>, ()> {
        self.skip_blanks();
        if matches!(self.peek(), None | Some('#')) {
            return Ok(None);
        }
        let timestamp: f64 = self.token().parse().map_err(|_| ())?;
        self.skip_blanks();
        let is_last = matches!(self.peek(), None | Some('#'));
        if is_last && timestamp.is_finite() {
            Ok(Some(timestamp))
        } else {
            Err(())
        }
    }

    fn labels(&mut self) -> Option<Vec<(String, String)>> {
        self.expect('{')?;
        let mut labels = Vec::new();
        self.skip_blanks();
        while self.peek()? != '}' {
            let name = self.take_while(|char| char.is_ascii_alphanumeric() || char == '_');
            if name.chars().next().is_none_or(|char| char.is_ascii_digit()) {
                return None;
            }
            self.expect('=')?;
            self.expect('"')?;
            labels.push((name, self.quoted()?));
            self.skip_blanks();
            if self.peek()? == ',' {
                self.next();
                self.skip_blanks();
            } else if self.peek()? != '}' {
                return None;
            }
        }
        self.next();
        Some(labels)
    }

    /// A label's value after its opening quote, and its closing quote.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        loop {
            match self.next()? {
                '"' => return Some(value),
                '\\' => value.push(match self.next()? {
                    'n' => '\n',
                    char @ ('\\' | '"') => char,
                    _ => return None,
                }),
                char => value.push(char),
            }
        }
    }
}
