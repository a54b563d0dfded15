//! A Corefile → what of it decides for how long a DNS server can hide that it hears nothing new.
//!
//! ```text
//!  .:53 {                                   blocks, by the zones that they answer for
//!      kubernetes cluster.local … {         the zones that come from the API
//!          ttl 30                           for how long clients may keep an answer; 5 s unless said
//!      }
//!      cache 30 {                           caps that; where it is
//!          serve_stale 1h                   answers this much longer while the upstream is away
//!      }
//!  }
//! ```
//!
//! Whatever else there is, is passed over: a plugin that this file does not know is no error. Snippets are
//! followed where they are in the same file (`import name`); files are not.

use std::collections::BTreeMap;

use crate::time::Span;

/// The kubernetes plugin's own TTL (CoreDNS, plugin/kubernetes/setup.go).
const TTL: Span = Span::from_secs(5);

/// For how long stale answers are served where it is not said (CoreDNS, plugin/cache/README.md).
const SERVE_STALE: Span = Span::from_secs(3600);

/// The port of a block that names none.
const PORT: u16 = 53;

/// Snippets within snippets: CoreDNS refuses cycles, this only has to end.
const IMPORTS_AT_MOST: usize = 8;

/// Lines that are read, of which people write hundreds at most.
const LINES_AT_MOST: usize = 10_000;

/// A Corefile that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorefileError {
    /// A block is not closed, or one is closed that was not opened.
    #[error("line {line}: braces do not match")]
    Braces {
        /// Where it was noticed, counted from 1.
        line: usize,
    },
    /// It is longer than anybody writes.
    #[error("more than {LINES_AT_MOST} lines")]
    TooLong,
}

/// What one server block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerBlock {
    /// The zones that it answers for, without a dot at the end, in lower case; the root is empty.
    pub zones: Vec<String>,
    /// The port that it listens at.
    pub port: u16,
    /// The zones that come from the API, if any do.
    pub kubernetes: Option<Kubernetes>,
    /// Its cache, if it has one.
    pub cache: Option<Cache>,
}

/// What the kubernetes plugin is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubernetes {
    /// The zones that it answers for, as those of the block are written.
    pub zones: Vec<String>,
    /// For how long clients may keep an answer.
    pub ttl: Span,
}

/// What the cache plugin is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// For how long after its TTL an answer is served while the upstream is away.
    pub serve_stale: Option<Span>,
    /// Zones whose answers with success it does not keep.
    pub passes: Vec<String>,
}

/// Reads a Corefile.
///
/// # Errors
///
/// If its blocks cannot be told apart.
pub fn parse(text: &str) -> Result<Vec<ServerBlock>, CorefileError> {
    let lines = lines(text)?;
    let (blocks, snippets) = blocks(&lines)?;
    Ok(blocks
        .into_iter()
        .map(|block| server(block.head, &expand(block.body, &snippets, 0)))
        .collect())
}

/// Of several blocks the one that answers for a zone: the one with the longest suffix of it.
#[must_use]
pub fn answering<'a>(blocks: &'a [ServerBlock], zone: &str) -> Option<&'a ServerBlock> {
    let zone = normal(zone);
    let fit = |block: &ServerBlock| {
        let zones = block.zones.iter().filter(|known| lies_in(&zone, known));
        zones.map(String::len).max()
    };
    let fitting = blocks.iter().filter_map(|block| Some((fit(block)?, block)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, block)| block)
}

impl ServerBlock {
    /// For how long beyond its TTL an answer of this zone is served while its source is away.
    #[must_use]
    pub fn serve_stale(&self, zone: &str) -> Span {
        let cache = self.cache.as_ref();
        let passes = |cache: &&Cache| {
            let zone = normal(zone);
            cache.passes.iter().any(|passed| lies_in(&zone, passed))
        };
        let cache = cache.filter(|cache| !passes(cache));
        cache
            .and_then(|cache| cache.serve_stale)
            .unwrap_or_default()
    }
}

/// One line, as its words.
struct Line<'a> {
    number: usize,
    words: Vec<&'a str>,
}

/// What stands between braces, and before them.
struct Block<'l, 'a> {
    head: &'l [&'a str],
    body: &'l [Line<'a>],
}

type Snippets<'l, 'a> = BTreeMap<&'a str, &'l [Line<'a>]>;

fn lines(text: &str) -> Result<Vec<Line<'_>>, CorefileError> {
    if text.lines().count() > LINES_AT_MOST {
        return Err(CorefileError::TooLong);
    }
    Ok(text
        .lines()
        .enumerate()
        .map(|(at, line)| Line {
            number: at + 1,
            words: words_of(line),
        })
        .filter(|line| !line.words.is_empty())
        .collect())
}

/// The words of a line, without its comment and without the quotes around them.
fn words_of(line: &str) -> Vec<&str> {
    line.split_whitespace()
        .take_while(|word| !word.starts_with('#'))
        .map(|word| word.trim_matches('"'))
        .collect()
}

fn opens(line: &Line<'_>) -> bool {
    line.words.last() == Some(&"{")
}

fn closes(line: &Line<'_>) -> bool {
    line.words == ["}"]
}

/// Server blocks, and snippets by their names.
fn blocks<'l, 'a>(
    lines: &'l [Line<'a>],
) -> Result<(Vec<Block<'l, 'a>>, Snippets<'l, 'a>), CorefileError> {
    let (mut servers, mut snippets) = (Vec::new(), Snippets::new());
    let mut rest = lines;
    while let [first, ..] = rest {
        let length = block_length(rest)?;
        let (block, after) = rest.split_at(length);
        rest = after;
        // A line by itself is an import of files, at the top.
        let (Some(head), [_, body @ .., _]) =
            (first.words.split_last().map(|(_, head)| head), block)
        else {
            continue;
        };
        let snippet = |word: &&'a str| word.strip_prefix('(')?.strip_suffix(')');
        match head.first().and_then(snippet) {
            Some(name) => {
                snippets.insert(name, body);
            }
            None => servers.push(Block { head, body }),
        }
    }
    Ok((servers, snippets))
}

/// How many lines belong to what begins with the first one: it alone, or up to its closing brace.
fn block_length(lines: &[Line<'_>]) -> Result<usize, CorefileError> {
    let mut depth = 0_usize;
    for (at, line) in lines.iter().enumerate() {
        if opens(line) {
            depth += 1;
        } else if closes(line) {
            let unopened = CorefileError::Braces { line: line.number };
            depth = depth.checked_sub(1).ok_or(unopened)?;
        }
        if depth == 0 {
            return Ok(at + 1);
        }
    }
    let line = lines.last().map_or(0, |line| line.number);
    Err(CorefileError::Braces { line })
}

/// The body's lines as words, each import of a snippet replaced by what it stands for.
fn expand<'l, 'a>(
    body: &'l [Line<'a>],
    snippets: &Snippets<'l, 'a>,
    depth: usize,
) -> Vec<&'l [&'a str]> {
    let mut out: Vec<&[&str]> = Vec::new();
    for line in body {
        let snippet = match line.words[..] {
            ["import", name, ..] if depth < IMPORTS_AT_MOST => snippets.get(name),
            _ => None,
        };
        match snippet {
            Some(snippet) => out.extend(expand(snippet, snippets, depth + 1)),
            None => out.push(&line.words),
        }
    }
    out
}

fn server(head: &[&str], body: &[&[&str]]) -> ServerBlock {
    let labels = head.iter().flat_map(|word| word.split(','));
    let places: Vec<_> = labels.filter(|word| !word.is_empty()).map(place).collect();
    let mut block = ServerBlock {
        zones: places.iter().map(|(zone, _)| zone.clone()).collect(),
        port: places.first().map_or(PORT, |(_, port)| *port),
        kubernetes: None,
        cache: None,
    };
    let mut rest = body;
    while let [words, after @ ..] = rest {
        let (options, after) = options(words, after);
        rest = after;
        match words {
            ["kubernetes", zones @ ..] => {
                block.kubernetes = Some(kubernetes(zones, options, &block.zones));
            }
            ["cache", ..] => block.cache = Some(cache(options, &block.zones)),
            _ => {}
        }
    }
    block
}

/// The lines between a plugin's braces, if it has any, and what follows.
fn options<'b, 'l, 'a>(
    words: &[&str],
    after: &'b [&'l [&'a str]],
) -> (&'b [&'l [&'a str]], &'b [&'l [&'a str]]) {
    if words.last() != Some(&"{") {
        return (&[], after);
    }
    let mut depth = 1_usize;
    for (at, line) in after.iter().enumerate() {
        match line.last() {
            Some(&"{") => depth += 1,
            Some(&"}") if line.len() == 1 => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&after[..at], &after[at + 1..]);
        }
    }
    (after, &[])
}

fn kubernetes(zones: &[&str], options: &[&[&str]], of_block: &[String]) -> Kubernetes {
    let zones = named(zones);
    let mut found = Kubernetes {
        zones: if zones.is_empty() {
            of_block.to_vec()
        } else {
            zones
        },
        ttl: TTL,
    };
    for option in options {
        if let ["ttl", seconds] = option {
            found.ttl = seconds.parse().map_or(found.ttl, Span::from_secs);
        }
    }
    found
}

fn cache(options: &[&[&str]], of_block: &[String]) -> Cache {
    let mut found = Cache {
        serve_stale: None,
        passes: Vec::new(),
    };
    for option in options {
        match option {
            ["serve_stale", rest @ ..] => {
                let stated = rest.first().and_then(|word| duration(word));
                found.serve_stale = Some(stated.unwrap_or(SERVE_STALE));
            }
            ["disable", "success", zones @ ..] => {
                let zones = named(zones);
                found.passes.extend(if zones.is_empty() {
                    of_block.to_vec()
                } else {
                    zones
                });
            }
            _ => {}
        }
    }
    found
}

fn named(words: &[&str]) -> Vec<String> {
    let names = words.iter().filter(|word| **word != "{");
    names.map(|word| normal(word)).collect()
}

/// The zone and the port of what a block is for: `.:53`, `dns://cluster.local:5353`, `example.org`.
fn place(word: &str) -> (String, u16) {
    let word = word.split_once("://").map_or(word, |(_, rest)| rest);
    match word.rsplit_once(':') {
        Some((zone, port)) => (normal(zone), port.parse().unwrap_or(PORT)),
        None => (normal(word), PORT),
    }
}

fn normal(zone: &str) -> String {
    zone.trim_end_matches('.').to_ascii_lowercase()
}

fn lies_in(name: &str, zone: &str) -> bool {
    let before = name.strip_suffix(zone);
    zone.is_empty() || before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A duration as Go writes it, in whole milliseconds: `1h`, `90s`, `1h30m`, `1.5h`.
fn duration(word: &str) -> Option<Span> {
    let mut rest = word;
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| !c.is_alphabetic());
        let (unit, after) = unit.split_at(letters.unwrap_or(unit.len()));
        let of_unit = match unit {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1000.0,
            "ms" => 1.0,
            _ => return None,
        };
        millis += number.parse::<f64>().ok()? * of_unit;
        rest = after;
    }
    (!word.is_empty()).then(|| Span::from_millis(1).times(millis))
}

#[cfg(test)]
mod tests;
