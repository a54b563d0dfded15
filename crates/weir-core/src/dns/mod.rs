//! How fresh DNS is: the beacon that Weir writes, and what each DNS server shows of it.
//!
//! A DNS server that has lost the API goes on answering as if nothing had happened: NOERROR, a full TTL, healthy
//! and ready. What it cannot do is to know what is new. So Weir writes something new every ten seconds, and looks
//! where it arrives:
//!
//! ```text
//!  Epoch ──▶ API ──▶ CoreDNS replicas ──▶ kube-dns Service ──▶ resolvers
//!            Beats   Layer (Replica)      Layer (Service)      Layer (Resolver)     ──▶ Layers ──▶ Dns
//!              └──▶ Weir's own watch: Watched
//! ```
//!
//! Facts of DNS servers here were read in CoreDNS 1.14 and measured with 1.15.

mod beacon;
mod beats;
mod caches;
pub mod corefile;
mod direct;
mod heard;
mod layer;
mod layers;

pub use beacon::{BEAT, Epoch, NoEpoch};
pub use beats::Beats;
pub use caches::{CacheCollector, CacheCounts};
pub use heard::{Answers, Code, Heard, Message};
pub use layers::{Layers, Placed};
