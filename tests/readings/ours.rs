//! Our own reading.

use dialcast::sip::{HeaderError, Kind, Message, NameAddr};

use super::{Reading, text};

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, String> {
    let message = Message::parse(bytes).map_err(|malformed| malformed.to_string())?;
    let (start, uri) = match message.kind() {
        Kind::Request { method, uri } => (method.as_str().to_owned(), uri.to_owned()),
        Kind::Response { status, .. } => (status.to_string(), String::new()),
    };
    let fail = |error: HeaderError| error.to_string();
    let via = message.via().map_err(fail)?;
    let address = |address: NameAddr<'_>| (address.uri.as_str().to_owned(), address.tag().map(str::to_owned));
    let (number, method) = message.cseq().map_err(fail)?;
    Ok(Reading {
        start,
        uri,
        fields: message.all_headers().map(|field| (field.name.as_str().to_ascii_lowercase(), text(field.value))).collect(),
        via: (via.transport.to_owned(), via.host.to_owned(), via.port, via.branch().map(str::to_owned)),
        from: address(message.from().map_err(fail)?),
        to: address(message.to().map_err(fail)?),
        call_id: message.call_id().map_err(fail)?.to_owned(),
        cseq: (number, method.to_string()),
        contacts: message.contacts().map(|contact| contact.map(|c| c.uri.as_str().to_owned()).map_err(fail)).collect::<Result<_, _>>()?,
        body: message.body().to_vec(),
    })
}
