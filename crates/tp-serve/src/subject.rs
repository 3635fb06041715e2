//! The image that a request is about: decoded, or found in the cache.

use std::{fmt::Write, sync::Arc};

use axum::body::Bytes;
use sha2::{Digest, Sha256};
use talking_points::{
    core::ImageHw,
    data::{DecodeOptions, decode_bytes},
};

use crate::{
    app::{App, blocking},
    engine::{ImageKey, ImageSource},
    memory::Reserved,
    problem::{Problem, ProblemKind},
};

/// The image of a request.
pub(crate) struct Subject {
    pub(crate) key: ImageKey,
    /// Its size as it is displayed.
    pub(crate) size: ImageHw,
    pub(crate) source: ImageSource,
}

impl Subject {
    /// The image that was sent as a file or by its hash.
    ///
    /// # Errors
    ///
    /// A problem if there is none, or it cannot be read.
    pub(crate) async fn of(
        app: &Arc<App>,
        model: usize,
        image: Option<Bytes>,
        hash: Option<&str>,
        memory: Reserved,
    ) -> Result<Self, Problem> {
        match (image, hash) {
            (Some(bytes), None) => Self::of_file(app, model, bytes, memory).await,
            (None, Some(hash)) => Self::of_hash(app, model, hash),
            (Some(_), Some(_)) => {
                Err(Problem::unusable("send `image` or `image_hash`, and not both"))
            }
            (None, None) => Err(Problem::unusable(
                "the image is missing: send a jpeg, png or webp file as `image`, or the `image_hash` of an earlier reply",
            )),
        }
    }

    /// The SHA-256 of the file as a text.
    pub(crate) fn hash(&self) -> String {
        self.key.sha256.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn of_hash(app: &App, model: usize, hash: &str) -> Result<Self, Problem> {
        let sha256 = parse_hash(hash).ok_or_else(|| {
            Problem::bad_request("`image_hash` must be a SHA-256: 64 hexadecimal digits")
        })?;
        let key = ImageKey { model, sha256 };
        let image = app.engine.cached(key).ok_or_else(|| {
            Problem::new(
                ProblemKind::ImageNotCached,
                "the image with this hash is not kept any more: send the image again",
            )
        })?;
        Ok(Self { key, size: image.letterbox.original(), source: ImageSource::Encoded(image) })
    }

    async fn of_file(
        app: &Arc<App>,
        model: usize,
        bytes: Bytes,
        mut memory: Reserved,
    ) -> Result<Self, Problem> {
        let hashed = bytes.clone();
        let sha256 = blocking(move || Sha256::digest(&hashed).into()).await?;
        let key = ImageKey { model, sha256 };
        if let Some(image) = app.engine.cached(key) {
            let size = image.letterbox.original();
            return Ok(Self { key, size, source: ImageSource::Encoded(image) });
        }
        let options = DecodeOptions {
            max_bytes: app.config.max_body_bytes as u64,
            max_pixels: app.config.max_pixels,
            ..DecodeOptions::default()
        };
        let turn = app.decoders.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Problem::shutting_down())?;
        let decode = move || -> Result<_, Problem> {
            let image = decode_bytes("image", &bytes, &options)?;
            // The pixels take the place of the file.
            memory.shrink(bytes.len());
            memory.grow(image.bytes().len())?;
            drop(turn);
            Ok((image, memory))
        };
        let (image, memory) = blocking(decode).await??;
        Ok(Self { key, size: image.size(), source: ImageSource::Pixels(image, memory) })
    }
}

fn parse_hash(hash: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hash.len() != 64 || !hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hash[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_64_digits() {
        assert_eq!(parse_hash(&"0aF1".repeat(16)).unwrap()[..2], [0x0a, 0xf1]);
        for wrong in ["", "0a", &"g0".repeat(32), &"é".repeat(32), &"+1".repeat(32)] {
            assert!(parse_hash(wrong).is_none(), "{wrong}");
        }
    }
}
