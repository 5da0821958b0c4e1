//! Moments of the calendar: the directory's generalized time in, RFC 3339 out.

use crate::model::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A generalized time (RFC 4517 §3.3.13: `20260131T…` without the T, `Z` or an offset, minutes and seconds optional, a
/// fraction of the last field) in milliseconds since 1970-01-01T00:00:00Z; negative before. `None`: not one.
pub(crate) fn generalized_time(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !matches!(digits, 10 | 12 | 14) {
        return None;
    }
    let (fields, rest) = text.split_at(digits);
    let field =
        |from: usize, to: usize| fields.get(from..to).map_or(Some(0), |t| if t.is_empty() { Some(0) } else { t.parse::<i64>().ok() });
    let (year, month, day) = (field(0, 4)?, field(4, 6)?, field(6, 8)?);
    let (hour, minute, second) = (field(8, 10)?, field(10, 12)?, field(12, 14)?);
    // A leap second counts as the next second.
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let unit_ms = match digits {
        10 => 3_600_000,
        12 => 60_000,
        _ => 1000,
    };
    let (fraction_ms, zone) = match rest.strip_prefix(['.', ',']) {
        None => (0, rest),
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(length);
            // More than nine digits are below a millisecond of an hour.
            let kept = fraction.get(..length.min(9)).filter(|kept| !kept.is_empty())?;
            let scale = 10_i64.pow(u32::try_from(kept.len()).ok()?);
            (kept.parse::<i64>().ok()? * unit_ms / scale, zone)
        }
    };
    let time_ms = hour * 3_600_000 + minute * 60_000 + second * 1000 + fraction_ms;
    Some(days_from_civil(year, month, day) * DAY_MS + time_ms - offset_ms(zone)?)
}

/// `Z`, `+HH`, `-HHMM`.
fn offset_ms(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, zone.get(1..)?),
        b'-' => (-1, zone.get(1..)?),
        _ => return None,
    };
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600_000 + minutes * 60_000))
}

/// `2026-01-31T08:00:00Z`: RFC 3339, to the second.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let seconds = at.0 / 1000;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(i64::try_from(days).unwrap_or_default());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years counted from March, so that the leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generalized_times() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(generalized_time(text), expect, "{text}");
        check("19700101000000Z", Some(0));
        check("20240229120000Z", Some(1_709_208_000_000));
        // AD writes tenths.
        check("20240229120000.0Z", Some(1_709_208_000_000));
        check("20240229120000.25Z", Some(1_709_208_000_250));
        check("2024022912Z", Some(1_709_208_000_000));
        check("2024022912,5Z", Some(1_709_209_800_000));
        check("202402291330+0130", Some(1_709_208_000_000));
        check("20240229070000-05", Some(1_709_208_000_000));
        check("19691231235959Z", Some(-1000));
        for wrong in ["", "20240229", "20240229120000", "20241329120000Z", "20240229120000.Z", "20240229120000+1", "x0240229120000Z"] {
            check(wrong, None);
        }
    }

    #[test]
    fn printed() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp(1_709_208_000_250)), "2024-02-29T12:00:00Z");
        assert_eq!(rfc3339(Timestamp(4_102_444_799_000)), "2099-12-31T23:59:59Z");
    }

    proptest::proptest! {
        #[test]
        fn print_and_parse_agree(seconds in 0_u64..253_402_300_799) {
            let shown = rfc3339(Timestamp(seconds * 1000));
            let general: String = shown.chars().filter(|c| c.is_ascii_digit() || *c == 'Z').collect();
            proptest::prop_assert_eq!(generalized_time(&general), Some(i64::try_from(seconds).unwrap() * 1000));
        }
    }
}
