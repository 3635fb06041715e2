//! Tests of the whole builder: its outputs, resumption after being killed, and misbehaving servers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and a killed process must be heard"
)]

#[cfg(feature = "bucket")]
mod bucket;
mod chat_server;
mod exif;
mod outputs;
mod python;
mod scenes_on_disk;
mod shards;
mod sigkill;
mod teachers;
