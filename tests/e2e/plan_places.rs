//! What `dialcast plan` predicts for sites, subnets, local networks and devices is what is then pushed: to exactly the phones that it
//! counts, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::daemon::{Daemon, ask, json, text};
use crate::common::organisation::unit;
use crate::common::shared;
use crate::places::{NETWORK, World, directory, subnet};

/// Whose profile, and the name of the place; none: where no site or subnet makes a difference.
type Key = (String, Option<String>);

/// A prediction: how many phones of each, and the document's file.
struct Prediction {
    code: Option<i32>,
    all: Value,
    marked: BTreeMap<Key, (u64, Option<String>)>,
    documents: TempDir,
}

fn whose(item: &Value) -> String {
    let name = |key: &str| item[key].as_str().map(str::to_owned);
    name("aor").or_else(|| name("device")).or_else(|| name("profile")).unwrap()
}

fn plan(config: &Path, arguments: &[&str]) -> Prediction {
    let documents = TempDir::new().unwrap();
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--json", "--config", config.to_str().unwrap(), "--documents", documents.path().to_str().unwrap()]);
    let output = ask(&all);
    let all = json(&output);
    let mut marked = BTreeMap::new();
    let mut mark = |item: &Value, place: Option<&str>| {
        let phones = item["phones"].as_u64().unwrap_or_else(|| panic!("{all}"));
        if phones > 0 {
            marked.insert((whose(item), place.map(str::to_owned)), (phones, item["file"].as_str().map(str::to_owned)));
        }
    };
    for item in all["users"].as_array().unwrap().iter().chain(all["devices"].as_array().unwrap()) {
        mark(item, None);
    }
    for place in all["places"].as_array().unwrap() {
        for item in place["predictions"].as_array().unwrap() {
            mark(item, place["name"].as_str());
        }
    }
    Prediction { code: output.status.code(), all, marked, documents }
}

/// Two more OUs, a policy that is an entry below a site, and a user who moves.
fn larger() -> String {
    let people = "ou=People,dc=corp,dc=example";
    let mut ldif = directory();
    ldif += &unit(&format!("ou=Staff,{people}"), &[]);
    ldif += &unit(&format!("ou=Lisbon,{people}"), &["video.enabled = false"]);
    for uid in ["carl", "dora"] {
        ldif += &format!(
            "\ndn: uid={uid},ou=Staff,{people}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {uid}@corp.example\n"
        );
    }
    ldif += &format!(
        "\ndn: cn=policy,cn=Rome,{NETWORK}\nobjectClass: applicationProcess\nobjectClass: dialcastPolicy\ncn: policy\n\
         dialcastSetting: media.max-bandwidth = 300\n"
    );
    ldif
}

struct Case {
    what: &'static str,
    change: String,
    /// The phone, whose profile it has, and where it is then.
    expected: Vec<(&'static str, &'static str, Option<&'static str>)>,
}

fn cases() -> Vec<Case> {
    let (anna, ben, carl) = ("sip:anna@corp.example", "sip:ben@corp.example", "sip:carl@corp.example");
    let desk = "mac:001565f4f9e1";
    let swap = |dn: &str, from: &str, to: &str| {
        format!(
            "dn: {dn}\nchangetype: modify\ndelete: dialcastSetting\ndialcastSetting: {from}\n-\nadd: dialcastSetting\ndialcastSetting: {to}\n"
        )
    };
    let (berlin, lab, rome) = (Some("site Berlin"), Some("site Berlin, subnet berlin-lab"), Some("site Rome"));
    let moved = Some("site Berlin → site Rome");
    vec![
        Case {
            what: "a policy of a site",
            change: swap(
                &format!("cn=Berlin,{NETWORK}"),
                "net.stun = 10 0 stun:ber.corp.example",
                "net.stun = 10 0 stun:ber2.corp.example",
            ),
            expected: vec![
                ("anna in Berlin", anna, berlin),
                ("anna in the lab", anna, lab),
                ("ben in Berlin", ben, berlin),
                ("carl in Berlin", carl, berlin),
                ("the network in Berlin", "local-network", berlin),
            ],
        },
        Case {
            what: "a policy entry below a site, which leaves the addresses where they are",
            change: swap(&format!("cn=policy,cn=Rome,{NETWORK}"), "media.max-bandwidth = 300", "media.max-bandwidth = 400"),
            expected: vec![("anna in Rome", anna, rome), ("anna in Rome by IPv6", anna, rome)],
        },
        Case {
            what: "a subnet moves to another site",
            change: format!(
                "dn: cn=berlin-lan,{NETWORK}\nchangetype: modify\nreplace: dialcastSiteDN\ndialcastSiteDN: cn=Rome,{NETWORK}\n"
            ),
            expected: vec![
                ("anna in Berlin", anna, moved),
                ("ben in Berlin", ben, moved),
                ("carl in Berlin", carl, moved),
                ("the network in Berlin", "local-network", moved),
                ("the desk phone in Berlin", desk, moved),
            ],
        },
        Case {
            what: "an OU moves",
            change: "dn: ou=Staff,ou=People,dc=corp,dc=example\nchangetype: modrdn\nnewrdn: ou=Staff\ndeleteoldrdn: 1\n\
                     newsuperior: ou=Lisbon,ou=People,dc=corp,dc=example\n"
                .to_owned(),
            expected: vec![("carl in Berlin", carl, rome), ("carl elsewhere", carl, None)],
        },
        Case {
            what: "a subnet goes, and its addresses are elsewhere",
            change: format!("dn: cn=berlin-lan,{NETWORK}\nchangetype: delete\n"),
            expected: vec![
                ("anna in Berlin", anna, Some("site Rome → elsewhere")),
                ("ben in Berlin", ben, Some("site Rome → elsewhere")),
                ("carl in Berlin", carl, Some("site Rome → elsewhere")),
                ("the network in Berlin", "local-network", Some("site Rome → elsewhere")),
            ],
        },
        Case {
            what: "a subnet that is new",
            change: subnet("again", &["127.0.2.0/25", "127.0.9.0/24"], Some("Berlin"), &[]).replacen(
                "\nobjectClass",
                "\nchangetype: add\nobjectClass",
                1,
            ),
            expected: vec![
                ("anna in Berlin", anna, Some("elsewhere → site Berlin")),
                ("ben in Berlin", ben, Some("elsewhere → site Berlin")),
                ("ben elsewhere", ben, Some("elsewhere → site Berlin")),
                ("carl in Berlin", carl, Some("elsewhere → site Berlin")),
                ("carl elsewhere", carl, Some("elsewhere → site Berlin")),
                ("the network in Berlin", "local-network", Some("elsewhere → site Berlin")),
                ("the network elsewhere", "local-network", Some("elsewhere → site Berlin")),
                ("the desk phone in Berlin", desk, Some("elsewhere → site Berlin")),
            ],
        },
        Case {
            what: "a device's firmware",
            change: swap("cn=desk phone,ou=People,dc=corp,dc=example", "firmware.version = 2.0", "firmware.version = 2.1"),
            expected: vec![("the desk phone in Berlin", desk, berlin)],
        },
    ]
}

#[test]
fn what_is_predicted_for_places_is_what_is_pushed() {
    let _shared = shared();
    let dir = TempDir::new().unwrap();
    let control = format!("control = \"{}\"\n", dir.path().join("control.sock").display());
    let mut world = World::start(&larger(), &control);
    world.subscribe("carl in Berlin", "127.0.2.5", "sip:carl@corp.example", "user");
    world.subscribe("carl elsewhere", "127.0.9.5", "sip:carl@corp.example", "user");
    let config = dir.path().join("plan.toml");
    std::fs::write(&config, format!("{control}[directory]\nurl = \"{}\"\n", world.slapd.url())).unwrap();
    let file = dir.path().join("change.ldif");
    for Case { what, change, expected } in cases() {
        std::fs::write(&file, &change).unwrap();
        let prediction = plan(&config, &["-f", file.to_str().unwrap()]);
        let mut counts: BTreeMap<Key, u64> = BTreeMap::new();
        for (_, whose, place) in &expected {
            *counts.entry(((*whose).to_owned(), place.map(str::to_owned))).or_default() += 1;
        }
        let marked: BTreeMap<Key, u64> = prediction.marked.iter().map(|(key, (count, _))| (key.clone(), *count)).collect();
        assert_eq!((prediction.code, marked), (Some(2), counts), "{what}: {}", prediction.all);
        assert_eq!(prediction.all["phones"], expected.len(), "{what}");
        // Restricted to those it says the same.
        let only = plan(&config, &["-f", file.to_str().unwrap(), "--subscribed"]);
        let same = |one: &Prediction| one.marked.iter().map(|(key, (count, _))| (key.clone(), *count)).collect::<BTreeMap<_, _>>();
        assert_eq!(same(&only), same(&prediction), "{what}: {}", only.all);
        let told = only.all["users"].as_array().unwrap().len()
            + only.all["places"].as_array().unwrap().iter().map(|place| place["predictions"].as_array().unwrap().len()).sum::<usize>();
        assert_eq!(told, only.marked.len(), "{what}: {}", only.all);

        let phones: Vec<&str> = expected.iter().map(|(phone, ..)| *phone).collect();
        let pushed = world.exactly(what, &phones, |slapd| slapd.modify(&change));
        for (phone, whose, place) in &expected {
            for prediction in [&prediction, &only] {
                let (_, document) = &prediction.marked[&((*whose).to_owned(), place.map(str::to_owned))];
                let predicted = std::fs::read_to_string(prediction.documents.path().join(document.as_ref().unwrap())).unwrap();
                assert_eq!(pushed[phone], predicted, "{what}: {phone}");
            }
        }
    }
    others(&world, &config, &file);
    world.daemon.stop();
}

/// What concerns nobody who subscribes; what people read; and what there is without a daemon, or with another's.
fn others(world: &World, config: &Path, file: &Path) {
    let change = subnet("nobody", &["127.0.77.0/24"], Some("Rome"), &[]).replacen("\nobjectClass", "\nchangetype: add\nobjectClass", 1);
    std::fs::write(file, change).unwrap();
    let file = file.to_str().unwrap();
    let all = plan(config, &["-f", file]);
    assert_eq!((all.code, all.marked.len(), &all.all["phones"]), (Some(2), 0, &Value::from(0)), "{}", all.all);
    let place = &all.all["places"][0];
    assert_eq!((place["name"].as_str(), &place["networks"]["examples"][0]), (Some("elsewhere → site Rome"), &Value::from("127.0.77.0/24")));
    let whom: BTreeSet<String> = place["predictions"].as_array().unwrap().iter().map(whose).collect();
    let expect = ["local-network", "sip:anna@corp.example", "sip:ben@corp.example", "sip:carl@corp.example", "sip:dora@corp.example"];
    assert_eq!(whom, expect.map(str::to_owned).into(), "{}", all.all);
    let none = plan(config, &["-f", file, "--subscribed"]);
    assert_eq!((none.code, none.all["places"].as_array().unwrap().len()), (Some(0), 0), "{}", none.all);

    let shown = text(&ask(&["plan", "-f", file, "--config", config.to_str().unwrap()]).stdout);
    assert!(shown.contains("at elsewhere → site Rome (127.0.77.0/24)\n"), "{shown}");
    assert!(shown.contains("  4 users, such as sip:anna@corp.example, ") && shown.contains("  [0 phones]\n    net.stun: "), "{shown}");
    assert!(shown.contains("and 5 users, devices and local networks at 1 places\n0 phones that subscribe now would be told\n"), "{shown}");

    let alone = ask(&["plan", "-f", file, "--directory", &world.slapd.url(), "--json"]);
    let alone = json(&alone);
    assert_eq!(alone["phones"], Value::Null, "{alone}");
    assert_eq!(alone["places"][0]["predictions"].as_array().unwrap().len(), 5, "{alone}");
    let dir = TempDir::new().unwrap();
    let other = dir.path().join("other.toml");
    std::fs::write(&other, format!("control = \"{}\"\n", dir.path().join("control.sock").display())).unwrap();
    let refused = ask(&["plan", "-f", file, "--directory", &world.slapd.url(), "--config", other.to_str().unwrap(), "--subscribed"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no daemon answers at"), "{}", text(&refused.stderr));
    // A daemon that serves another directory knows nothing of this one.
    let sample = ask(&[
        "plan",
        "delete",
        "uid=vera,ou=Board,dc=corp,dc=example",
        "--directory",
        "ldif:examples/corp.ldif",
        "--config",
        config.to_str().unwrap(),
        "--subscribed",
    ]);
    assert_eq!(sample.status.code(), Some(1));
    assert!(text(&sample.stderr).contains("serves ldap://"), "{}", text(&sample.stderr));
}

/// A forest: its sites have policies that name them by keywords.
fn forest() -> String {
    let top = "DC=corp,DC=example";
    let configuration = format!("CN=Configuration,{top}");
    let mut ldif = format!(
        "dn: {top}\nobjectClass: domainDNS\nobjectClass: dialcastPolicy\ndc: corp\ndialcastSetting: sip.registrar = 10 0 sips:reg.corp.example\n\n\
         dn: CN=anna,{top}\nobjectClass: user\ncn: anna\nmail: anna@corp.example\n\ndn: {configuration}\nobjectClass: configuration\n"
    );
    for (dn, class, rest) in [
        ("CN=Sites", "sitesContainer", ""),
        ("CN=Berlin,CN=Sites", "site", "cn: Berlin\n"),
        ("CN=Rome,CN=Sites", "site", "cn: Rome\n"),
        ("CN=Subnets,CN=Sites", "subnetContainer", ""),
        (
            "CN=127.0.4.0/24,CN=Subnets,CN=Sites",
            "subnet",
            "cn: 127.0.4.0/24\nsiteObject: CN=Berlin,CN=Sites,CN=Configuration,DC=corp,DC=example\n",
        ),
        ("CN=Services", "container", ""),
        ("CN=Dialcast,CN=Services", "container", ""),
        (
            "CN=Berlin,CN=Dialcast,CN=Services",
            "serviceConnectionPoint",
            "cn: Berlin\nkeywords: dialcast-policy/1\nkeywords: dialcast-site:Berlin\nserviceBindingInformation: net.stun = 10 0 stun:ber.corp.example\n",
        ),
    ] {
        ldif += &format!("\ndn: {dn},{configuration}\nobjectClass: {class}\n{rest}");
    }
    ldif
}

/// The map of addresses stays as it is, and what is there does not. The phone is this program's own.
#[test]
fn a_policy_that_names_its_site_is_predicted() {
    let _shared = shared();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("forest.ldif");
    std::fs::write(&file, forest()).unwrap();
    let url = format!("ldif:{}", file.display());
    let config = dir.path().join("dialcast.toml");
    std::fs::write(&config, format!("[directory]\nurl = \"{url}\"\n")).unwrap();
    let change = dir.path().join("change.ldif");
    std::fs::write(
        &change,
        "dn: CN=Berlin,CN=Dialcast,CN=Services,CN=Configuration,DC=corp,DC=example\nchangetype: modify\nreplace: serviceBindingInformation\n\
         serviceBindingInformation: net.stun = 10 0 stun:ber2.corp.example\n",
    )
    .unwrap();
    let documents = dir.path().join("documents");
    let arguments = ["plan", "-f", change.to_str().unwrap(), "--config", config.to_str().unwrap(), "--json"];
    let output = ask(&[&arguments[..], &["--documents", documents.to_str().unwrap()]].concat());
    let all = json(&output);
    assert_eq!(output.status.code(), Some(2), "{all}");
    let places = all["places"].as_array().unwrap();
    assert_eq!((places.len(), places[0]["name"].as_str(), all["users"].as_array().unwrap().len()), (1, Some("site Berlin"), 0), "{all}");
    let predicted = |who: &str| {
        let found = places[0]["predictions"].as_array().unwrap().iter().find(|item| whose(item) == who).unwrap();
        std::fs::read_to_string(documents.join(found["file"].as_str().unwrap())).unwrap()
    };

    let edited = forest().replace("stun:ber.corp.example", "stun:ber2.corp.example");
    std::fs::write(&file, edited).unwrap();
    let daemon = Daemon::start(&url);
    for (who, profile) in [("sip:anna@corp.example", "user"), ("local-network", "local-network")] {
        let server = format!("sip:{}", daemon.address);
        let output = ask(&[
            "subscribe",
            "sip:anna@corp.example",
            "--server",
            &server,
            "--once",
            "--json",
            "--bind",
            "127.0.4.9",
            "--profile-type",
            profile,
        ]);
        let said = text(&output.stdout);
        let line = said.lines().find(|line| line.contains("\"event\":\"document\"")).unwrap_or_else(|| panic!("{said}"));
        let pushed: Value = serde_json::from_str(line).unwrap();
        assert_eq!(pushed["document"].as_str().unwrap(), predicted(who), "{who}");
    }
    daemon.stop();
}
