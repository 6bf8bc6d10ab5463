//! A mistyped identifier would make the reader blind and the writer lie; each is checked against its own dotted form.

use std::string::String;
use std::vec::Vec;

use super::oid_text;

/// Name, dotted form and octets of each constant, read from the source itself.
fn table() -> Vec<(String, String, Vec<u8>)> {
    let source = include_str!("../oid.rs");
    let mut table = Vec::new();
    let mut dotted = String::new();
    for item in source.split("\n/// ").skip(1) {
        let Some((doc, code)) = item.split_once("\npub const ") else {
            continue;
        };
        dotted.clear();
        dotted.push_str(doc.split(": ").next().unwrap());
        let name = code.split(": ").next().unwrap();
        let octets = code
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter_map(|word| word.strip_prefix("0x"))
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect();
        table.push((name.into(), dotted.clone(), octets));
    }
    table
}

#[test]
fn no_identifier_differs_from_its_dotted_form() {
    let table = table();
    assert!(table.len() > 35, "{}", table.len());
    for (name, dotted, octets) in table {
        assert_eq!(octets[0], 0x06, "{name}");
        assert_eq!(usize::from(octets[1]), octets.len() - 2, "{name}");
        let theirs = x509_parser::der_parser::oid::Oid::new(octets[2..].into());
        assert_eq!(theirs.to_id_string(), dotted, "{name}");
        assert_eq!(oid_text(&octets), dotted, "{name}");
        assert_eq!(oid_text(&octets[2..]), dotted, "{name}");
    }
}

#[test]
fn the_table_is_alphabetical() {
    assert!(table().is_sorted_by(|(a, ..), (b, ..)| a < b));
}

#[test]
fn text_of_what_is_no_identifier_does_not_panic() {
    for octets in [
        &[][..],
        &[0x06],
        &[0x06, 0x00],
        &[0x80],
        &[0x06, 0x01, 0x80],
        &[0xff; 40],
    ] {
        oid_text(octets);
    }
    assert_eq!(oid_text(&[0x06, 0x01, 0x80]), "060180");
    assert_eq!(oid_text(&[0x88, 0x37]), "2.999");
}
