//! What is written is read; what is damaged is refused.

use super::*;
use crate::directory::{Cookie, Event};
use crate::store::tests::support::*;
use crate::store::{Snapshot, Store};

const SOURCE: &str = "ldap://ldap.corp.example/dc=corp";

/// A state with one of everything: glue, a displaced entry, a stale membership, a dangling one, a binary value, a root of two RDNs.
fn sample() -> Store {
    let mut store = store(&[
        "r dc=corp,dc=example",
        "a ou=Berlin,dc=corp,dc=example",
        "u uid=anna,ou=Berlin,dc=corp,dc=example|uid=anna",
        "g cn=Staff,dc=corp,dc=example|member=uid=Anna,ou=Berlin,dc=corp,dc=example|member=uid=gone,dc=x|memberUid=anna|memberUid=zoe",
        "v uid=ben,ou=Lyon,ou=France,dc=corp,dc=example",
        "w uid=anna,ou=Paris,ou=France,dc=corp,dc=example",
    ]);
    step(&mut store, apply("x uid=ben,ou=Lyon,ou=France,dc=corp,dc=example"));
    step(&mut store, apply("u uid=ann\\2c,dc=corp,dc=example|uid=ann"));
    let mut binary = entry("y uid=y,dc=corp,dc=example");
    binary.attributes.add("jpegPhoto", [vec![0xff, 0, 0xd8], vec![]]);
    step(&mut store, Event::Apply(binary));
    store
}

fn bytes_of(state: &Snapshot, cookie: Option<&Cookie>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, state, cookie, b"kept", SOURCE).unwrap();
    bytes
}

#[test]
fn reads_what_it_wrote() {
    let mut store = sample();
    for cookie in [None, Some(Cookie(b"rid=1,csn=2".to_vec()))] {
        let before = store.snapshot();
        let Saved { snapshot: after, cookie: read_cookie, companion } = read(&mut &*bytes_of(&before, cookie.as_ref()), SOURCE).unwrap();
        assert_eq!(companion, b"kept");
        sound(&after);
        assert_eq!((Follower::of(&after), outline(&after), read_cookie), (Follower::of(&before), outline(&before), cookie));
        assert_eq!(members(&after, 'g'), members(&before, 'g'));
        assert_eq!((after.generation(), after.is_complete()), (before.generation(), true));
    }
    // And it goes on as the other does: the member that moved is held, its text is stale.
    let Saved { snapshot: state, cookie, .. } = read(&mut &*bytes_of(&store.snapshot(), None), SOURCE).unwrap();
    let mut resumed = Store::resume(state, cookie);
    for event in [
        apply("g cn=Staff,dc=corp,dc=example|member=uid=Anna,ou=Berlin,dc=corp,dc=example"),
        apply("z uid=z,dc=corp,dc=example|uid=zoe"),
        apply("g cn=Staff,dc=corp,dc=example|memberUid=zoe|member=uid=gone,dc=x"),
        Event::Delete(id('x')),
        apply("a ou=Lyon,ou=France,dc=corp,dc=example"),
    ] {
        assert_eq!(step(&mut resumed, event.clone()), step(&mut store, event));
        assert_eq!(outline(&resumed.snapshot()), outline(&store.snapshot()));
        assert_eq!(members(&resumed.snapshot(), 'g'), members(&store.snapshot(), 'g'));
    }
}

#[test]
fn an_empty_directory_is_a_state_and_an_unknown_one_is_not() {
    let empty = store(&[]).snapshot();
    assert!(read(&mut &*bytes_of(&empty, None), SOURCE).unwrap().snapshot.is_complete());
    let error = write(&mut Vec::new(), &Store::new().snapshot(), None, &[], SOURCE).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

/// What the version before wrote, byte for byte: the same without a companion.
#[test]
fn the_layout_before_is_read() {
    use sha2::{Digest as _, Sha256};
    let store = sample();
    let mut bytes = bytes_of(&store.snapshot(), None);
    bytes.truncate(bytes.len() - 32 - b"kept".len() - 4);
    bytes[15] = 1;
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    let read = read(&mut &*bytes, SOURCE).unwrap();
    assert_eq!((outline(&read.snapshot), read.companion), (outline(&store.snapshot()), Vec::new()));
}

fn refusal(bytes: &[u8], source: &str) -> String {
    read(&mut &*bytes, source).unwrap_err().to_string()
}

#[test]
fn what_is_not_this_state_is_refused() {
    let bytes = bytes_of(&sample().snapshot(), None);
    insta::assert_snapshot!(refusal(b"", SOURCE), @"not a saved state of dialcast");
    insta::assert_snapshot!(refusal(b"<?xml version=\"1.0\"?>", SOURCE), @"not a saved state of dialcast");
    insta::assert_snapshot!(refusal(&bytes, "ldap://other.example"), @"of the directory ldap://ldap.corp.example/dc=corp");
    let mut later = bytes.clone();
    later[15] = 9;
    insta::assert_snapshot!(refusal(&later, SOURCE), @"written in layout 9, and this version reads 1 to 2");
    let longer = [&bytes[..], b"x"].concat();
    insta::assert_snapshot!(refusal(&longer, SOURCE).replace(|c: char| c.is_ascii_digit(), "0"), @"damaged at octet 0000: it goes on behind its end");
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let bytes = bytes_of(&sample().snapshot(), Some(&Cookie(vec![1])));
    for end in 0..bytes.len() {
        assert!(read(&mut &bytes[..end], SOURCE).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&mut &*damaged, SOURCE).is_err(), "bit {bit} of octet {at}");
        }
    }
}

/// A state of someone's making, with a right checksum.
fn forged(change: impl Fn(&mut Snapshot)) -> String {
    let mut state = sample().snapshot();
    change(&mut state);
    refusal(&bytes_of(&state, None), SOURCE).replace(|c: char| c.is_ascii_digit(), "")
}

#[test]
fn what_contradicts_itself_is_refused() {
    let edit = |state: &mut Snapshot, letter: char, change: fn(&mut crate::store::Object)| {
        change(std::sync::Arc::make_mut(state.tree.objects.get_mut(&id(letter)).unwrap()));
    };
    insta::assert_snapshot!(forged(|state| edit(state, 'x', |object| object.displaced = true)), @"damaged at octet : a name that nobody has was taken");
    insta::assert_snapshot!(forged(|state| edit(state, 'v', |object| object.displaced = false)), @"damaged at octet : two objects have one name");
    insta::assert_snapshot!(forged(|state| edit(state, 'u', |object| object.parent = Some(id('q')))), @"damaged at octet : an object stands in one that is not there");
    insta::assert_snapshot!(forged(|state| edit(state, 'a', |object| object.glue = true)), @"damaged at octet : glue that holds nothing");
    insta::assert_snapshot!(forged(|state| edit(state, 'u', |object| { object.parent = None; object.set_suffix(dn("dc=corp,dc=example")); })), @"damaged at octet : a root below another");
    insta::assert_snapshot!(forged(|state| edit(state, 'g', |object| object.attributes = crate::model::Attributes::new())), @"damaged at octet : another version of dialcast saw another kind in this object");
    insta::assert_snapshot!(forged(|state| {
        let mut user = entry("g uid=x,dc=y").attributes;
        user.add("member", [b"uid=x,dc=y".to_vec()]);
        let object = std::sync::Arc::make_mut(state.tree.objects.get_mut(&id('g')).unwrap());
        (object.attributes, object.kind) = (user, Kind::User);
    }), @"damaged at octet : a membership of what is not there");
}

#[test]
fn a_reader_that_fails_is_not_damage() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    assert!(matches!(read(&mut Broken, SOURCE), Err(SavedError::Read(_))));
}
