//! Looks into profiles as a phone would, without any code of the crate.

/// The inside of the first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let rest = &xml[start..];
    rest.find(&format!("</{name}>")).map(|end| &rest[..end])
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
