//! The command's session, with a notifier on real sockets.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;
use crate::document::Document;
use crate::document::profile::{CONTENT_TYPE, NAMESPACE};
use crate::model::Aor;
use crate::runtime::live::Feed;
use crate::runtime::notifying::{self, Command};
use crate::subscription::{AuthMode, Notifier, NotifierConfig};

/// Far more than anything here takes; a failure shows in this time.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn wait(&self, what: &str) {
        let holds = async {
            while !self.text().contains(what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, holds).await.is_ok(), "no `{what}` in {}", self.text());
    }
}

struct Daemon {
    server: ServerUri,
    commands: mpsc::Sender<Command>,
}

fn anna() -> Aor {
    "sip:anna@corp.example".parse().unwrap()
}

fn profile(expires: u32, padding: usize) -> Document {
    let padding = " ".repeat(padding);
    let body = format!(
        r#"<profile xmlns="{NAMESPACE}" aor="sip:anna@corp.example"><telephony>{padding}<sip.expires>{expires}</sip.expires></telephony></profile>"#
    );
    Document::new(CONTENT_TYPE, body.into_bytes())
}

impl Daemon {
    async fn start(transport: Transport) -> Self {
        let (net, events, address) = listen("127.0.0.1:9".parse().unwrap(), None).unwrap();
        let own = net.addresses().iter().map(|listen| (listen.transport, listen.address)).collect();
        let config = NotifierConfig { auth: AuthMode::Open, listen: own, ..NotifierConfig::default() };
        let (commands, commanded) = mpsc::channel(4);
        tokio::spawn(notifying::run(Notifier::new(config, [3; 32]), net, events, commanded, mpsc::channel(1).0, Feed::new()));
        let daemon = Self { server: ServerUri { host: address.ip().to_string(), port: address.port(), transport }, commands };
        daemon.publish(profile(600, 0)).await;
        daemon
    }

    async fn publish(&self, document: Document) {
        assert!(self.commands.send(Command::Publish(vec![(anna(), document)])).await.is_ok());
    }
}

fn args(server: &ServerUri, aor: &str, once: bool) -> SubscribeArgs {
    SubscribeArgs {
        profile_type: ProfileArg::User,
        bind: None,
        aor: aor.parse().unwrap(),
        server: server.clone(),
        expires: 600,
        once,
        accept: Vec::new(),
        user: None,
        password_file: None,
        full: false,
    }
}

/// Runs the command until it ends; `stop` interrupts it.
async fn session(args: SubscribeArgs, printed: Printed, stop: &mut mpsc::Receiver<()>) -> anyhow::Result<ExitCode> {
    let remote = resolve(&args.server).await?;
    let (net, events, listen) = listen(remote, None)?;
    let server = Target::Path(Path { transport: args.server.transport, local: listen, remote, connection: None });
    let mut config = SubscriberConfig::new(args.aor.clone(), server, listen);
    config.expires_s = if args.once { 0 } else { args.expires };
    let subscriber = Subscriber::new(config, [9; 32]);
    let session = Session::new(subscriber, Show::into(Box::new(printed), true), &args);
    tokio::time::timeout(LIMIT, session.run(net, events, stop)).await.context("in time")?
}

fn never() -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
    mpsc::channel(2)
}

#[tokio::test]
async fn fetched_once() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let daemon = Daemon::start(transport).await;
        let printed = Printed::default();
        let (_stop, mut stopped) = never();
        session(args(&daemon.server, "sip:anna@corp.example", true), printed.clone(), &mut stopped).await.unwrap();
        let text = printed.text();
        assert!(text.starts_with(r#"{"event":"document""#) && text.contains("<sip.expires>600<") && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn followed_until_interrupted() {
    let daemon = Daemon::start(Transport::Udp).await;
    let printed = Printed::default();
    let (stop, mut stopped) = never();
    let args = args(&daemon.server, "sip:anna@corp.example", false);
    let running = tokio::spawn({
        let printed = printed.clone();
        async move { session(args, printed, &mut stopped).await }
    });
    printed.wait("<sip.expires>600<").await;
    // Larger than a datagram may be: it comes over TCP, to the same port.
    daemon.publish(profile(60, 4_000)).await;
    printed.wait(r#""changes":[{"setting":"sip.expires","before":["600"],"after":["60"]}]"#).await;
    stop.send(()).await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_had_ends_with_a_remedy() {
    let daemon = Daemon::start(Transport::Tcp).await;
    let (_stop, mut stopped) = never();
    let error = session(args(&daemon.server, "sip:ben@corp.example", false), Printed::default(), &mut stopped).await.unwrap_err();
    assert!(error.to_string().starts_with("the server answered 403 Forbidden: sip:ben@corp.example has no profile at TCP"), "{error}");
    // A port that was free a moment ago.
    let (net, _, address) = listen("127.0.0.1:9".parse().unwrap(), None).unwrap();
    net.shutdown(CLOSE_MAX).await;
    let nobody = ServerUri { host: address.ip().to_string(), port: address.port(), transport: Transport::Tcp };
    let error = session(args(&nobody, "sip:anna@corp.example", false), Printed::default(), &mut stopped).await.unwrap_err();
    assert!(error.to_string().starts_with("nothing listens at TCP 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn one_port_for_both() {
    let (net, _, address) = listen("127.0.0.1:5060".parse().unwrap(), None).unwrap();
    assert_eq!(net.addresses(), [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address }));
}

#[test]
fn passwords() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let server: ServerUri = "sip:127.0.0.1".parse().unwrap();
    let mut args = args(&server, "sip:anna@corp.example", false);
    std::fs::write(&path, "sesame\n# more\n").unwrap();
    let login_of = |args: &SubscribeArgs| login(args, &path).map(|login| (login.username, login.password.expose().to_owned()));
    assert_eq!(login_of(&args).unwrap(), ("anna".to_owned(), "sesame".to_owned()));
    args.user = Some("a1".to_owned());
    assert_eq!(login_of(&args).unwrap().0, "a1");
    std::fs::write(&path, "\nsesame").unwrap();
    assert!(login_of(&args).unwrap_err().to_string().contains("is no password"));
    assert!(login(&args, &dir.path().join("none")).unwrap_err().to_string().starts_with("read the password from "));
}
