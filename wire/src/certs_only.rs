//! A CMS message that holds certificates and nothing else: what `/ca/<name>.p7c` is.
//!
//! ```asn1
//! ContentInfo ::= SEQUENCE {                                       -- RFC 5652 §3
//!     contentType  OBJECT IDENTIFIER,                              -- id-signedData
//!     content      [0] EXPLICIT SignedData }
//! SignedData ::= SEQUENCE {                                        -- RFC 5652 §5.1
//!     version          INTEGER,                                    -- 1
//!     digestAlgorithms SET OF AlgorithmIdentifier,                 -- none
//!     encapContentInfo SEQUENCE { eContentType OBJECT IDENTIFIER }, -- id-data, no content
//!     certificates     [0] IMPLICIT SET OF Certificate,
//!     signerInfos      SET OF SignerInfo }                         -- none
//! ```

use alloc::vec::Vec;

use crate::der::{Reader, push_tlv, tag};
use crate::{DecodeError, Rule, oid};

/// The message that holds these certificates, each a whole DER certificate. DER sorts a SET OF; the order given is lost.
// RFC 5280 §4.2.2.1: caIssuers points to a certificate, or to a "certs-only" CMS message of several.
pub fn encode(certificates: &[&[u8]]) -> Vec<u8> {
    let mut sorted = Vec::from(certificates);
    sorted.sort_unstable();
    sorted.dedup();
    let mut signed_data = Vec::new();
    push_tlv(&mut signed_data, tag::INTEGER, &[1]);
    push_tlv(&mut signed_data, tag::SET, &[]);
    push_tlv(&mut signed_data, tag::SEQUENCE, oid::CMS_DATA);
    push_tlv(
        &mut signed_data,
        tag::context_constructed(0),
        &sorted.concat(),
    );
    push_tlv(&mut signed_data, tag::SET, &[]);
    let mut whole = Vec::new();
    push_tlv(&mut whole, tag::SEQUENCE, &signed_data);
    let mut content_info = Vec::from(oid::CMS_SIGNED_DATA);
    push_tlv(&mut content_info, tag::context_constructed(0), &whole);
    let mut message = Vec::new();
    push_tlv(&mut message, tag::SEQUENCE, &content_info);
    message
}

/// The certificates in a message, as [`encode`] writes it: nothing signed, nothing else inside, in DER's order.
pub fn parse(octets: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut input = Reader::new(octets);
    let mut content_info = input.sequence()?;
    input.finish()?;
    expect_oid(&mut content_info, oid::CMS_SIGNED_DATA)?;
    let mut explicit = content_info.read(tag::context_constructed(0))?.reader();
    content_info.finish()?;
    let mut signed_data = explicit.sequence()?;
    explicit.finish()?;
    let version = signed_data.integer(1)?;
    if version.content != [1] {
        return Err(version.error(Rule::VersionUnknown));
    }
    expect_empty_set(&mut signed_data)?;
    let mut content = signed_data.sequence()?;
    expect_oid(&mut content, oid::CMS_DATA)?;
    content.finish()?;
    let mut set = signed_data.read(tag::context_constructed(0))?.reader();
    expect_empty_set(&mut signed_data)?;
    signed_data.finish()?;
    let mut certificates: Vec<&[u8]> = Vec::new();
    while !set.is_empty() {
        let certificate = set.read(tag::SEQUENCE)?;
        if certificates
            .last()
            .is_some_and(|last| *last >= certificate.raw)
        {
            return Err(certificate.error(Rule::FieldRange));
        }
        certificates.push(certificate.raw);
    }
    if certificates.is_empty() {
        return Err(set.error(Rule::Empty));
    }
    Ok(certificates)
}

fn expect_oid(reader: &mut Reader<'_>, expected: &[u8]) -> Result<(), DecodeError> {
    let found = reader.read(tag::OID)?;
    if found.raw == expected {
        Ok(())
    } else {
        Err(found.error(Rule::CodeUnknown))
    }
}

fn expect_empty_set(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let set = reader.read(tag::SET)?;
    if set.content.is_empty() {
        Ok(())
    } else {
        Err(set.error(Rule::NotEmpty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ONE: &[u8] = &[0x30, 1, 7];
    const OTHER: &[u8] = &[0x30, 2, 5, 5];

    #[test]
    fn certificates_are_lost_or_doubled_on_the_way() {
        let message = encode(&[OTHER, ONE, OTHER]);
        assert_eq!(parse(&message), Ok(vec![ONE, OTHER]));
    }

    #[test]
    fn a_message_that_holds_anything_else_is_taken() {
        let message = encode(&[ONE, OTHER]);
        for cut in 0..message.len() {
            assert!(parse(&message[..cut]).is_err());
        }
        for place in 0..message.len() {
            let mut changed = message.clone();
            changed[place] ^= 1;
            if let Ok(found) = parse(&changed) {
                // Only the certificates' own octets are free.
                assert_eq!(found.len(), 2, "{place}");
                assert!(place >= message.len() - 9, "{place}");
            }
        }
        assert!(parse(&encode(&[])).is_err());
    }
}
