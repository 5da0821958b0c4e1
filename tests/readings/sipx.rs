//! `sipx-sip`'s reading.

use sipx_sip::headers::{Address, CSeq, CallId, Contact, From, To, Via};
use sipx_sip::{Host, Limits, Message, TypedHeader};

use super::{Reading, text};

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, String> {
    let message = sipx_sip::parse_datagram(bytes.to_vec().into(), &Limits::datagram()).map_err(|error| error.to_string())?;
    let (start, uri) = match &message {
        Message::Request(request) => (text(request.method.as_bytes()), text(&request.uri.to_bytes())),
        Message::Response(response) => (response.status.to_string(), String::new()),
    };
    let via: Via = typed(&message)?;
    let host = match &via.host {
        Host::Ip(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        other => text(&other.to_bytes()),
    };
    let address = |address: &Address| (text(&address.uri.to_bytes()), address.tag().map(text));
    let cseq: CSeq = typed(&message)?;
    let contacts = message.headers().typed_all::<Contact>().map(|contact| contact.map(|c| text(&c.0.uri.to_bytes())));
    Ok(Reading {
        start,
        uri,
        fields: message.headers().iter().map(|h| (text(h.name().canonical()).to_ascii_lowercase(), text(&h.value()))).collect(),
        via: (text(&via.transport), host, via.port, via.branch().map(text)),
        from: address(&typed::<From>(&message)?.0),
        to: address(&typed::<To>(&message)?.0),
        call_id: text(&typed::<CallId>(&message)?.0),
        cseq: (cseq.sequence, text(cseq.method.as_bytes())),
        contacts: contacts.collect::<Result<_, _>>().map_err(|error| error.to_string())?,
        body: message.body().to_vec(),
    })
}

fn typed<H: TypedHeader>(message: &Message) -> Result<H, String> {
    message.headers().typed::<H>().ok_or("a missing field")?.map_err(|error| error.to_string())
}
