//! The extensions of a request: the nonce is read, what is not critical is passed over, what is critical and not known
//! is an error of its own.

use super::preferred::PreferredAlgorithms;
use crate::der::{Reader, Tlv, tag};
use crate::{DecodeError, Rule, oid};

/// Octets of the longest nonce: RFC 9654 §2.1.
pub const MAX_NONCE_OCTETS: usize = 128;

/// A nonce, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce<'a> {
    /// The nonce: 1 to [`MAX_NONCE_OCTETS`] octets.
    pub value: &'a [u8],
    /// The content of the extension's `extnValue`, which the answer repeats.
    pub extn_value: &'a [u8],
}

/// Where the extensions stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `requestExtensions`.
    Request,
    /// `singleRequestExtensions` of one certificate.
    Single,
}

/// What the extensions of a request ask for.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    pub(super) nonce: Option<Nonce<'a>>,
    pub(super) preferred: Option<PreferredAlgorithms<'a>>,
}

/// Reads `Extensions` inside an explicit tag.
pub(super) fn read<'a>(explicit: &Tlv<'a>, place: Place) -> Result<Asked<'a>, DecodeError> {
    let mut inside = explicit.reader();
    let mut list = inside.sequence()?;
    inside.finish()?;
    // RFC 5280 §4.1 wants at least one. An empty list says nothing and is passed over.
    let mut asked = Asked::default();
    while !list.is_empty() {
        let start = list.offset();
        let extension = read_extension(&mut list)?;
        let known = match place {
            Place::Request if extension.oid == oid::NONCE => {
                if asked.nonce.is_some() {
                    return Err(Rule::ExtensionRepeated.at(start));
                }
                // RFC 9654 §2.1: a nonce of no octets or of more than 128 makes the request malformed.
                asked.nonce = Some(read_nonce(&extension)?);
                true
            }
            Place::Request if extension.oid == oid::PREFERRED_SIGNATURE_ALGORITHMS => {
                asked.preferred = Some(PreferredAlgorithms(extension.value.content));
                true
            }
            // RFC 6960 §4.4.3: a client may say which types of response it understands; ours is the one that all must.
            Place::Request => extension.oid == oid::ACCEPTABLE_RESPONSES,
            // RFC 6960 §4.4.6: a service locator asks for forwarding, which is not done here.
            Place::Single => false,
        };
        // RFC 6960 §4.1.2: an extension that is not known is ignored, unless it is critical.
        if extension.is_critical && !known {
            return Err(Rule::CriticalExtensionUnknown.at(start));
        }
    }
    Ok(asked)
}

/// One extension.
pub(crate) struct Extension<'a> {
    /// The whole TLV of its identifier.
    pub(crate) oid: &'a [u8],
    pub(crate) is_critical: bool,
    /// The OCTET STRING that holds its value.
    pub(crate) value: Tlv<'a>,
}

/// Reads one `Extension`.
///
/// X.690 §11.5 asks to leave `critical` out when false. It is taken when written: real CRLs and clients write it, validly
/// signed, and it says the same.
#[inline]
pub(crate) fn read_extension<'a>(list: &mut Reader<'a>) -> Result<Extension<'a>, DecodeError> {
    let mut extension = list.sequence()?;
    let oid = extension.read(tag::OID)?.raw;
    let is_critical = extension.peek() == Some(tag::BOOLEAN) && extension.boolean()?;
    let value = extension.read(tag::OCTET_STRING)?;
    extension.finish()?;
    Ok(Extension {
        oid,
        is_critical,
        value,
    })
}

/// RFC 9654 §2.1: the value is an OCTET STRING of 1 to 128 octets. RFC 2560 left the form open and clients of its day
/// put the bare nonce into `extnValue`; that is taken as well, in the same lengths.
fn read_nonce<'a>(extension: &Extension<'a>) -> Result<Nonce<'a>, DecodeError> {
    let extn_value = extension.value.content;
    let mut wrapped = extension.value.reader();
    let value = match wrapped.read(tag::OCTET_STRING) {
        Ok(inner) if wrapped.is_empty() => inner.content,
        _ => extn_value,
    };
    if value.is_empty() || value.len() > MAX_NONCE_OCTETS {
        return Err(extension.value.error(Rule::NonceLength));
    }
    Ok(Nonce { value, extn_value })
}
