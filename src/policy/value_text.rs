//! Values that are one canonical word or number.

use super::value::Why;

/// `true` or `false`, in any case: nothing else, so that `no` and `off` never turn something on by chance.
pub(super) fn boolean(text: &str) -> Result<bool, Why> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Why::shape(text))
    }
}

/// One of the words, in any case.
pub(super) fn choice(text: &str, words: &'static [&'static str]) -> Result<&'static str, Why> {
    words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied().ok_or_else(|| Why::shape(text))
}

/// A number in decimal digits, without a sign.
pub(super) fn number(text: &str, min: u64, max: u64) -> Result<u64, Why> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Why::shape(text));
    }
    // What does not fit 64 bits is out of any bounds.
    let found = text.parse().unwrap_or(u64::MAX);
    if (min..=max).contains(&found) { Ok(found) } else { Err(Why::Bounds { found, min, max }) }
}

/// RFC 2474 §3: six bits. Names: RFC 2474 §4.2.2 (CS), RFC 2597 §6 (AF), RFC 3246 §2.7 (EF), RFC 5865 §2.3 (VA), RFC 8622 (LE).
pub(super) fn dscp(text: &str) -> Result<u64, Why> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text, 0, 63);
    }
    let name = text.to_ascii_uppercase();
    let code = match name.as_str() {
        "EF" => 46,
        "VA" | "VOICE-ADMIT" => 44,
        "LE" => 1,
        "BE" | "DF" => 0,
        _ => match name.as_bytes() {
            [b'C', b'S', class @ b'0'..=b'7'] => u64::from(class - b'0') * 8,
            [b'A', b'F', class @ b'1'..=b'4', drop @ b'1'..=b'3'] => u64::from(class - b'0') * 8 + u64::from(drop - b'0') * 2,
            _ => return Err(Why::shape(text)),
        },
    };
    Ok(code)
}

/// `low-high`, both ports of at least 1.
pub(super) fn ports(text: &str) -> Result<(u16, u16), Why> {
    let (low, high) = text.split_once('-').ok_or_else(|| Why::shape(text))?;
    let port = |text: &str| number(text.trim(), 1, 65535).and_then(|port| u16::try_from(port).map_err(|_| Why::shape(text)));
    let (low, high) = (port(low)?, port(high)?);
    if low <= high { Ok((low, high)) } else { Err(Why::Bounds { found: high.into(), min: low.into(), max: 65535 }) }
}

/// The spelling that RFCs and SDP use, for names that people write in other cases; RFC 4855 §3: names have no case.
const CODECS: [&str; 27] = [
    "opus",
    "G722",
    "G7221",
    "PCMA",
    "PCMU",
    "G723",
    "G726-32",
    "G728",
    "G729",
    "G729D",
    "G729E",
    "GSM",
    "GSM-EFR",
    "iLBC",
    "iSAC",
    "SILK",
    "speex",
    "L16",
    "AMR",
    "AMR-WB",
    "EVS",
    "telephone-event",
    "CN",
    "H263-1998",
    "H264",
    "H265",
    "AV1",
];

/// A payload name as in `a=rtpmap` (RFC 8866 §6.6): `name[/clock rate[/channels]]`.
pub(super) fn codec(text: &str) -> Result<String, Why> {
    let mut parts = text.split('/');
    let name = parts.next().unwrap_or_default();
    let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`{|}~".contains(c);
    if let Some(found) = name.chars().find(|c| !legal(*c)) {
        return Err(Why::Character(found));
    }
    if name.is_empty() || name.len() > 64 {
        return Err(Why::shape(text));
    }
    let spelled = CODECS.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    let mut out = spelled.map_or_else(|| name.to_owned(), str::to_owned);
    let limits = [1_000_000, 255];
    for (index, part) in parts.enumerate() {
        let max = *limits.get(index).ok_or_else(|| Why::shape(text))?;
        out.push('/');
        out.push_str(&number(part, 1, max)?.to_string());
    }
    Ok(out)
}

/// What is dialled: digits, `*`, `#`, and a leading `+`.
pub(super) fn dial_string(text: &str) -> Result<String, Why> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if let Some(found) = digits.chars().find(|c| !(c.is_ascii_digit() || matches!(c, '*' | '#'))) {
        return Err(Why::Character(found));
    }
    if digits.is_empty() || text.len() > 32 { Err(Why::shape(text)) } else { Ok(text.to_owned()) }
}

/// The shape of a name of the IANA time zone database: parts of letters, digits, `_`, `+`, `-`, separated by `/`.
pub(super) fn zone(text: &str) -> Result<String, Why> {
    if let Some(found) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "/_+-".contains(*c))) {
        return Err(Why::Character(found));
    }
    let legal = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    if text.split('/').all(legal) && text.len() <= 64 { Ok(text.to_owned()) } else { Err(Why::shape(text)) }
}

/// The shape of RFC 5646 §2.1, in the case that §2.1.1 recommends: `zh-Hant-TW`.
pub(super) fn language(text: &str) -> Result<String, Why> {
    let text = text.replace('_', "-");
    let mut out = String::with_capacity(text.len());
    let mut after_singleton = false;
    let mut is_private = false;
    let mut needs_more = false;
    for (index, part) in text.split('-').enumerate() {
        if let Some(found) = part.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(Why::Character(found));
        }
        let primary_is_wrong =
            index == 0 && (part.len() < 2 || !part.bytes().all(|b| b.is_ascii_alphabetic())) && !part.eq_ignore_ascii_case("x");
        if part.is_empty() || part.len() > 8 || primary_is_wrong {
            return Err(Why::shape(&text));
        }
        let lower = part.to_ascii_lowercase();
        if index > 0 {
            out.push('-');
        }
        match part.len() {
            2 if index > 0 && !after_singleton => out.push_str(&lower.to_ascii_uppercase()),
            4 if index > 0 && !after_singleton => {
                let (first, rest) = lower.split_at(1);
                out.push_str(&first.to_ascii_uppercase());
                out.push_str(rest);
            }
            _ => out.push_str(&lower),
        }
        after_singleton |= part.len() == 1;
        // RFC 5646 §2.2.6, §2.2.7: a singleton is followed by something; after `x`, single characters are no singletons.
        needs_more = part.len() == 1 && !is_private;
        is_private |= lower == "x";
    }
    if needs_more || out.len() > 64 { Err(Why::shape(&text)) } else { Ok(out) }
}

/// ISO 3166-1 alpha-2, as assigned, and XK, which the European Union and CLDR use for Kosovo.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG \
    GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ \
    LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR \
    NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ \
    TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

pub(super) fn country(text: &str) -> Result<String, Why> {
    let code = text.to_ascii_uppercase();
    if COUNTRIES.split_ascii_whitespace().any(|known| known == code) { Ok(code) } else { Err(Why::shape(text)) }
}

/// 64 hexadecimal digits, kept in lower case.
pub(super) fn sha256(text: &str) -> Result<String, Why> {
    match text.chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(found) => Err(Why::Character(found)),
        None if text.len() == 64 => Ok(text.to_ascii_lowercase()),
        None => Err(Why::shape(text)),
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

    fn refuse(kind: ValueKind, texts: &[&str]) {
        for text in texts {
            assert!(kind.parse(text).is_err(), "{}: {text}", kind.name());
        }
    }

    #[test]
    fn numbers() {
        check(ValueKind::Kbits, " 007 ", "7");
        check(ValueKind::Kbits, "0", "0");
        check(ValueKind::Pixels, "1080", "1080");
        refuse(ValueKind::Pixels, &["0", "-1", "+1", "1.5", "1080p", "99999999999999999999999", ""]);
        check(ValueKind::Dscp, "ef", "46");
        check(ValueKind::Dscp, "AF41", "34");
        check(ValueKind::Dscp, "AF13", "14");
        check(ValueKind::Dscp, "CS3", "24");
        check(ValueKind::Dscp, "cs0", "0");
        check(ValueKind::Dscp, "63", "63");
        refuse(ValueKind::Dscp, &["64", "AF14", "AF51", "CS8", "EF1", "0x2e", "-1"]);
        check(ValueKind::Ports, "49152 - 65535", "49152-65535");
        check(ValueKind::Ports, "5004-5004", "5004-5004");
        refuse(ValueKind::Ports, &["0-10", "10-9", "1-65536", "5004", "-", "1-2-3"]);
        check(ValueKind::Bool, "TRUE", "true");
        refuse(ValueKind::Bool, &["yes", "on", "1", "no"]);
    }

    #[test]
    fn words() {
        check(ValueKind::Choice(&["tls", "tcp"]), "TLS", "tls");
        refuse(ValueKind::Choice(&["tls", "tcp"]), &["udp", "tls,tcp"]);
        check(ValueKind::Codec, "OPUS/48000/2", "opus/48000/2");
        check(ValueKind::Codec, "pcma", "PCMA");
        check(ValueKind::Codec, "x-Corp.1", "x-Corp.1");
        refuse(ValueKind::Codec, &["opus/", "opus/48000/2/1", "/8000", "a b", "a<b", "opus/x"]);
        check(ValueKind::DialString, "*21#", "*21#");
        check(ValueKind::DialString, "+112", "+112");
        refuse(ValueKind::DialString, &["+", "1+1", "1 1", "one", &"1".repeat(33)]);
        check(ValueKind::Sha256, &"AB".repeat(32), &"ab".repeat(32));
        refuse(ValueKind::Sha256, &["ab", &"g".repeat(64), &"a".repeat(63)]);
    }

    #[test]
    fn places_and_languages() {
        check(ValueKind::Zone, "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires");
        check(ValueKind::Zone, "Etc/GMT+1", "Etc/GMT+1");
        refuse(ValueKind::Zone, &["/Berlin", "Europe/", "Europe//Berlin", "../etc/passwd", "Europe Berlin", "+1"]);
        check(ValueKind::Language, "ZH-hant-tw", "zh-Hant-TW");
        check(ValueKind::Language, "en_us", "en-US");
        check(ValueKind::Language, "de-CH-1996", "de-CH-1996");
        check(ValueKind::Language, "x-KLINGON", "x-klingon");
        check(ValueKind::Language, "de-x-A", "de-x-a");
        check(ValueKind::Language, "en-a-BBBB-x-CC", "en-a-bbbb-x-cc");
        refuse(ValueKind::Language, &["d", "de-", "-de", "de--ch", "de-x", "de-a", "deutschland", "4", "d\u{e9}"]);
        check(ValueKind::Country, "de", "DE");
        refuse(ValueKind::Country, &["D", "DEU", "UK", "EU", "ZZ", "D E"]);
    }
}
