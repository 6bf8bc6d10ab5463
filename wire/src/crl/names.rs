//! `certificateIssuer`: whose certificate an entry of an indirect list is about.
//!
//! ```asn1
//! CertificateIssuer ::= GeneralNames                               -- RFC 5280 §5.3.3
//! GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName           -- RFC 5280 §4.2.1.6
//! GeneralName ::= CHOICE { …, directoryName [4] Name, … }          -- explicit, since Name is a CHOICE itself
//! ```

use alloc::vec::Vec;

use crate::der::{Reader, push_tlv, tag};
use crate::{DecodeError, Rule};

/// The directory names in a whole TLV of `GeneralNames`, each as the whole TLV of a Name; names of other kinds are passed
/// over. Offsets of errors count from its start.
pub fn directory_names(names: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut input = Reader::new(names);
    let mut list = input.sequence()?;
    input.finish()?;
    if list.is_empty() {
        return Err(list.error(Rule::Truncated));
    }
    let mut found = Vec::new();
    while !list.is_empty() {
        let name = list.any()?;
        if name.tag != DIRECTORY_NAME {
            continue;
        }
        let mut explicit = name.reader();
        found.push(explicit.read(tag::SEQUENCE)?.raw);
        explicit.finish()?;
    }
    Ok(found)
}

/// The whole TLV of `GeneralNames` that holds one directory name; `name` is the whole TLV of a Name.
pub(super) fn names_of(name: &[u8]) -> Vec<u8> {
    let mut explicit = Vec::new();
    push_tlv(&mut explicit, DIRECTORY_NAME, name);
    let mut names = Vec::new();
    push_tlv(&mut names, tag::SEQUENCE, &explicit);
    names
}

const DIRECTORY_NAME: u8 = tag::context_constructed(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::SignatureAlgorithm;
    use crate::crl::fuzz::fuzz_crl;
    use crate::crl::{Crl, CrlHeader, CrlWriter, assemble_crl};
    use crate::oid;
    use crate::status::RevocationReason;

    // RFC 5280 §5.3.3: the extension is critical, and holds the name from the certificate's issuer field.
    #[test]
    fn an_entry_of_another_issuer_is_written_as_one_of_the_lists_own() {
        let (own, other) = ([0x30, 0x00], [0x30, 0x02, 0x31, 0x00]);
        let mut writer = CrlWriter::new();
        writer.push(&[1], 1_700_000_000, None, None);
        let reason = Some(RevocationReason::KeyCompromise);
        writer.push_of(&other, &[1], 1_700_000_000, reason);
        writer.push_of(&own, &[2], 1_700_000_000, None);
        let algorithm = SignatureAlgorithm::Ed25519;
        let tbs = writer.finish(&CrlHeader {
            algorithm,
            issuer: &own,
            this_update: 1_700_000_000,
            next_update: 1_800_000_000,
            number: 1,
            key_identifier: &[7; 20],
            base_number: None,
            distribution_point: None,
            freshest_uri: None,
        });
        let octets = assemble_crl(&tbs, algorithm, &[1; 64]).unwrap();
        fuzz_crl(&octets);
        let critical = [oid::CERTIFICATE_ISSUER, &[tag::BOOLEAN, 1, 0xff]].concat();
        let found = octets
            .windows(critical.len())
            .filter(|part| *part == critical);
        assert_eq!(found.count(), 2);
        let list = Crl::parse(&octets).unwrap();
        let entries: Vec<_> = list.entries().map(Result::unwrap).collect();
        let names = entries.iter().map(|entry| {
            entry
                .certificate_issuer
                .map(|it| directory_names(it).unwrap())
        });
        let expected = [
            None,
            Some(Vec::from([&other[..]])),
            Some(Vec::from([&own[..]])),
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert_eq!(entries.get(1).unwrap().reason, reason);
        assert!(entries.iter().all(|entry| entry.unknown_critical.is_none()));
    }

    #[test]
    fn a_name_is_read_otherwise_than_it_was_written_or_out_of_something_else() {
        let name = [0x30, 0x02, 0x31, 0x00];
        assert_eq!(directory_names(&names_of(&name)).unwrap(), [&name[..]]);
        // Beside an address, twice; an address alone.
        let mixed = [
            0x30, 0x0f, 0x86, 0x01, b'x', 0xa4, 0x04, 0x30, 0x02, 0x31, 0x00, 0xa4, 0x04, 0x30,
            0x02, 0x31, 0x00,
        ];
        assert_eq!(directory_names(&mixed).unwrap().len(), 2);
        assert_eq!(
            directory_names(&[0x30, 0x03, 0x86, 0x01, b'x']),
            Ok(Vec::new())
        );
        for (wrong, rule) in [
            // Nothing in it; no Name in it; two in one; something behind it; cut off.
            (&[0x30, 0x00][..], Rule::Truncated),
            (&[0x30, 0x04, 0xa4, 0x02, 0x31, 0x00], Rule::UnexpectedTag),
            (&[0x30, 0x02, 0xa4, 0x00], Rule::Truncated),
            (
                &[0x30, 0x06, 0xa4, 0x04, 0x30, 0x00, 0x30, 0x00],
                Rule::TrailingOctets,
            ),
            (&[0x30, 0x02, 0x86, 0x00, 0x00], Rule::TrailingOctets),
            (&[0x30, 0x04, 0xa4, 0x04, 0x30, 0x00], Rule::Truncated),
        ] {
            assert_eq!(directory_names(wrong).unwrap_err().rule, rule, "{wrong:x?}");
        }
    }
}
