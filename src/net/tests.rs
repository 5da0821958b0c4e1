//! The sockets against plain ones of the standard library and of tokio.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);
const MESSAGE: &[u8] = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 3\r\n\r\nabc";

fn bind(mut config: NetConfig) -> (Net, Receiver<Event>) {
    config.listen.extend(["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(|text| text.parse::<Listen>().unwrap()));
    Net::bind(config).unwrap()
}

fn address(net: &Net, transport: Transport) -> std::net::SocketAddr {
    net.addresses().iter().find(|listen| listen.transport == transport).unwrap().address
}

async fn received(events: &mut Receiver<Event>) -> (Path, Vec<u8>) {
    match timeout(LIMIT, events.recv()).await.unwrap().unwrap() {
        Event::Received { path, bytes } => (path, bytes),
        Event::Failed(failure) => panic!("{failure:?}"),
    }
}

async fn failed(events: &mut Receiver<Event>) -> SendFailure {
    match timeout(LIMIT, events.recv()).await.unwrap().unwrap() {
        Event::Failed(failure) => failure,
        Event::Received { bytes, .. } => panic!("{}", String::from_utf8_lossy(&bytes)),
    }
}

fn transmit(to: Path, bytes: &[u8]) -> Transmit {
    Transmit { to: Target::Path(to), bytes: bytes.into(), ticket: None }
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(LIMIT, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

/// Waits until the peer closes.
async fn closed(stream: &mut TcpStream) {
    let mut byte = [0; 1];
    assert!(matches!(timeout(LIMIT, stream.read(&mut byte)).await.unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn datagrams_both_ways() {
    let (net, mut events) = bind(NetConfig::default());
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    phone.send_to(b"anything", address(&net, Transport::Udp)).await.unwrap();
    let (path, bytes) = received(&mut events).await;
    assert_eq!((path.remote, path.local, &*bytes), (phone.local_addr().unwrap(), address(&net, Transport::Udp), &b"anything"[..]));
    net.send(transmit(path, b"back")).await.unwrap();
    let mut buffer = [0; 10];
    let (length, from) = timeout(LIMIT, phone.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!((&buffer[..length], from), (&b"back"[..], address(&net, Transport::Udp)));
    let too_long = net.send(transmit(path, &vec![0; 70_000])).await.unwrap_err();
    assert_eq!(too_long.error, SendError::TooLong);
    assert!(net.receive_buffer().unwrap() > 0);
}

#[tokio::test]
async fn a_datagram_to_a_name() {
    let (net, mut events) = bind(NetConfig::default());
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = |host: &str| Target::Host {
        transport: Transport::Udp,
        local: address(&net, Transport::Udp),
        host: host.into(),
        port: phone.local_addr().unwrap().port(),
    };
    net.send(Transmit { to: to("localhost"), bytes: b"hello".as_slice().into(), ticket: None }).await.unwrap();
    let mut buffer = [0; 10];
    assert_eq!(timeout(LIMIT, phone.recv(&mut buffer)).await.unwrap().unwrap(), 5);
    net.send(Transmit { to: to("no.such.host.invalid"), bytes: b"hello".as_slice().into(), ticket: None }).await.unwrap();
    let failure = failed(&mut events).await;
    assert_eq!((failure.error, failure.to), (SendError::Unresolved, to("no.such.host.invalid")));
}

#[tokio::test]
async fn messages_on_a_stream() {
    let (net, mut events) = bind(NetConfig::default());
    let mut phone = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    // Two messages, cut where it hurts.
    let two = [MESSAGE, MESSAGE].concat();
    let (first, second) = two.split_at(MESSAGE.len() + 5);
    phone.write_all(first).await.unwrap();
    let (path, bytes) = received(&mut events).await;
    assert_eq!((&*bytes, path.transport, path.remote), (MESSAGE, Transport::Tcp, phone.local_addr().unwrap()));
    phone.write_all(second).await.unwrap();
    let (again, bytes) = received(&mut events).await;
    assert_eq!((&*bytes, again), (MESSAGE, path));
    net.send(transmit(path, b"answer")).await.unwrap();
    assert_eq!(read(&mut phone, 6).await, b"answer");
    phone.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut phone, 2).await, b"\r\n");
    drop(phone);
    let end = failed(&mut events).await;
    assert_eq!((end.to, end.ticket, end.error), (Target::Path(path), None, SendError::Closed));
    assert_eq!(net.send(transmit(path, b"late")).await.unwrap_err().error, SendError::Closed);
}

#[tokio::test]
async fn a_connection_is_opened_and_used_again() {
    let (net, mut events) = bind(NetConfig::default());
    let phone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to =
        Path { transport: Transport::Tcp, local: address(&net, Transport::Tcp), remote: phone.local_addr().unwrap(), connection: None };
    net.send(transmit(to, b"one")).await.unwrap();
    net.send(transmit(to, b"two")).await.unwrap();
    let (mut stream, _) = timeout(LIMIT, phone.accept()).await.unwrap().unwrap();
    assert_eq!(read(&mut stream, 6).await, b"onetwo");
    stream.write_all(MESSAGE).await.unwrap();
    let (path, _) = received(&mut events).await;
    assert_eq!((path.remote, path.connection.is_some()), (to.remote, true));
    drop(stream);
    let end = failed(&mut events).await;
    assert_eq!((end.to, end.error), (Target::Path(to), SendError::Closed));
    // The next message opens the next one.
    net.send(transmit(to, b"six")).await.unwrap();
    let (mut stream, _) = timeout(LIMIT, phone.accept()).await.unwrap().unwrap();
    assert_eq!(read(&mut stream, 3).await, b"six");
}

#[tokio::test]
async fn a_refused_connection_is_told() {
    let (net, mut events) = bind(NetConfig::default());
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let to = Path { transport: Transport::Tcp, local: address(&net, Transport::Tcp), remote: nobody, connection: None };
    net.send(transmit(to, b"one")).await.unwrap();
    let failure = failed(&mut events).await;
    assert_eq!((failure.to, failure.error), (Target::Path(to), SendError::Refused));
    let tls = Path { transport: Transport::Tls, ..to };
    assert_eq!(net.send(transmit(tls, b"one")).await.unwrap_err().error, SendError::Unsupported);
}

#[tokio::test]
async fn what_is_no_sip_closes_the_connection() {
    let (net, mut events) = bind(NetConfig::default());
    let mut scanner = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    scanner.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    closed(&mut scanner).await;
    assert_eq!(failed(&mut events).await.error, SendError::Closed);
    // A request whose end cannot be told is handed on, so that it can be answered.
    let mut phone = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    phone.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n").await.unwrap();
    let (path, bytes) = received(&mut events).await;
    assert_eq!(&*bytes, b"OPTIONS sip:x SIP/2.0\r\n\r\n");
    net.send(transmit(path, b"400")).await.unwrap();
    assert_eq!(read(&mut phone, 3).await, b"400");
    closed(&mut phone).await;
    assert_eq!(net.counters().unframed.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_silent_and_the_slow_are_closed() {
    let short = Duration::from_millis(50);
    let (net, mut events) = bind(NetConfig { idle: short, message_time_max: short, ..NetConfig::default() });
    for bytes in [&b""[..], b"OPTIONS sip:x SIP/2.0\r\n", MESSAGE] {
        let mut phone = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
        phone.write_all(bytes).await.unwrap();
        closed(&mut phone).await;
        if bytes == MESSAGE {
            received(&mut events).await;
        }
        assert_eq!(failed(&mut events).await.error, SendError::Closed);
    }
    assert_eq!(net.counters().too_slow.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[tokio::test]
async fn one_source_does_not_take_all_connections() {
    let (net, mut events) = bind(NetConfig { connections_per_source_max: 1, ..NetConfig::default() });
    let mut first = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    first.write_all(MESSAGE).await.unwrap();
    received(&mut events).await;
    let mut second = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    closed(&mut second).await;
    drop(first);
    failed(&mut events).await;
    let mut third = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    third.write_all(MESSAGE).await.unwrap();
    received(&mut events).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_gets_no_more_than_its_queue() {
    let config = NetConfig { queue_bytes_max: 64 * 1024, write_time_max: Duration::from_millis(200), ..NetConfig::default() };
    let (net, mut events) = bind(config);
    let phone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to =
        Path { transport: Transport::Tcp, local: address(&net, Transport::Tcp), remote: phone.local_addr().unwrap(), connection: None };
    net.send(transmit(to, b"first")).await.unwrap();
    let _stream = timeout(LIMIT, phone.accept()).await.unwrap().unwrap();
    let big = vec![0; 60_000];
    let busy = async {
        loop {
            if let Err(failure) = net.send(transmit(to, &big)).await {
                return failure.error;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(timeout(LIMIT, busy).await.unwrap(), SendError::Busy);
    // In the end the connection is given up, and what was queued is told.
    let mut errors = Vec::new();
    while errors.len() < 2 {
        errors.push(failed(&mut events).await.error);
    }
    assert!(errors.iter().all(|error| *error == SendError::Closed));
    assert_eq!(net.counters().too_slow.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn shutting_down_sends_what_is_queued() {
    let (net, mut events) = bind(NetConfig::default());
    let mut phone = TcpStream::connect(address(&net, Transport::Tcp)).await.unwrap();
    phone.write_all(MESSAGE).await.unwrap();
    let (path, _) = received(&mut events).await;
    let goodbye = vec![7; 100_000];
    net.send(transmit(path, &goodbye)).await.unwrap();
    let reading = tokio::spawn(async move {
        let bytes = read(&mut phone, 100_000).await;
        closed(&mut phone).await;
        bytes
    });
    // Only the time that it takes, not the limit.
    timeout(LIMIT, net.shutdown(LIMIT * 6)).await.unwrap();
    assert_eq!(reading.await.unwrap(), goodbye);
    assert!(matches!(events.recv().await, Some(Event::Failed(_))));
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_taken_address_is_a_fault_that_names_it() {
    let (net, _events) = bind(NetConfig::default());
    let listen = Listen { transport: Transport::Udp, address: address(&net, Transport::Udp) };
    let fault = Net::bind(NetConfig { listen: vec![listen], ..NetConfig::default() }).unwrap_err();
    assert_eq!(fault.to_string(), format!("cannot listen on {listen}"));
    let tls = Listen { transport: Transport::Tls, ..listen };
    assert!(matches!(Net::bind(NetConfig { listen: vec![tls], ..NetConfig::default() }), Err(NetError::Transport { .. })));
}
