//! The server's clock against this machine's.

use crate::directory::examine::Examined;

/// What Kerberos tolerates (RFC 4120 §8.2's usual value).
const KERBEROS_S: i64 = 300;
/// Clocks that are kept are nearer than this.
const KEPT_S: i64 = 5;

/// Seconds since 1970 of a generalized time such as `20261124112947.0Z` (RFC 4517 §3.3.13), in UTC.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    let digits = text.get(..14)?;
    let is_utc = text.ends_with('Z') && digits.bytes().all(|b| b.is_ascii_digit());
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if !is_utc || !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March, so that the day that some years have more stands at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Tells how far the clocks are apart; `ours_s` was read between the question and the answer.
pub(super) fn tell(found: &mut Examined, theirs_s: i64, ours_s: i64, is_kerberos: bool) {
    let apart = theirs_s - ours_s;
    let way = if apart < 0 { "behind" } else { "ahead of" };
    let what = format!("the server's clock is {} s {way} this machine's", apart.abs());
    let remedy = "keep both clocks by NTP (`timedatectl` shows this machine's)";
    if apart.abs() <= KEPT_S {
        found.ok("clock", format!("the clocks are {} s apart", apart.abs()));
    } else if apart.abs() < KERBEROS_S {
        found.warn("clock", what, remedy);
    } else if is_kerberos {
        found.fail("clock", format!("{what}: Kerberos needs less than {KERBEROS_S} s"), remedy);
    } else {
        found.warn("clock", format!("{what}: certificates are judged by it, and Kerberos would need less than {KERBEROS_S} s"), remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds_of("19700101000000Z"), Some(0));
        assert_eq!(seconds_of("20261124112947.0Z"), Some(1_795_519_787));
        assert_eq!(seconds_of("20000229235959Z"), Some(951_868_799));
        for bad in ["", "20261124", "20261324112947Z", "20261124112947", "2026112411294xZ"] {
            assert_eq!(seconds_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn apart() {
        let said = |theirs: i64, kerberos: bool| {
            let mut found = Examined::default();
            tell(&mut found, theirs, 1_000, kerberos);
            format!("{:?} {}", found.findings[0].verdict, found.findings[0].what)
        };
        assert_eq!(said(1_003, true), "Ok the clocks are 3 s apart");
        assert_eq!(said(940, true), "Warning the server's clock is 60 s behind this machine's");
        assert!(said(1_300, true).starts_with("Failed the server's clock is 300 s ahead of this machine's: Kerberos"));
        assert!(said(1_300, false).starts_with("Warning "));
    }
}
