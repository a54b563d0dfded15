//! The parser against a slow, plain one, on made-up pages, torn ones and a real one.

mod reference;

use proptest::{prelude::*, sample::Index};
use reference::{Found, Plain};
use weir_core::exposition::{End, LINE_LIMIT, NAME_LIMIT, Oddity, Page, Parser, Sample};

const WANTED: [&str; 4] = ["up", "lag_sum", "lag_count", "a:b"];

const REAL: &str = include_str!("fixtures/kube_apiserver_1_36_3_queued_and_refused_1.txt");

fn plain(sample: Sample<'_>) -> Plain {
    Plain {
        name: sample.name.to_owned(),
        labels: sample
            .labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
        value: sample.value.to_bits(),
        timestamp: sample.timestamp.map(f64::to_bits),
    }
}

/// Parses a page that comes in chunks.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, wanted: &[&str]) -> (Vec<Plain>, Page) {
    let mut samples = Vec::new();
    let mut parser = Parser::new(wanted);
    for chunk in chunks {
        parser.push(chunk, |sample| samples.push(plain(sample)));
    }
    (samples, parser.finish())
}

/// Splits a page at the given places.
fn split_at<'a>(page: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(page.len() + 1)).collect();
    ends.push(page.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends)
        .map(|(start, &end)| &page[start..end])
        .collect()
}

fn assert_same(page: &[u8], chunks: &[&[u8]], wanted: &[&str]) {
    let Found {
        samples,
        odd,
        lines,
        cut,
    } = reference::parse(page, wanted);
    let (fast, told) = parse(chunks.iter().copied(), wanted);
    assert_eq!(fast, samples);
    for kind in Oddity::ALL {
        let count = odd.iter().filter(|odd| **odd == kind).count() as u64;
        assert_eq!(told.oddities.count(kind), count, "{kind:?}");
    }
    assert_eq!(told.oddities.total(), odd.len() as u64);
    assert_eq!(told.lines, lines);
    assert_eq!(told.samples, samples.len() as u64);
    assert_eq!(told.bytes, page.len() as u64);
    assert_eq!(told.end, if cut { End::Cut } else { End::Whole });
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|value| format!("{value:e}")),
        any::<i32>().prop_map(|value| value.to_string()),
        prop::sample::select(vec!["NaN", "+Inf", "-Inf", "1e+09", "0x1", "", "1_0", "."])
            .prop_map(str::to_owned),
    ]
}

fn labels() -> impl Strategy<Value = String> {
    let value = r#"([a-z/ü{},=#+ ]|\\\\|\\"|\\n|\\x){0,6}"#;
    let label = (r"[a-z_]{1,3}|1a|", value).prop_map(|(name, value)| format!("{name}=\"{value}\""));
    let separator = prop::sample::select(vec![",", ", ", " , ", ";", ""]);
    prop_oneof![
        2 => Just(String::new()),
        6 => (prop::collection::vec(label, 0..4), separator)
            .prop_map(|(labels, separator)| format!("{{{}}}", labels.join(separator))),
        1 => r#"\{[a="\\ ,]{0,6}"#,
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        4 => prop::sample::select(WANTED.to_vec()).prop_map(str::to_owned),
        4 => prop::sample::select(vec!["upper", "u", "lag", "lag_bucket", "other"])
            .prop_map(str::to_owned),
        1 => "[a-z0-9_:ü<]{0,3}",
    ];
    let tail = prop::sample::select(vec![
        "",
        "",
        "",
        " 12",
        " 1.5",
        "\t7 ",
        " 1 2",
        " # {id=\"x\"} 1",
        " 3 # {} 1",
        " Inf",
        " x",
    ]);
    let blank = || prop::sample::select(vec!["", "", "", " ", "\t", "  "]);
    let sample = (blank(), name, labels(), blank(), value(), tail, blank()).prop_map(
        |(before, name, labels, space, value, tail, after)| {
            format!("{before}{name}{labels}{space} {value}{tail}{after}").into_bytes()
        },
    );
    let near = |limit: usize| limit - 4..limit + 4;
    let other = prop::sample::select(vec![
        "",
        " ",
        "# EOF",
        "# EOF ",
        "# TYPE up gauge",
        "#",
        "<p>",
    ]);
    prop_oneof![
        30 => sample,
        8 => other.prop_map(|line| line.as_bytes().to_vec()),
        3 => prop::collection::vec(any::<u8>(), 0..12),
        1 => near(NAME_LIMIT).prop_map(|length| "n".repeat(length).into_bytes()),
        1 => near(NAME_LIMIT).prop_map(|length| " ".repeat(length).into_bytes()),
        1 => near(NAME_LIMIT).prop_map(|length| [b" ".repeat(length).as_slice(), b"up 1"].concat()),
        1 => near(LINE_LIMIT).prop_map(|length| [b"up 1", b" ".repeat(length - 4).as_slice()].concat()),
        1 => near(LINE_LIMIT).prop_map(|length| [b"other 1", b"x".repeat(length).as_slice()].concat()),
    ]
}

fn page() -> impl Strategy<Value = Vec<u8>> {
    let line = (line(), prop::sample::select(vec!["\n", "\n", "\n", "\r\n"])).prop_map(
        |(mut line, end)| {
            line.extend_from_slice(end.as_bytes());
            line
        },
    );
    let tail = prop_oneof![3 => Just(Vec::new()), 1 => self::line()];
    (prop::collection::vec(line, 0..24), tail).prop_map(|(lines, tail)| {
        let mut page = lines.concat();
        page.extend(tail);
        page
    })
}

proptest! {
    #[test]
    fn a_page_gives_what_the_plain_parser_finds_under_any_chunking(
        page in page(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        assert_same(&page, &split_at(&page, &cuts), &WANTED);
        assert_same(&page, &[&page], &WANTED);
    }

    #[test]
    fn arbitrary_bytes_give_what_the_plain_parser_finds(
        page in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        assert_same(&page, &split_at(&page, &cuts), &WANTED);
    }

    #[test]
    fn bytes_of_the_format_give_what_the_plain_parser_finds(
        page in prop::collection::vec(prop::sample::select(b"up{}=\"\\, #\n\r1.eEOF\t".to_vec()), 0..200),
        size in 1_usize..9,
    ) {
        assert_same(&page, &page.chunks(size).collect::<Vec<_>>(), &WANTED);
    }

    #[test]
    fn a_real_page_that_is_torn_gives_what_the_plain_parser_finds(
        at in 0..REAL.len(),
        length in 0_usize..300,
        noise in prop::collection::vec(any::<u8>(), 0..20),
        size in 1_usize..5000,
    ) {
        let mut page = REAL.as_bytes().to_vec();
        page.splice(at..(at + length).min(REAL.len()), noise);
        let wanted = ["apiserver_request_total", "process_cpu_seconds_total"];
        assert_same(&page, &page.chunks(size).collect::<Vec<_>>(), &wanted);
    }
}

#[test]
fn a_real_page_gives_every_sample_of_every_name() {
    let names: std::collections::BTreeSet<&str> = REAL
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let samples = REAL.lines().filter(|line| !line.starts_with('#')).count();
    assert!(
        names.len() > 200 && samples > 300,
        "{} names, {samples} samples",
        names.len()
    );
    assert_same(REAL.as_bytes(), &[REAL.as_bytes()], &names);
    let (found, page) = parse([REAL.as_bytes()], &names);
    assert_eq!(found.len(), samples);
    assert_eq!((page.oddities.total(), page.end), (0, End::Whole));
}

/// What one line gives: its sample, or how it is odd.
fn read(line: &str) -> Result<Plain, Vec<Oddity>> {
    let (samples, page) = parse([format!("{line}\n").as_bytes()], &WANTED);
    let odd = Oddity::ALL
        .into_iter()
        .filter(|kind| page.oddities.count(*kind) > 0)
        .collect();
    samples.into_iter().next().ok_or(odd)
}

/// A sample as it is expected of a line.
fn sample(name: &str, labels: &[(&str, &str)], value: f64, timestamp: Option<f64>) -> Plain {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Plain {
        name: name.to_owned(),
        labels: labels.iter().map(owned).collect(),
        value: value.to_bits(),
        timestamp: timestamp.map(f64::to_bits),
    }
}

#[test]
fn a_line_gives_its_labels_value_and_timestamp() {
    for (line, expected) in [
        ("up 1", sample("up", &[], 1.0, None)),
        (
            "up{} 1.5e-3 1700000000000",
            sample("up", &[], 0.0015, Some(1.7e12)),
        ),
        ("a:b\t+Inf", sample("a:b", &[], f64::INFINITY, None)),
        ("up NaN", sample("up", &[], f64::NAN, None)),
        (
            r#"up{a="x",b="y",} 2"#,
            sample("up", &[("a", "x"), ("b", "y")], 2.0, None),
        ),
        (
            r#"up{a="}\" \\\n,"}2"#,
            sample("up", &[("a", "}\" \\\n,")], 2.0, None),
        ),
        (
            "up{le=\"1\"} 7 1.5 # {id=\"x\"} 0.5",
            sample("up", &[("le", "1")], 7.0, Some(1.5)),
        ),
    ] {
        assert_eq!(read(line), Ok(expected), "{line}");
    }
}

#[test]
fn a_line_that_is_not_understood_is_counted_by_kind() {
    for (line, oddity) in [
        ("<html>", Oddity::NotASample),
        ("up", Oddity::NotASample),
        ("1up 1", Oddity::NotASample),
        ("up{a=\"x\" 1", Oddity::BadLabels),
        ("up{a=\"\\x\"} 1", Oddity::BadLabels),
        ("up{a=\"x\"b=\"y\"} 1", Oddity::BadLabels),
        ("up{\"a\"=\"x\"} 1", Oddity::BadLabels),
        ("up one", Oddity::BadValue),
        ("up ", Oddity::BadValue),
        ("up 1 2 3", Oddity::BadTimestamp),
        ("up 1 NaN", Oddity::BadTimestamp),
    ] {
        assert_eq!(read(line), Err(vec![oddity]), "{line}");
    }
}

#[test]
fn a_line_of_any_length_is_skipped_if_its_metric_is_not_wanted() {
    let long = format!("other{{a=\"{}\"}} 1\nup 1\n", "x".repeat(3 * LINE_LIMIT));
    for size in [1000, long.len()] {
        let (samples, page) = parse(long.as_bytes().chunks(size), &WANTED);
        assert_eq!((samples.len(), page.oddities.total()), (1, 0));
    }
}

#[test]
fn a_wanted_line_that_is_too_long_is_odd_and_the_next_is_read() {
    let long = format!("up{{a=\"{}\"}} 1\nup 2\n", "x".repeat(3 * LINE_LIMIT));
    for size in [1000, long.len()] {
        let (samples, page) = parse(long.as_bytes().chunks(size), &WANTED);
        assert_eq!(page.oddities.count(Oddity::LongLine), 1);
        assert_eq!(
            samples
                .iter()
                .map(|sample| sample.value)
                .collect::<Vec<_>>(),
            [2f64.to_bits()]
        );
    }
}

#[test]
fn a_cut_line_gives_no_sample_and_the_page_is_cut() {
    let (samples, page) = parse([b"up 1\nup 12".as_slice()], &WANTED);
    assert_eq!((samples.len(), page.end), (1, End::Cut));
    assert_eq!((page.lines, page.oddities.total()), (1, 0));
}

#[test]
fn an_end_mark_needs_no_line_end_and_nothing_may_follow_it() {
    let (_, page) = parse([b"up 1\n# EOF".as_slice()], &WANTED);
    assert_eq!((page.end, page.oddities.total()), (End::Whole, 0));
    for page in ["up 1\n# EOF\nup 2\n\n", "up 1\r\n# EOF\r\nup 2\r\n\r\n"] {
        for size in [1, 100] {
            let (samples, page) = parse(page.as_bytes().chunks(size), &WANTED);
            let odd = page.oddities.count(Oddity::AfterEnd);
            assert_eq!((samples.len(), odd), (1, 1));
        }
    }
}

#[test]
fn an_unfinished_line_is_kept_only_while_it_may_matter() {
    // A hundred megabytes without a line end in sight, in the name, in a comment, in a wanted line.
    for begin in ["x", "# HELP up ", "up{a=\""] {
        let chunk = vec![b'x'; 1 << 20];
        let mut parser = Parser::new(&WANTED);
        parser.push(begin.as_bytes(), |_| ());
        for _ in 0..100 {
            parser.push(&chunk, |_| ());
        }
        assert_eq!(parser.finish().end, End::Cut);
    }
}
