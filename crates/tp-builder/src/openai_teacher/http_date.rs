//! `Retry-After`: seconds, or an HTTP date (RFC 9110, 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The wait that a server requests, counted from `now`; `None` if the text is neither seconds nor a
/// date.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..1e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds));
    }
    let until = UNIX_EPOCH + Duration::from_secs(unix_seconds(text)?);
    Some(until.duration_since(now).unwrap_or_default())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
fn unix_seconds(date: &str) -> Option<u64> {
    let fields: Vec<&str> = date.split_once(", ")?.1.split([' ', ':']).collect();
    let [day, month, year, hour, minute, second, "GMT"] = fields[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let number = |text: &str, range: std::ops::RangeInclusive<i64>| {
        text.parse().ok().filter(|n| range.contains(n))
    };
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let (hour, minute, second) =
        (number(hour, 0..=23)?, number(minute, 0..=59)?, number(second, 0..=60)?);
    // Days of the proleptic Gregorian calendar, with years that begin in March (Hinnant).
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        // The example of RFC 9110 is 784,111,777 seconds after 1970.
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 30 ", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sat, 01 Jan 1994 00:00:00 GMT", now), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for text in [
            "",
            "soon",
            "-1",
            "nan",
            "1e30",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov",
        ] {
            assert_eq!(retry_after(text, UNIX_EPOCH), None, "{text}");
        }
    }
}
