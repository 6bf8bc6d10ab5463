//! On which list a certificate was found.

use wire::crl::Crl;
use wire::oid;
use wire::response::OcspResponse;
use wire::serial::Serial;
use wire::time::write_generalized;

use super::rig::{Adopted, runtime};

/// What is said of a serial besides its status.
fn extensions(rig: &Adopted, serial: &Serial) -> Option<Vec<u8>> {
    let (lane, tray) = rig.lane(1);
    tray.attend(1).unwrap();
    let request = rig.question_about(serial, None);
    let reply = runtime().block_on(lane.answer(&request)).unwrap();
    let basic = OcspResponse::parse(&reply.octets).unwrap().basic.unwrap();
    basic.first.extensions.map(<[u8]>::to_vec)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    wire::der::push_tlv(&mut whole, tag, content);
    whole
}

// RFC 6960 §4.4.2: the CRL on which a revoked certificate was found: its number and its time, here without an address.
#[test]
fn a_revoked_certificate_names_no_list_or_another_or_a_good_one_names_it() {
    let rig = Adopted::new();
    let list = Crl::parse(&rig.list).unwrap();
    let number = tlv(0xa1, &tlv(0x02, list.extensions.number.unwrap()));
    let time = tlv(0xa2, &tlv(0x18, &write_generalized(list.this_update)));
    let value = tlv(0x04, &tlv(0x30, &[number, time].concat()));
    let extension = tlv(0x30, &[oid::CRL_REFERENCE, &value].concat());
    let expected = tlv(0x30, &extension);
    assert_eq!(extensions(&rig, &rig.revoked), Some(expected));
    // "Good" is what a list does not say: it stands on none.
    let other = Serial::from_content(&[5]).unwrap();
    assert_eq!(extensions(&rig, &other), None);
}
