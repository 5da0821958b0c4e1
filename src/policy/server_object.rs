//! Servers that stand in the tree, for `@nearest(role)`.

use std::sync::Arc;

use super::grammar::warning;
use super::object::HeldFault;
use super::sources::BINDING;
use super::value::{Server, Value, ValueKind};
use crate::model::ObjectId;
use crate::store::Object;

/// The attributes of the class `dialcastServer`.
const ROLE: &str = "dialcastRole";
const ADDRESS: &str = "dialcastServerAddress";

/// Every scheme that some setting takes: a STUN server stands in the tree as well as a proxy.
const ANY_SERVER: ValueKind = ValueKind::Server(&["sip", "sips", "stun", "stuns", "turn", "turns"]);

/// The most lines of one server object that are read.
const LINES_MAX: usize = 256;

/// One server object: what it is for, and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerObject {
    pub(crate) id: ObjectId,
    /// Folded, sorted, each once.
    pub(crate) roles: Vec<Arc<str>>,
    /// Sorted by address, each once.
    pub(crate) servers: Vec<Server>,
    pub(crate) faults: Vec<HeldFault>,
}

impl ServerObject {
    /// Reads `role = …` and `server = …` lines of a serviceConnectionPoint, and the attributes of `dialcastServer`.
    pub(crate) fn read(object: &Object) -> Self {
        let mut server = Self { id: object.id, roles: Vec::new(), servers: Vec::new(), faults: Vec::new() };
        let attributes = &object.attributes;
        for line in attributes.texts(BINDING).flat_map(str::lines).take(LINES_MAX) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (key, value) = trimmed.split_once('=').unwrap_or((trimmed, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "role" => server.role(BINDING, value),
                "server" => server.address(BINDING, value),
                _ => {
                    let what = format!("`{}` is no line of a server", key.trim());
                    let remedy = "write `role = outbound-proxy` and `server = 10 50 sips:ber1.corp.example`";
                    server.fault(BINDING, line, "server.syntax", what, remedy.into());
                }
            }
        }
        for role in attributes.texts(ROLE).take(LINES_MAX) {
            server.role(ROLE, role);
        }
        for address in attributes.texts(ADDRESS).take(LINES_MAX) {
            server.address(ADDRESS, address);
        }
        server.roles.sort();
        server.roles.dedup();
        server.servers.sort_by(|a, b| (&a.uri, a.priority, a.weight).cmp(&(&b.uri, b.priority, b.weight)));
        server.servers.dedup_by(|again, first| again.uri.eq_ignore_ascii_case(&first.uri));
        let attribute = if attributes.has(BINDING) { BINDING } else { ROLE };
        if server.roles.is_empty() {
            let remedy = "say what the server is for, such as `outbound-proxy`: `@nearest(outbound-proxy)` finds it then";
            server.fault(attribute, "", "server.role", "the server has no role".into(), remedy.into());
        }
        if server.servers.is_empty() {
            let remedy = "give an address, such as `10 50 sips:ber1.corp.example`";
            server.fault(attribute, "", "server.address", "the server has no address that can be used".into(), remedy.into());
        }
        server
    }

    fn role(&mut self, attribute: &str, text: &str) {
        let role = text.trim().to_ascii_lowercase();
        // The role must be one that a line can name; the parser of such a line decides.
        if let Ok(Value::Nearest(role)) = ANY_SERVER.parse(&format!("@nearest({role})")) {
            self.roles.push(role);
        } else {
            let remedy = "write one word, such as `outbound-proxy`";
            self.fault(attribute, text, "server.role", format!("`{}` is no role", text.trim()), remedy.into());
        }
    }

    fn address(&mut self, attribute: &str, text: &str) {
        match ANY_SERVER.parse(text) {
            Ok(Value::Server(server)) => self.servers.push(server),
            Ok(_) => {
                let remedy = "write an address, such as `10 50 sips:ber1.corp.example`";
                self.fault(attribute, text, "server.address", "a server object cannot stand for others".into(), remedy.into());
            }
            Err(error) => {
                let remedy = format!("write {}, for example `{}`", error.expected, error.example);
                self.fault(attribute, text, "server.address", error.why.to_string(), remedy);
            }
        }
    }

    fn fault(&mut self, attribute: &str, value: &str, code: &'static str, what: String, remedy: String) {
        self.faults.push(HeldFault::new(attribute.into(), value.trim(), warning(code, 0, what, remedy)));
    }

    /// Whether it has the role.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held.eq_ignore_ascii_case(role))
    }

    /// Its addresses that a setting of the kind can hold.
    pub(crate) fn usable(&self, kind: ValueKind) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| match kind {
            ValueKind::Server(schemes) => {
                schemes.iter().any(|scheme| server.uri.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(scheme)))
            }
            _ => false,
        })
    }
}
