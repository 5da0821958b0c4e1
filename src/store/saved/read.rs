//! Bytes into a state, believing nothing.

use std::io::{BufReader, Read};

use sha2::{Digest, Sha256};

use super::{CHUNK, DISPLACED, GLUE, HAS_PARENT, MAGIC, SavedError, VERSION, VERSION_COMPANION, VERSION_MIN, kind_number};
use crate::directory::Cookie;
use crate::model::{Attributes, Container, Dn, Generation, Kind, Names, ObjectId, Rdn, Timestamp};
use crate::store::name::Name;
use crate::store::restore::Restoring;
use crate::store::whole::Membership;
use crate::store::{Object, Snapshot};

/// What was kept.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The state.
    pub snapshot: Snapshot,
    /// The cookie that describes it.
    pub cookie: Option<Cookie>,
    /// What others kept together with it; empty where an older version wrote it.
    pub companion: Vec<u8>,
}

/// Reads a state, the cookie that describes it and its companion, as [`write`](super::write) wrote them for the same `source`.
pub fn read(input: &mut dyn Read, source: &str) -> Result<Saved, SavedError> {
    let mut input =
        In { input: BufReader::with_capacity(CHUNK, input), hash: Sha256::new(), unhashed: Vec::with_capacity(CHUNK * 2), offset: 0 };
    match input.array::<15>() {
        Ok(magic) if magic == *MAGIC => {}
        Err(error @ SavedError::Read(_)) => return Err(error),
        _ => return Err(SavedError::Magic),
    }
    let version = input.u32()?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(SavedError::Version { found: version });
    }
    let found = input.text()?;
    if found != source {
        return Err(SavedError::Source { found });
    }
    let generation = Generation(input.u64()?);
    let cookie = match input.u8()? {
        0 => None,
        1 => Some(Cookie(input.bytes()?)),
        _ => return Err(input.damaged("neither a cookie nor none")),
    };
    let mut names = Names::default();
    let mut state = Restoring::default();
    for _ in 0..input.u64()? {
        let object = read_object(&mut input, &mut names)?;
        let before = input.offset;
        state.add(object).map_err(|what| SavedError::Damaged { offset: before, what })?;
    }
    for _ in 0..input.u64()? {
        let before = input.offset;
        let membership = read_membership(&mut input)?;
        state.join(membership).map_err(|what| SavedError::Damaged { offset: before, what })?;
    }
    let companion = if version >= VERSION_COMPANION { input.bytes()? } else { Vec::new() };
    let expect = input.digest();
    if input.array::<32>()? != expect {
        return Err(input.damaged("the checksum is another"));
    }
    if input.u8().is_ok() {
        return Err(input.damaged("it goes on behind its end"));
    }
    match state.finish(generation) {
        Err(what) => Err(input.damaged(what)),
        Ok(snapshot) => Ok(Saved { snapshot, cookie, companion }),
    }
}

fn read_object(input: &mut In<'_>, names: &mut Names) -> Result<Object, SavedError> {
    let id = ObjectId::from_bytes(input.array()?);
    let (flags, number) = (input.u8()?, input.u8()?);
    let (parent, suffix) = if flags & HAS_PARENT != 0 {
        (Some(ObjectId::from_bytes(input.array()?)), Dn::default())
    } else {
        (None, input.text()?.parse().map_err(|_| input.damaged("a suffix is no DN"))?)
    };
    let rdn: Rdn = input.text()?.parse().map_err(|_| input.damaged("an RDN is none"))?;
    let (changed, changed_at) = (Generation(input.u64()?), Timestamp(input.u64()?));
    let mut attributes = Vec::new();
    for _ in 0..input.u32()? {
        let name = input.text()?;
        let mut values = Vec::new();
        for _ in 0..input.u32()? {
            values.push(input.bytes()?);
        }
        attributes.push((name, values));
    }
    let attributes = Attributes::gather(attributes, names);
    let glue = flags & GLUE != 0;
    let kind = if glue { Kind::Container(Container::Unit) } else { Kind::of(&attributes) };
    if kind_number(kind) != number {
        return Err(input.damaged("another version of dialcast saw another kind in this object"));
    }
    let displaced = flags & DISPLACED != 0;
    let mut object = Object { id, parent, rdn, above: None, kind, attributes, changed, changed_at, glue, displaced };
    object.set_suffix(suffix);
    Ok(object)
}

fn read_membership(input: &mut In<'_>) -> Result<Membership, SavedError> {
    let group = ObjectId::from_bytes(input.array()?);
    let name = Name::from(input.text()?.as_str());
    let values = input.u32()?;
    let member = match input.u8()? {
        0 => Ok(ObjectId::from_bytes(input.array()?)),
        1 => Err(input.text()?.parse().map_err(|_| input.damaged("a member's name is no DN"))?),
        _ => return Err(input.damaged("neither a member nor a name")),
    };
    Ok(Membership { group, name, member, values })
}

struct In<'a> {
    input: BufReader<&'a mut dyn Read>,
    hash: Sha256,
    /// Read and not hashed yet: many small pieces are hashed as one.
    unhashed: Vec<u8>,
    offset: u64,
}

impl In<'_> {
    fn damaged(&self, what: &'static str) -> SavedError {
        SavedError::Damaged { offset: self.offset, what }
    }

    fn took(&mut self, bytes: &[u8]) {
        self.unhashed.extend_from_slice(bytes);
        self.offset += bytes.len() as u64;
        if self.unhashed.len() >= CHUNK {
            self.hash.update(&self.unhashed);
            self.unhashed.clear();
        }
    }

    /// The checksum of everything so far.
    fn digest(&mut self) -> [u8; 32] {
        self.hash.update(&self.unhashed);
        self.unhashed.clear();
        self.hash.clone().finalize().into()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SavedError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it ends here"),
            _ => SavedError::Read(error),
        })?;
        self.took(&bytes);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, SavedError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, SavedError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, SavedError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A value. A damaged length costs no more memory than there are octets.
    fn bytes(&mut self) -> Result<Vec<u8>, SavedError> {
        let length = u64::from(self.u32()?);
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes).map_err(SavedError::Read)?;
        self.took(&bytes);
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(self.damaged("it ends here")) }
    }

    fn text(&mut self) -> Result<String, SavedError> {
        String::from_utf8(self.bytes()?).map_err(|_| self.damaged("a text is not UTF-8"))
    }
}
