//! A phone that measures: one UDP subscription, each NOTIFY stamped as soon as it is read. For counting, sipp is the
//! better witness; this one is for microseconds.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// One subscription of one user.
pub struct Phone {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Phone {
    /// Subscribes `user@domain`, and takes its first document.
    pub fn subscribe(server: SocketAddr, user: &str, limit: Duration) -> (Self, String) {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(limit)).unwrap();
        let own = socket.local_addr().unwrap();
        let id = own.port();
        let subscribe = format!(
            "SUBSCRIBE sip:{user} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\nFrom: <sip:{user}>;tag={id}\r\n\
             To: <sip:{user}>\r\nCall-ID: {id}@{own}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:phone@{own};transport=udp>\r\n\
             Event: ua-profile;profile-type=user\r\nAccept: application/vnd.dialcast.profile+xml\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(subscribe.as_bytes()).unwrap();
        let mut phone = Self { socket, buffer: vec![0; 65_535] };
        let (_, body) = phone.next();
        (phone, body)
    }

    /// The next NOTIFY: when it was read, and its body. It has been answered.
    pub fn next(&mut self) -> (Instant, String) {
        let (at, _, body) = self.notify();
        (at, body)
    }

    /// The same, with its number: one that was sent again has the same.
    pub fn notify(&mut self) -> (Instant, u32, String) {
        loop {
            let length = self.socket.recv(&mut self.buffer).expect("a NOTIFY in time");
            let at = Instant::now();
            let message = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            if message.starts_with("SIP/2.0 ") {
                assert!(message.starts_with("SIP/2.0 200 "), "{message}");
                continue;
            }
            let (head, body) = message.split_once("\r\n\r\n").unwrap();
            let mut answer = String::from("SIP/2.0 200 OK\r\n");
            for name in ["Via:", "From:", "To:", "Call-ID:", "CSeq:"] {
                for line in head.lines().filter(|line| line.starts_with(name)) {
                    answer += line;
                    answer += "\r\n";
                }
            }
            answer += "Content-Length: 0\r\n\r\n";
            self.socket.send(answer.as_bytes()).unwrap();
            let number = head.lines().find_map(|line| line.strip_prefix("CSeq: ")?.split(' ').next()?.parse().ok());
            return (at, number.unwrap(), body.to_owned());
        }
    }
}
