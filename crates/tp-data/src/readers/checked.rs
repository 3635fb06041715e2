//! Validation shared by all readers: image sizes, splits, boxes and texts.

use tp_core::ImageHw;

use super::Refusal;
use crate::{BoxXywh, DecodeOptions, Split};

/// The size, if an image of this size can be decoded.
pub(crate) fn size(width: u32, height: u32) -> Result<ImageHw, Refusal> {
    let limits = DecodeOptions::default();
    let size = ImageHw::new(height, width).map_err(|_| Refusal::BadSize)?;
    if width > limits.max_width
        || height > limits.max_height
        || size.n_pixels() as u64 > limits.max_pixels
    {
        return Err(Refusal::BadSize);
    }
    Ok(size)
}

/// A split by its name.
pub(super) fn split(name: &str) -> Result<Split, Refusal> {
    match name {
        "train" => Ok(Split::Train),
        "val" => Ok(Split::Val),
        "test" => Ok(Split::Test),
        _ => Err(Refusal::UnknownSplit),
    }
}

/// The box with the corners `[x0, y0, x1, y1]`, clipped to the image.
pub(crate) fn corners(corners: &[f64], size: ImageHw) -> Result<BoxXywh, Refusal> {
    let &[left, top, right, bottom] = corners else { return Err(Refusal::BadCorners) };
    if !corners.iter().all(|v| v.is_finite()) || right <= left || bottom <= top {
        return Err(Refusal::BadCorners);
    }
    let bbox = BoxXywh { x: left, y: top, width: right - left, height: bottom - top };
    bbox.intersection(&BoxXywh::of_image(size)).ok_or(Refusal::BoxOutsideImage)
}

/// A name or human text without surrounding spaces; `None` if it is empty.
pub(crate) fn text(text: &str) -> Result<Option<String>, Refusal> {
    /// A description consists of a few sentences.
    const MAX_BYTES: usize = 4096;
    let trimmed = text.trim();
    if trimmed.len() > MAX_BYTES || trimmed.contains(char::is_control) {
        return Err(Refusal::BadText);
    }
    Ok((!trimmed.is_empty()).then(|| trimmed.to_owned()))
}

/// A list of names without empty ones.
pub(crate) fn names(names: &[String]) -> Result<Vec<String>, Refusal> {
    /// A generous limit on the number of other names.
    const MAX_NAMES: usize = 64;
    if names.len() > MAX_NAMES {
        return Err(Refusal::BadText);
    }
    names.iter().filter_map(|name| text(name).transpose()).collect()
}
