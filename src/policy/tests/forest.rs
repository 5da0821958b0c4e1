//! Sites, servers, policies and filters as Active Directory has them.

use super::networks::{at, user};
use super::world::{World, shown};
use crate::directory::Event;
use crate::model::Severity;
use crate::policy::catalogue::Setting;

/// The configuration naming context of Active Directory, and a policy that somebody put elsewhere.
const FOREST: &str = "
    domain DC=corp,DC=example
      ou OU=Berlin
        policy CN=takeover
          keywords: dialcast-site:Berlin
          | qos.audio = 1
        user CN=anna
      configuration CN=Configuration
        other CN=Sites
          adsite CN=Berlin
          adsite CN=Rome
          other CN=Subnets
            adsubnet CN=10.1.0.0/16
              siteObject: CN=Berlin,CN=Sites,CN=Configuration,DC=corp,DC=example
            adsubnet CN=2001:db8::/32
              siteObject: CN=Rome,CN=Sites,CN=Configuration,DC=corp,DC=example
        container CN=Services
          container CN=Dialcast
            policy CN=places
              keywords: dialcast-site:BERLIN
              keywords: dialcast-site:Rome
              | qos.audio = 10
            policy CN=lan
              keywords: Dialcast-Subnet:2001:db8:0::/32
              | qos.audio = 20
              | language = it
            policy CN=typing
              keywords: dialcast-site:Berlim
              | qos.audio = 30
";

#[test]
fn active_directory_keeps_policies_of_sites_below_services() {
    let world = World::configured(FOREST, &["sip.registrar = 10 0 sips:reg.corp.example"]);
    let mut engine = world.engine();
    insta::assert_snapshot!(at(&world, &mut engine, &user("anna"), "10.1.2.3", &["qos.audio"]), @"qos.audio: 10 (site places)");
    insta::assert_snapshot!(at(&world, &mut engine, &user("anna"), "2001:db8::1", &["qos.audio"]), @"qos.audio: 20 (subnet lan)");
    let faults = engine.faults();
    let shown: Vec<String> = faults.iter().filter(|fault| fault.severity == Severity::Warning).map(|f| format!("{} {f}", f.code)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    policy.place CN=takeover,OU=Berlin,DC=corp,DC=example (keywords: dialcast-site:Berlin): a policy of a site or subnet does not count here: whoever runs this container would govern others' phones; move it to CN=Dialcast,CN=Services,CN=Configuration,… , where those write who manage the sites; or take the keyword away, and it governs what it stands in
    policy.place CN=typing,CN=Dialcast,CN=Services,CN=Configuration,DC=corp,DC=example (keywords: dialcast-site:Berlim): there is no such site or subnet below CN=Sites,CN=Configuration,DC=corp,DC=example; write its name as it is there; until then the policy is for nobody there
    policy.scope CN=lan,CN=Dialcast,CN=Services,CN=Configuration,DC=corp,DC=example (serviceBindingInformation: language = it): a subnet decides network settings only, and `language` is none; put the line on the site, or on whom it is for; docs/settings.md marks network settings
    ");
}

/// Entries as Active Directory has them: no class of ours, no attribute of ours.
#[test]
fn server_objects_nearest_and_filters_in_active_directory() {
    use crate::model::Attributes;
    let entry = |n: u64, dn: &str, values: &[(&str, &str)]| {
        let mut attributes = Attributes::new();
        for same in values.chunk_by(|(one, _), (other, _)| one == other) {
            attributes.add(same[0].0, same.iter().map(|(_, value)| value.as_bytes().to_vec()));
        }
        Event::InitApply(crate::directory::Entry { id: super::world::id(n), dn: dn.parse().unwrap(), attributes })
    };
    let point = |keyword: &'static str, lines: &[&'static str]| {
        let mut values = vec![
            ("objectClass", "top"),
            ("objectClass", "leaf"),
            ("objectClass", "connectionPoint"),
            ("objectClass", "serviceConnectionPoint"),
        ];
        values.push(("keywords", keyword));
        values.extend(lines.iter().map(|line| ("serviceBindingInformation", *line)));
        values
    };
    let person = |address: &'static str| {
        vec![
            ("objectClass", "top"),
            ("objectClass", "person"),
            ("objectClass", "organizationalPerson"),
            ("objectClass", "user"),
            ("msRTCSIP-PrimaryUserAddress", address),
        ]
    };
    let mut world = World::new("");
    world.event(Event::Init);
    let unit = [("objectClass", "top"), ("objectClass", "organizationalUnit")];
    let entries = [
        (1, "DC=corp,DC=example", vec![("objectClass", "top"), ("objectClass", "domain"), ("objectClass", "domainDNS")]),
        (2, "OU=Berlin,DC=corp,DC=example", unit.to_vec()),
        (3, "OU=Rome,DC=corp,DC=example", unit.to_vec()),
        (4, "CN=Anna,OU=Berlin,DC=corp,DC=example", person("sip:anna@corp.example")),
        (5, "CN=Carl,OU=Berlin,DC=corp,DC=example", person("sip:carl@corp.example")),
        (6, "CN=Dora,OU=Rome,DC=corp,DC=example", person("sip:dora@corp.example")),
        (7, "CN=Inner,DC=corp,DC=example", vec![("objectClass", "group"), ("member", "CN=Carl,OU=Berlin,DC=corp,DC=example")]),
        (8, "CN=Outer,DC=corp,DC=example", vec![("objectClass", "group"), ("member", "CN=Inner,DC=corp,DC=example")]),
        // A computer is legal below a domain, and so is a serviceConnectionPoint below a computer: the server counts for the domain.
        (9, "CN=HQ1,DC=corp,DC=example", vec![("objectClass", "top"), ("objectClass", "user"), ("objectClass", "computer")]),
        (
            10,
            "CN=proxy,CN=HQ1,DC=corp,DC=example",
            point("dialcast-server/1", &["role = outbound-proxy", "server = 10 0 sips:hq1.corp.example"]),
        ),
        (
            11,
            "CN=proxy,OU=Berlin,DC=corp,DC=example",
            point("Dialcast-Server/1", &["role = outbound-proxy", "server = 10 0 sips:ber1.corp.example"]),
        ),
        (
            12,
            "CN=phones,OU=Berlin,DC=corp,DC=example",
            point("dialcast-policy/1", &["sip.outbound-proxy = @nearest(outbound-proxy)", "filter deny group:CN=Outer,DC=corp,DC=example"]),
        ),
        (
            13,
            "CN=phones,OU=Rome,DC=corp,DC=example",
            point("dialcast-policy/1", &["sip.outbound-proxy = @nearest(outbound-proxy)", "video.enabled = false"]),
        ),
        (
            14,
            "CN=some,OU=Berlin,DC=corp,DC=example",
            point("dialcast-policy/1", &["video.enabled = false", "filter allow group:CN=Outer,DC=corp,DC=example"]),
        ),
        // A printer's, and nobody's business.
        (15, "CN=printer,OU=Berlin,DC=corp,DC=example", point("ipp", &["sip.expires = 60"])),
    ];
    for (n, dn, values) in entries {
        world.event(entry(n, dn, &values));
    }
    world.event(Event::InitDone { sweep: true, cookie: None });
    world.config.settings = vec!["sip.registrar = 10 0 sips:reg.corp.example".into()];
    let engine = world.engine();
    let all = engine
        .users()
        .map(|resolved| {
            let value = |setting| resolved.get(setting).map_or_else(|| "none".into(), |decision| shown(decision, &world.snapshot()));
            format!(
                "{}: {}; {}; {}\n",
                resolved.aor.user(),
                value(Setting::SIP_OUTBOUND_PROXY),
                value(Setting::VIDEO_ENABLED),
                value(Setting::SIP_EXPIRES)
            )
        })
        .collect::<Vec<_>>()
        .concat();
    insta::assert_snapshot!(all, @r"
    anna: 10 0 sips:ber1.corp.example (OU 1 phones); true (built-in); 3600 (built-in)
    carl: none; false (OU 1 some); 3600 (built-in)
    dora: 10 0 sips:hq1.corp.example (OU 1 phones); false (OU 1 phones); 3600 (built-in)
    ");
    assert!(engine.faults().iter().all(|fault| fault.severity == Severity::Note), "{:?}", engine.faults());
}
