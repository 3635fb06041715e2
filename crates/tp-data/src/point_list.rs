//! Lists of points in files.

use std::path::Path;

use tp_core::PixelXy;

use crate::{DataError, read_capped};

/// Some hundred thousand points; a longer list is a mistake.
const MAX_BYTES: u64 = 16 << 20;

/// The points of a JSON file, in pixels and in the order of the file: `[{"x": 120, "y": 85}, …]`.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, is too long, holds something else, or no point.
pub fn read_points(path: &Path) -> Result<Vec<PixelXy>, DataError> {
    let bytes = read_capped(path, MAX_BYTES)?;
    let unusable = |problem: String| DataError::Json { path: path.to_owned(), problem };
    let points: Vec<PixelXy> = serde_json::from_slice(&bytes).map_err(|error| {
        unusable(format!("not a list of points like [{{\"x\": 120, \"y\": 85}}]: {error}"))
    })?;
    if points.is_empty() {
        return Err(unusable("the list has no points".to_owned()));
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_in_their_order_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_points(&path).map_err(|error| error.to_string())
        };
        let points = [PixelXy { x: 120.0, y: 85.5 }, PixelXy { x: -1.0, y: 0.0 }];
        assert_eq!(read(r#"[{"x": 120, "y": 85.5}, {"x": -1, "y": 0}]"#).unwrap(), points);
        for (text, problem) in [
            ("[]", "no points"),
            ("{}", "not a list of points"),
            (r#"[{"x": 1}]"#, "missing field `y`"),
            (r#"[{"x": "left", "y": 2}]"#, "not a list of points"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("points.json") && error.contains(problem), "{text}: {error}");
        }
        std::fs::write(&path, vec![b' '; MAX_BYTES as usize + 1]).unwrap();
        assert!(matches!(read_points(&path), Err(DataError::FileTooLong { .. })));
    }
}
