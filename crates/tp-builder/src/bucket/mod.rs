//! Distributed builds: shards run in separate folders on separate machines and share their results
//! through a bucket.
//!
//! ```text
//! PREFIX/work/survey/ answers/ located/   {shard}.{number}.jsonl    segments of the journals
//!        work/shards/                     {shard}-{selection}.json  finished shards
//!        work/leases/                     {shard}.{number}.json     leases of running processes
//!        README.md triplets/ data/ …  manifest.json                 the data set; incomplete without it
//! ```
//!
//! A run reads and writes its folder; [`mirror`] downloads the results of other processes and
//! uploads its own. Objects under `work/` are created and never overwritten, so no interleaving of
//! processes can lose results.

mod address;
mod lease;
mod mirror;
mod segments;
mod signing;
mod store;
mod transport;

pub use address::Bucket;
pub(crate) use mirror::with_bucket;
