//! A small authority with a list.

use std::fs;

use hufu_tests::office::Office;
use hufu_tests::pki::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

pub(super) struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    restricted: bool,
    pub(super) certificate: Certificate,
    /// 1 January 2124.
    pub(super) next_update: u64,
}

impl Authority {
    pub(super) fn new(restricted: bool) -> Self {
        let mut parameters = CertificateParams::default();
        let name = format!("Authority with a list, restricted: {restricted}");
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("issuer.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            certificate: Certificate::read(certificate.der()),
            issuer: Issuer::new(parameters, key),
            restricted,
            next_update: 4_859_740_800,
        }
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
        let file = self.folder.path().join("list.crl");
        fs::write(&file, list.signed_by(&self.issuer).unwrap().der()).unwrap();
        let issuer = self.folder.path().join("issuer.pem");
        let (file, issuer) = (file.to_str().unwrap(), issuer.to_str().unwrap());
        let _ = office
            .loader(&["import", "--crl", file, "--issuer", issuer])
            .ok();
    }
}
