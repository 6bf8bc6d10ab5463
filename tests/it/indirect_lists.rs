//! An indirect list: one signer for two authorities. What is answered of each certificate is what OpenSSL says of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hufu_tests::demo::Demo;
use hufu_tests::der::{element, sequence};
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{command, run, wait_until};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, SigningKey as _,
};

/// Somebody with a certificate under the root.
struct Somebody {
    name: &'static str,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn parameters(name: &str, is_ca: IsCa, usages: &[KeyUsagePurpose]) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = is_ca;
    parameters.key_usages = usages.to_vec();
    parameters
}

/// A root, two authorities under it, and somebody who is none and signs lists for both.
struct Hierarchy {
    folder: tempfile::TempDir,
    authorities: [Somebody; 2],
    signer: Certificate,
    signing_key: KeyPair,
}

const ANY_CA: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

impl Hierarchy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, pem: String| fs::write(folder.path().join(name), pem).unwrap();
        let both = [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = parameters("Root of both", ANY_CA, &both);
        put("root.pem", root.self_signed(&key).unwrap().pem());
        let root = Issuer::new(root, key);

        let authorities = ["first", "second"].map(|name| {
            let key = KeyPair::generate().unwrap();
            let subject = format!("The {name} authority");
            let parameters = parameters(&subject, ANY_CA, &both);
            let certificate = parameters.signed_by(&key, &root).unwrap();
            put(&format!("{name}.pem"), certificate.pem());
            Somebody {
                name,
                certificate: Certificate::read(certificate.der()),
                issuer: Issuer::new(parameters, key),
            }
        });
        let signing_key = KeyPair::generate().unwrap();
        let signer = parameters(
            "Signer of lists",
            IsCa::ExplicitNoCa,
            &[KeyUsagePurpose::CrlSign],
        );
        let signer = signer.signed_by(&signing_key, &root).unwrap();
        put("signer.pem", signer.pem());
        let all = ["first", "second", "signer"]
            .map(|name| fs::read_to_string(folder.path().join(format!("{name}.pem"))).unwrap());
        put("untrusted.pem", all.concat());
        Self {
            authorities,
            signer: Certificate::read(signer.der()),
            signing_key,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate whose revocation is asked of the signer of lists (RFC 5280 §4.2.1.13: cRLIssuer).
    fn holder(&self, authority: &Somebody, serial: u8) -> PathBuf {
        let mut holder = parameters("Holder", IsCa::ExplicitNoCa, &[]);
        holder.serial_number = Some(SerialNumber::from(vec![serial]));
        let crl_issuer = element(0xA2, &element(0xA4, &self.signer.subject));
        let points = sequence(&[&sequence(&[&crl_issuer])]);
        holder.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 31], points)];
        let key = KeyPair::generate().unwrap();
        let certificate = holder.signed_by(&key, &authority.issuer).unwrap();
        let path = self.path(&format!("{}-{serial}.pem", authority.name));
        fs::write(&path, certificate.pem()).unwrap();
        path
    }

    /// What OpenSSL says of it, with nothing but the list: whether it is revoked.
    #[track_caller]
    fn is_revoked(&self, authority: &Somebody, serial: u8) -> bool {
        let holder = self.holder(authority, serial);
        let words = "verify -crl_check -extended_crl -CAfile root.pem -untrusted untrusted.pem -CRLfile list.pem";
        let holder = holder.to_str().unwrap();
        let ran = openssl(self.folder.path(), words.split(' ').chain([holder]));
        let is_revoked = ran.both().contains("certificate revoked");
        assert!(is_revoked != (ran.code == Some(0)), "{ran:?}");
        is_revoked
    }

    /// Writes the list: each entry a serial, and the authority from which on it is another's.
    fn list(&self, entries: &[(Option<&Somebody>, u8)]) {
        let entries: Vec<u8> = entries
            .iter()
            .flat_map(|(whose, serial)| entry(*whose, *serial))
            .collect();
        let algorithm = sequence(&[&element(6, ECDSA_WITH_SHA256)]);
        let number = sequence(&[&element(6, &[0x55, 0x1D, 20]), &element(4, &[2, 1, 7])]);
        let indirect = sequence(&[&element(0x84, &[0xFF])]);
        let point = sequence(&[
            &element(6, &[0x55, 0x1D, 28]),
            &element(1, &[0xFF]),
            &element(4, &indirect),
        ]);
        let tbs = sequence(&[
            &element(2, &[1]),
            &algorithm,
            &self.signer.subject,
            &element(0x17, b"240101000000Z"),
            &element(0x17, b"491231235959Z"),
            &element(0x30, &entries),
            &element(0xA0, &sequence(&[&number, &point])),
        ]);
        let signature = self.signing_key.sign(&tbs).unwrap();
        let signature = element(3, &[&[0], signature.as_slice()].concat());
        let list = sequence(&[&tbs, &algorithm, &signature]);
        fs::write(self.path("list.crl"), list).unwrap();
        let words = "crl -inform DER -in list.crl -out list.pem";
        let _ = openssl(self.folder.path(), words.split(' ')).ok();
    }

    /// Hands the list to `hufu-loader import` as one about this authority's certificates.
    fn import(&self, demo: &Demo, authority: &Somebody, further: &[&str]) {
        let issuer = format!("{}.pem", authority.name);
        let mut import = command("hufu-loader", ["import", "--json", "--crl"]);
        import
            .arg(self.path("list.crl"))
            .arg("--issuer")
            .arg(self.path(&issuer))
            .arg("--crl-issuer")
            .arg(self.path("signer.pem"))
            .arg("--data")
            .arg(&demo.data);
        let _ = run(import.args(further)).ok();
    }
}

fn entry(whose: Option<&Somebody>, serial: u8) -> Vec<u8> {
    let serial = element(2, &[serial]);
    let date = element(0x17, b"230601000000Z");
    let Some(somebody) = whose else {
        return sequence(&[&serial, &date]);
    };
    let names = sequence(&[&element(0xA4, &somebody.certificate.subject)]);
    let issuer = sequence(&[
        &element(6, &[0x55, 0x1D, 29]),
        &element(1, &[0xFF]),
        &element(4, &names),
    ]);
    sequence(&[&serial, &date, &sequence(&[&issuer])])
}

fn ask(demo: &Demo, authority: &Somebody, serial: u8) -> Answer {
    let issuer = &authority.certificate;
    let id = cert_id(Hash::Sha1, Parameters::Null, issuer, &[serial]);
    Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body)
}

// RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
// RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
#[test]
fn each_certificate_is_answered_as_openssl_reads_the_indirect_list() {
    let demo = Demo::shared();
    let hierarchy = Hierarchy::new();
    let [first, second] = &hierarchy.authorities;
    hierarchy.list(&[
        (None, 0x31),
        (Some(first), 0x32),
        (None, 0x33),
        (Some(second), 0x33),
        (None, 0x34),
        (Some(first), 0x35),
    ]);
    let judged = |authority: &Somebody| -> Vec<bool> {
        let serials = 0x31..=0x36;
        serials
            .map(|serial| hierarchy.is_revoked(authority, serial))
            .collect()
    };
    let (of_first, of_second) = (judged(first), judged(second));
    assert_eq!(of_first, [false, true, true, false, true, false]);
    assert_eq!(of_second, [false, false, true, true, false, false]);

    // Of the second authority all is said there, by the operator's word; of the first, who is not on it may be elsewhere.
    hierarchy.import(demo, first, &[]);
    hierarchy.import(demo, second, &["--complete"]);
    let is = |authority: &Somebody, serial: u8, status: Option<&Status>| match (
        ask(demo, authority, serial),
        status,
    ) {
        (Answer::Signed(basic), Some(status)) => basic.singles[0].status == *status,
        (Answer::Refused(UNAUTHORIZED), None) => true,
        _ => false,
    };
    let revoked = Status::Revoked(1_685_577_600, None);
    for (authority, verdicts, otherwise) in [
        (first, of_first, None),
        (second, of_second, Some(&Status::Good)),
    ] {
        for (serial, is_revoked) in (0x31..).zip(verdicts) {
            let expected = match is_revoked {
                true => Some(&revoked),
                false => otherwise,
            };
            let what = format!("{} {serial:x} is {expected:?}", authority.name);
            wait_until(&what, Duration::from_secs(120), || {
                is(authority, serial, expected)
            });
        }
    }
    // Still so when all of it was taken.
    assert!(is(first, 0x34, None) && is(first, 0x31, None));
}

const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
/// RFC 6960 §4.2.1.
const UNAUTHORIZED: u8 = 6;
