//! A state into bytes.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::{CHUNK, DISPLACED, GLUE, HAS_PARENT, MAGIC, VERSION, kind_number};
use crate::directory::Cookie;
use crate::store::{Member, Object, Snapshot};

/// Writes a state and the cookie that describes it. `source` says of which directory; [`read`](super::read) wants the same.
/// `companion` belongs to the same moment, and is nobody's business here.
///
/// Fails when `out` does, and with `InvalidInput` when the state is incomplete: it must not be mistaken for a directory.
pub fn write(out: &mut dyn Write, state: &Snapshot, cookie: Option<&Cookie>, companion: &[u8], source: &str) -> io::Result<()> {
    if !state.is_complete() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the first list is not complete"));
    }
    let mut out = Out { sink: out, hash: Sha256::new(), buffer: Vec::with_capacity(CHUNK * 2) };
    out.buffer.extend_from_slice(MAGIC);
    out.u32(VERSION);
    out.bytes(source.as_bytes())?;
    out.u64(state.generation.0);
    out.u8(u8::from(cookie.is_some()));
    if let Some(Cookie(cookie)) = cookie {
        out.bytes(cookie)?;
    }
    out.u64(state.len() as u64);
    for root in state.roots() {
        for object in state.subtree(root.id) {
            write_object(&mut out, object)?;
        }
    }
    out.u64(state.groups.len() as u64);
    for (group, name, held) in state.groups.all() {
        out.raw(group.as_bytes());
        out.bytes(name.as_str().as_bytes())?;
        out.u32(held.values);
        match state.groups.member(group, name, held) {
            Member::Object(id) => {
                out.u8(0);
                out.raw(id.as_bytes());
            }
            Member::Dangling(dn) => {
                out.u8(1);
                out.bytes(dn.to_string().as_bytes())?;
            }
        }
        out.flow()?;
    }
    out.bytes(companion)?;
    out.end()
}

fn write_object(out: &mut Out<'_>, object: &Object) -> io::Result<()> {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.raw(object.id.as_bytes());
    out.u8(flag(object.parent.is_some(), HAS_PARENT) | flag(object.glue, GLUE) | flag(object.displaced, DISPLACED));
    out.u8(kind_number(object.kind));
    match object.parent {
        Some(parent) => out.raw(parent.as_bytes()),
        None => out.bytes(object.suffix().to_string().as_bytes())?,
    }
    out.bytes(object.rdn.as_str().as_bytes())?;
    out.u64(object.changed.0);
    out.u64(object.changed_at.0);
    out.u32(count(object.attributes.iter().count())?);
    for (name, values) in object.attributes.iter() {
        out.bytes(name.as_bytes())?;
        out.u32(count(values.len())?);
        for value in values {
            out.bytes(value)?;
        }
    }
    out.flow()
}

fn count(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "longer than 4 GiB"))
}

struct Out<'a> {
    sink: &'a mut dyn Write,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Out<'_> {
    fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn u8(&mut self, number: u8) {
        self.buffer.push(number);
    }

    fn u32(&mut self, number: u32) {
        self.raw(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.u32(count(bytes.len())?);
        self.raw(bytes);
        self.flow()
    }

    /// Lets the buffer out when it is full.
    fn flow(&mut self) -> io::Result<()> {
        if self.buffer.len() < CHUNK {
            return Ok(());
        }
        self.hash.update(&self.buffer);
        self.sink.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.hash.update(&self.buffer);
        self.sink.write_all(&self.buffer)?;
        self.sink.write_all(&self.hash.finalize())?;
        self.sink.flush()
    }
}
