//! A small authority with a list.

use std::fs;
use std::path::Path;

use hufu_tests::judge::openssl;
use hufu_tests::office::Office;
use hufu_tests::pki::Certificate;
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::small_authority;

pub(super) struct Authority {
    own: small_authority::Authority,
    restricted: bool,
    /// 1 January 2124.
    pub(super) next_update: u64,
}

impl Authority {
    pub(super) fn new(restricted: bool) -> Self {
        let name = format!("Authority with a list, restricted: {restricted}");
        Self {
            own: small_authority::Authority::new(&name),
            restricted,
            next_update: 4_859_740_800,
        }
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.own.certificate
    }

    /// Stages a list that revokes this serial.
    pub(super) fn import(&self, office: &Office, serial: u64) {
        let point = CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec!["http://example.test/part.crl".to_owned()],
            },
            scope: Some(CrlScope::UserCertsOnly),
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: self.restricted.then_some(point),
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2023, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = self.own.folder.path().join("list.crl");
        fs::write(&file, list.signed_by(&self.own.issuer).unwrap().der()).unwrap();
        let issuer = self.own.issuer_file();
        let (file, issuer) = (file.to_str().unwrap(), issuer.to_str().unwrap());
        let _ = office
            .loader(&["import", "--crl", file, "--issuer", issuer])
            .ok();
    }
}

/// Has OpenSSL read on which list it was found what [`Authority::import`] revoked.
pub(super) fn names_its_list(folder: &Path, answer: &[u8], restricted: bool) {
    fs::write(folder.join("live.der"), answer).unwrap();
    let words = ["ocsp", "-respin", "live.der", "-noverify", "-resp_text"];
    let read = openssl(folder, words).ok().stdout;
    for told in [
        "OCSP CRL ID",
        "crlNum: 01",
        "crlTime: Jan  1 00:00:00 2024 GMT",
    ] {
        assert!(read.contains(told), "{told}: {read}");
    }
    let address = read.contains("crlUrl: http://example.test/part.crl");
    assert_eq!(address, restricted, "{read}");
}
