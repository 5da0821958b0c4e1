//! Looks into profiles as a phone would, without any code of the crate.

/// The inside of the first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let rest = &xml[start..];
    rest.find(&format!("</{name}>")).map(|end| &rest[..end])
}

/// Whether it is a profile that says nothing: the one that makes a phone forget what it has.
pub fn is_empty(xml: &str) -> bool {
    let (_, inside) = xml.split_once("<profile ").unwrap_or_default();
    let elements: Vec<&str> = inside.split('<').skip(1).filter(|element| !element.starts_with('/')).collect();
    // Scopes have no dot in their names, settings have one.
    inside.contains("aor=") && elements.iter().all(|element| !element.split([' ', '>', '/']).next().unwrap_or_default().contains('.'))
}

/// A single value, as it is written.
pub fn value(xml: &str, setting: &str) -> Option<String> {
    element(xml, setting).map(str::to_owned)
}

/// A list of servers: their URIs, in order.
pub fn servers(xml: &str, setting: &str) -> Vec<String> {
    let list = element(xml, setting).unwrap_or_default();
    list.split("uri=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}
