//! The limits of the server.

use std::{path::PathBuf, time::Duration};

/// The limits of the server. The defaults are for a laptop that serves a few people; every limit
/// holds for requests of anybody who can reach the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// The maximum size of a request's body in bytes. Default: 20 MiB.
    pub max_body_bytes: usize,
    /// The maximum number of pixels of an image. Default: 40 million.
    pub max_pixels: u64,
    /// The maximum number of points of a request. Default: 256.
    pub max_points: usize,
    /// The maximum number of texts of a request. Default: 64.
    pub max_texts: usize,
    /// The maximum number of characters of a text. Default: 2,000.
    pub max_text_chars: usize,
    /// The maximum number of tokens of a description. Default: 256.
    pub max_new_tokens: usize,
    /// The longer side of the grid of a heat-map in a reply, in cells. Default: 64.
    pub max_heatmap_side: usize,
    /// The maximum number of requests that wait for the models; further ones are refused with
    /// status 429. Default: 64.
    pub max_queue: usize,
    /// The maximum number of open connections; further ones wait in the system's backlog. Default:
    /// 256.
    pub max_connections: usize,
    /// The time for a request, from its head to the end of its reply. Default: 60 s.
    pub request_time: Duration,
    /// The time in which the head of a request must have come; also how long an idle connection is
    /// kept. Default: 15 s.
    pub head_time: Duration,
    /// The time for which a client may leave a reply unread. Default: 30 s.
    pub write_time: Duration,
    /// The time for requests that are under way when the server is told to end. Default: 30 s.
    pub shutdown_time: Duration,
    /// The maximum size of a request's head in bytes, at least 8,192. Default: 32 KiB.
    pub max_head_bytes: usize,
    /// The memory for the bodies and decoded images of all requests together, in bytes; requests
    /// beyond it are refused with status 429. Default: 512 MiB.
    pub max_request_memory: usize,
    /// The number of images that are decoded at the same time; each decoder needs memory of its own.
    /// Default: 2.
    pub max_decoders: usize,
    /// The memory for encoded images that are kept for later requests, in bytes. Default: 256 MiB.
    pub cache_bytes: usize,
    /// The folder in which the files of Label Studio's tasks are; without one, tasks have their images
    /// in data: URLs. Default: none.
    pub label_studio_files: Option<PathBuf>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 20 << 20,
            max_pixels: 40_000_000,
            max_points: 256,
            max_texts: 64,
            max_text_chars: 2_000,
            max_new_tokens: 256,
            max_heatmap_side: 64,
            max_queue: 64,
            max_connections: 256,
            request_time: Duration::from_secs(60),
            head_time: Duration::from_secs(15),
            write_time: Duration::from_secs(30),
            shutdown_time: Duration::from_secs(30),
            max_head_bytes: 32 << 10,
            max_request_memory: 512 << 20,
            max_decoders: 2,
            cache_bytes: 256 << 20,
            label_studio_files: None,
        }
    }
}
