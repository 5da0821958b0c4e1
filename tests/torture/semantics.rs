//! RFC 4475 §3.2 to §3.4: well-formed, and still a question of what to answer.

use super::Case;
use super::Layer::{Agent, Parser};
use super::Verdict::{Accept, Answer, Drop};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "badbranch",
        section: "3.2.1",
        verdict: Accept,
        layer: Parser,
        why: "the magic cookie without an identifier: such a request is matched as RFC 2543 had it",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=1\nMax-Forwards: 3\n\
            Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK\nAccept: application/sdp\nCall-ID: badbranch.1@192.0.2.10\nCSeq: 8 OPTIONS\nl: 0\n\n",
    },
    Case {
        name: "insuf",
        section: "3.3.1",
        verdict: Answer(400),
        layer: Parser,
        why: "From, To and Call-ID are missing; Via is all that an answer needs",
        text: b"INVITE sip:w@corp.example SIP/2.0\nCSeq: 19 INVITE\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKins\nContent-Type: application/sdp\nl: 5\n\nv=0\n",
    },
    Case {
        name: "unkscm",
        section: "3.3.2",
        verdict: Answer(416),
        layer: Agent,
        why: "a request URI of a scheme that nobody knows",
        text: b"OPTIONS unheardOfScheme:whatever/that=means SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=2\nMax-Forwards: 3\n\
            Call-ID: unkscm.1@192.0.2.10\nCSeq: 39 OPTIONS\nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bKus\nContent-Length: 0\n\n",
    },
    Case {
        name: "novelsc",
        section: "3.3.3",
        verdict: Answer(416),
        layer: Agent,
        why: "a request URI of a scheme that is not served",
        text: b"OPTIONS iris.beep:dreg1//192.0.2.30:3003/x SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=3\nMax-Forwards: 3\n\
            Call-ID: novelsc.1@192.0.2.10\nCSeq: 39 OPTIONS\nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bKns\nContent-Length: 0\n\n",
    },
    Case {
        name: "unksm2",
        section: "3.3.4",
        verdict: Answer(400),
        layer: Agent,
        why: "well-formed; a registrar wants a SIP URI in To",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: news:comp.dcom.telecom\nFrom: <ftp://ftp.corp.example/w>;tag=4\nCall-ID: unksm2.1@192.0.2.10\n\
            CSeq: 23 REGISTER\nMax-Forwards: 70\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKu2\nContact: <mid:1@corp.example>\nl: 0\n\n",
    },
    Case {
        name: "bext01",
        section: "3.3.5",
        verdict: Answer(420),
        layer: Agent,
        why: "required extensions that are not supported; Proxy-Require is for proxies",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=5\nMax-Forwards: 6\nCall-ID: bext01.1@192.0.2.10\n\
            Require: unheard-of, unheard-of-too\nProxy-Require: not-here, not-there\nCSeq: 8 OPTIONS\n\
            Via: SIP/2.0/TLS pbx.corp.example;branch=z9hG4bKbe\nContent-Length: 0\n\n",
    },
    Case {
        name: "invut",
        section: "3.3.6",
        verdict: Answer(415),
        layer: Agent,
        why: "a body of a type that is not read",
        text: b"INVITE sip:w@corp.example SIP/2.0\nContact: <sip:k@192.0.2.20>\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=6\nMax-Forwards: 70\n\
            Call-ID: invut.1@192.0.2.10\nCSeq: 23 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKiu\nContent-Type: application/unheard-of\n\
            Content-Length: 7\n\n<call/>",
    },
    Case {
        name: "regaut01",
        section: "3.3.7",
        verdict: Accept,
        layer: Parser,
        why: "credentials of an unknown scheme count as none: who asks for credentials challenges with 401",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:w@corp.example;tag=7\nMax-Forwards: 8\nCall-ID: regaut01.1@192.0.2.10\n\
            CSeq: 93 REGISTER\nVia: SIP/2.0/TCP 192.0.2.20;branch=z9hG4bKra\nAuthorization: UnheardOf proof=none\nContent-Length:0\n\n",
    },
    Case {
        name: "multi01",
        section: "3.3.8",
        verdict: Answer(400),
        layer: Parser,
        why: "two of what there must be one of",
        text: b"INVITE sip:w@corp.example SIP/2.0\nContact: <sip:k@192.0.2.20>\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKmu\nMax-Forwards: 70\nCSeq: 5 INVITE\n\
            Call-ID: multi01.1@192.0.2.10\nCSeq: 6 INVITE\nCall-ID: multi01.2@192.0.2.10\nFrom: sip:k@corp.example;tag=8\nTo: sip:w@corp.example\n\
            To: sip:v@corp.example\nFrom: sip:j@corp.example;tag=9\nContent-Type: application/sdp\nl: 5\nMax-Forwards: 5\n\nv=0\n",
    },
    Case {
        name: "mcl01",
        section: "3.3.9",
        verdict: Answer(400),
        layer: Parser,
        why: "two Content-Lengths; on a stream the connection is closed",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKmc\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=10\n\
            Call-ID: mcl01.1@192.0.2.10\nCSeq: 15 OPTIONS\nContent-Length: 9\nMax-Forwards: 60\nContent-Length: 4\nContent-Type: text/plain\n\n\
            How long is this?\n",
    },
    Case {
        name: "bcast",
        section: "3.3.10",
        verdict: Drop,
        layer: Agent,
        why: "a response with a second Via, here to everybody, is not ours",
        text: b"SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKb1\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb2\n\
            Call-ID: bcast.1@192.0.2.10\nCSeq: 35 INVITE\nFrom: sip:w@corp.example;tag=11\nTo: sip:k@corp.example;tag=12\nContent-Length: 5\n\
            Content-Type: application/sdp\nContact: <sip:k@192.0.2.21>\n\nv=0\n",
    },
    Case {
        name: "zeromf",
        section: "3.3.11",
        verdict: Accept,
        layer: Parser,
        why: "Max-Forwards of 0 forbids to forward, not to answer",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=13\nCall-ID: zeromf.1@192.0.2.10\n\
            CSeq: 39 OPTIONS\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKzm\nMax-Forwards: 0\nContent-Length: 0\n\n",
    },
    Case {
        name: "cparam01",
        section: "3.3.12",
        verdict: Accept,
        layer: Parser,
        why: "without <> the parameter is the field's",
        text: b"REGISTER sip:corp.example SIP/2.0\nVia: SIP/2.0/UDP pbx.corp.example:5060;branch=z9hG4bKc1\nMax-Forwards: 70\n\
            From: sip:w@corp.example;tag=14\nTo: sip:w@corp.example\nCall-ID: cparam01.1@192.0.2.10\nCSeq: 2 REGISTER\n\
            Contact: sip:+4930555@gw.corp.example;unheard-of\nl: 0\n\n",
    },
    Case {
        name: "cparam02",
        section: "3.3.13",
        verdict: Accept,
        layer: Parser,
        why: "inside <> the parameter is the URI's",
        text: b"REGISTER sip:corp.example SIP/2.0\nVia: SIP/2.0/UDP pbx.corp.example:5060;branch=z9hG4bKc2\nMax-Forwards: 70\n\
            From: sip:w@corp.example;tag=15\nTo: sip:w@corp.example\nCall-ID: cparam02.1@192.0.2.10\nCSeq: 3 REGISTER\n\
            Contact: <sip:+4930555@gw.corp.example;unheard-of>\nl: 0\n\n",
    },
    Case {
        name: "regescrt",
        section: "3.3.14",
        verdict: Accept,
        layer: Parser,
        why: "a Contact URI in <> may have header fields in it",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:w@corp.example;tag=16\nMax-Forwards: 70\nCall-ID: regescrt.1@192.0.2.10\n\
            CSeq: 14 REGISTER\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKre\nM: <sip:w@192.0.2.20?Route=%3Csip:edge.corp.example%3E>\nL:0\n\n",
    },
    Case {
        name: "sdp01",
        section: "3.3.15",
        verdict: Answer(406),
        layer: Agent,
        why: "Accept allows nothing that could be answered with",
        text: b"INVITE sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nContact: <sip:k@192.0.2.20>\nFrom: sip:k@corp.example;tag=17\nMax-Forwards: 5\n\
            Call-ID: sdp01.1@192.0.2.10\nAccept: text/unheard-of\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKsd\nContent-Length: 5\n\
            Content-Type: application/sdp\n\nv=0\n",
    },
    Case {
        name: "inv2543",
        section: "3.4.1",
        verdict: Accept,
        layer: Parser,
        why: "RFC 2543: no branch, no tag, no Max-Forwards, no Content-Length",
        text: b"INVITE sip:w@corp.example SIP/2.0\nVia: SIP/2.0/UDP gw.corp.example\nFrom: <sip:+4930555@gw.corp.example;user=phone>\n\
            Record-Route: <sip:w@corp.example;maddr=edge.corp.example>\nTo: sip:+4930777@edge.corp.example;user=phone\nCall-ID: inv2543.1@gw.corp.example\n\
            CSeq: 56 INVITE\nContent-Type: application/sdp\n\nv=0\n",
    },
];
