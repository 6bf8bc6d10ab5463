//! What the reader must refuse, one malformed value each, and what the writer must not get wrong.

use std::vec::Vec;

use super::*;
use crate::{DecodeError, Rule};

fn any(octets: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(octets);
    let value = reader.any()?;
    reader.finish()?;
    Ok(value.content.into())
}

#[test]
fn an_empty_input_is_truncated() {
    assert_eq!(any(&[]), Err(Rule::Truncated.at(0)));
    assert_eq!(any(&[0x30]), Err(Rule::Truncated.at(0)));
}

#[test]
fn a_content_longer_than_the_input_is_truncated() {
    assert_eq!(any(&[0x04, 0x02, 0x00]), Err(Rule::Truncated.at(0)));
    assert_eq!(any(&[0x04, 0x82, 0x01]), Err(Rule::Truncated.at(0)));
}

#[test]
fn the_greatest_length_does_not_overflow() {
    assert_eq!(
        any(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]),
        Err(Rule::Truncated.at(0))
    );
    assert_eq!(
        any(&[0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Err(Rule::LengthTooLong.at(0))
    );
    assert_eq!(any(&[0x04, 0xff, 0x00]), Err(Rule::LengthTooLong.at(0)));
}

#[test]
fn an_indefinite_length_is_refused() {
    assert_eq!(
        any(&[0x30, 0x80, 0x00, 0x00]),
        Err(Rule::IndefiniteLength.at(0))
    );
}

#[test]
fn a_long_form_for_a_short_length_is_refused() {
    assert_eq!(
        any(&[0x04, 0x81, 0x01, 0x00]),
        Err(Rule::LengthNotMinimal.at(0))
    );
    let mut padded = std::vec![0x04, 0x82, 0x00, 0x80];
    padded.extend([0; 0x80]);
    assert_eq!(any(&padded), Err(Rule::LengthNotMinimal.at(0)));
}

#[test]
fn a_high_tag_number_is_refused() {
    assert_eq!(any(&[0x1f, 0x01, 0x00]), Err(Rule::HighTagNumber.at(0)));
}

#[test]
fn trailing_octets_are_refused_where_they_start() {
    assert_eq!(any(&[0x05, 0x00, 0x00]), Err(Rule::TrailingOctets.at(2)));
}

#[test]
fn offsets_inside_nested_values_count_from_the_outermost_octet() {
    let octets = [0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x07];
    let mut outer = Reader::new(&octets);
    let mut middle = outer.sequence().unwrap();
    let mut inner = middle.sequence().unwrap();
    assert_eq!(inner.offset(), 4);
    assert_eq!(inner.read(tag::BOOLEAN), Err(Rule::UnexpectedTag.at(4)));
    assert_eq!(inner.integer(1).unwrap().offset, 6);
}

#[test]
fn integers_with_superfluous_octets_are_refused() {
    let integer = |octets: &[u8]| {
        Reader::new(octets)
            .integer(2)
            .map(|value| value.content.to_vec())
            .map_err(|error| error.rule)
    };
    assert_eq!(integer(&[0x02, 0x00]), Err(Rule::IntegerEmpty));
    assert_eq!(
        integer(&[0x02, 0x02, 0x00, 0x7f]),
        Err(Rule::IntegerNotMinimal)
    );
    assert_eq!(
        integer(&[0x02, 0x02, 0xff, 0x80]),
        Err(Rule::IntegerNotMinimal)
    );
    assert_eq!(
        integer(&[0x02, 0x03, 0x01, 0x00, 0x00]),
        Err(Rule::IntegerTooLong)
    );
    assert_eq!(integer(&[0x02, 0x02, 0x00, 0x80]), Ok([0x00, 0x80].into()));
    assert_eq!(integer(&[0x02, 0x02, 0xff, 0x7f]), Ok([0xff, 0x7f].into()));
    assert_eq!(integer(&[0x02, 0x01, 0x00]), Ok([0x00].into()));
}

#[test]
fn booleans_other_than_00_and_ff_are_refused() {
    assert_eq!(Reader::new(&[1, 1, 0xff]).boolean(), Ok(true));
    assert_eq!(Reader::new(&[1, 1, 0]).boolean(), Ok(false));
    assert_eq!(
        Reader::new(&[1, 1, 1]).boolean(),
        Err(Rule::BooleanNotCanonical.at(2))
    );
    assert_eq!(
        Reader::new(&[1, 0]).boolean(),
        Err(Rule::BooleanNotCanonical.at(2))
    );
}

#[test]
fn bit_strings_with_unused_bits_or_without_their_count_are_refused() {
    let bits = |octets: &'static [u8]| {
        Reader::new(octets)
            .bit_string_octets()
            .map(|value| value.content)
    };
    assert_eq!(bits(&[3, 2, 0, 9]), Ok(&[9][..]));
    assert_eq!(bits(&[3, 2, 1, 8]), Err(Rule::BitStringUnusedBits.at(2)));
    assert_eq!(bits(&[3, 0]), Err(Rule::BitStringUnusedBits.at(2)));
}

#[test]
fn written_lengths_are_read_back_at_every_size_class() {
    for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x12_3456] {
        let content = std::vec![0xa5; length];
        let mut written = Vec::new();
        push_tlv(&mut written, tag::OCTET_STRING, &content);
        assert_eq!(written.len(), tlv_len(length));
        assert_eq!(any(&written), Ok(content));
    }
}

#[test]
fn a_cursor_never_writes_beyond_its_buffer_nor_in_part() {
    let mut buffer = [0; 4];
    let mut cursor = Cursor::new(&mut buffer);
    cursor.put(&[1, 2, 3]);
    cursor.put(&[4, 5]);
    assert!(!cursor.filled());
    assert_eq!(buffer, [1, 2, 3, 0]);
}

#[test]
fn a_reader_skips_only_forward_and_only_inside() {
    let octets = [5, 0, 5, 0];
    let mut reader = Reader::new(&octets);
    reader.any().unwrap();
    assert!(reader.skipped_to(1).is_none());
    assert!(reader.skipped_to(5).is_none());
    assert_eq!(reader.skipped_to(4).unwrap().rest(), &[] as &[u8]);
}

#[test]
fn lengths_of_lists_beyond_four_gibioctets_are_not_cut() {
    for (length, expected) in [
        (0x00ff_ffff_usize, &[4, 0x83, 0xff, 0xff, 0xff][..]),
        (0x0100_0000, &[4, 0x84, 1, 0, 0, 0]),
        (0xffff_ffff, &[4, 0x84, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[4, 0x85, 1, 0, 0, 0, 0]),
        (
            usize::MAX,
            &[4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
    ] {
        let mut header = Vec::new();
        push_header(&mut header, tag::OCTET_STRING, length);
        assert_eq!(header, expected);
    }
}
