//! Formats an error with its causes on one line.

use std::error::Error;

/// The error and its causes on one line, as programs print it.
///
/// ```
/// let error = "x".parse::<f64>().unwrap_err();
/// assert_eq!(talking_points::error_line(&error), "invalid float literal");
/// ```
#[must_use]
pub fn error_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries repeat the cause in their own message.
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}
