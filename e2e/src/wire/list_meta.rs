//! What a list says about itself, found without decoding its objects.
//!
//! Built-in types write `metadata` before `items`, so the first kilobytes are enough; custom
//! resources write their keys in alphabetical order, so `metadata` comes last. Both ends are kept,
//! the middle is forgotten as it passes.

use std::io::{self, Write};

use memchr::memmem;

/// Bytes kept from the start; a typed list's `metadata` with a continue token needs under 1 kB.
const HEAD: usize = 4096;
/// Bytes kept from the end at least, likewise.
const TAIL: usize = 4096;

/// A list's version and whether it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListMeta {
    /// The version that the list was read at.
    pub resource_version: Option<String>,
    /// What asks for the next page; none on the last.
    pub next: Option<String>,
}

/// Takes in a list's JSON in pieces of any size.
#[derive(Debug, Default)]
pub struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Ends {
    /// Whether the head already says everything, so that the rest need not be taken in.
    #[must_use]
    pub fn head_is_enough(&self) -> bool {
        metadata_before_items(&self.head).is_some()
    }

    /// What the list said about itself.
    #[must_use]
    pub fn meta(&self) -> ListMeta {
        let metadata = metadata_before_items(&self.head).or_else(|| {
            let start = memmem::rfind(&self.tail, METADATA)?;
            self.tail.get(start..)
        });
        metadata.map_or_else(ListMeta::default, |metadata| ListMeta {
            resource_version: text_field(metadata, b"\"resourceVersion\":\""),
            next: text_field(metadata, b"\"continue\":\""),
        })
    }
}

const METADATA: &[u8] = b"\"metadata\":{";

/// The list's own `metadata` if it stands whole before `items`.
fn metadata_before_items(head: &[u8]) -> Option<&[u8]> {
    let start = memmem::find(head, METADATA)?;
    let end = memmem::find(head, b"\"items\":")?;
    head.get(start..end)
}

/// A string field's value, if it is there and not empty. Versions and tokens need no unescaping.
fn text_field(json: &[u8], key: &[u8]) -> Option<String> {
    let start = memmem::find(json, key)? + key.len();
    let length = memchr::memchr(b'"', &json[start..])?;
    let value = std::str::from_utf8(&json[start..start + length]).ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

impl Write for Ends {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let wanted = HEAD.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(&piece[..wanted]);
        if piece.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - TAIL..]);
        } else {
            self.tail.extend_from_slice(piece);
            if self.tail.len() > 4 * TAIL {
                self.tail.drain(..self.tail.len() - TAIL);
            }
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last `resourceVersion` in a piece of a watch's stream. One that is cut by the piece's end is
/// missed; an earlier one is as good to go on from.
#[must_use]
pub fn last_version(piece: &[u8]) -> Option<String> {
    let start = memmem::rfind(piece, b"\"resourceVersion\":\"")?;
    text_field(&piece[start..], b"\"resourceVersion\":\"")
}

/// Whether a piece of a watch's stream holds an error event, such as 410 Gone.
#[must_use]
pub fn holds_an_error(piece: &[u8]) -> bool {
    memmem::find(piece, b"{\"type\":\"ERROR\"").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(items: usize) -> String {
        let item = r#"{"metadata":{"name":"x","resourceVersion":"7"}},"#.repeat(items);
        format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"4711","continue":"abc","remainingItemCount":3}},"items":[{item}{{}}]}}"#
        )
    }

    fn custom(items: usize) -> String {
        let item = r#"{"metadata":{"name":"x","resourceVersion":"7"}},"#.repeat(items);
        format!(
            r#"{{"apiVersion":"x/v1","items":[{item}{{"metadata":{{"resourceVersion":"8"}}}}],"kind":"ThingList","metadata":{{"continue":"","resourceVersion":"4711"}}}}"#
        )
    }

    fn read(json: &str, piece: usize) -> ListMeta {
        let mut ends = Ends::default();
        for piece in json.as_bytes().chunks(piece) {
            ends.write_all(piece).expect("memory takes everything");
        }
        ends.meta()
    }

    #[test]
    fn both_kinds_of_lists_are_understood_in_pieces_of_any_size() {
        for items in [0, 1, 1000] {
            for piece in [1, 7, 4096, 1_000_000] {
                let meta = read(&typed(items), piece);
                assert_eq!(
                    meta.resource_version.as_deref(),
                    Some("4711"),
                    "{items} {piece}"
                );
                assert_eq!(meta.next.as_deref(), Some("abc"));
                let meta = read(&custom(items), piece);
                assert_eq!(
                    meta.resource_version.as_deref(),
                    Some("4711"),
                    "{items} {piece}"
                );
                assert_eq!(meta.next, None);
            }
        }
    }

    #[test]
    fn only_a_typed_lists_head_is_enough() {
        for (json, enough) in [(typed(1000), true), (custom(1000), false)] {
            let mut ends = Ends::default();
            ends.write_all(&json.as_bytes()[..200])
                .expect("memory takes everything");
            assert_eq!(ends.head_is_enough(), enough);
        }
    }

    #[test]
    fn what_is_no_list_has_no_version() {
        assert_eq!(read("", 1), ListMeta::default());
        assert_eq!(
            read(r#"{"kind":"Status","metadata":{},"status":"Failure"}"#, 9),
            ListMeta::default()
        );
    }

    #[test]
    fn a_watch_goes_on_from_its_last_whole_version() {
        let stream = br#"{"type":"ADDED","object":{"metadata":{"resourceVersion":"5"}}}
{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"6"}}}"#;
        assert_eq!(last_version(stream).as_deref(), Some("6"));
        assert_eq!(last_version(b"\"resourceVersion\":\"12"), None);
        assert!(!holds_an_error(stream));
        assert!(holds_an_error(br#"{"type":"ERROR","object":{"code":410}}"#));
    }
}
