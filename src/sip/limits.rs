//! What the parser refuses to look at, and why each limit is what it is.

/// The start line and all header fields of one message, in octets.
///
/// Real requests stay under 4 KiB, and RFC 4475's longest is 3.5 KiB; a chain of proxies with an Identity token reaches 8. Offsets into
/// the head are kept in 16 bits, which this bound makes safe.
pub const HEAD_MAX: usize = 16 * 1024;

/// One header field with its continuation lines, in octets: half a head, so that one field cannot fill it alone.
pub const FIELD_MAX: usize = 8 * 1024;

/// The name of one header field, in octets: kept in 8 bits. RFC 4475's longest is 90.
pub const NAME_MAX: usize = 255;

/// The number of header fields in one message: RFC 4475's longest message has 45. The index of a message is an array of this length,
/// so that parsing allocates nothing, and whatever loops over it ends.
pub const FIELDS_MAX: usize = 128;

/// The body of one message, in octets: a datagram cannot hold more than 64 KiB, and a profile of 1 MiB is already a fault of the
/// directory. It bounds what one TCP connection can make the framer keep.
pub const BODY_MAX: usize = 1024 * 1024;

/// RFC 3261 §8.1.1.5: a `CSeq` number is less than 2^31.
pub const CSEQ_MAX: u32 = (1 << 31) - 1;
