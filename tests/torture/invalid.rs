//! RFC 4475 §3.1.2: invalid, and not to be stumbled over.

use super::Case;
use super::Layer::{Agent, Parser};
use super::Verdict::{Accept, Answer, Drop};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "badinv01",
        section: "3.1.2.1",
        verdict: Answer(400),
        layer: Parser,
        why: "empty parameters and elements in Via; its sent-by suffices to answer",
        text: b"INVITE sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=1\nMax-Forwards: 7\n\
            Call-ID: badinv01.1@192.0.2.10\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.20;;;,,;\nContact: \"K\" <sip:k@192.0.2.20>;;;\n\
            Content-Length: 5\nContent-Type: application/sdp\n\nv=0\n",
    },
    Case {
        name: "clerr",
        section: "3.1.2.2",
        verdict: Answer(400),
        layer: Parser,
        why: "Content-Length says more than the datagram holds",
        text: b"INVITE sip:w@corp.example SIP/2.0\nMax-Forwards: 80\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=2\n\
            Contact: <sip:k@192.0.2.20>\nCall-ID: clerr.1@192.0.2.10\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bK-c-1\n\
            Content-Type: application/sdp\nContent-Length: 8888\n\nv=0\n",
    },
    Case {
        name: "ncl",
        section: "3.1.2.3",
        verdict: Answer(400),
        layer: Parser,
        why: "a negative Content-Length; on a stream the connection is closed",
        text: b"INVITE sip:w@corp.example SIP/2.0\nMax-Forwards: 254\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=3\n\
            Call-ID: ncl.1@192.0.2.10\nCSeq: 0 INVITE\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKncl\nContact: <sip:k@192.0.2.20>\n\
            Content-Type: application/sdp\nContent-Length: -5\n\nv=0\n",
    },
    Case {
        name: "scalar02",
        section: "3.1.2.4",
        verdict: Answer(400),
        layer: Parser,
        why: "CSeq is not below 2^31; Max-Forwards and Expires alone would not have to be refused",
        text: b"REGISTER sip:corp.example SIP/2.0\nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bKsc2\nTo: <sip:w@corp.example>\n\
            From: <sip:w@corp.example>;tag=4\nCSeq: 18446744073709551617 REGISTER\nCall-ID: scalar02.1@192.0.2.10\nMax-Forwards: 256\n\
            Expires: 99999999999999999999999999999999999999\nContact: <sip:w@192.0.2.20>\n  ;expires=4294967297000\nContent-Length: 0\n\n",
    },
    Case {
        name: "scalarlg",
        section: "3.1.2.5",
        verdict: Drop,
        layer: Parser,
        why: "a response whose CSeq is not below 2^31 answers nothing that was sent",
        text: b"SIP/2.0 503 Service Unavailable\nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bKsl;received=192.0.2.20\nTo: <sip:w@corp.example>\n\
            From: <sip:k@corp.example>;tag=5\nCSeq: 18446744073709551617 OPTIONS\nCall-ID: scalarlg.1@192.0.2.10\nRetry-After: 18446744073709551617\n\
            Warning: 1812 edge \"Later\"\nContent-Length: 0\n\n",
    },
    Case {
        name: "quotbal",
        section: "3.1.2.6",
        verdict: Answer(400),
        layer: Parser,
        why: "a quote without end in To",
        text: b"INVITE sip:w@corp.example SIP/2.0\nTo: \"Weber, K. <sip:w@corp.example>\nFrom: sip:k@corp.example;tag=6\nMax-Forwards: 10\n\
            Call-ID: quotbal.1@192.0.2.10\nContact: <sip:k@192.0.2.20>\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.20:5050;branch=z9hG4bKqb\n\
            Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "ltgtruri",
        section: "3.1.2.7",
        verdict: Answer(400),
        layer: Parser,
        why: "brackets round the request URI",
        text: b"INVITE <sip:w@corp.example> SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=7\nMax-Forwards: 23\n\
            Call-ID: ltgtruri.1@192.0.2.10\nCSeq: 1 INVITE\nVia: SIP/2.0/UDP 192.0.2.20\nContact: <sip:k@192.0.2.20>\n\
            Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "lwsruri",
        section: "3.1.2.8",
        verdict: Answer(400),
        layer: Parser,
        why: "white space inside the request URI",
        text: b"INVITE sip:w@corp.example; maddr=192.0.2.9 SIP/2.0\nTo: sip:w@corp.example;tag=8\nFrom: sip:k@corp.example;tag=9\nMax-Forwards: 5\n\
            Call-ID: lwsruri.1@192.0.2.10\nCSeq: 213 INVITE\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKlr\nContact: <sip:k@192.0.2.20>\n\
            Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "lwsstart",
        section: "3.1.2.9",
        verdict: Answer(400),
        layer: Parser,
        why: "more than one space between the parts of the request line",
        text: b"INVITE  sip:w@corp.example  SIP/2.0\nMax-Forwards: 8\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=10\n\
            Call-ID: lwsstart.1@192.0.2.10\nCSeq: 18 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKls\nContact: <sip:k@192.0.2.20>\n\
            Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "trws",
        section: "3.1.2.10",
        verdict: Answer(400),
        layer: Parser,
        why: "spaces behind the request line",
        text: b"OPTIONS sip:w@corp.example SIP/2.0   \nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bKtr\nTo: <sip:w@corp.example>\n\
            From: <sip:k@corp.example>;tag=11\nCall-ID: trws.1@192.0.2.10\nAccept: application/sdp\nCSeq: 23 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n",
    },
    Case {
        name: "escruri",
        section: "3.1.2.11",
        verdict: Answer(400),
        layer: Agent,
        why: "RFC 3261 §19.1.1: a request URI has no header fields in it",
        text: b"INVITE sip:w@corp.example?Subject=hi SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=12\nMax-Forwards: 7\n\
            Contact: <sip:k@192.0.2.20>\nCall-ID: escruri.1@192.0.2.10\nCSeq: 14 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKer\n\
            Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "baddate",
        section: "3.1.2.12",
        verdict: Accept,
        layer: Parser,
        why: "Date is not GMT, and nothing here uses Date: it may be ignored",
        text: b"INVITE sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=13\nMax-Forwards: 70\n\
            Call-ID: baddate.1@192.0.2.10\nCSeq: 139 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKbd\nDate: Mon, 06 May 2024 09:00:00 CET\n\
            Contact: <sip:k@192.0.2.20>\nContent-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "regbadct",
        section: "3.1.2.13",
        verdict: Answer(400),
        layer: Agent,
        why: "RFC 3261 §20.10: a Contact URI with ? needs <>",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:w@corp.example;tag=14\nMax-Forwards: 70\n\
            Call-ID: regbadct.1@192.0.2.10\nCSeq: 1 REGISTER\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKrb\nContact: sip:w@192.0.2.20?Subject=hi\nl: 0\n\n",
    },
    Case {
        name: "badaspec",
        section: "3.1.2.14",
        verdict: Answer(400),
        layer: Parser,
        why: "spaces inside the brackets of To",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nVia: SIP/2.0/UDP pbx.corp.example:5060;branch=z9hG4bKba\nMax-Forwards: 70\n\
            From: \"Kern, A.\" <sip:k@corp.example>;tag=15\nTo: \"Weber, K.\" < sip:w@corp.example >\nCall-ID: badaspec.1@192.0.2.10\n\
            Accept: application/sdp\nCSeq: 39 OPTIONS\nl: 0\n\n",
    },
    Case {
        name: "baddn",
        section: "3.1.2.15",
        verdict: Accept,
        layer: Parser,
        why: "phones write such names without quotes; the quotes may be inferred, and From and To are no lists",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nVia:     SIP/2.0/UDP pbx.corp.example:5060;branch=z9hG4bKbn\nMax-Forwards:      70\n\
            From:    Kern, A. <sip:k@corp.example>;tag=16\nTo:      Weber, K. <sip:w@corp.example>\nCall-ID: baddn.1@192.0.2.10\n\
            Accept: application/sdp\nCSeq:    39 OPTIONS\nl: 0\n\n",
    },
    Case {
        name: "badvers",
        section: "3.1.2.16",
        verdict: Answer(505),
        layer: Parser,
        why: "a version that is not 2.0",
        text: b"OPTIONS sip:w@corp.example SIP/3.1\nVia:     SIP/3.1/UDP pbx.corp.example;branch=z9hG4bKbv\nMax-Forwards:     70\n\
            From:    A. Kern <sip:k@corp.example>;tag=17\nTo:      K. Weber <sip:w@corp.example>\nCall-ID: badvers.1@192.0.2.10\nCSeq:    1 OPTIONS\nl: 0\n\n",
    },
    Case {
        name: "mismatch01",
        section: "3.1.2.17",
        verdict: Answer(400),
        layer: Parser,
        why: "CSeq names another method than the request line",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=18\nMax-Forwards: 6\n\
            Call-ID: mismatch01.1@192.0.2.10\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKm1\nl: 0\n\n",
    },
    Case {
        name: "mismatch02",
        section: "3.1.2.18",
        verdict: Answer(501),
        layer: Parser,
        why: "CSeq names another method, and the request's own is unknown: 501 is what the RFC asks for",
        text: b"UNHEARDOF sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=19\nMax-Forwards: 6\n\
            Call-ID: mismatch02.1@192.0.2.10\nCSeq: 8 INVITE\nContact: <sip:k@192.0.2.20>\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKm2\n\
            Content-Type: application/sdp\nl: 5\n\nv=0\n",
    },
    Case {
        name: "bigcode",
        section: "3.1.2.19",
        verdict: Drop,
        layer: Parser,
        why: "a status above 699",
        text: b"SIP/2.0 4294967496 let it wrap round\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKbc\nCall-ID: bigcode.1@192.0.2.10\nCSeq: 35 INVITE\n\
            From: <sip:w@corp.example>;tag=20\nTo: <sip:k@corp.example>;tag=21\nContent-Length: 0\nContact: <sip:k@192.0.2.21>\n\n",
    },
];
