//! A real 389 Directory Server, and every way in which it fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod ds389;
}

use common::ds389::{BASE, Ds389};

#[test]
fn backups() {
    let mut ds = Ds389::start(BASE);
    ds.stop();
    ds.backup();
    ds.start_again();
    let before = ds.number("lastchangenumber");
    ds.add("dn: ou=a,dc=corp,dc=example\nobjectClass: organizationalUnit\nobjectClass: dialcastPolicy\nou: a\n");
    assert_eq!(ds.number("lastchangenumber"), before + 1);
    ds.stop();
    ds.restore();
    ds.start_again();
    assert_eq!(ds.number("lastchangenumber"), before);
    assert_eq!(ds.search(Ds389::SUFFIX, "(ou=a)", &["1.1"]), "");
}
