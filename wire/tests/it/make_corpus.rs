//! Writes the `ours-*` seeds of `corpus/`. Ignored: run it by hand when a format changes.

use std::path::Path;

use wire::algorithm::SignatureAlgorithm;
use wire::batch::{Document, DocumentKind, Header, Kind, Responder, Source, Variant, Window};
use wire::cert_id::{CertIdForm, IssuerId, cert_id_prefix};
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint, assemble_crl};
use wire::request::{build_request, build_request_for};
use wire::response::{TRY_LATER, TbsParts, assemble};
use wire::serial::SerialHashKey;
use wire::status::{CertStatus, RevocationReason};

fn write(path: &str, octets: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, octets).unwrap();
}

#[test]
#[ignore = "writes into the source tree"]
fn make_corpus() {
    requests();
    responses();
    lists();
    batches();
}

fn prefix(form: CertIdForm) -> Vec<u8> {
    let octets = form.hash.octets();
    cert_id_prefix(form, &vec![1; octets], &vec![2; octets]).unwrap()
}

fn requests() {
    for form in CertIdForm::ALL {
        let octets = build_request(&prefix(form), &[0x00, 0x9a, 5], Some(&[9; 32]));
        write(&format!("request/ours-{}.der", form.name()), &octets);
    }
    let prefix = prefix(CertIdForm::ALL[0]);
    let many: Vec<[u8; 1]> = (1..=32).map(|serial| [serial]).collect();
    let octets = build_request_for(many.iter().map(|serial| (&prefix[..], &serial[..])), None);
    write("request/ours-thirty-two.der", &octets);
    write(
        "request/ours-longest-nonce.der",
        &build_request(&prefix, &[5], Some(&[9; 128])),
    );
    write(
        "request/ours-nonce-too-long.der",
        &build_request(&prefix, &[5], Some(&[9; 129])),
    );
    let mut trailing = build_request(&prefix, &[5], None);
    trailing.push(0);
    write("request/ours-trailing-octet.der", &trailing);
    write(
        "request/ours-indefinite.der",
        &[0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0],
    );
}

fn responses() {
    let prefix = prefix(CertIdForm::ALL[0]);
    let mut out = [0; 4096];
    for algorithm in SignatureAlgorithm::ALL {
        let parts = TbsParts {
            key_hash: &[3; 20],
            produced_at: 1_700_000_000,
            cert_id_prefix: &prefix,
            serial_content: &[5],
            status: CertStatus::Revoked {
                at: 1_600_000_000,
                reason: Some(RevocationReason::KeyCompromise),
            },
            this_update: 1_700_000_000,
            next_update: 1_700_086_400,
        };
        let signature = vec![0x81; algorithm.raw_octets()];
        let used = assemble(&parts, algorithm, &signature, &[], &mut out).unwrap();
        write(
            &format!("response/ours-{}.der", algorithm.name()),
            &out[..used],
        );
    }
    write("response/ours-try-later.der", &TRY_LATER);
}

fn lists() {
    let uri = IssuingDistributionPoint::name_of_uri("http://pki.example/1.crl");
    let header = CrlHeader {
        algorithm: SignatureAlgorithm::Sm2Sm3,
        issuer: &[0x30, 0],
        this_update: 1_700_000_000,
        next_update: 2_700_000_000,
        number: 255,
        key_identifier: &[4; 20],
        base_number: Some(254),
        distribution_point: Some(IssuingDistributionPoint {
            name: Some(&uri),
            is_indirect: true,
            ..IssuingDistributionPoint::default()
        }),
        freshest_uri: None,
    };
    let mut writer = CrlWriter::new();
    for code in 0..=10 {
        let reason = RevocationReason::from_code(code);
        writer.push(&[code + 1], 1_600_000_000, reason, Some(1_500_000_000));
    }
    writer.push(&[0x80; 21], 2_600_000_000, None, None);
    let octets = assemble_crl(&writer.finish(&header), header.algorithm, &[0x81; 64]).unwrap();
    write("crl/ours-delta.crl", &octets);
    let mut trailing = octets;
    trailing.extend([0x30, 0]);
    write("crl/ours-trailing-octets.crl", &trailing);
    write(
        "crl/ours-no-bits.crl",
        &[0x30, 10, 0x30, 0, 0x30, 0, 3, 0, 0x30, 0, 0x30, 0],
    );
    let list = CrlWriter::new().finish(&CrlHeader {
        base_number: None,
        distribution_point: None,
        ..header
    });
    write(
        "crl/ours-empty.crl",
        &assemble_crl(&list, header.algorithm, &[0x81; 64]).unwrap(),
    );
    write(
        "crl/ours-broken.pem",
        b"-----BEGIN X509 CRL-----\nMAMCAQ=\n-----END X509 CRL-----\n",
    );
}

fn batches() {
    let variant = |form: CertIdForm| Variant {
        form,
        algorithm: SignatureAlgorithm::Sm2Sm3,
        slot: 0,
        name_hash: vec![1; form.hash.octets()],
        key_hash: vec![2; form.hash.octets()],
    };
    let full = Header {
        kind: Kind::Full,
        issuer_id: IssuerId([7; 16]),
        number: 1,
        revision: 2,
        created_at: 1_700_000_000,
        hash_key: SerialHashKey([8; 16]),
        shards: 1,
        shard: 0,
        source: Source::Registry,
        serial_octets: 20,
        record_count: 3,
        issuer_certificate: vec![0x30, 0],
        variants: CertIdForm::ALL.into_iter().map(variant).collect(),
        slots: 1,
        responders: vec![Responder {
            algorithm: SignatureAlgorithm::Sm2Sm3,
            key_hash: [3; 20],
            not_before: 1_600_000_000,
            not_after: 1_800_000_000,
            certificate: vec![0x30, 1, 0],
        }],
        windows: vec![Window {
            this_update: 1_700_000_000,
            next_update: 1_700_086_400,
            produced_at: 1_700_000_000,
            group: 0,
        }],
        documents: Vec::new(),
    };
    let documents = Header {
        kind: Kind::Documents,
        record_count: 0,
        documents: vec![Document {
            kind: DocumentKind::Crl,
            name: "sm2.crl".into(),
            octets: vec![0x30, 0],
            list: None,
        }],
        ..full.clone()
    };
    let shard = Header {
        kind: Kind::Shard,
        shards: 4,
        shard: 3,
        ..full.clone()
    };
    let foreign = Header {
        source: Source::ForeignCrl {
            blake3: [9; 32],
            next_update: Some(1_700_000_000),
            as_of: Some(1_699_000_000),
        },
        ..full.clone()
    };
    let bare = Header {
        record_count: 0,
        variants: Vec::new(),
        slots: 0,
        responders: Vec::new(),
        windows: Vec::new(),
        ..documents.clone()
    };
    for (name, header) in [
        ("full", full),
        ("documents", documents),
        ("shard", shard),
        ("foreign", foreign),
        ("bare", bare),
    ] {
        write(
            &format!("batch/ours-{name}.batch"),
            &header.encode().unwrap(),
        );
    }
}
