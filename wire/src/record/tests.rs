//! Records: the same octets for writer and reader, and the byte table above `RecordLayout`.

use std::vec;

use super::*;
use crate::status::RevocationReason;

fn layout() -> RecordLayout {
    RecordLayout::new(
        20,
        [
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::Rsa2048Sha256,
        ],
    )
    .unwrap()
}

#[test]
fn a_record_of_one_short_variant_has_91_octets() {
    let layout = RecordLayout::new(20, [SignatureAlgorithm::Sm2Sm3]).unwrap();
    assert_eq!(layout.record_octets(), 91);
}

#[test]
fn the_octets_are_those_of_the_table() {
    let layout = layout();
    let mut record = vec![0xaa; layout.record_octets()];
    let serial = Serial::from_content(&[0x80, 0x01]).unwrap();
    let status = CertStatus::Revoked {
        at: 0x0102_0304,
        reason: Some(RevocationReason::Superseded),
    };
    layout.write(&mut record, &serial, status, 0x0506).unwrap();
    layout.signature_mut(&mut record, 0).unwrap().fill(1);
    layout.signature_mut(&mut record, 1).unwrap().fill(2);
    let mut expected = vec![0xff; 18];
    expected.extend([0x80, 0x01, 4, 4, 3, 2, 1, 6, 5]);
    expected.extend([1; 64]);
    expected.extend([2; 256]);
    assert_eq!(record, expected);

    let view = layout.record(&record).unwrap();
    assert_eq!(view.serial_content(), serial.content());
    assert_eq!(view.status(), Ok(status));
    assert_eq!(view.window(), 0x0506);
    assert_eq!(view.signature(0), Some(&[1; 64][..]));
    assert_eq!(view.signature(1), Some(&[2; 256][..]));
    assert_eq!(view.signature(2), None);
}

#[test]
fn a_record_of_another_width_is_refused() {
    let layout = layout();
    let serial = Serial::from_content(&[1]).unwrap();
    for octets in [layout.record_octets() - 1, layout.record_octets() + 1] {
        let mut record = vec![0; octets];
        assert_eq!(
            layout.write(&mut record, &serial, CertStatus::Good, 0),
            Err(Rule::RecordWidth)
        );
        assert_eq!(layout.record(&record).map(|_| ()), Err(Rule::RecordWidth));
    }
}

#[test]
fn what_does_not_fit_a_record_is_refused_and_not_cut() {
    let layout = RecordLayout::new(1, []).unwrap();
    let mut record = vec![0; layout.record_octets()];
    let long = Serial::from_content(&[1, 2]).unwrap();
    assert_eq!(
        layout.write(&mut record, &long, CertStatus::Good, 0),
        Err(Rule::SerialTooLong)
    );
    let late = CertStatus::Revoked {
        at: 1 << 32,
        reason: None,
    };
    let short = Serial::from_content(&[1]).unwrap();
    assert_eq!(
        layout.write(&mut record, &short, late, 0),
        Err(Rule::TimeTooLate)
    );
}

#[test]
fn impossible_layouts_are_refused() {
    assert_eq!(RecordLayout::new(0, []), Err(Rule::FieldRange));
    assert_eq!(RecordLayout::new(33, []), Err(Rule::FieldRange));
    let algorithm = SignatureAlgorithm::Ed25519;
    assert!(RecordLayout::new(20, [algorithm; MAX_VARIANTS]).is_ok());
    assert_eq!(
        RecordLayout::new(20, [algorithm; MAX_VARIANTS + 1]),
        Err(Rule::FieldRange)
    );
}

#[test]
fn no_status_octet_is_read_as_another_status() {
    for code in 0..=u8::MAX {
        let Ok(status) = CertStatus::from_code(code, 7) else {
            assert!(matches!(code, 7 | 11..=0xfc), "{code}");
            continue;
        };
        assert_eq!(status.code(), code);
    }
    assert_eq!(CertStatus::from_code(0xff, 0), Ok(CertStatus::Good));
    assert_eq!(CertStatus::from_code(0xfd, 0), Ok(CertStatus::Absent));
}
