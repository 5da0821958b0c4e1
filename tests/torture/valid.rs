//! RFC 4475 §3.1.1: valid, and hard to read.

use super::Case;
use super::Layer::{Agent, Parser};
use super::Verdict::{Accept, Answer};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "wsinv",
        section: "3.1.1.1",
        verdict: Accept,
        layer: Parser,
        why: "folds, white space and compact forms wherever the grammar allows them",
        text: b"INVITE sip:k.weber@pbx.corp.example;unheard-of SIP/2.0\nTO :\n sip:k.weber@pbx.corp.example ;   tag    = 77aa\n\
            from   : \"K \\\\\\\"Weber\"       <sip:weber@corp.example>\n  ;\n  tag = 12ab\nmAX-fORWARDS: 0070\nCall-ID: tortuous.1@192.0.2.10\n\
            Content-Length   : 5\ncseq: 0007\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.20;branch=oldstyle\ns :\n\
            BrandNewField:   a value\n that goes on\nOddlyValuedField: ,;,;;,\nContent-Type: application/sdp\nRoute:\n <sip:edge.corp.example;lr;x=y;z>\n\
            v:  SIP  / 2.0  / TCP     hop.corp.example   ;\n  branch  =   z9hG4bKhop1  ,\n SIP  /    2.0   / UDP  192.0.2.21   ; branch=\n z9hG4bKhop2\n\
            m:\"Two \\\"quotes\\\"\" <sip:weber@192.0.2.22> ; p =\n      v ;\n  flag ; q = 0.25\n\nv=0\n",
    },
    Case {
        name: "intmeth",
        section: "3.1.1.2",
        verdict: Answer(501),
        layer: Agent,
        why: "every character that method, URI, display name, tag, branch and Call-ID may hold; only the method is unknown",
        text: b"~odd+Method.%with_`all'*of!the-Rest sip:odd_user.-!~*'()&=+$,;?/:pass&=+$,word@corp.example SIP/2.0\n\
            Via: SIP/2.0/TCP a-host.corp.example;branch=z9hG4bK!%*_+`'~.-\n\
            To: \"bell \\\x07 nul \\\x00 del \\\x7f\" <sip:odd_user.-!~*'()&=+$,;?/@corp.example>\n\
            From: to-ken.!% *_+`'~ <sip:plain@corp.example>;param.!%*_+`'~=\"\xd0\xb6\";tag=tag-.!%*_+`'~\n\
            Call-ID: odd-.!%*_+`'~()<>:\\\"/[]?{}@word\nCSeq: 2147483 ~odd+Method.%with_`all'*of!the-Rest\nMax-Forwards: 255\n\
            field-.!%*_+`'~:\xef\xbb\xbf\xe5\xa4\xa7\nContent-Length: 0\n\n",
    },
    Case {
        name: "esc01",
        section: "3.1.1.3",
        verdict: Accept,
        layer: Parser,
        why: "escapes in user, parameter and value are valid and are not undone",
        text: b"INVITE sip:sips%3Aweber%40corp.example@example.net SIP/2.0\nTo: sip:%77eber@corp.example\n\
            From: <sip:with%20space@corp.example>;tag=3\nMax-Forwards: 87\ni: esc01.1@192.0.2.10\nCSeq: 21 INVITE\n\
            Via: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKesc1\nC: application/sdp\nContact:\n  <sip:w%65ber@192.0.2.20;%6C%72;k%65y=%76%25%36%31>\n\
            Content-Length: 5\n\nv=0\n",
    },
    Case {
        name: "escnull",
        section: "3.1.1.4",
        verdict: Accept,
        layer: Parser,
        why: "an escaped null does not end a string",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: sip:a%00b@corp.example\nFrom: sip:a%00b@corp.example;tag=4\nMax-Forwards: 70\n\
            Call-ID: escnull.1@192.0.2.10\nCSeq: 3 REGISTER\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKnull\n\
            Contact: <sip:%00@192.0.2.20>\nContact: <sip:%00%00@192.0.2.20>\nL:0\n\n",
    },
    Case {
        name: "esc02",
        section: "3.1.1.5",
        verdict: Answer(501),
        layer: Agent,
        why: "% escapes nothing in a method, a field name, a display name or a branch: the method is not REGISTER",
        text: b"REG%49STE%52 sip:corp.example SIP/2.0\nTo: \"%Q%41\" <sip:w@corp.example>\nFrom: \"%Q%41\" <sip:w@corp.example>;tag=5\n\
            Call-ID: esc02.1@192.0.2.10\nVia: SIP/2.0/TCP pbx.corp.example;branch=z9hG4bK9%ze\nCSeq: 9 REG%49STE%52\nMax-Forwards: 70\n\
            Contact: <sip:one@192.0.2.20>\nC%6Fntact: <sip:two@192.0.2.20>\nContact: <sip:three@192.0.2.20>\nl: 0\n\n",
    },
    Case {
        name: "lwsdisp",
        section: "3.1.1.6",
        verdict: Accept,
        layer: Parser,
        why: "no white space between display name and <",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: weber<sip:weber@corp.example>;tag=6\nMax-Forwards: 70\n\
            Call-ID: lwsdisp.1@192.0.2.10\nCSeq: 6 OPTIONS\nVia: SIP/2.0/UDP pbx.corp.example;branch=z9hG4bKdisp\nl: 0\n\n",
    },
    Case {
        name: "longreq",
        section: "3.1.1.7",
        verdict: Accept,
        layer: Parser,
        why: "long values and 34 Vias are under every limit",
        text: b"INVITE sip:w@corp.example SIP/2.0\n\
            To: \"A name of llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll length\"\
            <sip:w@corp.example:6000;p1=vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv;\
            nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn=v>\n\
            F: sip:uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@corp.example;\
            tag=7777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777;\
            pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp=vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv;last\n\
            Call-ID: longreq.cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\n\
            CSeq: 7 INVITE\n\
            Unknown-NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN: \
            vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv; pppppppppppppppppppppp = qqqqqqqqqqqqqqq\n\
            Via: SIP/2.0/TCP h33.corp.example\nv: SIP/2.0/TCP h32.corp.example\nV: SIP/2.0/TCP h31.corp.example\nVia: SIP/2.0/TCP h30.corp.example\n\
            ViA: SIP/2.0/TCP h29.corp.example\nVIa: SIP/2.0/TCP h28.corp.example\nVIA: SIP/2.0/TCP h27.corp.example\nvia: SIP/2.0/TCP h26.corp.example\n\
            viA: SIP/2.0/TCP h25.corp.example\nvIa: SIP/2.0/TCP h24.corp.example\nvIA: SIP/2.0/TCP h23.corp.example\nV :  SIP/2.0/TCP h22.corp.example\n\
            v :  SIP/2.0/TCP h21.corp.example\nV  : SIP/2.0/TCP h20.corp.example\nv  : SIP/2.0/TCP h19.corp.example\nVia : SIP/2.0/TCP h18.corp.example\n\
            Via  : SIP/2.0/TCP h17.corp.example\nVia: SIP/2.0/TCP h16.corp.example\nVia: SIP/2.0/TCP h15.corp.example\nVia: SIP/2.0/TCP h14.corp.example\n\
            Via: SIP/2.0/TCP h13.corp.example\nVia: SIP/2.0/TCP h12.corp.example\nVia: SIP/2.0/TCP h11.corp.example\nVia: SIP/2.0/TCP h10.corp.example\n\
            Via: SIP/2.0/TCP h9.corp.example\nVia: SIP/2.0/TCP h8.corp.example\nVia: SIP/2.0/TCP h7.corp.example\nVia: SIP/2.0/TCP h6.corp.example\n\
            Via: SIP/2.0/TCP h5.corp.example\nVia: SIP/2.0/TCP h4.corp.example\nVia: SIP/2.0/TCP h3.corp.example\nVia: SIP/2.0/TCP h2.corp.example\n\
            Via: SIP/2.0/TCP h1.corp.example\n\
            Via: SIP/2.0/TCP h0.corp.example;received=192.0.2.5;branch=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\
            Max-Forwards: 70\n\
            Contact: <sip:uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@192.0.2.20>\n\
            Content-Type: application/sdp\nl: 5\n\nv=0\n",
    },
    Case {
        name: "dblreq",
        section: "3.1.1.8",
        verdict: Accept,
        layer: Parser,
        why: "octets behind the body of a datagram are discarded",
        text: b"REGISTER sip:corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:w@corp.example;tag=8\nMax-Forwards: 8\nI: dblreq.1@192.0.2.10\n\
            Contact: sip:w@192.0.2.20\nCSeq: 8 REGISTER\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKdbl1\nContent-Length: 0\n\n\n\
            INVITE sip:w@corp.example SIP/2.0\nt: sip:w@corp.example\nFrom: sip:k@corp.example;tag=9\nMax-Forwards: 8\nCall-ID: dblreq.2@192.0.2.10\n\
            CSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKdbl2\nContent-Type: application/sdp\nContent-Length: 5\n\nv=0\n",
    },
    Case {
        name: "semiuri",
        section: "3.1.1.9",
        verdict: Accept,
        layer: Parser,
        why: "a semicolon in the user part begins no parameter",
        text: b"OPTIONS sip:w;ext=4%40pbx@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: sip:k@corp.example;tag=9\nMax-Forwards: 3\n\
            Call-ID: semiuri.1@192.0.2.10\nCSeq: 8 OPTIONS\nAccept: application/sdp, application/pkcs7-mime,\n        multipart/mixed,\n        message/sip\n\
            Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKsemi\nl: 0\n\n",
    },
    Case {
        name: "transports",
        section: "3.1.1.10",
        verdict: Accept,
        layer: Parser,
        why: "a transport that nobody knows is legal in Via",
        text: b"OPTIONS sip:w@corp.example SIP/2.0\nTo: sip:w@corp.example\nFrom: <sip:k@corp.example>;tag=10\nMax-Forwards: 70\n\
            Call-ID: transports.1@192.0.2.10\nAccept: application/sdp\nCSeq: 6 OPTIONS\nVia: SIP/2.0/UDP h1.corp.example;branch=z9hG4bKt1\n\
            Via: SIP/2.0/SCTP h2.corp.example;branch=z9hG4bKt2\nVia: SIP/2.0/TLS h3.corp.example;branch=z9hG4bKt3\n\
            Via: SIP/2.0/PIGEON h4.corp.example;branch=z9hG4bKt4\nVia: SIP/2.0/TCP h5.corp.example;branch=z9hG4bKt5\nl: 0\n\n",
    },
    Case {
        name: "mpart01",
        section: "3.1.1.11",
        verdict: Accept,
        layer: Parser,
        why: "a binary body, with nulls in it, is counted and not read",
        text: b"MESSAGE sip:w@corp.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK-m-1;rport\nMax-Forwards: 70\n\
            Route: <sip:192.0.2.1:5080>\nContact: <sip:k@192.0.2.20:5070>\nTo: <sip:w@corp.example>\nFrom: <sip:k@corp.example>;tag=11\n\
            Call-ID: mpart01.1@192.0.2.10\nCSeq: 1 MESSAGE\nContent-Type: multipart/mixed;boundary=b0\nContent-Length: 102\n\n\
            --b0\nContent-Type: text/plain\n\nhi\n--b0\nContent-Type: application/octet-stream\n\n\x30\x00\x80\xff\xfe\x01\n--b0--\n",
    },
    Case {
        name: "unreason",
        section: "3.1.1.12",
        verdict: Accept,
        layer: Parser,
        why: "a reason phrase is UTF-8 and means nothing",
        text: b"SIP/2.0 200 = 10**2 * 2 \xd0\xb2\xd1\x81\xd1\x91 \xe2\x80\x94 \xd1\x85\xd0\xbe\xd1\x80\xd0\xbe\xd1\x88\xd0\xbe\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKun\n\
            Call-ID: unreason.1@192.0.2.10\nCSeq: 35 INVITE\nFrom: sip:w@corp.example;tag=12\nTo: sip:k@corp.example;tag=13\nContent-Length: 5\n\
            Content-Type: application/sdp\nContact: <sip:k@192.0.2.21>\n\nv=0\n",
    },
    Case {
        name: "noreason",
        section: "3.1.1.13",
        verdict: Accept,
        layer: Parser,
        why: "a reason phrase may be empty",
        text: b"SIP/2.0 100 \nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKno\nCall-ID: noreason.1@192.0.2.10\nCSeq: 35 INVITE\n\
            From: <sip:w@corp.example>;tag=14\nTo: <sip:k@corp.example>;tag=15\nContent-Length: 0\nContact: <sip:k@192.0.2.21>\n\n",
    },
];
