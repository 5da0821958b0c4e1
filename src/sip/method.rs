//! Request methods.

use std::fmt;

macro_rules! methods {
    ($($variant:ident $text:literal,)*) => {
        /// A request method. RFC 3261 §7.1: compared octet by octet, so `notify` and `NOTIFYX` are other methods than NOTIFY.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each variant is the method of that name")]
        pub enum Method<'a> {
            $($variant,)*
            /// A method that this crate does not know, as it is written.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method that a token names.
            pub fn parse(text: &'a str) -> Self {
                match text { $($text => Self::$variant,)* other => Self::Other(other) }
            }

            /// The token.
            pub const fn as_str(self) -> &'a str {
                match self { $(Self::$variant => $text,)* Self::Other(text) => text }
            }
        }
    };
}

methods! {
    Invite "INVITE", Ack "ACK", Bye "BYE", Cancel "CANCEL", Options "OPTIONS", Register "REGISTER", Subscribe "SUBSCRIBE",
    Notify "NOTIFY", Message "MESSAGE", Publish "PUBLISH", Info "INFO", Update "UPDATE", Prack "PRACK", Refer "REFER",
}

impl Method<'_> {
    /// Whether RFC 3261 or an extension of it defines the method and this crate knows it by name.
    pub const fn is_known(self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl<'a> From<&'a str> for Method<'a> {
    fn from(text: &'a str) -> Self {
        Self::parse(text)
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_compared_octet_by_octet() {
        assert_eq!(Method::parse("NOTIFY"), Method::Notify);
        for text in ["NOTIFYX", "NOTIF", "notify", "", "RE%47IST%45R"] {
            assert_eq!(Method::parse(text), Method::Other(text));
            assert_eq!(Method::parse(text).as_str(), text);
        }
    }
}
