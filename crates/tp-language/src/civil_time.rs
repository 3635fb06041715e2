//! Dates as templates write them: `strftime` of a moment, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment on the Gregorian calendar; from 1970 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CivilTime {
    year: i64,
    /// 1 to 12
    month: i64,
    /// 1 to 31
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    microsecond: u32,
    /// 0 is Sunday.
    weekday: i64,
    /// 0 is the first of January.
    day_of_year: i64,
}

impl CivilTime {
    fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = (since.as_secs() as i64, since.subsec_nanos());
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years that begin in March end with the leap day (H. Hinnant, "chrono-Compatible Low-Level
        // Date Algorithms").
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * from_march + 2) / 153;
        let day = from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let day_of_year =
            before_month[month as usize - 1] + day - 1 + i64::from(is_leap && month > 2);
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            microsecond: nanoseconds / 1000,
            weekday: (days + 4).rem_euclid(7),
            day_of_year,
        }
    }

    /// Year and number of the ISO week, whose first holds the year's first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let from_monday = (self.weekday + 6) % 7;
        let week = (self.day_of_year - from_monday + 10) / 7;
        let weeks_of = |year: i64| {
            let last_day = |year: i64| (year + year / 4 - year / 100 + year / 400) % 7;
            if last_day(year) == 4 || last_day(year - 1) == 3 { 53 } else { 52 }
        };
        match week {
            0 => (self.year - 1, weeks_of(self.year - 1)),
            53 if weeks_of(self.year) == 52 => (self.year + 1, 1),
            _ => (self.year, week),
        }
    }
}

/// What Python's `datetime.strftime` gives in the C locale for a moment in UTC. As there, a moment
/// without a zone writes nothing for `%z` and `%Z`, `%-d` leaves the padding out, and what is no
/// directive stays.
pub(crate) fn strftime(moment: SystemTime, format: &str) -> String {
    let time = CivilTime::of(moment);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut ahead = rest.clone();
        let mut directive = ahead.next();
        let flag = directive.filter(|c| "-_0^".contains(*c));
        if flag.is_some() {
            directive = ahead.next();
        }
        match directive.and_then(|directive| written(&time, moment, directive, flag)) {
            Some(text) => {
                out.push_str(&text);
                rest = ahead;
            }
            None => out.push('%'),
        }
    }
    out
}

fn written(
    time: &CivilTime,
    moment: SystemTime,
    directive: char,
    flag: Option<char>,
) -> Option<String> {
    let number = |value: i64, width: usize, pad: char| {
        let digits = value.to_string();
        let pad = match flag {
            Some('-') => return digits,
            Some('_') => ' ',
            Some('0') => '0',
            _ => pad,
        };
        let mut out = String::new();
        (digits.len()..width).for_each(|_| out.push(pad));
        out + &digits
    };
    let again = |format: &str| strftime(moment, format);
    let hour_12 = (time.hour + 11) % 12 + 1;
    let from_monday = (time.weekday + 6) % 7;
    let (weekday, month) = (WEEKDAYS[time.weekday as usize], MONTHS[time.month as usize - 1]);
    let text = match directive {
        'a' => weekday[..3].to_owned(),
        'A' => weekday.to_owned(),
        'b' | 'h' => month[..3].to_owned(),
        'B' => month.to_owned(),
        'c' => again("%a %b %e %H:%M:%S %Y"),
        'C' => number(time.year.div_euclid(100), 2, '0'),
        'd' => number(time.day, 2, '0'),
        'D' | 'x' => again("%m/%d/%y"),
        'e' => number(time.day, 2, ' '),
        'f' => format!("{:06}", time.microsecond),
        'F' => again("%Y-%m-%d"),
        'g' => number(time.iso_week().0.rem_euclid(100), 2, '0'),
        'G' => number(time.iso_week().0, 4, '0'),
        'H' => number(time.hour, 2, '0'),
        'I' => number(hour_12, 2, '0'),
        'j' => number(time.day_of_year + 1, 3, '0'),
        'k' => number(time.hour, 2, ' '),
        'l' => number(hour_12, 2, ' '),
        'm' => number(time.month, 2, '0'),
        'M' => number(time.minute, 2, '0'),
        'n' => "\n".to_owned(),
        'p' => if time.hour < 12 { "AM" } else { "PM" }.to_owned(),
        'P' => if time.hour < 12 { "am" } else { "pm" }.to_owned(),
        'r' => again("%I:%M:%S %p"),
        'R' => again("%H:%M"),
        'S' => number(time.second, 2, '0'),
        't' => "\t".to_owned(),
        'T' | 'X' => again("%H:%M:%S"),
        'u' => number(from_monday + 1, 1, '0'),
        'U' => number((time.day_of_year + 7 - time.weekday) / 7, 2, '0'),
        'V' => number(time.iso_week().1, 2, '0'),
        'w' => number(time.weekday, 1, '0'),
        'W' => number((time.day_of_year + 7 - from_monday) / 7, 2, '0'),
        'y' => number(time.year.rem_euclid(100), 2, '0'),
        'Y' => number(time.year, 1, '0'),
        'z' | 'Z' => String::new(),
        '%' => "%".to_owned(),
        's' => moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string(),
        _ => return None,
    };
    Some(if flag == Some('^') { text.to_uppercase() } else { text })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::new(seconds, 123_456_000)
    }

    /// Every line is what `datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).strftime`
    /// gives.
    #[test]
    fn directives_are_written_as_python_writes_them() {
        for (seconds, format, expected) in [
            (0, "%Y-%m-%d %H:%M:%S", "1970-01-01 00:00:00"),
            (951_782_399, "%d %B %Y, %A %p", "28 February 2000, Monday PM"),
            (951_782_400, "%a %b %e %j %U %W %V %G", "Tue Feb 29 060 09 09 09 2000"),
            (
                1_704_067_199,
                "%c|%x|%X|%I|%y|%u|%w",
                "Sun Dec 31 23:59:59 2023|12/31/23|23:59:59|11|23|7|0",
            ),
            (1_609_459_200, "%G-W%V %U %W", "2020-W53 00 00"),
            (1_735_603_200, "%G-W%V", "2025-W01"),
            (1_720_000_000, "%-d %-m %-H %_d %^b %f", "3 7 9  3 JUL 123456"),
            (1_720_000_000, "%D %T %F %R %r", "07/03/24 09:46:40 2024-07-03 09:46 09:46:40 AM"),
            (1_720_000_000, "100%% %Q%", "100% %Q%"),
        ] {
            assert_eq!(strftime(at(seconds), format), expected, "{format} at {seconds}");
        }
    }
}
