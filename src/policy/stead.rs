//! What a policy or server object stands in, which is what it counts for.
//!
//! That is its parent, but for one container. Active Directory's schema has no serviceConnectionPoint directly below a domain
//! (its possible superiors are organizationalUnit, container and computer), so that CN=Dialcast,CN=System of a domain
//! stands for the domain: only the domain's admins may write there, as into the domain itself.

use std::sync::Arc;

use crate::model::{Container, Kind};
use crate::store::{Object, Snapshot};

const OURS: &str = "cn=dialcast";
const SYSTEM: &str = "cn=system";

/// What a policy or server object stands in.
pub(crate) fn stands_in<'s>(snapshot: &'s Snapshot, object: &Object) -> Option<&'s Arc<Object>> {
    let parent = snapshot.get(object.parent?)?;
    Some(domain_of(snapshot, parent).unwrap_or(parent))
}

/// The domain that a container stands for, if it is the one that does.
fn domain_of<'s>(snapshot: &'s Snapshot, container: &Object) -> Option<&'s Arc<Object>> {
    let system = snapshot.get(container.parent.filter(|_| container.rdn.key() == OURS)?)?;
    let domain = snapshot.get(system.parent.filter(|_| system.rdn.key() == SYSTEM)?)?;
    (domain.kind == Kind::Container(Container::Domain)).then_some(domain)
}

/// Whether what stands below an object may count for something else because the object came, went, or is called otherwise.
pub(crate) fn decides(object: &Object) -> bool {
    [OURS, SYSTEM].contains(&object.rdn.key()) || object.kind == Kind::Container(Container::Domain)
}
