//! Generalized time (RFC 4517 §3.3.13) in seconds, as far as servers write it: in UTC, to the second.

use std::time::{SystemTime, UNIX_EPOCH};

/// The second before which every change has been made, by the clock of any server, if they differ by so much at most.
pub(super) fn settled_s(clocks_s: u64) -> i64 {
    now_s().saturating_sub(i64::try_from(clocks_s).unwrap_or(i64::MAX))
}

/// Now, by our clock.
pub(super) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(i64::MAX)
}

/// Days of a 400-year cycle, and of the years before 1970-03-01 in it.
const CYCLE: i64 = 146_097;
const EPOCH: i64 = 719_468;

/// The seconds since 1970 of `20261124111345Z` or `20261124111345.0Z`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?;
    let digits = digits.split(['.', ',']).next()?;
    if digits.len() != 14 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    // Years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_cycle = year.rem_euclid(400);
    let days = year.div_euclid(400) * CYCLE + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + day_of_year - EPOCH;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The other way round, in the form that every server's filter takes.
pub(super) fn text(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400) + EPOCH, seconds.rem_euclid(86_400));
    let (cycle, of_cycle) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let day_of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = cycle * 400 + year + i64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        assert_eq!(seconds("19700101000000Z"), Some(0));
        assert_eq!(seconds("20261124111345.0Z"), Some(1_795_518_825));
        assert_eq!(
            (text(1_795_518_825), text(951_782_400), text(-1)),
            ("20261124111345Z".into(), "20000229000000Z".into(), "19691231235959Z".into())
        );
        for bad in ["", "Z", "20261124111345", "2026112411134Z", "2026112411134xZ", "20261124111345+0100"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(at in -60_000_000_000i64..250_000_000_000) {
            prop_assert_eq!(seconds(&text(at)), Some(at));
        }
    }
}
