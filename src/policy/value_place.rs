//! Places: what an emergency call says of where it comes from (PIDF-LO: RFC 4119, RFC 5139, RFC 5491).

use std::fmt;
use std::sync::Arc;

use super::value::Why;
use super::value_text;

/// A place on earth.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// An address.
    Civic(Civic),
    /// A point.
    Geo(Geo),
}

/// A civic address: elements of RFC 5139 §3.1, each once, in the order of its schema; always with the country.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Civic(Vec<(&'static str, Arc<str>)>);

/// A point of WGS 84 (RFC 5870), in fixed point, so that equal points are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geo {
    /// Degrees north, in 10⁻⁷ (about a centimetre).
    pub latitude_e7: i32,
    /// Degrees east, in 10⁻⁷.
    pub longitude_e7: i32,
    /// Metres above the ellipsoid, in centimetres.
    pub altitude_cm: Option<i32>,
    /// The radius of uncertainty, in centimetres.
    pub uncertainty_cm: Option<u32>,
}

/// The longest element, in octets.
const ELEMENT_MAX: usize = 256;

impl Location {
    /// Parses `geo:…` or `civic:…`.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let (scheme, rest) = text.split_once(':').ok_or_else(|| Why::shape(text))?;
        match scheme.to_ascii_lowercase().as_str() {
            "geo" => Geo::parse(rest).map(Self::Geo),
            "civic" => Civic::parse(rest).map(Self::Civic),
            _ => Err(Why::shape(text)),
        }
    }
}

impl Civic {
    /// The names of the elements (RFC 5139 §4), in the order of its schema.
    pub const ELEMENTS: [&str; 31] = [
        "country", "A1", "A2", "A3", "A4", "A5", "A6", "PRM", "PRD", "RD", "STS", "POD", "POM", "RDSEC", "RDBR", "RDSUBBR", "HNO", "HNS",
        "LMK", "LOC", "FLR", "NAM", "PC", "BLD", "UNIT", "ROOM", "SEAT", "PLC", "PCN", "POBOX", "ADDCODE",
    ];

    /// The elements, in the order of RFC 5139's schema.
    pub fn elements(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }

    /// An address from its elements, in any order.
    pub(crate) fn new<'a>(elements: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Why> {
        let mut held: Vec<(usize, Arc<str>)> = Vec::new();
        for (name, value) in elements {
            let (name, value) = (name.trim(), value.trim());
            let rank = Self::ELEMENTS.iter().position(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| Why::shape(name))?;
            if value.is_empty() {
                return Err(Why::Empty);
            }
            if value.len() > ELEMENT_MAX {
                return Err(Why::TooLong { length: value.len(), max: ELEMENT_MAX });
            }
            // The text form separates by it.
            if value.contains(';') {
                return Err(Why::Character(';'));
            }
            if held.iter().any(|(r, _)| *r == rank) {
                return Err(Why::shape(name));
            }
            let value = if rank == 0 { value_text::country(value)? } else { value.to_owned() };
            held.push((rank, value.into()));
        }
        held.sort_unstable_by_key(|(rank, _)| *rank);
        // Without its country nobody can route the call.
        if held.first().is_none_or(|(rank, _)| *rank != 0) {
            return Err(Why::Missing("country"));
        }
        Ok(Self(held.into_iter().filter_map(|(rank, value)| Some((*Self::ELEMENTS.get(rank)?, value))).collect()))
    }

    fn parse(text: &str) -> Result<Self, Why> {
        let mut pairs = Vec::new();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            pairs.push(part.split_once('=').ok_or_else(|| Why::shape(part))?);
        }
        Self::new(pairs)
    }
}

impl Geo {
    /// RFC 5870 §3.3: `latitude,longitude[,altitude][;crs=wgs84][;u=uncertainty]`; digits past the seventh decimal are cut.
    fn parse(text: &str) -> Result<Self, Why> {
        let mut parts = text.split(';');
        let mut point = parts.next().unwrap_or_default().split(',');
        let (Some(latitude), Some(longitude), altitude, None) = (point.next(), point.next(), point.next(), point.next()) else {
            return Err(Why::shape(text));
        };
        let mut geo = Self {
            latitude_e7: fixed(latitude, 7, 90)?,
            longitude_e7: fixed(longitude, 7, 180)?,
            altitude_cm: altitude.map(|text| fixed(text, 2, 100_000)).transpose()?,
            uncertainty_cm: None,
        };
        for part in parts {
            match part.trim().to_ascii_lowercase().split_once('=') {
                Some(("crs", "wgs84")) => {}
                Some(("u", radius)) if geo.uncertainty_cm.is_none() => {
                    geo.uncertainty_cm = Some(u32::try_from(fixed(radius, 2, 1_000_000)?).map_err(|_| Why::shape(part))?);
                }
                _ => return Err(Why::shape(part)),
            }
        }
        // RFC 5870 §3.4.4: the two antimeridians are one.
        if geo.longitude_e7 == -1_800_000_000 {
            geo.longitude_e7 = 1_800_000_000;
        }
        Ok(geo)
    }
}

/// A decimal number as an integer of `decimals` decimals, its magnitude at most `max`.
fn fixed(text: &str, decimals: usize, max: u32) -> Result<i32, Why> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !fraction.is_none_or(all_digits) {
        return Err(Why::shape(text));
    }
    let shown: String = fraction.unwrap_or_default().chars().chain(std::iter::repeat('0')).take(decimals).collect();
    let magnitude: i64 = format!("{whole}{shown}").parse().map_err(|_| Why::shape(text))?;
    let scale = 10i64.pow(u32::try_from(decimals).unwrap_or_default());
    if magnitude > i64::from(max) * scale {
        return Err(Why::Bounds { found: magnitude.unsigned_abs() / scale.unsigned_abs(), min: 0, max: max.into() });
    }
    i32::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| Why::shape(text))
}

/// The shortest text of a fixed-point number.
fn write_fixed(f: &mut fmt::Formatter<'_>, value: i64, decimals: usize) -> fmt::Result {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    f.write_str(if value < 0 { "-" } else { "" })?;
    f.write_str(whole)?;
    match fraction.trim_end_matches('0') {
        "" => Ok(()),
        fraction => write!(f, ".{fraction}"),
    }
}

impl fmt::Display for Civic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, value) in self.elements() {
            write!(f, "{separator}{name}={value}")?;
            separator = ";";
        }
        Ok(())
    }
}

impl fmt::Display for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fixed(f, self.latitude_e7.into(), 7)?;
        f.write_str(",")?;
        write_fixed(f, self.longitude_e7.into(), 7)?;
        if let Some(altitude) = self.altitude_cm {
            f.write_str(",")?;
            write_fixed(f, altitude.into(), 2)?;
        }
        if let Some(uncertainty) = self.uncertainty_cm {
            f.write_str(";u=")?;
            write_fixed(f, uncertainty.into(), 2)?;
        }
        Ok(())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Civic(civic) => write!(f, "civic:{civic}"),
            Self::Geo(geo) => write!(f, "geo:{geo}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::ValueKind;

    #[test]
    fn places() {
        for (text, expect) in [
            ("civic:hno=77; rd=Unter den Linden;country=de;A1=Berlin;", "civic:country=DE;A1=Berlin;RD=Unter den Linden;HNO=77"),
            ("CIVIC:country=US;A1=NY;NAM=a=b & <c>", "civic:country=US;A1=NY;NAM=a=b & <c>"),
            ("geo:52.52000,13.405", "geo:52.52,13.405"),
            ("GEO:-0.0,-180;crs=WGS84", "geo:0,180"),
            ("geo:-33.85679999,151.2153,-4.5;u=30", "geo:-33.8567999,151.2153,-4.5;u=30"),
            ("geo:90,-179.9999999,0;u=0.05", "geo:90,-179.9999999,0;u=0.05"),
        ] {
            let value = ValueKind::Location.parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(value.to_string(), expect, "{text}");
            assert_eq!(ValueKind::Location.parse(expect), Ok(value), "{expect}");
        }
        for text in [
            "Berlin",
            "civic:",
            "civic:A1=Berlin",
            "civic:country=DE;A1=",
            "civic:country=DE;A1",
            "civic:country=DE;A1=a;A1=b",
            "civic:country=DE;TOWN=x",
            "civic:country=XX",
            "geo:91,0",
            "geo:0,181",
            "geo:90.0000001,0",
            "geo:1",
            "geo:1,2,3,4",
            "geo:1,2;crs=nad27",
            "geo:1,2;u=-1",
            "geo:1,2;u=1;u=2",
            "geo:+1,2",
            "geo:1.,2",
            "geo:1e1,2",
        ] {
            assert!(ValueKind::Location.parse(text).is_err(), "{text}");
        }
    }
}
