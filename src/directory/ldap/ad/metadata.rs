//! `replPropertyMetaData`: what a controller knows of each attribute's last change. Every account that may read an entry may
//! read it.

/// Of two attributes, the controller's own count when they were last set (`usnLocalChange`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamps {
    /// `name`: a rename or a move sets it (MS-ADTS §3.1.1.5.4).
    pub(super) named: u64,
    /// `nTSecurityDescriptor`: who may read the entry, and what is below it.
    pub(super) secured: u64,
}

/// MS-DRSR §5.166, MS-ADTS: the header, and then 48 octets for each attribute.
const HEADER: usize = 16;
const EACH: usize = 48;

/// The attributes' ids (MS-DRSR §5.16.4, by the default prefix table).
pub(super) const NAME: u32 = 0x0009_0001;
const SECURITY: u32 = 0x0002_0119;

/// One attribute's stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) attribute: u32,
    pub(super) version: u32,
    /// Seconds since 1601.
    pub(super) time: u64,
    pub(super) invocation: [u8; 16],
    /// The count at the controller that was asked.
    pub(super) local: u64,
}

impl Stamp {
    /// Of two stamps of one attribute, the later one is greater.
    pub(super) fn order(&self) -> (u32, u64, [u8; 16]) {
        (self.version, self.time, self.invocation)
    }
}

impl Stamps {
    /// Reads the attribute's octets; `None` when they are of another version, or of another length than they say.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut stamps = Self::default();
        for stamp in all(octets)? {
            match stamp.attribute {
                NAME => stamps.named = stamp.local,
                SECURITY => stamps.secured = stamp.local,
                _ => {}
            }
        }
        Some(stamps)
    }
}

/// All stamps.
pub(super) fn all(octets: &[u8]) -> Option<Vec<Stamp>> {
    let (header, rest) = octets.split_at_checked(HEADER)?;
    let (version, count) = (number(header, 0)?, number(header, 8)?);
    let count = usize::try_from(count).ok()?;
    if version != 1 || rest.len() != count.checked_mul(EACH)? {
        return None;
    }
    rest.chunks_exact(EACH).map(stamp).collect()
}

fn stamp(octets: &[u8]) -> Option<Stamp> {
    Some(Stamp {
        attribute: number(octets, 0)?,
        version: number(octets, 4)?,
        time: long(octets, 8)?,
        invocation: octets.get(16..32)?.try_into().ok()?,
        local: long(octets, 40)?,
    })
}

fn number(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn long(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn encode(stamps: &[Stamp]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(1u32.to_le_bytes());
        out.extend([0; 4]);
        out.extend(u32::try_from(stamps.len()).unwrap().to_le_bytes());
        out.extend([0; 4]);
        for stamp in stamps {
            out.extend(stamp.attribute.to_le_bytes());
            out.extend(stamp.version.to_le_bytes());
            out.extend(stamp.time.to_le_bytes());
            out.extend(stamp.invocation);
            out.extend(stamp.local.to_le_bytes());
            out.extend(stamp.local.to_le_bytes());
        }
        out
    }

    fn at(attribute: u32, local: u64) -> Stamp {
        Stamp { attribute, version: 1, time: 7, invocation: [1; 16], local }
    }

    #[test]
    fn reads_what_controllers_write() {
        let octets = encode(&[at(0, 3), at(NAME, 9), at(SECURITY, 4)]);
        assert_eq!(Stamps::read(&octets), Some(Stamps { named: 9, secured: 4 }));
        assert_eq!(all(&octets).unwrap()[1], at(NAME, 9));
        for bad in [&octets[..8], &octets[..20], &[octets.as_slice(), &[0]].concat(), &[]] {
            assert_eq!(Stamps::read(bad), None);
        }
    }
}
