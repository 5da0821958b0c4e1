//! Durations and time windows.

use std::fmt;

use super::value::Why;
use super::value_text::number;

/// Seconds, from `3600`, `90s`, `30m`, `1h`, `2d`, or these together: `1h30m`.
pub(super) fn seconds(text: &str, min: u64, max: u64) -> Result<u64, Why> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text, min, max);
    }
    let mut total: u64 = 0;
    let mut above = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = rest.split_at(digits);
        let mut after = unit.chars();
        let factor = match after.next().map(|c| c.to_ascii_lowercase()) {
            Some('d') => 86_400,
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(Why::shape(text)),
        };
        // From large to small, each at most once: `1m1h` is a slip.
        if factor >= above {
            return Err(Why::shape(text));
        }
        above = factor;
        let count = number(count, 0, u64::MAX).map_err(|_| Why::shape(text))?;
        total = total.saturating_add(count.saturating_mul(factor));
        rest = after.as_str().trim_start();
    }
    if (min..=max).contains(&total) { Ok(total) } else { Err(Why::Bounds { found: total, min, max }) }
}

/// A time of the day, on some days of the week, in the endpoint's own time zone. It may pass midnight: it then belongs to
/// the day on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    days: Days,
    from_min: u16,
    to_min: u16,
}

/// Days of the week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days(u8);

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: u8 = 0b111_1111;

impl Days {
    /// Whether the day is one of them; 0 is Monday.
    pub const fn has(self, day: u8) -> bool {
        day < 7 && self.0 & (1 << day) != 0
    }

    fn parse(text: &str) -> Result<Self, Why> {
        let day = |name: &str| {
            let name = name.trim();
            DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).ok_or_else(|| Why::shape(name))
        };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut at, last) = (day(first)?, day(last)?);
            days |= 1 << at;
            // `Fri-Mon` passes the end of the week.
            while at != last {
                at = (at + 1) % 7;
                days |= 1 << at;
            }
        }
        Ok(Self(days))
    }
}

impl Window {
    /// The days on which it begins.
    pub const fn days(self) -> Days {
        self.days
    }

    /// When it begins, in minutes after midnight.
    pub const fn from_min(self) -> u16 {
        self.from_min
    }

    /// When it ends, in minutes after midnight; before [`Window::from_min`] when that is on the next day.
    pub const fn to_min(self) -> u16 {
        self.to_min
    }

    /// Parses `[days ]HH:MM-HH:MM`; days as `Sat,Sun`, `Mon-Fri` or `daily`.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        // No day's name holds a digit.
        let (days, times) = text.find(|c: char| c.is_ascii_digit()).map_or((text, ""), |at| text.split_at(at));
        let days = match days.trim() {
            "" => Days(EVERY_DAY),
            daily if daily.eq_ignore_ascii_case("daily") => Days(EVERY_DAY),
            days => Days::parse(days)?,
        };
        let (from, to) = times.split_once('-').ok_or_else(|| Why::shape(text))?;
        let (from_min, to_min) = (minutes(from)?, minutes(to)?);
        // An empty window would never open, and nobody means a whole day by it.
        if from_min == to_min { Err(Why::shape(text)) } else { Ok(Self { days, from_min, to_min }) }
    }
}

fn minutes(text: &str) -> Result<u16, Why> {
    let text = text.trim();
    let (hour, minute) = text.split_once(':').ok_or_else(|| Why::shape(text))?;
    if minute.len() != 2 || hour.is_empty() || hour.len() > 2 {
        return Err(Why::shape(text));
    }
    let total = number(hour, 0, 23)? * 60 + number(minute, 0, 59)?;
    u16::try_from(total).map_err(|_| Why::shape(text))
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (day, name) in (0u8..).zip(DAYS) {
            if self.has(day) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days.0 != EVERY_DAY {
            write!(f, "{} ", self.days)?;
        }
        let (from, to) = (self.from_min, self.to_min);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::ValueKind;

    fn check(kind: ValueKind, text: &str, expect: &str) {
        let value = kind.parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(value.to_string(), expect, "{text}");
        assert_eq!(kind.parse(expect), Ok(value), "{expect}");
    }

    #[test]
    fn durations() {
        let kind = ValueKind::Seconds { min: 30, max: 604_800 };
        for (text, expect) in
            [("3600", "3600"), ("1h", "3600"), ("90s", "90"), ("1h30m", "5400"), ("1H 30M", "5400"), ("7d", "604800"), ("030", "30")]
        {
            check(kind, text, expect);
        }
        for text in ["29", "8d", "1m1h", "1h1h", "h", "1", "1.5h", "-1h", "1 hour", "99999999999999999999d", "1h30"] {
            assert!(kind.parse(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(kind.parse("8d").unwrap_err(), @"691200 is not between 30 and 604800; expected a duration from 30 to 604800 seconds, for example `30m`");
    }

    #[test]
    fn windows() {
        for (text, expect) in [
            ("2:00-4:00", "02:00-04:00"),
            ("daily 22:30 - 04:00", "22:30-04:00"),
            ("sun,Sat 02:00-04:00", "Sat,Sun 02:00-04:00"),
            ("Fri-Mon 02:00-04:00", "Mon,Fri,Sat,Sun 02:00-04:00"),
            ("Mon-Sun 02:00-04:00", "02:00-04:00"),
        ] {
            check(ValueKind::Window, text, expect);
        }
        for text in ["02:00", "24:00-01:00", "02:60-03:00", "02:00-02:00", "Mon", "Foo 02:00-04:00", "2-4", "Mon, 02:00-04:00"] {
            assert!(ValueKind::Window.parse(text).is_err(), "{text}");
        }
    }
}
