//! Messages of our own making, and a generator of more.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What phones and their servers send, with `\n` for CRLF.
pub(crate) const PHONES: &[(&str, &str)] = &[
    (
        "snom-pnp",
        "SUBSCRIBE sip:MAC%3a00135E874B49@224.0.1.75 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK-2j9x;rport\n\
        From: <sip:MAC%3a00135E874B49@224.0.1.75>;tag=3k2l\nTo: <sip:MAC%3a00135E874B49@224.0.1.75>\nCall-ID: 3c26700d@snom\nCSeq: 1 SUBSCRIBE\n\
        Max-Forwards: 70\nContact: <sip:192.0.2.31:5060;line=1>;reg-id=1\n\
        Event: ua-profile;profile-type=\"device\";vendor=\"snom\";model=\"snom320\";version=\"7.1.19\"\nExpires: 0\nAccept: application/url\n\
        Content-Length: 0\n\n",
    ),
    (
        "planet-pnp",
        "SUBSCRIBE sip:MAC=00304fa99948@224.0.1.75 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.32:5060;branch=z9hG4bK77\nFrom: <sip:MAC=00304fa99948@224.0.1.75>\n\
        To: <sip:MAC=00304fa99948@224.0.1.75>\nCall-ID: 77\nCSeq: 1 SUBSCRIBE\nContact: <sip:192.0.2.32>\n\
        Event: ua-profile;profile-type=\"device\";vendor=\"Planet\";model=\"VIP\"\nExpires: 0\nContent-Length: 0\n\n",
    ),
    (
        "audiocodes-pnp",
        "SUBSCRIBE sip:224.0.1.75:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKac1\nMax-Forwards: 70\n\
        From: <sip:192.0.2.33>;tag=1c1\nTo: <sip:224.0.1.75:5060>\nCall-ID: 1c1@192.0.2.33\nCSeq: 1 SUBSCRIBE\nContact: <sip:192.0.2.33:5060>\n\
        Event: ua-profile;profile-type=\"application\"\nExpires: 0\nAccept: application/url\nContent-Length: 0\n\n",
    ),
    (
        "linphone-subscribe",
        "SUBSCRIBE sip:anna@corp.example SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.34:41002;alias;branch=z9hG4bK.4a~q;rport\nFrom: <sip:anna@corp.example>;tag=~4xs\n\
        To: sip:anna@corp.example\nCSeq: 20 SUBSCRIBE\nCall-ID: Gq3.1\nMax-Forwards: 70\nSupported: replaces, outbound, gruu, path\n\
        Event: ua-profile;profile-type=user\nExpires: 600\nAccept: application/vnd.dialcast.profile+xml\n\
        Contact: <sip:anna@192.0.2.34:41002;transport=tcp>;+sip.instance=\"<urn:uuid:5c3336e1-8978-0077-9a0c-b3b3de90280a>\"\n\
        User-Agent: LinphoneC/5.1 (dialcast)\nContent-Length: 0\n\n",
    ),
    (
        "notify",
        "NOTIFY sip:anna@192.0.2.34:41002 SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKn1\nMax-Forwards: 70\n\
        From: <sip:anna@corp.example>;tag=d1\nTo: <sip:anna@corp.example>;tag=p1\nCall-ID: Gq3.1\nCSeq: 1 NOTIFY\nContact: <sip:192.0.2.1:5060>\n\
        Event: ua-profile;effective-by=0\nSubscription-State: active;expires=600\nContent-Type: text/plain\nContent-Length: 5\n\nhello",
    ),
    (
        "challenge",
        "SIP/2.0 401 Unauthorized\nVia: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK-2j9x;rport=5060;received=192.0.2.31\nFrom: <sip:anna@corp.example>;tag=1\n\
        To: <sip:anna@corp.example>;tag=2\nCall-ID: c1\nCSeq: 2 SUBSCRIBE\nWWW-Authenticate: Digest realm=\"corp.example\", nonce=\"a1b2\", algorithm=SHA-256, qop=\"auth\"\n\
        WWW-Authenticate: Digest realm=\"corp.example\", nonce=\"a1b2\", algorithm=MD5, qop=\"auth\"\nContent-Length: 0\n\n",
    ),
    (
        "register",
        "REGISTER sip:corp.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.35:5060;branch=z9hG4bKr1\nMax-Forwards: 70\nFrom: \"Kern; A\" <sip:kern@corp.example>;tag=r1\n\
        To: <sip:kern@corp.example>\nCall-ID: r1@192.0.2.35\nCSeq: 5 REGISTER\nContact: <sip:kern@192.0.2.35>;q=0.5;expires=60\nContact: <sip:kern@192.0.2.36>\n\
        Allow: INVITE, ACK, BYE, CANCEL, NOTIFY\nContent-Length: 0\n\n",
    ),
    (
        "ipv6",
        "SUBSCRIBE sip:anna@[2001:db8::1] SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK6\nMax-Forwards: 70\nFrom: <sip:anna@corp.example>;tag=6\n\
        To: <sip:anna@corp.example>\nCall-ID: 6@[2001:db8::9]\nCSeq: 1 SUBSCRIBE\nContact: <sip:anna@[2001:db8::9]>\nEvent: ua-profile\nContent-Length: 0\n\n",
    ),
    (
        "check-sync",
        "NOTIFY sip:101@192.0.2.40:5060 SIP/2.0\nv: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKcs\nf: <sip:pbx@192.0.2.1>;tag=cs\nt: <sip:101@192.0.2.40>\n\
        i: cs1\nCSeq: 1 NOTIFY\no: check-sync;reboot=false\nSubscription-State: terminated\nl: 0\n\n",
    ),
    (
        "tel",
        "INVITE tel:+49-30-1234;phone-context=corp.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.41;branch=z9hG4bKt\nMax-Forwards: 70\nFrom: <sip:a@corp.example>;tag=t\n\
        To: <tel:+49-30-1234>\nCall-ID: t1\nCSeq: 1 INVITE\nContact: <sip:a@192.0.2.41>\nContent-Length: 0\n\n",
    ),
];

/// What a generated message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// All that RFC 3261 allows: compact names, names in any case, folds, IPv6 references, `;` `,` `<` in quoted strings, `+sip.instance`,
    /// several addresses in one field, methods that nobody knows and URIs of other schemes.
    Full,
    /// None of these: what `rsip` reads as we do.
    #[cfg(feature = "rsip")]
    Plain,
}

fn is_full(dialect: Dialect) -> bool {
    dialect == Dialect::Full
}

fn host(dialect: Dialect) -> BoxedStrategy<String> {
    let name = "[a-z][a-z0-9-]{0,8}[a-z0-9]\\.example".boxed();
    let v4 = (1..255u8, any::<u8>()).prop_map(|(a, b)| format!("192.0.{a}.{b}")).boxed();
    if is_full(dialect) {
        prop_oneof![name, v4, select(vec!["[2001:db8::1]".to_owned(), "[::1]".to_owned()])].boxed()
    } else {
        prop_oneof![name, v4].boxed()
    }
}

fn uri(dialect: Dialect) -> BoxedStrategy<String> {
    let user = "([a-z][a-z0-9._~-]{0,8}(%3[aA][a-z0-9]{1,4})?)";
    let sip = (select(vec!["sip", "sips"]), user, host(dialect), proptest::option::of(1024..u16::MAX), select(vec!["", ";lr", ";x=y"]))
        .prop_map(|(scheme, user, host, port, params)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            format!("{scheme}:{user}@{host}{port}{params}")
        })
        .boxed();
    if is_full(dialect) { prop_oneof![4 => sip, 1 => "tel:\\+[1-9][0-9-]{1,8}[0-9]", 1 => "urn:service:[a-z]{1,8}"].boxed() } else { sip }
}

fn address(dialect: Dialect) -> BoxedStrategy<String> {
    let display = if is_full(dialect) {
        r#"("[A-Za-z;,<>@ ü]{0,8}(\\")?" ?|[A-Za-z]{1,8} [a-z]{1,4} |[a-z]{1,5})?"#
    } else {
        "(\"[A-Za-z]{1,8}\" )?"
    };
    let params =
        if is_full(dialect) { r#"(;TAG=[a-z0-9]{1,8}|;tag=[a-z0-9.~]{1,8};v="[a-z;,<>]{0,5}")?"# } else { "(;tag=[a-z0-9]{1,8})?" };
    (display, uri(dialect), params).prop_map(|(display, uri, params)| format!("{display}<{uri}>{params}")).boxed()
}

/// One message, its header fields in any order.
pub(crate) fn generated(dialect: Dialect) -> impl Strategy<Value = Vec<u8>> {
    let method = if is_full(dialect) {
        "(SUBSCRIBE|NOTIFY|INVITE|REGISTER|NOTIFYX|[A-Z%'!]{1,9})"
    } else {
        "(SUBSCRIBE|NOTIFY|INVITE|REGISTER|OPTIONS|PUBLISH)"
    };
    let transport = select(vec!["UDP", "TCP", "TLS", "WS", "WSS"]);
    let via = (transport, host(dialect), proptest::option::of(1024..u16::MAX), "[a-zA-Z0-9.~-]{0,12}").prop_map(
        |(transport, host, port, branch)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            format!("SIP/2.0/{transport} {host}{port};branch=z9hG4bK{branch}")
        },
    );
    let contacts = vec(address(dialect), 0..if is_full(dialect) { 3 } else { 2 });
    let body = vec(any::<u8>(), 0..40);
    let fixed = (method, uri(dialect), vec(via, 1..3), address(dialect), address(dialect), "[a-zA-Z0-9@.-]{1,20}", 0..1u32 << 31);
    let free =
        (contacts, vec(("X-[A-Za-z]{1,8}", "[a-zA-Z0-9;,=<>\" ü]{0,12}[a-z0-9]"), 0..4), body, any::<u64>(), 100..700u16, any::<bool>());
    (fixed, free).prop_map(move |((method, uri, vias, from, to, call_id, cseq), (contacts, extras, body, order, status, is_request))| {
        let mut fields: Vec<(String, String)> = vec![];
        fields.extend(vias.into_iter().map(|via| ("Via".to_owned(), via)));
        fields.extend([("From".to_owned(), from), ("To".to_owned(), to), ("Call-ID".to_owned(), call_id)]);
        fields.push(("CSeq".to_owned(), format!("{cseq} {method}")));
        fields.push(("Content-Length".to_owned(), body.len().to_string()));
        if is_full(dialect) && !contacts.is_empty() {
            fields.push(("Contact".to_owned(), contacts.join(",") + ";+sip.instance=\"<urn:uuid:1-2>\""));
        } else {
            fields.extend(contacts.into_iter().map(|contact| ("Contact".to_owned(), contact)));
        }
        fields.extend(extras);
        let mut dice = order;
        let mut roll = |sides: u64| {
            // A linear congruential generator: enough to vary the form by the seed that proptest shrinks.
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((dice >> 33) % sides).unwrap_or(0)
        };
        for index in (1..fields.len()).rev() {
            fields.swap(index, roll(index as u64 + 1));
        }
        let mut out = if is_request { format!("{method} {uri} SIP/2.0\r\n") } else { format!("SIP/2.0 {status} Reason Phrase\r\n") };
        for (name, value) in fields {
            let name = match (is_full(dialect), roll(4), name.as_str()) {
                (true, 0, "Via") => "v".to_owned(),
                (true, 0, "From") => "F".to_owned(),
                (true, 0, "To") => "t".to_owned(),
                (true, 0, "Call-ID") => "i".to_owned(),
                (true, 0, "Contact") => "m".to_owned(),
                (true, 0, "Content-Length") => "l".to_owned(),
                (true, 1, name) => name.to_ascii_uppercase(),
                _ => name,
            };
            let before = if is_full(dialect) { [": ", ":", " : ", ":\r\n ", ": \t"][roll(5)] } else { ": " };
            out.push_str(&name);
            out.push_str(before);
            out.push_str(&value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend(body);
        out
    })
}
