//! How long each list and string that Weir writes may be, and how to keep to it.
//!
//! The API server refuses an object that breaks a bound, as a whole: whoever fills a list cuts it
//! here and counts what was cut.

/// Findings listed in a status; there are twenty-four rules, and more subjects than this read as one crowd.
pub const FINDINGS: usize = 24;
/// Windows of a policy: two for each day of a week.
pub const WINDOWS: usize = 14;
/// Policies named in a status.
pub const POLICIES: usize = 16;
/// API server instances listed; control planes of more than nine instances are not known.
pub const SERVERS: usize = 32;
/// DNS servers listed: the replicas of a large cluster, its Service and its resolvers.
pub const LAYERS: usize = 40;
/// Dependencies of one policy.
pub const DEPENDENCIES: usize = 8;
/// Conditions of one object.
pub const CONDITIONS: usize = 8;
/// Resources of a forecast.
pub const RESOURCES: usize = 8;
/// Widths of a forecast's points.
pub const POINTS: usize = 24;
/// Reasons why windows were left out of a forecast.
pub const DROPPED: usize = 12;
/// Characters of a summary, an evidence sentence or a condition's message.
pub const TEXT: usize = 1024;
/// Characters of the reason that a person gives; an Event and an annotation quote it.
pub const REASON: usize = 256;
/// Characters of a subject, an address or another short word.
pub const WORD: usize = 253;
/// Characters of a content hash.
pub const HASH: usize = 80;
/// Characters of a UID.
pub const UID: usize = 64;
/// Approved revisions: a hundred workloads with their whole revision histories, and room. So many
/// notes of the greatest length, each with its key, are 245 KiB of the 256 that API servers take of
/// all annotations of an object.
pub const APPROVED: usize = 2048;
/// Characters of the note beside an approved revision.
pub const NOTE: usize = 48;

/// The text, cut to `longest` characters; what was cut is replaced by one `…`.
///
/// ```
/// use weir::api::bounds::clip;
/// assert_eq!(clip("schön", 5), "schön");
/// assert_eq!(clip("schöner", 5), "schö…");
/// ```
#[must_use]
pub fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(longest.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}
