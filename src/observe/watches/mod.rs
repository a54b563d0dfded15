//! Turns objects of the API into rows that are kept, one task for each watch.
//!
//! - [`slim`]: an object of which only a few fields are decoded.
//! - [`kept`]: rows, and how fresh they are.
//! - [`run`]: the life of one watch.
//! - [`mod@slice`]: what is decoded of EndpointSlices.
//! - [`trouble`]: what went wrong, for a person.
//! - the other files: what is kept of each kind.

pub(super) mod beacon;
pub(super) mod daemon_set;
pub(super) mod deployed;
pub(super) mod flow_schema;
pub(super) mod gated;
pub(super) mod instance;
pub(super) mod kept;
pub(super) mod name_server;
pub(super) mod namespace;
pub(super) mod node;
pub(super) mod own;
pub(super) mod pod;
pub(super) mod revision;
pub(super) mod run;
mod slice;
pub(super) mod slim;
pub(super) mod trouble;
