//! A build in a bucket: shards in folders of their own, on machines of their own, that meet in one
//! place.
//!
//! ```text
//! PREFIX/work/survey/ answers/ located/   {shard}.{number}.jsonl    what a journal grew by, segment after segment
//!        work/shards/                     {shard}-{selection}.json  shards that are done
//!        work/leases/                     {shard}.{number}.json     who is at work
//!        README.md triplets/ data/ …  manifest.json                 the data set; without the manifest it is not whole
//! ```
//!
//! The folder stays what a run reads and writes; [`mirror`] brings what others filed and takes away
//! what this run files. Everything under `work/` is created and never overwritten, so whatever two
//! processes do, nothing is lost.

mod address;
mod lease;
mod mirror;
mod segments;
mod signing;
mod store;
mod transport;

pub use address::Bucket;
pub(crate) use mirror::with_bucket;
