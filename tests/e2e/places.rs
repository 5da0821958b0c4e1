//! The same user at different addresses: sites and subnets on slapd, phones on addresses of the loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::common::daemon::{Daemon, Serve, ask, json};
use crate::common::document::{servers, value};
use crate::common::organisation::unit;
use crate::common::slapd::{BASE, Slapd};
use crate::common::{PATIENCE, shared, until};

pub(super) const NETWORK: &str = "ou=Network,dc=corp,dc=example";

/// Two sites. The lab is a part of Berlin's network; whoever is in none of them is nowhere.
pub(super) fn directory() -> String {
    let site = |name: &str, lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("dialcastSetting: {line}\n")).collect::<Vec<_>>().concat();
        format!("\ndn: cn={name},{NETWORK}\nobjectClass: dialcastSite\nobjectClass: dialcastPolicy\ncn: {name}\n{lines}")
    };
    let mut ldif = BASE.replace("objectClass: dcObject\no: Corp", "objectClass: dcObject\nobjectClass: dialcastPolicy\no: Corp").replace(
        "dc: corp\n",
        "dc: corp\ndialcastSetting: sip.registrar = 10 0 sips:reg.corp.example\ndialcastSetting: net.stun = 10 0 stun:stun.corp.example\n\
         dialcastSetting: media.rtp-ports = 20000-20000\ndialcastSetting: language = de\n",
    );
    ldif += &unit(NETWORK, &[]);
    ldif += &site(
        "Berlin",
        &["net.stun = 10 0 stun:ber.corp.example", "emergency.location = civic:country=DE;A1=Berlin", "ntp = ntp.ber.corp.example"],
    );
    ldif += &site("Rome", &["net.stun = 10 0 stun:rome.corp.example", "emergency.location = civic:country=IT;A1=Rome"]);
    ldif += &subnet("berlin-lan", &["127.0.2.0/24"], Some("Berlin"), &[]);
    ldif += &subnet("berlin-lab", &["127.0.2.128/25"], Some("Berlin"), &["media.max-bandwidth = 512"]);
    ldif += &subnet("rome-lan", &["127.0.3.0/24", "::1/128"], Some("Rome"), &[]);
    ldif += &unit("ou=People,dc=corp,dc=example", &[]);
    for uid in ["anna", "ben"] {
        let _ = write!(
            ldif,
            "\ndn: uid={uid},ou=People,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {uid}@corp.example\n"
        );
    }
    ldif += "\ndn: cn=desk phone,ou=People,dc=corp,dc=example\nobjectClass: device\nobjectClass: ieee802Device\nobjectClass: dialcastPolicy\ncn: desk phone\n\
             macAddress: 00:15:65:f4:f9:e1\ndialcastSetting: firmware.version = 2.0\n";
    ldif
}

pub(super) fn subnet(name: &str, prefixes: &[&str], site: Option<&str>, lines: &[&str]) -> String {
    let prefixes: String = prefixes.iter().map(|prefix| format!("dialcastSubnetPrefix: {prefix}\n")).collect::<Vec<_>>().concat();
    let site = site.map(|site| format!("dialcastSiteDN: cn={site},{NETWORK}\n")).unwrap_or_default();
    let policy = if lines.is_empty() { "" } else { "objectClass: dialcastPolicy\n" };
    let lines: String = lines.iter().map(|line| format!("dialcastSetting: {line}\n")).collect::<Vec<_>>().concat();
    format!("\ndn: cn={name},{NETWORK}\nobjectClass: dialcastSubnet\n{policy}cn: {name}\n{prefixes}{site}{lines}")
}

/// A phone at an address.
struct Handset {
    socket: UdpSocket,
    number: u32,
    /// What it was sent last.
    body: String,
}

impl Handset {
    /// Subscribes and takes the first document.
    fn subscribe(server: SocketAddr, from: IpAddr, number: u32, uri: &str, sender: &str, profile: &str) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut phone = Self { socket, number, body: String::new() };
        phone.send(uri, sender, profile);
        phone.next();
        phone
    }

    fn send(&self, uri: &str, sender: &str, profile: &str) {
        let (own, number) = (self.socket.local_addr().unwrap(), self.number);
        let subscribe = format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number}-{port}\r\nMax-Forwards: 70\r\nFrom: <{sender}>;tag={number}\r\n\
             To: <{uri}>\r\nCall-ID: {number}@{own}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:phone@{own};transport=udp>\r\n\
             Event: ua-profile;profile-type={profile}\r\nAccept: application/vnd.dialcast.profile+xml\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
            port = own.port(),
        );
        self.socket.send(subscribe.as_bytes()).unwrap();
    }

    /// The next NOTIFY with something in it; it has been answered.
    fn next(&mut self) -> &str {
        let mut buffer = vec![0; 65_535];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("phone {}: no NOTIFY in time: {error}", self.number));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with("SIP/2.0 ") {
                assert!(message.starts_with("SIP/2.0 200 "), "{message}");
                continue;
            }
            let (head, body) = message.split_once("\r\n\r\n").unwrap();
            let copied: String = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
                .iter()
                .flat_map(|name| head.lines().filter(move |line| line.starts_with(name)))
                .map(|line| format!("{line}\r\n"))
                .collect::<Vec<_>>()
                .concat();
            self.socket.send(format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n").as_bytes()).unwrap();
            assert!(head.contains("Subscription-State: active"), "{head}");
            assert!(!body.is_empty(), "phone {}: the document was not there in time", self.number);
            body.clone_into(&mut self.body);
            return &self.body;
        }
    }
}

/// STUN server, emergency location, bandwidth: what a phone needs of where it is.
fn place(body: &str) -> String {
    let location = body.split("<A1>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("-");
    let bandwidth = value(body, "media.max-bandwidth").unwrap_or_default();
    format!("{} {location} {bandwidth}", servers(body, "net.stun").join(","))
}

pub(super) struct World {
    pub(super) slapd: Slapd,
    pub(super) daemon: Daemon,
    phones: BTreeMap<&'static str, Handset>,
    /// Where it listens with IPv6.
    v6: SocketAddr,
    fences: u32,
}

impl World {
    /// The directory, a daemon with this configuration, and phones.
    pub(super) fn start(directory: &str, config: &str) -> Self {
        let slapd = Slapd::start(directory);
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()));
        let daemon = Serve::on(slapd.url()).config(config).listen(&format!("udp:{v6}")).start();
        let mut world = Self { slapd, daemon, phones: BTreeMap::new(), v6, fences: 0 };
        let (anna, ben, network) = ("sip:anna@corp.example", "sip:ben@corp.example", "sip:_sipuaconfig.corp.example");
        world.subscribe("anna in Berlin", "127.0.2.1", anna, "user");
        world.subscribe("anna in the lab", "127.0.2.129", anna, "user");
        world.subscribe("anna in Rome", "127.0.3.1", anna, "user");
        world.subscribe("anna in Rome by IPv6", "::1", anna, "user");
        world.subscribe("ben in Berlin", "127.0.2.2", ben, "user");
        world.subscribe("ben elsewhere", "127.0.9.1", ben, "user");
        world.subscribe("the network in Berlin", "127.0.2.3", network, "local-network");
        world.subscribe("the network elsewhere", "127.0.9.2", network, "local-network");
        world.subscribe("the desk phone in Berlin", "127.0.2.4", "sip:MAC%3a001565F4F9E1@corp.example", "device");
        world
    }

    /// One phone more.
    pub(super) fn subscribe(&mut self, name: &'static str, from: &str, uri: &str, profile: &str) {
        let number = u32::try_from(self.phones.len()).unwrap() + 1;
        let from: IpAddr = from.parse().unwrap();
        let server = if from.is_ipv4() { self.daemon.address } else { self.v6 };
        let sender = if profile == "user" { uri } else { "sip:anonymous@corp.example" };
        self.phones.insert(name, Handset::subscribe(server, from, number, uri, sender, profile));
    }

    fn body(&self, phone: &str) -> &str {
        &self.phones[phone].body
    }

    /// Where phones are, by what they have.
    fn places(&self) -> String {
        self.phones.iter().map(|(name, phone)| format!("{name}: {}\n", place(&phone.body))).collect::<Vec<_>>().concat()
    }

    /// Makes a change, and asserts that exactly these phones are told, once. That the others are not is known without waiting: a second
    /// change concerns everybody, and is the first thing that they get. Gives what they were told.
    pub(super) fn exactly(&mut self, what: &str, expected: &[&'static str], change: impl FnOnce(&Slapd)) -> BTreeMap<&'static str, String> {
        change(&self.slapd);
        let mut told = BTreeMap::new();
        for name in expected {
            let phone = self.phones.get_mut(name).unwrap_or_else(|| panic!("no phone {name}"));
            let before = phone.body.clone();
            assert_ne!(phone.next(), before, "{what}: {name} was told what it had");
            told.insert(*name, phone.body.clone());
        }
        self.fences += 1;
        let (old, new) = (self.fences - 1, self.fences);
        self.slapd.modify(&format!(
            "dn: dc=corp,dc=example\nchangetype: modify\ndelete: dialcastSetting\ndialcastSetting: media.rtp-ports = {p}-{p}\n\
             dialcastSetting: language = {l}\n-\nadd: dialcastSetting\ndialcastSetting: media.rtp-ports = {q}-{q}\ndialcastSetting: language = {m}\n",
            p = 20_000 + old,
            q = 20_000 + new,
            l = language(old),
            m = language(new),
        ));
        for (name, phone) in &mut self.phones {
            let before = place(&phone.body);
            let body = phone.next();
            let fence = value(body, "media.rtp-ports").or_else(|| value(body, "language")).unwrap();
            let expect = if body.contains("type=\"device\"") { language(new).to_owned() } else { format!("{q}-{q}", q = 20_000 + new) };
            assert_eq!(fence, expect, "{what}: {name} was told something else than it should be");
            assert_eq!(place(body), before, "{what}: {name} was told by the next change only");
        }
        told
    }
}

/// Another one each time.
fn language(n: u32) -> &'static str {
    ["de", "en", "it", "fr", "es", "pt", "nl", "pl", "da", "sv", "fi", "cs"][usize::try_from(n).unwrap()]
}

#[test]
fn a_phone_gets_what_belongs_to_where_it_is() {
    let _shared = shared();
    let mut world = World::start(&directory(), "");
    insta::assert_snapshot!(world.places(), @r"
    anna in Berlin: stun:ber.corp.example Berlin 0
    anna in Rome: stun:rome.corp.example Rome 0
    anna in Rome by IPv6: stun:rome.corp.example Rome 0
    anna in the lab: stun:ber.corp.example Berlin 512
    ben elsewhere: stun:stun.corp.example - 0
    ben in Berlin: stun:ber.corp.example Berlin 0
    the desk phone in Berlin:  - 
    the network elsewhere: stun:stun.corp.example - 0
    the network in Berlin: stun:ber.corp.example Berlin 0
    ");
    let network = world.body("the network in Berlin");
    assert!(
        network.contains(" type=\"local-network\">") && !network.contains("sip:anna") && !network.contains("sip.registrar"),
        "{network}"
    );
    let device = world.body("the desk phone in Berlin");
    assert!(device.contains(" type=\"device\">") && device.contains("ntp.ber.corp.example") && !device.contains("net.stun"), "{device}");
    assert_eq!(value(device, "firmware.version").as_deref(), Some("2.0"));

    let policy = |dn: &str, delete: &str, add: &str| {
        let delete = if delete.is_empty() { String::new() } else { format!("delete: dialcastSetting\ndialcastSetting: {delete}\n-\n") };
        format!("dn: {dn}\nchangetype: modify\n{delete}add: dialcastSetting\ndialcastSetting: {add}\n")
    };
    let berlin = format!("cn=Berlin,{NETWORK}");
    world.exactly("a policy of a site", &["anna in Berlin", "anna in the lab", "ben in Berlin", "the network in Berlin"], |slapd| {
        slapd.modify(&policy(&berlin, "net.stun = 10 0 stun:ber.corp.example", "net.stun = 10 0 stun:ber2.corp.example"));
    });
    world.exactly("a policy of a subnet", &["anna in the lab"], |slapd| {
        slapd.modify(&policy(&format!("cn=berlin-lab,{NETWORK}"), "media.max-bandwidth = 512", "media.max-bandwidth = 256"));
    });
    world.exactly(
        "a setting of the site that is none of the network's",
        &["anna in Berlin", "anna in the lab", "ben in Berlin", "the desk phone in Berlin"],
        |slapd| {
            slapd.modify(&policy(&berlin, "ntp = ntp.ber.corp.example", "ntp = ntp2.ber.corp.example"));
        },
    );
    world.exactly(
        "a subnet moves to another site",
        &["anna in Berlin", "ben in Berlin", "the network in Berlin", "the desk phone in Berlin"],
        |slapd| {
            slapd.modify(&format!(
                "dn: cn=berlin-lan,{NETWORK}\nchangetype: modify\nreplace: dialcastSiteDN\ndialcastSiteDN: cn=Rome,{NETWORK}\n"
            ));
        },
    );
    assert_eq!(place(world.body("anna in Berlin")), place(world.body("anna in Rome")));
    assert_eq!(place(world.body("anna in the lab")), "stun:ber2.corp.example Berlin 256", "its own subnet stays");
    world.exactly("a subnet that is new", &["ben elsewhere", "the network elsewhere"], |slapd| {
        slapd.add(&subnet("somewhere", &["127.0.9.0/24"], Some("Berlin"), &[]));
    });
    world.exactly("a subnet that is gone", &["anna in the lab"], |slapd| slapd.delete(&format!("cn=berlin-lab,{NETWORK}")));
    assert_eq!(place(world.body("anna in the lab")), "stun:rome.corp.example Rome 0", "the shorter prefix is left");
    world.exactly("a prefix that is another", &["anna in Rome by IPv6"], |slapd| {
        slapd.modify(&format!(
            "dn: cn=rome-lan,{NETWORK}\nchangetype: modify\ndelete: dialcastSubnetPrefix\ndialcastSubnetPrefix: ::1/128\n"
        ));
    });
    assert_eq!(place(world.body("anna in Rome by IPv6")), "stun:stun.corp.example - 0");
    // Rome is the only site that is left: whoever is in no subnet is there, and the subnet of the other is in none.
    world.exactly("the only site", &["anna in Rome by IPv6", "ben elsewhere", "the network elsewhere"], |slapd| {
        slapd.delete(&berlin);
    });
    assert_eq!(place(world.body("anna in Rome by IPv6")), "stun:rome.corp.example Rome 0");
    assert_eq!(place(world.body("ben elsewhere")), "stun:stun.corp.example - 0");
    // A user's own change goes to the user's phones, wherever they are.
    world.exactly("a user's number", &["anna in Berlin", "anna in the lab", "anna in Rome", "anna in Rome by IPv6"], |slapd| {
        slapd.modify("dn: uid=anna,ou=People,dc=corp,dc=example\nchangetype: modify\nadd: telephoneNumber\ntelephoneNumber: +49 30 1\n");
    });
    world.exactly("a device's firmware", &["the desk phone in Berlin"], |slapd| {
        slapd.modify(&policy("cn=desk phone,ou=People,dc=corp,dc=example", "firmware.version = 2.0", "firmware.version = 2.1"));
    });
    let World { slapd, daemon, .. } = world;
    commands(&slapd, &daemon);
    daemon.stop();
}

/// What an admin asks, and a phone by hand.
fn commands(slapd: &Slapd, daemon: &Daemon) {
    let url = slapd.url();
    let explained = json(&ask(&["explain", "anna", "net.stun", "--address", "127.0.3.1", "--directory", &url, "--json"]));
    assert_eq!(explained["place"]["prefix"], "127.0.3.0/24", "{explained}");
    assert_eq!(explained["place"]["site"]["dn"], format!("cn=Rome,{NETWORK}"), "{explained}");
    assert_eq!(explained["settings"][0]["values"][0]["value"], "10 0 stun:rome.corp.example", "{explained}");
    // A farewell is for all phones of a user, wherever they are: no place has another.
    let planned = json(&ask(&["plan", "delete", "uid=ben,ou=People,dc=corp,dc=example", "--directory", &url, "--json"]));
    assert_eq!((&planned["users"][0]["effect"], &planned["places"]), (&"gone".into(), &serde_json::json!([])), "{planned}");
    let checked = json(&ask(&["check", "--directory", &url, "--json"]));
    let codes: BTreeSet<&str> = checked["faults"].as_array().unwrap().iter().filter_map(|fault| fault["code"].as_str()).collect();
    assert!(codes.contains("network.site"), "{checked}");

    let server = format!("sip:{}", daemon.address);
    let fetch = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["subscribe", "--server", &server, "--once", "--json"].iter().chain(arguments).copied().collect();
        until("a document", PATIENCE, || {
            let output = ask(&arguments);
            let line =
                String::from_utf8_lossy(&output.stdout).lines().find(|line| line.contains("\"event\":\"document\"")).map(str::to_owned);
            line.and_then(|line| serde_json::from_str::<serde_json::Value>(&line).ok()?["document"].as_str().map(str::to_owned))
        })
    };
    let network = fetch(&["sip:anna@corp.example", "--profile-type", "local-network", "--bind", "127.0.3.7"]);
    assert_eq!(place(&network), "stun:rome.corp.example Rome 0");
    let device = fetch(&["sip:MAC%3a001565F4F9E1@corp.example", "--profile-type", "device"]);
    assert_eq!(value(&device, "firmware.version").as_deref(), Some("2.1"));
    let user = fetch(&["sip:anna@corp.example", "--bind", "127.0.3.7"]);
    assert_eq!(place(&user), "stun:rome.corp.example Rome 0");
}
