//! What happens: an organisation, and what its admin does to it, without a word of any server's language.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Below the suffix: on Active Directory a policy may stand in an OU and not in the domain itself.
pub(crate) const CORP: &str = "OU=Corp,DC=corp,DC=example";

/// Something in the directory.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    /// An OU.
    Unit(String),
    /// A person with a SIP address `ACCOUNT@corp.example` and a telephone number.
    Person { name: String, above: String, account: String, tel: String },
    /// A group; its members by DN.
    Group { name: String, above: String, members: Vec<String> },
    /// A server for phones.
    Server { name: String, above: String, role: &'static str, address: String },
    /// Lines for whatever stands in a container.
    Policy { name: String, above: String, lines: Vec<String> },
    /// Where sites and their policies stand.
    Network,
    /// A site, and lines for the endpoints there.
    Site { name: &'static str, line: &'static str },
    /// A subnet and its site.
    Subnet { prefix: &'static str, site: &'static str },
}

impl Thing {
    /// The name of what is called alike everywhere; sites are not.
    pub(crate) fn dn(&self) -> String {
        match self {
            Self::Network | Self::Site { .. } | Self::Subnet { .. } => String::new(),
            Self::Unit(dn) => dn.clone(),
            Self::Person { name, above, .. }
            | Self::Group { name, above, .. }
            | Self::Server { name, above, .. }
            | Self::Policy { name, above, .. } => format!("CN={name},{above}"),
        }
    }
}

/// What an admin does.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// Something new.
    Add(Thing),
    /// Another telephone number.
    Tel {
        dn: String,
        tel: String,
    },
    /// Other members.
    Members {
        dn: String,
        members: Vec<String>,
    },
    /// Other lines.
    Lines {
        dn: String,
        lines: Vec<String>,
    },
    /// A subnet belongs to another site.
    Subnet {
        prefix: &'static str,
        site: &'static str,
    },
    /// Another name, another place, or both.
    Move {
        dn: String,
        rdn: String,
        above: String,
    },
    Delete(String),
}

/// A deed, and the phones that it concerns.
pub(crate) struct Step {
    pub what: &'static str,
    pub deeds: Vec<Deed>,
    pub told: BTreeSet<String>,
}

fn unit(name: &str, above: &str) -> Thing {
    Thing::Unit(format!("OU={name},{above}"))
}

fn person(name: &str, above: &str, number: u32) -> Thing {
    let tel = format!("+49 30 23125 {number:04}");
    Thing::Person { name: name.to_owned(), above: above.to_owned(), account: name.to_owned(), tel }
}

fn policy(above: &str, lines: &[&str]) -> Thing {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Thing::Policy { name: "phones".to_owned(), above: above.to_owned(), lines }
}

fn server(name: &str, above: &str, priority: u32) -> Thing {
    let address = format!("{priority} 0 sips:{name}.corp.example");
    Thing::Server { name: name.to_owned(), above: above.to_owned(), role: "outbound-proxy", address }
}

fn numbered(prefix: &str, count: u32) -> impl Iterator<Item = String> {
    (1..=count).map(move |n| format!("{prefix}{n:03}"))
}

/// `user@corp.example`, of each.
pub(crate) fn phones<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    names.into_iter().map(|name| format!("{}@corp.example", name.as_ref())).collect()
}

pub(crate) fn berlin() -> String {
    format!("OU=Berlin,{CORP}")
}

pub(crate) fn lisbon() -> String {
    format!("OU=Lisbon,{CORP}")
}

pub(crate) fn sales() -> String {
    format!("OU=Sales,{}", berlin())
}

fn groups() -> String {
    format!("OU=Groups,{CORP}")
}

/// Phones in another subnet than the others.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 1);

/// Who has them.
pub(crate) fn far() -> BTreeSet<String> {
    phones(["ben", "rui"])
}

/// Whoever has a phone from the beginning: 100 in the OU that moves, and a few who stay.
pub(crate) fn staff() -> BTreeSet<String> {
    phones(numbered("sales", 100).chain(["anna", "ben", "carla", "rui"].map(str::to_owned)))
}

/// The organisation, in the order in which it can be made.
pub(crate) fn beginning() -> Vec<Thing> {
    let (berlin, lisbon, sales, groups) = (berlin(), lisbon(), sales(), groups());
    let mut things = vec![
        Thing::Unit(CORP.to_owned()),
        policy(
            CORP,
            &[
                "sip.registrar = 10 0 sips:reg1.corp.example",
                "sip.registrar = 20 0 sips:reg2.corp.example",
                "sip.outbound-proxy = @nearest(outbound-proxy)",
                "emergency.number = 112",
                "support.uri = https://help.corp.example/0",
            ],
        ),
        unit("Berlin", CORP),
        policy(&berlin, &["language = de", "timezone = Europe/Berlin"]),
        server("ber1", &berlin, 10),
        unit("Lisbon", CORP),
        policy(&lisbon, &["language = pt-PT", "timezone = Europe/Lisbon"]),
        server("lis1", &lisbon, 10),
        server("lis2", &lisbon, 20),
        unit("Sales", &berlin),
        unit("Groups", CORP),
        person("anna", &berlin, 1),
        person("ben", &berlin, 2),
        person("carla", &berlin, 3),
        person("rui", &lisbon, 4),
    ];
    things.extend(numbered("sales", 100).zip(1000..).map(|(name, number)| person(&name, &sales, number)));
    let group = |name: &str, members: Vec<String>| Thing::Group { name: name.to_owned(), above: groups.clone(), members };
    things.push(group("Inner", vec![format!("CN=anna,{berlin}")]));
    things.push(group("Outer", vec![format!("CN=Inner,{groups}")]));
    things.push(Thing::Policy {
        name: "outer".to_owned(),
        above: CORP.to_owned(),
        lines: vec![format!("filter group:CN=Outer,{groups}"), "forward.delay = 7".to_owned()],
    });
    things.extend([
        Thing::Network,
        Thing::Site { name: "Near", line: "media.max-bandwidth = 1000" },
        Thing::Site { name: "Far", line: "media.max-bandwidth = 500" },
        Thing::Subnet { prefix: "127.0.0.0/24", site: "Near" },
        Thing::Subnet { prefix: "127.0.9.0/24", site: "Far" },
    ]);
    things
}

/// What the admin does.
pub(crate) fn steps() -> Vec<Step> {
    let (berlin, lisbon, sales, groups) = (berlin(), lisbon(), sales(), groups());
    let (moved, renamed) = (format!("OU=Sales,{lisbon}"), format!("OU=Vendas,{lisbon}"));
    let below_sales = phones(numbered("sales", 100));
    let step = |what, deeds, told| Step { what, deeds, told };
    let lines = |dn: &str, lines: &[&str]| Deed::Lines {
        dn: format!("CN=phones,{dn}"),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    let place = |dn: &str, rdn: &str, above: &str| Deed::Move { dn: dn.to_owned(), rdn: rdn.to_owned(), above: above.to_owned() };
    vec![
        step("a user is created", vec![Deed::Add(person("nadia", &berlin, 5))], phones::<&str>([])),
        step(
            "a user gets another number",
            vec![Deed::Tel { dn: format!("CN=anna,{berlin}"), tel: "+49 30 23125 0099".to_owned() }],
            phones(["anna"]),
        ),
        step("an OU of 100 moves", vec![place(&sales, "OU=Sales", &lisbon)], below_sales.clone()),
        step("the OU is renamed, which says nothing to phones", vec![place(&moved, "OU=Vendas", &lisbon)], phones::<&str>([])),
        step("a user is renamed", vec![place(&format!("CN=ben,{berlin}"), "CN=Ben Brandt", &berlin)], phones(["ben"])),
        step(
            "a nested group gets a member",
            vec![Deed::Members {
                dn: format!("CN=Inner,{groups}"),
                members: vec![format!("CN=anna,{berlin}"), format!("CN=rui,{lisbon}")],
            }],
            phones(["rui"]),
        ),
        step(
            "a server moves from Lisbon to Berlin",
            vec![place(&format!("CN=lis2,{lisbon}"), "CN=lis2", &berlin)],
            phones(numbered("sales", 100).chain(["anna", "ben", "carla", "rui"].map(str::to_owned))),
        ),
        step(
            "a policy is edited",
            vec![lines(&berlin, &["language = de", "timezone = Europe/Zurich", "video.max-height = 720"])],
            phones(["anna", "ben", "carla"]),
        ),
        step("a subnet belongs to another site", vec![Deed::Subnet { prefix: "127.0.9.0/24", site: "Near" }], far()),
        step("a user is deleted", vec![Deed::Delete(format!("CN=carla,{berlin}"))], phones(["carla"])),
        step(
            "a user of the moved OU gets another number",
            vec![Deed::Tel { dn: format!("CN=sales042,{renamed}"), tel: "+351 21 0042".to_owned() }],
            phones(["sales042"]),
        ),
    ]
}

/// A change that reaches everybody: what it brings is the last thing that any phone has heard.
pub(crate) fn fence(number: u32) -> (Deed, String) {
    let uri = format!("https://help.corp.example/{number}");
    let lines = [
        "sip.registrar = 10 0 sips:reg1.corp.example",
        "sip.registrar = 20 0 sips:reg2.corp.example",
        "sip.outbound-proxy = @nearest(outbound-proxy)",
        "emergency.number = 112",
    ];
    let lines = lines.into_iter().map(str::to_owned).chain([format!("support.uri = {uri}")]).collect();
    (Deed::Lines { dn: format!("CN=phones,{CORP}"), lines }, uri)
}
