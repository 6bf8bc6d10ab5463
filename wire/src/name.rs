//! Are two Names one? Whoever decides by a Name whose certificate is revoked must know when nobody can tell.
//!
//! RFC 5280 §7.1 compares Names by attributes, text without regard to string type, case and repeated spaces; real
//! authorities change `PrintableString` to `UTF8String` between certificate and list. Text is not brought into a normal
//! form here, and there are strings that are no text. So an attribute that is not equal is only taken for another one where
//! both sides are text that has one form only; else the answer is [`NameMatch::Unknown`], unless another attribute tells.
//!
//! ```asn1
//! Name ::= CHOICE { rdnSequence SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY } }  -- RFC 5280 §4.1.2.4
//! ```

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

mod letters;

use letters::{fold, has_one_form};

use crate::DecodeError;
use crate::der::{Reader, push_tlv, tag};

/// How two Names stand to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameMatch {
    /// Octet for octet.
    Identical,
    /// Alike by RFC 5280 §7.1: string types, case and runs of spaces apart.
    Equivalent,
    /// Not the same name.
    Different,
    /// They are not the same octets, and nobody can tell whether they are the same name.
    Unknown,
}

impl NameMatch {
    /// Whether it is known that they are one name.
    #[must_use]
    pub fn is_same(self) -> bool {
        matches!(self, Self::Identical | Self::Equivalent)
    }
}

/// A Name, prepared once to be compared with many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedName {
    octets: Vec<u8>,
    /// None if it is no Name.
    rdns: Option<Vec<Rdn>>,
}

/// The attributes of a relative distinguished name: type and value, in one order, whichever they were written in.
type Rdn = Vec<(Vec<u8>, Value)>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// Text in lower case with single spaces, that has one form only.
    Settled(String),
    /// The same of text that may be written in another way, or in another character set than we take it for.
    Loose(String),
    /// The whole TLV of what is no text.
    Opaque(Vec<u8>),
}

impl PreparedName {
    /// Of the whole TLV of a Name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        Self {
            octets: name.to_owned(),
            rdns: rdns(name).ok(),
        }
    }

    /// How another one stands to it.
    #[must_use]
    pub fn compare(&self, name: &[u8]) -> NameMatch {
        if self.octets == name {
            return NameMatch::Identical;
        }
        match (&self.rdns, rdns(name)) {
            (Some(one), Ok(other)) => compare_rdns(one, &other),
            _ => NameMatch::Unknown,
        }
    }

    /// Octets that are the same of all Names that are known to be this one, and of no other.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let Some(rdns) = &self.rdns else {
            return self.octets.clone();
        };
        let mut key = Vec::with_capacity(self.octets.len());
        for rdn in rdns {
            let mut attributes = Vec::new();
            for (kind, value) in rdn {
                attributes.extend_from_slice(kind);
                match value {
                    Value::Settled(text) | Value::Loose(text) => {
                        push_tlv(&mut attributes, UTF8_STRING, text.as_bytes());
                    }
                    Value::Opaque(octets) => attributes.extend_from_slice(octets),
                }
            }
            push_tlv(&mut key, tag::SET, &attributes);
        }
        key
    }
}

/// Compares two Names, each the whole TLV.
// As RFC 5280 §7.1 has it: attribute by attribute, text without regard to string type, case and repeated spaces.
#[must_use]
pub fn compare_names(one: &[u8], other: &[u8]) -> NameMatch {
    if one == other {
        return NameMatch::Identical;
    }
    PreparedName::of(one).compare(other)
}

fn compare_rdns(one: &[Rdn], other: &[Rdn]) -> NameMatch {
    if one.len() != other.len() {
        return NameMatch::Different;
    }
    let mut all = NameMatch::Equivalent;
    for (one, other) in one.iter().zip(other) {
        match compare_attributes(one, other) {
            NameMatch::Different => return NameMatch::Different,
            NameMatch::Unknown => all = NameMatch::Unknown,
            NameMatch::Identical | NameMatch::Equivalent => {}
        }
    }
    all
}

fn compare_attributes(one: &Rdn, other: &Rdn) -> NameMatch {
    let kinds = one.iter().map(|(kind, _)| kind);
    if !kinds.eq(other.iter().map(|(kind, _)| kind)) {
        return NameMatch::Different;
    }
    let is_twice = |pair: &[(Vec<u8>, Value)]| matches!(pair, [one, other] if one.0 == other.0);
    let recurs = one.windows(2).any(is_twice);
    let mut all = NameMatch::Equivalent;
    for ((_, one), (_, other)) in one.iter().zip(other) {
        match (one, other) {
            (Value::Opaque(one), Value::Opaque(other)) if one == other => {}
            (
                Value::Settled(one) | Value::Loose(one),
                Value::Settled(other) | Value::Loose(other),
            ) if one == other => {}
            // Two of one type in one set may stand against each other in the wrong order.
            (Value::Settled(_), Value::Settled(_)) if !recurs => return NameMatch::Different,
            (Value::Opaque(one), Value::Opaque(other)) if !recurs && are_two_values(one, other) => {
                return NameMatch::Different;
            }
            _ => all = NameMatch::Unknown,
        }
    }
    all
}

/// Whether two values that differ are of one type in which DER writes each value in one way: strings of whole octets.
fn are_two_values(one: &[u8], other: &[u8]) -> bool {
    let is_plain = |value: &[u8]| {
        let content = Reader::new(value).any().map(|value| value.content);
        match value.first() {
            Some(&tag::OCTET_STRING) => true,
            Some(&tag::BIT_STRING) => content.is_ok_and(|content| content.first() == Some(&0)),
            _ => false,
        }
    };
    one.first() == other.first() && is_plain(one) && is_plain(other)
}

fn rdns(name: &[u8]) -> Result<Vec<Rdn>, DecodeError> {
    let mut input = Reader::new(name);
    let mut sequence = input.sequence()?;
    input.finish()?;
    let mut rdns = Vec::new();
    while !sequence.is_empty() {
        let mut set = sequence.read(tag::SET)?.reader();
        let mut rdn = Rdn::new();
        while !set.is_empty() {
            let mut attribute = set.sequence()?;
            let kind = attribute.read(tag::OID)?.raw.to_owned();
            let value = attribute.any()?;
            attribute.finish()?;
            rdn.push((kind, prepared(value.tag, value.content, value.raw)));
        }
        rdn.sort();
        rdns.push(rdn);
    }
    Ok(rdns)
}

fn prepared(tag: u8, content: &[u8], raw: &[u8]) -> Value {
    let Some(text) = text(tag, content) else {
        return Value::Opaque(raw.to_owned());
    };
    // Octets above 7F in a string of ASCII are of a character set that nobody names, even if they happen to be UTF-8.
    let says_which = matches!(tag, UTF8_STRING | BMP_STRING | UNIVERSAL_STRING);
    let is_settled = (says_which || text.is_ascii()) && text.chars().all(has_one_form);
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(fold));
    }
    match is_settled {
        true => Value::Settled(folded),
        false => Value::Loose(folded),
    }
}

fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            core::str::from_utf8(content).ok().map(str::to_owned)
        }
        // As the world uses it: Latin-1.
        T61_STRING => Some(content.iter().map(|&octet| char::from(octet)).collect()),
        BMP_STRING => {
            let units = content.as_chunks().0.iter();
            let units: Vec<u16> = units.map(|pair| u16::from_be_bytes(*pair)).collect();
            let text = String::from_utf16(&units).ok();
            text.filter(|_| content.len().is_multiple_of(2))
        }
        UNIVERSAL_STRING => {
            let units = content.as_chunks().0.iter();
            let text = units.map(|four| char::from_u32(u32::from_be_bytes(*four)));
            text.collect::<Option<String>>()
                .filter(|_| content.len().is_multiple_of(4))
        }
        _ => None,
    }
}

const UTF8_STRING: u8 = 12;
const NUMERIC_STRING: u8 = 18;
const PRINTABLE_STRING: u8 = 19;
const T61_STRING: u8 = 20;
const IA5_STRING: u8 = 22;
const VISIBLE_STRING: u8 = 26;
const UNIVERSAL_STRING: u8 = 28;
const BMP_STRING: u8 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const UNIT: &[u8] = &[0x55, 0x04, 0x0b];

    type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_tlv(&mut out, tag, content);
        out
    }

    fn name(rdns: &[&[Attribute<'_>]]) -> Vec<u8> {
        let mut all = Vec::new();
        for rdn in rdns {
            let mut set = Vec::new();
            for (kind, string, text) in *rdn {
                let attribute = [wrap(tag::OID, kind), wrap(*string, text)].concat();
                push_tlv(&mut set, tag::SEQUENCE, &attribute);
            }
            push_tlv(&mut all, tag::SET, &set);
        }
        wrap(tag::SEQUENCE, &all)
    }

    fn called(string: u8, text: &[u8]) -> Vec<u8> {
        name(&[&[(COMMON_NAME, string, text)]])
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    fn wider(text: &str) -> Vec<u8> {
        text.chars()
            .flat_map(|character| u32::from(character).to_be_bytes())
            .collect()
    }

    fn both_ways(one: &[u8], other: &[u8]) -> NameMatch {
        let judged = compare_names(one, other);
        assert_eq!(judged, compare_names(other, one));
        assert_eq!(
            judged.is_same(),
            PreparedName::of(one).key() == PreparedName::of(other).key()
        );
        judged
    }

    // As RFC 5280 §7.1 has it: attribute by attribute, text without regard to string type, case and repeated spaces.
    #[test]
    fn one_name_in_two_spellings_is_taken_for_two() {
        let root = called(PRINTABLE_STRING, b"Root  CA");
        assert_eq!(both_ways(&root, &root), NameMatch::Identical);
        for same in [
            called(UTF8_STRING, b"root ca "),
            called(T61_STRING, b"Root CA"),
            called(IA5_STRING, b"ROOT CA"),
            called(BMP_STRING, &wide("Root CA")),
            called(UNIVERSAL_STRING, &wider("Root CA")),
            called(UTF8_STRING, "Ｒｏｏｔ　ＣＡ".as_bytes()),
        ] {
            assert_eq!(both_ways(&root, &same), NameMatch::Equivalent, "{same:x?}");
        }
        let latin = called(T61_STRING, b"M\xfcller CA");
        assert_eq!(
            both_ways(&latin, &called(UTF8_STRING, "Müller CA".as_bytes())),
            NameMatch::Equivalent
        );
        let one: &[Attribute<'_>] = &[(COMMON_NAME, UTF8_STRING, b"CA"), (UNIT, UTF8_STRING, b"1")];
        let other: &[Attribute<'_>] = &[
            (UNIT, PRINTABLE_STRING, b"1"),
            (COMMON_NAME, UTF8_STRING, b"ca"),
        ];
        assert_eq!(
            both_ways(&name(&[one]), &name(&[other])),
            NameMatch::Equivalent
        );
    }

    #[test]
    fn two_names_are_taken_for_one_or_for_what_nobody_knows() {
        let root = called(PRINTABLE_STRING, b"Root CA");
        let country = name(&[
            &[(COUNTRY, PRINTABLE_STRING, b"CN")],
            &[(COMMON_NAME, PRINTABLE_STRING, b"Root CA")],
        ]);
        for different in [
            called(UTF8_STRING, b"Root CA 2"),
            called(UTF8_STRING, "根证书".as_bytes()),
            called(BMP_STRING, &wide("Root KA")),
            name(&[&[(UNIT, PRINTABLE_STRING, b"Root CA")]]),
            name(&[]),
            country.clone(),
        ] {
            assert_eq!(
                both_ways(&root, &different),
                NameMatch::Different,
                "{different:x?}"
            );
        }
        // x500UniqueIdentifier, and the like.
        for (kind, one, other) in [
            (tag::OCTET_STRING, &[0, 1][..], &[0, 2][..]),
            (tag::BIT_STRING, &[0, 1], &[0, 2]),
        ] {
            let (one, other) = (called(kind, one), called(kind, other));
            assert_eq!(both_ways(&one, &other), NameMatch::Different);
        }
        // One attribute tells, whatever is wrong with another.
        let elsewhere = name(&[
            &[(COUNTRY, PRINTABLE_STRING, b"DE")],
            &[(COMMON_NAME, tag::OCTET_STRING, b"Root CA")],
        ]);
        assert_eq!(both_ways(&country, &elsewhere), NameMatch::Different);
    }

    #[test]
    fn two_names_of_one_operator_that_plainly_differ_are_what_nobody_knows() {
        let plain = called(UTF8_STRING, "某某CA".as_bytes());
        for other in [
            "某某（二）CA",
            "某某(二)CA",
            "某某「二」CA",
            "某某《二》CA",
            "某某CA – “neu”",
            "«CA» ΑΡΧΗ ΠΙΣΤΟΠΟΙΗΣΗΣ",
            "רשות",
            "هيئة",
        ] {
            let other = called(UTF8_STRING, other.as_bytes());
            assert_eq!(both_ways(&plain, &other), NameMatch::Different);
        }
        for (one, other) in [
            ("某某（二）CA", "某某(二)ca"),
            ("ΑΡΧΗ ΠΙΣΤΟΠΟΙΗΣΗΣ", "αρχη πιστοποιησης"),
        ] {
            let one = called(UTF8_STRING, one.as_bytes());
            let other = called(UTF8_STRING, other.as_bytes());
            assert_eq!(both_ways(&one, &other), NameMatch::Equivalent);
        }
    }

    #[test]
    fn a_name_that_cannot_be_compared_is_taken_for_anothers() {
        let root = called(PRINTABLE_STRING, b"Root CA");
        for unknown in [
            // Junk, half a name, something behind it.
            wrap(tag::SEQUENCE, &[1, 2, 3]),
            root[..root.len() - 1].to_owned(),
            [&root[..], &[5, 0]].concat(),
            // Not UTF-8, half a character, no string.
            called(UTF8_STRING, b"Root \xff"),
            called(BMP_STRING, b"Roo"),
            called(UNIVERSAL_STRING, b"Root C"),
            called(tag::OCTET_STRING, b"Root CA"),
            // Another character set than we take it for: GBK that happens to be UTF-8, too; a character that is nothing.
            called(T61_STRING, b"Root \xc8CA"),
            called(PRINTABLE_STRING, b"Root \xc4\xa3"),
            called(IA5_STRING, "Root Ä".as_bytes()),
            called(UTF8_STRING, "Root\u{200b} CA".as_bytes()),
        ] {
            assert_eq!(
                both_ways(&root, &unknown),
                NameMatch::Unknown,
                "{unknown:x?}"
            );
        }
        // Unused bits may stand either way where somebody does not keep to DER.
        let bits = [[4, 0x10], [4, 0x1f]].map(|bits| called(tag::BIT_STRING, &bits));
        assert_eq!(both_ways(&bits[0], &bits[1]), NameMatch::Unknown);
        // Composed and decomposed, sharp s and two.
        for (one, other) in [("Müller", "Mu\u{308}ller"), ("Straße", "STRASSE")] {
            let (one, other) = (
                called(UTF8_STRING, one.as_bytes()),
                called(UTF8_STRING, other.as_bytes()),
            );
            assert_eq!(both_ways(&one, &other), NameMatch::Unknown);
        }
        let twice = |one: &[u8], other: &[u8]| {
            name(&[&[(UNIT, UTF8_STRING, one), (UNIT, UTF8_STRING, other)]])
        };
        assert_eq!(
            both_ways(&twice(b"1", b"2"), &twice(b"2", b"1")),
            NameMatch::Equivalent
        );
        assert_eq!(
            both_ways(&twice(b"1", b"2"), &twice(b"2", b"3")),
            NameMatch::Unknown
        );
    }
}
