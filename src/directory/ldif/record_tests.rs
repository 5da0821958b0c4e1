//! Tests of the LDIF parser.

use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

use super::*;

fn good(source: &str) -> Vec<Record> {
    parse(source.as_bytes(), Path::new("corp.ldif")).unwrap()
}

/// The faults as `line:column problem | excerpt`.
fn bad(source: impl AsRef<[u8]>) -> String {
    let mut shown = String::new();
    for fault in parse(source.as_ref(), Path::new("corp.ldif")).unwrap_err().faults {
        writeln!(shown, "{}:{} {} | {}", fault.line, fault.column, fault.problem, fault.excerpt).unwrap();
    }
    shown
}

#[test]
fn records() {
    let records = good(
        "version: 1\n# the top\n#  folded\ndn: dc=corp,dc=example\nobjectClass: domain\ndc: corp\n\n\n\
         dn:: b3U9TcO8bmNoZW4sZGM9Y29ycCxkYz1leGFtcGxl\nchangetype: add\nobjectclass: organizationalUnit\nou: M\u{fc}nchen\n\
         ou;lang-en: Mu\n nich\ndescription:\nuserPassword: hunter2\nphoto;binary:: AAEC\nPhoto:AA\n\n\
         dn: ou=Berlin,dc=corp,dc=example\nentryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc14\nou:   Berlin",
    );
    let shown = records.iter().map(|record| {
        let values =
            record.attributes.iter().map(|(n, v)| format!(" {n}={:?}", v.iter().map(|v| String::from_utf8_lossy(v)).collect::<Vec<_>>()));
        format!("{} {} {:?}{}\n", record.line, record.dn, record.id, values.collect::<String>())
    });
    insta::assert_snapshot!(shown.collect::<String>(), @r#"
    4 dc=corp,dc=example None dc=["corp"] objectclass=["domain"]
    9 ou=München,dc=corp,dc=example None description=[""] objectclass=["organizationalUnit"] ou=["München"] ou;lang-en=["Munich"] photo=["\0\u{1}\u{2}", "AA"]
    20 ou=Berlin,dc=corp,dc=example Some(597ae2f6-16a6-1027-98f4-d28b5365dc14) ou=["Berlin"]
    "#);
}

#[test]
fn one_fault_a_record_and_all_of_them() {
    insta::assert_snapshot!(bad(
        "version: 2\ndn: dc=x\n\n\
         ou: Berlin\nobjectClass: organizationalUnit\n\n\
         dn: ou=a,dc=x\nno colon here\nc:: !!!\n\n\
         dn: ou=b,nonsense,dc=x\nou: b\n\n\
         dn: ou=c,dc=x\nou:: bad!base64\n\n\
         dn: ou=d,dc=x\njpegPhoto:< file:///etc/passwd\n\n\
         dn: ou=e,dc=x\nchangetype: modify\nreplace: ou\n-\n\n\
         dn: ou=f,dc=x\ndn: ou=g,dc=x\n\n\
         dn:\nnamingContexts: dc=x\n\n\
         dn: ou=h,dc=x\nou h: x\n\n\
         dn: ou=i,dc=x\nentryUUID: 12345\n\n\
         dn: ou=j,dc=x\n\n ou: j\n\n\
         dn:: //8=\n\n\
         dn:: bm9uc2Vuc2U=\n\n\
         dn: ou=k,dc=x\nentryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc14\nentryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc15\n\n\
         search: 2\nresult: 0 Success\n"
    ), @"
    1:10 LDIF version `2`; there is only version 1 (RFC 2849) | version: 2
    4:1 a record begins with `dn:`, and here is `ou:` | ou: Berlin
    8:1 expected `name: value` | no colon here
    11:10 bad DN: expected `type=value` (RFC 4514 §3) | dn: ou=b,nonsense,dc=x
    15:9 the value after `::` is not base64 | ou:: bad!base64
    18:10 a value from a URL (`:<`) is not read | jpegPhoto:< file:///etc/passwd
    21:1 a change record (`changetype: modify`); Dialcast reads content records | changetype: modify
    26:1 a second `dn:` in one record | dn: ou=g,dc=x
    28:1 an empty DN names no entry | dn:
    32:1 `ou h` is not an attribute name (RFC 4512 §2.5) | ou h: x
    35:12 `12345` is not a UUID | entryUUID: 12345
    39:1 a line that begins with a space continues the line before it, and there is none |  ou: j
    41:6 the value is not UTF-8 | dn:: //8=
    43:6 bad DN: expected `type=value` (RFC 4514 §3) | dn:: bm9uc2Vuc2U=
    47:1 a second entryUUID in one record | entryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc15
    49:1 a record begins with `dn:`, and here is `search:` | search: 2
    ");
}

#[test]
fn octets_that_are_not_text() {
    insta::assert_snapshot!(bad(b"dn: ou=M\xFCnchen,dc=x\n"), @"1:9 the value is not UTF-8 | dn: ou=M�nchen,dc=x");
    insta::assert_snapshot!(bad(b"dn: ou=a,dc=x\nou: a\0b\n"), @"2:6 the value is not UTF-8 | ou: a�b");
    insta::assert_snapshot!(bad(b"\xFF\xFEd\0n\0:\0"), @"0:0 is UTF-16; LDIF is ASCII or UTF-8 (RFC 2849) |");
    // In base64 any octets are good.
    assert_eq!(good("dn: ou=a,dc=x\nx:: AP8=\n")[0].attributes.values("x").first().unwrap(), b"\0\xFF");
}

#[test]
fn a_fault_in_a_folded_line_has_the_line_of_its_place() {
    insta::assert_snapshot!(bad("dn: ou=a,dc=x\nou:: QUJD\n QUJD\n QU!D\n"), @"4:4 the value after `::` is not base64 |  QU!D");
    insta::assert_snapshot!(bad("dn: ou=a,\n ou=b,\n c<d,dc=x\n"), @"3:2 bad DN: expected `type=value` (RFC 4514 §3) |  c<d,dc=x");
}

#[test]
fn secrets_are_neither_kept_nor_shown() {
    let record = &good("dn: cn=a\nuserPassword: hunter2\nunicodePwd:: aHVudGVyMg==\nSIPIdentityPassword: digest\n")[0];
    assert!(!record.attributes.has("userPassword") && !record.attributes.has("unicodePwd"));
    assert_eq!(record.attributes.text("SIPIdentityPassword"), Some("digest"));
    insta::assert_snapshot!(bad("dn: cn=a\nuserPassword:: hunter2!\n\ndn: cn=b\nSIPIdentityPassword;x:: hunter2!\n"), @"
    2:1 the value after `::` is not base64 | userpassword: ***
    5:1 the value after `::` is not base64 | sipidentitypassword: ***
    ");
}

#[test]
fn not_ldif_at_all_is_not_a_million_faults() {
    let error = parse("x\n\n".repeat(10_000).as_bytes(), Path::new("x")).unwrap_err();
    assert_eq!((error.faults.len(), &error.faults.last().unwrap().problem), (FAULTS_MAX + 1, &LdifProblem::More));
}

#[test]
fn a_report_points_at_the_place() {
    let error = parse("\n\ndn: ou=M\u{fc}nchen,nonsense,dc=x\n".as_bytes(), Path::new("corp.ldif")).unwrap_err();
    let mut shown = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).render_report(&mut shown, &error).unwrap();
    insta::assert_snapshot!(shown, @r#"
      × the LDIF has a fault: corp.ldif:3: bad DN: expected `type=value` (RFC 4514 §3)

    Error: 
      × corp.ldif:3: bad DN: expected `type=value` (RFC 4514 §3)
       ╭─[corp.ldif:3:1]
     3 │ dn: ou=München,nonsense,dc=x
       ·                ┬
       ·                ╰── here
       ╰────
      help: write TYPE=VALUE,TYPE=VALUE with a backslash before , + " < > ; and \ inside values
    "#);
}

#[test]
fn every_problem_has_a_fault_for_the_operator() {
    let fault = &parse(b"x: y\n", Path::new("corp.ldif")).unwrap_err().faults[0];
    insta::assert_snapshot!(fault.to_fault(), @"corp.ldif:1:1: a record begins with `dn:`, and here is `x:`; put `dn:` first and a blank line before each record; ldapsearch -LLL leaves out its summary");
}

proptest! {
    #[test]
    fn no_octets_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"dn: \n\r:<-#=,ou\\".to_vec())], 0..200)) {
        let _ = parse(&bytes, Path::new("x"));
    }

    #[test]
    fn names_by_the_one_above_are_the_same_names(names in prop::collection::vec("(cn|ou)=[ab\\\\,;\"+= ]{0,4}(,[ou]{1,2}=[a, ]{0,2}){0,3}", 1..10)) {
        let mut uppers = Uppers::default();
        for name in names {
            match uppers.below(&name) {
                Some(dn) => {
                    let whole: Dn = name.parse().unwrap();
                    prop_assert_eq!((dn.to_string(), dn), (whole.to_string(), whole));
                }
                // What is not that simple is read as a whole.
                None => prop_assert!(name.contains(['\\', '"', ';']) || !name.contains(',') || name.parse::<Dn>().is_err(), "{name}"),
            }
        }
    }

    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5), width in 1usize..40) {
        let mut source = String::from("dn: cn=a,dc=x\n");
        for (index, value) in values.iter().enumerate() {
            let line: Vec<char> = format!("a{index}:: {}", STANDARD.encode(value)).chars().collect();
            source.push_str(&line.chunks(width.max(2)).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("\r\n "));
            source.push_str("\r\n");
        }
        let record = &good(&source)[0];
        for (index, value) in values.iter().enumerate() {
            prop_assert_eq!(record.attributes.values(&format!("a{index}")).first().unwrap(), value.as_slice());
        }
    }
}

/// A large file is read in two halves at once: nobody sees a difference, not in the faults either.
#[test]
fn in_two_halves() {
    let record = |n: usize| format!("dn: cn={n},dc=x\nobjectClass: top\ncn: {n}\ndescription: folded\n  line\n");
    let good: String = (0..20).map(|n| record(n) + "\n").collect();
    let dos = good.replace('\n', "\r\n");
    let wrong = good.replace("cn: 3\n", "cn 3\n").replace("cn: 17\n", "cn 17\n");
    let one = record(1);
    for text in
        [good.as_str(), &dos, &wrong, &format!("version: 1\n\n{good}# the end\n"), &one, "", "\n\n\n", &format!("{one}\n\n\n\n{one}")]
    {
        let read = |halves_from| parse_from(text.as_bytes(), Path::new("a.ldif"), halves_from, &mut |_| {});
        let (whole, halves) = (read(usize::MAX), read(0));
        assert_eq!(format!("{whole:?}"), format!("{halves:?}"), "{text:?}");
    }
    let (first, second) = halves(good.as_bytes());
    assert!(first.ends_with(b"\n\n") && second.starts_with(b"dn: "), "it is two halves");
}
