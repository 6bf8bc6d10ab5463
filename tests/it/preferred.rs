//! An authority that signs with a second algorithm: who prefers that gets it, signed ahead or live; everybody else gets the
//! authority's own; and both say the same.

use std::fs;
use std::time::Duration;

use hufu_tests::der::{element, sequence};
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Basic, Hash, Parameters, Status, cert_id};
use hufu_tests::process::{Running, command, free_address, wait_until};

/// ecdsa-with-SHA256, the authority's own.
const OWN: &[u8] = &[0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
/// sha256WithRSAEncryption.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B,
];
/// id-Ed25519: nobody here signs with it.
const ED25519: &[u8] = &[0x06, 0x03, 0x2B, 0x65, 0x70];
const NONCE: &[u8] = b"sixteen octets!!";

/// An office whose P-256 authority signs with RSA too, a live lane and a responder.
struct Rig {
    _folder: tempfile::TempDir,
    office: Office,
    _lane: Running,
    responder: Responder,
}

impl Rig {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        let settings = "[signing.issuer.p256]\nocsp-algorithms = [\"rsa-2048-sha256\"]\n[live]\ndeadline-millis = 8000\n";
        fs::write(office.data.join("signer.toml"), settings).unwrap();
        let _ = office.enrol("p256", "device");
        let live = free_address();
        publish(&office);
        let mut lane = command("hufu-signer", ["live", "--listen", &live.to_string()]);
        lane.arg("--config").arg(office.data.join("signer.toml"));
        lane.arg("--data").arg(&office.data);
        let mut lane = Running::start(&lane, &office.data.join("lane.log"));
        lane.until("the lane listens", Duration::from_secs(60), || {
            http::get(live, "/metrics").is_ok_and(|response| response.status == 200)
        });
        let live = live.to_string();
        let responder = office.responder_with(
            &office.data.join("edge"),
            &[
                "--live",
                &live,
                "--nonce",
                "live",
                "--live-deadline-millis",
                "8000",
            ],
        );
        Self {
            _folder: folder,
            office,
            _lane: lane,
            responder,
        }
    }

    /// What a client that would rather have these algorithms is told.
    #[track_caller]
    fn ask(&self, id: &[u8], wishes: &[&[u8]], nonce: Option<&[u8]>) -> (Vec<u8>, Basic) {
        let response = http::ask(self.responder.ocsp, &request(id, wishes, nonce)).unwrap();
        match Answer::read(&response.body) {
            Answer::Signed(basic) => (response.body, basic),
            Answer::Refused(status) => panic!("refused: {status}"),
        }
    }

    /// OpenSSL's word on an answer, by a chain to the authority's root.
    #[track_caller]
    fn judged(&self, answer: &[u8], serial: &str) -> String {
        let folder = &self.office.data;
        fs::write(folder.join("answer.der"), answer).unwrap();
        let serial = format!("0x{serial}");
        let words = [
            "ocsp",
            "-respin",
            "answer.der",
            "-issuer",
            "p256-issuer.pem",
            "-serial",
            &serial,
            "-CAfile",
            "chain.pem",
            "-no_nonce",
        ];
        let judged = openssl(folder, words).ok();
        assert!(judged.both().contains("Response verify OK"), "{judged:?}");
        judged.stdout
    }
}

/// Signs what is due with both algorithms, publishes it, brings it to the edge.
fn publish(office: &Office) {
    let settings = office.data.join("signer.toml");
    let _ = office
        .signer(&["sign", "--config", settings.to_str().unwrap()])
        .ok();
    let _ = office.loader(&["publish"]).ok();
    let _ = office
        .follow(&office.store(), &office.data.join("edge"))
        .ok();
}

/// A request with `PreferredSignatureAlgorithms`, and with a nonce, if there are any.
fn request(id: &[u8], wishes: &[&[u8]], nonce: Option<&[u8]>) -> Vec<u8> {
    let pkix_ocsp = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    let extension = |last: u8, value: &[u8]| {
        let oid = element(0x06, &[&pkix_ocsp[..], &[last]].concat());
        sequence(&[&oid, &element(0x04, value)])
    };
    let mut extensions = Vec::new();
    if let Some(nonce) = nonce {
        extensions.extend(extension(2, &element(0x04, nonce)));
    }
    if !wishes.is_empty() {
        // PreferredSignatureAlgorithm ::= SEQUENCE { sigIdentifier AlgorithmIdentifier, … }
        let wishes = wishes.iter().map(|oid| sequence(&[&sequence(&[oid])]));
        let list: Vec<u8> = wishes.flatten().collect();
        extensions.extend(extension(8, &element(0x30, &list)));
    }
    let mut tbs = element(0x30, &element(0x30, id));
    if !extensions.is_empty() {
        tbs.extend(element(0xA2, &element(0x30, &extensions)));
    }
    element(0x30, &element(0x30, &tbs))
}

// RFC 6960 §4.4.7.2: the algorithm the client would like best of those there are, else our own first.
// RFC 6960 §4.4.7.2.2: of answers signed ahead the one with the algorithm that the client likes best goes out.
#[test]
fn who_prefers_a_second_algorithm_gets_another_or_misses_a_revocation() {
    let rig = Rig::start();
    let issuer = rig.office.certificate("p256", "issuer");
    let _ = rig.office.certificate("p256", "root");
    let pem = |what: &str| fs::read_to_string(rig.office.data.join(format!("p256-{what}.pem")));
    let chain = pem("issuer").unwrap() + &pem("root").unwrap();
    fs::write(rig.office.data.join("chain.pem"), chain).unwrap();
    let serials = rig.office.serials("p256");
    let (good, revoked) = (&serials[0], &serials[1]);
    let id = |hash, serial: &str| cert_id(hash, Parameters::Null, &issuer, &serial_octets(serial));
    let cases: [(&[&[u8]], &[u8]); 5] = [
        (&[], OWN),
        (&[RSA], RSA),
        (&[ED25519, RSA, OWN], RSA),
        (&[OWN, RSA], OWN),
        (&[ED25519], OWN),
    ];
    for is_revoked in [false, true] {
        if is_revoked {
            rig.office.revoke("p256", revoked);
            publish(&rig.office);
            let said = || rig.ask(&id(Hash::Sha1, revoked), &[], None).1.singles[0].status;
            wait_until("it is revoked", Duration::from_secs(60), || {
                matches!(said(), Status::Revoked(..))
            });
        }
        for (wishes, wanted) in cases {
            for nonce in [None, Some(NONCE)] {
                for (hash, serial) in [(Hash::Sha1, revoked), (Hash::Sha256, good)] {
                    let (octets, basic) = rig.ask(&id(hash, serial), wishes, nonce);
                    assert!(basic.algorithm[2..].starts_with(wanted), "{wishes:x?}");
                    assert_eq!(basic.nonce().as_deref(), nonce);
                    if hash == Hash::Sha1 {
                        let word = match is_revoked {
                            true => ": revoked",
                            false => ": good",
                        };
                        let text = rig.judged(&octets, serial);
                        assert!(text.contains(word), "{text}");
                    }
                }
            }
        }
    }
}
