//! Serials: order, forms, hash and shards.

use proptest::prelude::*;
use std::string::ToString;

use super::*;

fn serial(content: &[u8]) -> Serial {
    Serial::from_content(content).unwrap()
}

#[test]
fn a_serial_not_in_its_shortest_form_is_refused() {
    assert_eq!(Serial::from_content(&[]), Err(Rule::IntegerEmpty));
    assert_eq!(Serial::from_content(&[0, 1]), Err(Rule::IntegerNotMinimal));
    assert_eq!(
        Serial::from_content(&[0xff, 0x80]),
        Err(Rule::IntegerNotMinimal)
    );
    assert_eq!(Serial::from_content(&[1; 33]), Err(Rule::SerialTooLong));
    assert!(Serial::from_content(&[1; 32]).is_ok());
}

#[test]
fn a_number_with_its_top_bit_set_does_not_become_negative() {
    assert_eq!(
        Serial::from_unsigned(&[0x80]).unwrap().content(),
        [0x00, 0x80]
    );
    assert_eq!(
        Serial::from_unsigned(&[0, 0, 0x7f]).unwrap().content(),
        [0x7f]
    );
    assert_eq!(Serial::from_unsigned(&[]).unwrap().content(), [0]);
    assert_eq!(Serial::from_unsigned(&[0x80; 32]), Err(Rule::SerialTooLong));
    assert!(Serial::from_unsigned(&[0x7f; 32]).is_ok());
}

#[test]
fn zero_and_minus_one_keep_one_octet() {
    assert_eq!(serial(&[0]).content(), [0]);
    assert_eq!(serial(&[0xff]).content(), [0xff]);
    assert_eq!(Serial::from_padded(&[0; 20]).unwrap().content(), [0]);
    assert_eq!(Serial::from_padded(&[0xff; 20]).unwrap().content(), [0xff]);
}

#[test]
fn a_record_too_narrow_for_a_serial_does_not_cut_it() {
    assert_eq!(serial(&[1, 2, 3]).padded(2), None);
    assert_eq!(serial(&[1, 2, 3]).padded(33), None);
    assert_eq!(serial(&[1, 2, 3]).padded(4), Some(&[0, 1, 2, 3][..]));
    assert_eq!(serial(&[0x80]).padded(3), Some(&[0xff, 0xff, 0x80][..]));
}

#[test]
fn text_of_people_and_tools_is_read() {
    for text in ["01AB", "1ab", "01:ab", "000001AB"] {
        assert_eq!(
            text.parse::<Serial>().unwrap().content(),
            [0x01, 0xab],
            "{text}"
        );
    }
    assert_eq!("ff".parse::<Serial>().unwrap().content(), [0x00, 0xff]);
    assert_eq!("".parse::<Serial>(), Err(Rule::IntegerEmpty));
    assert_eq!("0x12".parse::<Serial>(), Err(Rule::CodeUnknown));
    assert!("f".repeat(65).parse::<Serial>().is_err());
    assert!("ü".parse::<Serial>().is_err());
}

#[test]
fn the_hash_is_siphash_1_3() {
    use core::hash::Hasher;
    // The standard library's default hasher is SipHash-1-3 with a key of zeros.
    let content: std::vec::Vec<u8> = (0..20).collect();
    let mut theirs = std::hash::DefaultHasher::new();
    theirs.write(&content);
    assert_eq!(SerialHashKey([0; 16]).hash(&content), theirs.finish());
}

#[test]
fn the_hash_under_a_key_never_changes() {
    // Packs on disk and batches in flight depend on it. The value is that of a SipHash written apart, from the paper.
    let key = SerialHashKey(core::array::from_fn(|place| u8::try_from(place).unwrap()));
    assert_eq!(key.hash(&[0x01, 0xab]), 11_762_872_904_457_715_100);
}

#[test]
fn shards_cover_their_range_and_one_shard_keeps_the_hash() {
    assert_eq!(shard(u64::MAX, 1), (0, u64::MAX));
    assert_eq!(shard(7, 0), (0, 7));
    assert_eq!(shard(0, 16).0, 0);
    assert_eq!(shard(u64::MAX, 16).0, 15);
    assert_eq!(shard(u64::MAX, u32::MAX).0, u32::MAX - 1);
}

/// A number of 0 to 32 octets in its shortest form.
fn contents() -> impl Strategy<Value = std::vec::Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..=MAX_SERIAL_OCTETS)
        .prop_map(|octets| shortest(&octets).to_vec())
}

proptest! {
    #[test]
    fn a_serial_survives_padding(content in contents(), extra in 0_usize..32) {
        let serial = serial(&content);
        prop_assert_eq!(serial.content(), &content[..]);
        let width = (content.len() + extra).min(MAX_SERIAL_OCTETS);
        let padded = serial.padded(width).unwrap();
        prop_assert_eq!(padded.len(), width);
        prop_assert_eq!(shortest(padded), &content[..]);
        prop_assert_eq!(Serial::from_padded(padded), Ok(serial));
    }

    #[test]
    fn the_order_is_the_same_in_every_width(a in contents(), b in contents(), extra in 0_usize..32) {
        let (a, b) = (serial(&a), serial(&b));
        let width = (a.content().len().max(b.content().len()) + extra).min(MAX_SERIAL_OCTETS);
        prop_assert_eq!(a.cmp(&b), a.padded(width).cmp(&b.padded(width)));
        if a.is_negative() != b.is_negative() {
            prop_assert_eq!(a > b, a.is_negative());
        } else if !a.is_negative() && a.content().len() > b.content().len() {
            prop_assert!(a > b);
        }
    }

    #[test]
    fn text_comes_back(octets in proptest::collection::vec(any::<u8>(), 0..32)) {
        let serial = Serial::from_unsigned(&octets).unwrap();
        prop_assert_eq!(serial.to_string().parse::<Serial>(), Ok(serial));
    }

    #[test]
    fn sorting_by_shard_and_rest_is_sorting_by_hash(a: u64, b: u64, shards in 1_u32..) {
        prop_assert_eq!(shard(a, shards).cmp(&shard(b, shards)), a.cmp(&b));
    }
}
