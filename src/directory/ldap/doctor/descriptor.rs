//! Active Directory's security descriptors, as far as it takes to see whether an account holds an extended right.
//!
//! MS-DTYP §2.4: self-relative, little-endian. A right is looked for, never used.

/// MS-ADTS §5.1.3.2.1: DS-Replication-Get-Changes-All, which hands out passwords.
pub(super) const REPLICATE_ALL: [u8; 16] = [0xad, 0xf6, 0x31, 0x11, 0x07, 0x9c, 0xd1, 0x11, 0xf7, 0x9f, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2];

/// `ADS_RIGHT_DS_CONTROL_ACCESS`.
const CONTROL_ACCESS: u32 = 0x100;
/// `GENERIC_ALL`.
const GENERIC_ALL: u32 = 0x1000_0000;
/// The entry is for what stands below, and not for this object.
const INHERIT_ONLY: u8 = 0x08;

/// Whether one of these SIDs holds the extended right, by the descriptor's DACL; nothing when it cannot be read.
pub(super) fn holds(descriptor: &[u8], sids: &[Vec<u8>], right: &[u8; 16]) -> Option<bool> {
    let offset = usize::try_from(u32_at(descriptor, 16)?).ok()?;
    let acl = descriptor.get(offset..).filter(|_| offset != 0)?;
    let count = u16::from_le_bytes(acl.get(4..6)?.try_into().ok()?);
    let mut at = 8;
    for _ in 0..count {
        let size = usize::from(u16::from_le_bytes(acl.get(at + 2..at + 4)?.try_into().ok()?));
        let entry = acl.get(at..at + size).filter(|_| size >= 8)?;
        at += size;
        // MS-ADTS §5.1.3.3.3: the first entry that says something decides.
        match says(entry, sids, right)? {
            Says::Allowed => return Some(true),
            Says::Denied => return Some(false),
            Says::Nothing => {}
        }
    }
    Some(false)
}

/// What an entry says of a right.
#[derive(Clone, Copy)]
enum Says {
    Allowed,
    Denied,
    Nothing,
}

fn says(entry: &[u8], sids: &[Vec<u8>], right: &[u8; 16]) -> Option<Says> {
    let (kind, flags, mask) = (*entry.first()?, *entry.get(1)?, u32_at(entry, 4)?);
    let said = match kind {
        0 | 5 => Says::Allowed,
        1 | 6 => Says::Denied,
        _ => return Some(Says::Nothing),
    };
    if flags & INHERIT_ONLY != 0 || mask & (CONTROL_ACCESS | GENERIC_ALL) == 0 {
        return Some(Says::Nothing);
    }
    let mut at = 8;
    if kind >= 5 {
        let present = u32_at(entry, 8)?;
        at = 12;
        if present & 1 != 0 {
            if entry.get(at..at + 16)? != right {
                return Some(Says::Nothing);
            }
            at += 16;
        }
        at += if present & 2 != 0 { 16 } else { 0 };
    }
    let whose = entry.get(at..)?;
    let is_of = sids.iter().any(|held| !held.is_empty() && whose.starts_with(held));
    Some(if is_of { said } else { Says::Nothing })
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0];
    const OTHER: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];

    fn entry(kind: u8, flags: u8, mask: u32, object: Option<[u8; 16]>, sid: &[u8]) -> Vec<u8> {
        let mut rest = mask.to_le_bytes().to_vec();
        if kind >= 5 {
            rest.extend(u32::from(object.is_some()).to_le_bytes());
            rest.extend(object.iter().flatten());
        }
        rest.extend(sid);
        let size = u16::try_from(rest.len() + 4).unwrap().to_le_bytes();
        [&[kind, flags], size.as_slice(), &rest].concat()
    }

    fn descriptor(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![1, 0, 4, 0x80];
        for offset in [0u32, 0, 0, 20] {
            out.extend(offset.to_le_bytes());
        }
        let size = u16::try_from(8 + entries.concat().len()).unwrap();
        out.extend([4, 0]);
        out.extend(size.to_le_bytes());
        out.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
        out.extend([0, 0]);
        out.extend(entries.concat());
        out
    }

    #[test]
    fn who_may() {
        let sids = [ME.to_vec()];
        let check = |entries: &[Vec<u8>]| holds(&descriptor(entries), &sids, &REPLICATE_ALL);
        let other_right = Some([9; 16]);
        assert_eq!(check(&[]), Some(false));
        assert_eq!(check(&[entry(5, 0, 0x100, Some(REPLICATE_ALL), &ME)]), Some(true));
        assert_eq!(check(&[entry(5, 0, 0x100, None, &ME)]), Some(true));
        assert_eq!(check(&[entry(0, 0, 0xf_01ff, None, &ME)]), Some(true));
        assert_eq!(check(&[entry(0, 0, 0x10, None, &ME), entry(5, 0, 0x100, other_right, &ME)]), Some(false));
        assert_eq!(check(&[entry(5, 0, 0x100, Some(REPLICATE_ALL), &OTHER)]), Some(false));
        assert_eq!(check(&[entry(5, 8, 0x100, Some(REPLICATE_ALL), &ME)]), Some(false));
        let denied = entry(6, 0, 0x100, Some(REPLICATE_ALL), &ME);
        assert_eq!(check(&[denied, entry(0, 0, 0xf_01ff, None, &ME)]), Some(false));
    }

    #[test]
    fn broken_ones_are_not_believed() {
        let whole = descriptor(&[entry(5, 0, 0x100, Some(REPLICATE_ALL), &ME)]);
        for length in 0..whole.len() {
            assert_ne!(holds(&whole[..length], &[ME.to_vec()], &REPLICATE_ALL), Some(true), "{length}");
        }
    }
}
