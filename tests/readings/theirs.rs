//! `rsip`'s reading.

use rsip::SipMessage;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};

use super::{Reading, text};

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, String> {
    let fail = |error: rsip::Error| error.to_string();
    let message = SipMessage::try_from(bytes).map_err(fail)?;
    let (start, uri) = match &message {
        SipMessage::Request(request) => (request.method.to_string(), request.uri.to_string()),
        SipMessage::Response(response) => (response.status_code.code().to_string(), String::new()),
    };
    let via = message.via_header().and_then(ToTypedHeader::typed).map_err(fail)?;
    let (from, to) = (
        message.from_header().and_then(ToTypedHeader::typed).map_err(fail)?,
        message.to_header().and_then(ToTypedHeader::typed).map_err(fail)?,
    );
    let cseq = message.cseq_header().and_then(ToTypedHeader::typed).map_err(fail)?;
    let fields = message.headers().iter().map(|header| {
        let shown = header.to_string();
        let (name, value) = shown.split_once(':').unwrap_or((&shown, ""));
        (name.trim().to_ascii_lowercase(), text(value.as_bytes()))
    });
    let contacts = message.headers().iter().filter_map(|header| match header {
        rsip::Header::Contact(contact) => Some(contact.typed().map(|contact| contact.uri.to_string())),
        _ => None,
    });
    Ok(Reading {
        start,
        uri,
        fields: fields.collect(),
        via: (
            via.transport.to_string(),
            via.uri.host_with_port.host.to_string(),
            via.uri.host_with_port.port.as_ref().map(|port| *port.value()),
            via.branch().map(|branch| branch.value().to_owned()),
        ),
        from: (from.uri.to_string(), from.tag().map(|tag| tag.value().to_owned())),
        to: (to.uri.to_string(), to.tag().map(|tag| tag.value().to_owned())),
        call_id: message.call_id_header().map_err(fail)?.value().to_owned(),
        cseq: (cseq.seq, cseq.method.to_string()),
        contacts: contacts.collect::<Result<_, _>>().map_err(fail)?,
        body: message.body().clone(),
    })
}
