//! What may be written only in some rooms, or nowhere.

use crate::source::{Source, rust_files};

/// Words that are code only in some places.
struct Ban {
    words: &'static [&'static str],
    /// Where the ban holds.
    within: &'static [&'static str],
    /// The rooms in which the words are at home.
    except: &'static [&'static str],
    /// Whether tests may use them.
    in_tests: bool,
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        words: &[
            "Instant::now",
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
        ],
        within: &["src", "crates"],
        except: &["src/clock.rs"],
        in_tests: true,
        why: "time comes from clock.rs, and is a parameter everywhere else",
    },
    Ban {
        words: &[
            "Client::new(",
            "Client::try_from",
            "Client::try_default",
            "ClientBuilder",
            "Config::infer",
        ],
        within: &["src"],
        except: &["src/client"],
        in_tests: true,
        why: "client/ is the one way to an API server: it keeps the budget",
    },
    Ban {
        words: &[
            "spawn(",
            "spawn_blocking",
            "spawn_local",
            "JoinSet",
            "thread::spawn",
        ],
        within: &["src", "crates"],
        except: &["src/tasks.rs"],
        in_tests: true,
        why: "a task that nobody supervises can end unseen: start it through tasks.rs",
    },
    Ban {
        words: &["println!", "print!", "eprintln!", "eprint!"],
        within: &["src", "crates"],
        except: &["src/cli", "src/main.rs", "src/bin"],
        in_tests: true,
        why: "the operator speaks through its log, events and status",
    },
    Ban {
        words: &["process::exit"],
        within: &["src", "crates", "e2e/src", "e2e/tests"],
        // A world's outer process ends with the code of the one inside the namespaces.
        except: &["src/main.rs", "src/bin", "e2e/src/main.rs", "e2e/src/world"],
        in_tests: false,
        why: "only a binary ends the process; destructors would not run",
    },
    Ban {
        words: &["HashMap", "HashSet", "RandomState"],
        within: &["crates/weir-core"],
        except: &[],
        in_tests: false,
        why: "their order differs from run to run: BTreeMap, BTreeSet",
    },
    Ban {
        words: &[
            "tokio",
            "kube::",
            "k8s_openapi",
            "std::net",
            "std::fs",
            "std::env",
            "std::thread",
            "rand::",
        ],
        within: &["crates/weir-core/src"],
        except: &[],
        in_tests: false,
        why: "the core is pure",
    },
    Ban {
        words: &["todo!", "unimplemented!", "dbg!"],
        within: &["src", "crates", "e2e", "tests"],
        except: &[],
        in_tests: false,
        why: "nothing unfinished is committed",
    },
];

/// Words that no file may hold, comments included: the first half keeps this file itself clean.
const UNFINISHED: &[(&str, &str)] = &[
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("place", "holder"),
    ("/wo", "rk/"),
    ("/ro", "ot/"),
];

fn complaints(source: &Source, ban: &Ban) -> Vec<String> {
    if !source.is_in(ban.within) || source.is_in(ban.except) || (ban.in_tests && source.is_test()) {
        return Vec::new();
    }
    let code = if ban.in_tests {
        source.product()
    } else {
        &source.code
    };
    ban.words
        .iter()
        .filter(|word| holds(code, word))
        .map(|word| format!("{}: `{word}`: {}", source.path, ban.why))
        .collect()
}

/// Whether the code holds the word as a word of its own: `eprintln!` holds no `println!`.
fn holds(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn unfinished(source: &Source) -> Vec<String> {
    UNFINISHED
        .iter()
        .map(|(head, tail)| format!("{head}{tail}"))
        .filter(|word| source.text.contains(word.as_str()))
        .map(|word| format!("{} holds `{word}`", source.path))
        .collect()
}

const EVERYTHING: &[&str] = &["src", "crates", "e2e/src", "e2e/tests", "tests"];

#[test]
fn banned_words_stay_in_their_rooms() {
    let sources = rust_files(EVERYTHING);
    let found: Vec<_> = BANS
        .iter()
        .flat_map(|ban| {
            sources
                .iter()
                .flat_map(move |source| complaints(source, ban))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_ban_bites_outside_its_rooms_and_only_there() {
    for ban in BANS {
        for word in ban.words {
            let bad = format!("fn a() {{ {word} }}\n");
            let within = format!("{}/somewhere.rs", ban.within[0]);
            assert_eq!(
                complaints(&Source::new(&within, &bad), ban).len(),
                1,
                "{word}"
            );
            let commented =
                Source::new(&within, &format!("// {word}\nconst A: &str = \"{word}\";"));
            assert!(complaints(&commented, ban).is_empty(), "{word}");
            for room in ban.except {
                assert!(
                    complaints(&Source::new(room, &bad), ban).is_empty(),
                    "{word} in {room}"
                );
            }
            let test = Source::new(&format!("{}/a/tests.rs", ban.within[0]), &bad);
            assert_eq!(complaints(&test, ban).is_empty(), ban.in_tests, "{word}");
        }
    }
}

#[test]
fn nothing_unfinished_and_no_machine_s_path_is_committed() {
    let found: Vec<_> = rust_files(EVERYTHING).iter().flat_map(unfinished).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_unfinished_word_is_found_in_comments_too() {
    for (head, tail) in UNFINISHED {
        let source = Source::new("src/a.rs", &format!("// {head}{tail}\n"));
        assert_eq!(
            unfinished(&source),
            [format!("src/a.rs holds `{head}{tail}`")]
        );
    }
}
