//! Policies of sites and subnets in Active Directory: a serviceConnectionPoint that names them in its keywords.
//!
//! Active Directory has no serviceConnectionPoint below a site or subnet (its possible superiors are organizationalUnit,
//! container and computer), so that the policy stands elsewhere and says whose it is: `dialcast-site:Berlin`,
//! `dialcast-subnet:10.1.0.0/16`. Whoever may create it would govern a whole site. It counts therefore only below CN=Services
//! of the configuration naming context that the site itself is in: who may write there may move subnets as well
//! (docs/adr/0007-policies-of-sites.md).

use super::grammar::warning;
use super::object::{Carrier, HeldFault};
use crate::model::{Dn, Kind, ObjectId, Prefix, Rdn, fold};
use crate::store::{Object, Snapshot};

/// The attribute that names the targets.
const KEYWORDS: &str = "keywords";
/// The most targets of one policy.
const TARGETS_MAX: usize = 256;

/// What one keyword names.
enum Aim<'a> {
    Site(&'a str),
    Subnet(&'a str),
}

fn aims(object: &Object) -> impl Iterator<Item = (&str, Aim<'_>)> {
    let after = |text: &'_ str, prefix: &str| text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    object.attributes.texts(KEYWORDS).filter_map(move |keyword| {
        let text = keyword.trim();
        if after(text, Kind::SITE_KEYWORD) {
            return Some((keyword, Aim::Site(text.get(Kind::SITE_KEYWORD.len()..)?.trim())));
        }
        after(text, Kind::SUBNET_KEYWORD).then_some((keyword, Aim::Subnet(text.get(Kind::SUBNET_KEYWORD.len()..)?.trim())))
    })
}

/// Whether a policy names sites or subnets: then it governs those, and not what it stands in.
pub(crate) fn is_aimed(object: &Object) -> bool {
    object.kind == Kind::Policy && aims(object).next().is_some()
}

/// The sites and subnets that a policy governs by its keywords. If any of them is a subnet, the policy is read as a subnet's.
pub(crate) fn targets(snapshot: &Snapshot, object: &Object, faults: &mut Vec<HeldFault>) -> Vec<(ObjectId, Carrier)> {
    let mut fault = |value: &str, what: String, remedy: String| {
        faults.push(HeldFault::new(KEYWORDS.into(), value, warning("policy.place", 0, what, remedy)));
    };
    let dn = snapshot.dn(object.id).unwrap_or_default();
    let Some(configuration) = configuration_of(&dn) else {
        let keyword = aims(object).next().map(|(keyword, _)| keyword).unwrap_or_default();
        let what = "a policy of a site or subnet does not count here: whoever runs this container would govern others' phones".to_owned();
        let remedy = "move it to CN=Dialcast,CN=Services,CN=Configuration,… , where those write who manage the sites; or take the \
                      keyword away, and it governs what it stands in"
            .to_owned();
        fault(keyword, what, remedy);
        return Vec::new();
    };
    let mut targets: Vec<(ObjectId, Carrier)> = Vec::new();
    for (keyword, aim) in aims(object).take(TARGETS_MAX) {
        let found = match aim {
            Aim::Site(name) => site(snapshot, &configuration, name).map(|id| (id, Carrier::Site)),
            Aim::Subnet(prefix) => subnet(snapshot, &configuration, prefix).map(|id| (id, Carrier::Subnet)),
        };
        match found {
            Some(target) if targets.contains(&target) => {}
            Some(target) => targets.push(target),
            None => {
                let what = format!("there is no such site or subnet below CN=Sites,{configuration}");
                fault(keyword, what, "write its name as it is there; until then the policy is for nobody there".into());
            }
        }
    }
    // Subnets first: the stricter reading counts for all.
    targets.sort_by_key(|(id, carrier)| (*carrier != Carrier::Subnet, *id));
    targets
}

/// The configuration naming context below whose CN=Services a name stands: CN=Configuration of a forest, whose root is a domain.
fn configuration_of(dn: &Dn) -> Option<Dn> {
    let (services, configuration) = (rdn("CN=Services"), rdn("CN=Configuration"));
    let rdns = dn.rdns();
    let at =
        rdns.windows(2).position(|pair| matches!(pair, [a, b] if Some(a) == services.as_ref() && Some(b) == configuration.as_ref()))?;
    let above = rdns.get(at + 2..)?;
    (at > 0 && !above.is_empty() && above.iter().all(is_domain)).then(|| Dn::from_rdns(rdns.get(at + 1..).unwrap_or_default().to_vec()))
}

/// Whether a name is in the configuration naming context of a forest: nobody's phone stands there.
pub(crate) fn is_configuration(dn: &Dn) -> bool {
    let configuration = rdn("CN=Configuration");
    let at = dn.rdns().iter().rposition(|rdn| Some(rdn) == configuration.as_ref());
    at.and_then(|at| dn.rdns().get(at + 1..)).is_some_and(|above| !above.is_empty() && above.iter().all(is_domain))
}

fn is_domain(rdn: &Rdn) -> bool {
    rdn.key().starts_with("dc=") && !rdn.key().contains('+')
}

fn rdn(text: &str) -> Option<Rdn> {
    text.parse().ok()
}

/// CN=Sites of a configuration naming context.
fn sites(snapshot: &Snapshot, configuration: &Dn) -> Option<(ObjectId, Dn)> {
    let dn = configuration.child(rdn("CN=Sites")?);
    Some((snapshot.find(&dn)?, dn))
}

fn site(snapshot: &Snapshot, configuration: &Dn, name: &str) -> Option<ObjectId> {
    let (sites, _) = sites(snapshot, configuration)?;
    let is_named = |object: &Object| object.kind == Kind::Site && fold(&object.rdn.value()) == fold(name);
    snapshot.children(sites).find(|object| is_named(object)).map(|object| object.id)
}

fn subnet(snapshot: &Snapshot, configuration: &Dn, text: &str) -> Option<ObjectId> {
    let prefix: Prefix = text.parse().ok()?;
    let (_, sites) = sites(snapshot, configuration)?;
    let subnets = sites.child(rdn("CN=Subnets")?);
    let is_subnet = |id: &ObjectId| snapshot.get(*id).is_some_and(|object| object.kind == Kind::Subnet);
    // Nearly always it is called as it is written here.
    let by_name = snapshot.find(&subnets.child(rdn(&format!("CN={prefix}"))?)).filter(is_subnet);
    by_name.or_else(|| {
        let is_same = |object: &&std::sync::Arc<Object>| object.kind == Kind::Subnet && object.rdn.value().parse() == Ok(prefix);
        snapshot.children(snapshot.find(&subnets)?).find(is_same).map(|object| object.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_such_policies_count() {
        let check = |dn: &str, expect: Option<&str>| {
            assert_eq!(configuration_of(&dn.parse().unwrap()).map(|dn| dn.to_string()).as_deref(), expect, "{dn}");
        };
        let forest = Some("CN=Configuration,DC=corp,DC=example");
        check("CN=berlin,CN=Dialcast,CN=Services,CN=Configuration,DC=corp,DC=example", forest);
        check("cn=berlin,cn=services,cn=configuration,dc=corp,dc=example", Some("cn=configuration,dc=corp,dc=example"));
        check("CN=Services,CN=Configuration,DC=corp,DC=example", None);
        check("CN=berlin,CN=Services,CN=Configuration,OU=Berlin,DC=corp,DC=example", None);
        check("CN=berlin,CN=Services,CN=Configuration,DC=x+OU=Berlin,DC=corp", None);
        check("CN=berlin,CN=Sites,CN=Configuration,DC=corp,DC=example", None);
        check("CN=berlin,CN=Services,OU=Berlin,DC=corp,DC=example", None);
        check("CN=berlin,CN=Services,CN=Configuration", None);
        assert!(is_configuration(&"CN=a,CN=Sites,CN=Configuration,DC=corp,DC=example".parse().unwrap()));
        assert!(!is_configuration(&"CN=Configuration,OU=a,DC=corp,DC=example".parse().unwrap()));
        check("CN=a,CN=Services,CN=Configuration,CN=b,CN=Services,CN=Configuration,DC=corp", None);
    }
}
