//! The page: the files of `page/`, which are part of the program.

use std::{path::Path, sync::Arc};

use axum::{Router, routing::get};

use crate::app::{App, file};

/// Every file: its address and its bytes; `build.rs` lists them.
const FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The file that stands for the address `/`.
const INDEX: &str = "/index.html";

/// The router with the page's files.
pub(crate) fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    FILES.iter().fold(router, |router, &(address, bytes)| {
        let answer = get(move || async move { file(content_type(address), bytes) });
        router.route(if address == INDEX { "/" } else { address }, answer)
    })
}

/// The type of a file by its name.
fn content_type(address: &str) -> &'static str {
    match Path::new(address).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("jpg") => "image/jpeg",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_and_the_page_is_there() {
        assert!(FILES.iter().any(|(address, _)| *address == INDEX));
        for (address, bytes) in FILES {
            assert_ne!(content_type(address), "application/octet-stream", "{address}");
            assert!(!bytes.is_empty() && bytes.len() < 200_000, "{address}");
        }
    }
}
