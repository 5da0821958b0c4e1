//! The notifier on real sockets, with phones of the standard library: RFC 3261 §18.1.1 as it happens.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dialcast::document::{Document, profile};
use dialcast::model::Aor;
use dialcast::net::{Event, Listen, Net, NetConfig};
use dialcast::sip::stream::{Frame, Framer};
use dialcast::sip::{Message, Request, Response, Transport};
use dialcast::subscription::{AuthMode, Notifier, NotifierConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

const LIMIT: Duration = Duration::from_secs(20);

/// What the daemon's loop does with a notifier, until it is told to change the document or to stop.
struct Daemon {
    addresses: Vec<Listen>,
    publish: mpsc::Sender<String>,
    task: tokio::task::JoinHandle<Notifier>,
}

impl Daemon {
    fn start() -> Self {
        let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(|text| text.parse().unwrap()).to_vec();
        let (net, mut events) = Net::bind(NetConfig { listen, ..NetConfig::default() }).unwrap();
        let addresses = net.addresses().to_vec();
        let config = NotifierConfig {
            auth: AuthMode::Open,
            listen: addresses.iter().map(|listen| (listen.transport, listen.address)).collect(),
            ..NotifierConfig::default()
        };
        let mut notifier = Notifier::new(config, [1; 32]);
        let aor: Aor = "sip:anna@corp.example".parse().unwrap();
        let document = |body: String| Document::new(profile::CONTENT_TYPE, body.into_bytes());
        notifier.publish(Instant::now(), &aor, document("first".to_owned()));
        let (publish, mut published) = mpsc::channel::<String>(1);
        let task = tokio::spawn(async move {
            loop {
                while let Some(transmit) = notifier.poll_transmit() {
                    if let Err(failure) = net.send(transmit).await {
                        notifier.handle_send_error(Instant::now(), &failure);
                    }
                }
                let due = notifier.poll_timeout().unwrap_or_else(|| Instant::now() + LIMIT);
                tokio::select! {
                    event = events.recv() => match event {
                        Some(Event::Received { path, bytes }) => notifier.handle_message(Instant::now(), path, &bytes),
                        Some(Event::Failed(failure)) => notifier.handle_send_error(Instant::now(), &failure),
                        None => return notifier,
                    },
                    body = published.recv() => match body {
                        Some(body) => notifier.publish(Instant::now(), &aor, document(body)),
                        None => return notifier,
                    },
                    () = sleep_until(due.into()) => notifier.handle_timeout(Instant::now()),
                }
            }
        });
        Self { addresses, publish, task }
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        self.addresses.iter().find(|listen| listen.transport == transport).unwrap().address
    }

    async fn stop(self) -> Notifier {
        drop(self.publish);
        timeout(LIMIT, self.task).await.unwrap().unwrap()
    }
}

fn subscribe(transport: Transport, contact: SocketAddr) -> Vec<u8> {
    Request::new("SUBSCRIBE", "sip:anna@corp.example")
        .via(transport, &contact.to_string(), "z9hG4bK1")
        .from("<sip:anna@corp.example>;tag=1")
        .to("<sip:anna@corp.example>")
        .call_id("1")
        .cseq(1)
        .header("Contact", &format!("<sip:anna@{contact}>"))
        .header("Event", "ua-profile;profile-type=user")
        .encode()
}

fn ok(notify: &[u8]) -> Vec<u8> {
    Response::to(&Message::parse(notify).unwrap(), 200, "").encode()
}

fn body(message: &[u8]) -> String {
    String::from_utf8(Message::parse(message).unwrap().body().to_vec()).unwrap()
}

/// The next message of a phone's socket, that is not a retransmission of the one before.
async fn datagram(phone: &UdpSocket, not: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    loop {
        let length = timeout(LIMIT, phone.recv(&mut buffer)).await.unwrap().unwrap();
        if &buffer[..length] != not {
            return buffer[..length].to_vec();
        }
    }
}

async fn message(stream: &mut TcpStream, framer: &mut Framer) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    loop {
        if let Some(Frame::Message(bytes)) = framer.next().unwrap() {
            return bytes.to_vec();
        }
        let length = timeout(LIMIT, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(length > 0, "the connection is open");
        framer.push(&buffer[..length]);
    }
}

/// A phone subscribes over UDP and confirms the first document. Gives what it got last.
async fn subscribed(daemon: &Daemon, phone: &UdpSocket) -> Vec<u8> {
    phone.connect(daemon.address(Transport::Udp)).await.unwrap();
    phone.send(&subscribe(Transport::Udp, phone.local_addr().unwrap())).await.unwrap();
    let answer = datagram(phone, b"").await;
    assert_eq!(Message::parse(&answer).unwrap().status(), Some(200));
    let notify = datagram(phone, &answer).await;
    assert_eq!(body(&notify), "first");
    phone.send(&ok(&notify)).await.unwrap();
    notify
}

#[tokio::test]
async fn a_large_notify_goes_over_a_stream_to_the_contact() {
    let daemon = Daemon::start();
    // A phone that listens on both at one port.
    let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let phone = UdpSocket::bind(streams.local_addr().unwrap()).await.unwrap();
    subscribed(&daemon, &phone).await;
    let large = "x".repeat(3000);
    daemon.publish.send(large.clone()).await.unwrap();
    let (mut stream, _) = timeout(LIMIT, streams.accept()).await.unwrap().unwrap();
    let mut framer = Framer::new();
    let notify = message(&mut stream, &mut framer).await;
    assert_eq!(body(&notify), large);
    let via = Message::parse(&notify).unwrap().via().unwrap();
    assert_eq!((via.transport, via.port), ("TCP", Some(daemon.address(Transport::Tcp).port())));
    stream.write_all(&ok(&notify)).await.unwrap();
    // The next one takes the same connection.
    daemon.publish.send(large.clone() + "2").await.unwrap();
    let notify = message(&mut stream, &mut framer).await;
    assert_eq!(body(&notify), large + "2");
    stream.write_all(&ok(&notify)).await.unwrap();
    let notifier = daemon.stop().await;
    assert_eq!((notifier.counters().notified, notifier.counters().rerouted), (3, 0));
}

#[tokio::test]
async fn and_as_a_datagram_where_the_stream_is_refused() {
    let daemon = Daemon::start();
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let first = subscribed(&daemon, &phone).await;
    let large = "x".repeat(3000);
    daemon.publish.send(large.clone()).await.unwrap();
    let notify = datagram(&phone, &first).await;
    assert_eq!(body(&notify), large);
    phone.send(&ok(&notify)).await.unwrap();
    // It is remembered.
    daemon.publish.send(large.clone() + "2").await.unwrap();
    let notify = datagram(&phone, &notify).await;
    assert_eq!(body(&notify), large + "2");
    phone.send(&ok(&notify)).await.unwrap();
    let notifier = daemon.stop().await;
    assert_eq!((notifier.counters().notified, notifier.counters().rerouted), (4, 1));
}

#[tokio::test]
async fn and_where_the_stream_is_reset() {
    let daemon = Daemon::start();
    let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let phone = UdpSocket::bind(streams.local_addr().unwrap()).await.unwrap();
    let first = subscribed(&daemon, &phone).await;
    let large = "x".repeat(3000);
    daemon.publish.send(large.clone()).await.unwrap();
    let (mut stream, _) = timeout(LIMIT, streams.accept()).await.unwrap().unwrap();
    let notify = message(&mut stream, &mut Framer::new()).await;
    assert_eq!(body(&notify), large);
    drop(stream);
    let again = datagram(&phone, &first).await;
    assert_eq!(body(&again), large);
    let cseq = |bytes: &[u8]| Message::parse(bytes).unwrap().cseq().unwrap().0;
    assert_eq!((cseq(&notify), cseq(&again)), (2, 3));
    phone.send(&ok(&again)).await.unwrap();
    assert_eq!(daemon.stop().await.counters().rerouted, 1);
}

#[tokio::test]
async fn a_phone_on_a_stream_is_served_on_it_and_found_again_when_it_is_gone() {
    let daemon = Daemon::start();
    let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(daemon.address(Transport::Tcp)).await.unwrap();
    stream.write_all(&subscribe(Transport::Tcp, streams.local_addr().unwrap())).await.unwrap();
    let mut framer = Framer::new();
    let answer = message(&mut stream, &mut framer).await;
    assert_eq!(Message::parse(&answer).unwrap().status(), Some(200));
    let notify = message(&mut stream, &mut framer).await;
    stream.write_all(&ok(&notify)).await.unwrap();
    daemon.publish.send("second".to_owned()).await.unwrap();
    let notify = message(&mut stream, &mut framer).await;
    assert_eq!(body(&notify), "second");
    // It goes away without an answer, and is called at its Contact.
    drop(stream);
    let (mut stream, _) = timeout(LIMIT, streams.accept()).await.unwrap().unwrap();
    let notify = message(&mut stream, &mut Framer::new()).await;
    assert_eq!(body(&notify), "second");
    stream.write_all(&ok(&notify)).await.unwrap();
    daemon.stop().await;
}
