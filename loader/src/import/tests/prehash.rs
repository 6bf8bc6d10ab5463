//! What is judged by its hash is judged as `ring` judges the whole: no signature more, none less.

use std::path::Path;
use std::process::Command;

use wire::algorithm::{ForeignAlgorithm, Hash};

use crate::import::prehash::Listener;
use crate::import::trust::{PublicKey, TrustError, WeakPolicy};

/// Runs `openssl` in a folder and gives what it prints.
fn openssl(folder: &Path, words: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {words}: {said}");
    output.stdout
}

/// A key that `openssl` made from these words; its private half is `key.pem`.
fn key(folder: &Path, words: &str) -> PublicKey {
    openssl(folder, &format!("genpkey {words} -out key.pem"));
    let spki = openssl(folder, "pkey -in key.pem -pubout -outform DER");
    PublicKey::from_spki(&spki).unwrap()
}

fn heard(
    key: &PublicKey,
    algorithm: ForeignAlgorithm,
    weak: WeakPolicy,
    message: &[u8],
    signature: &[u8],
) -> Result<(), TrustError> {
    let mut listener = Listener::new(key, Some(algorithm), message.len(), 0);
    message.chunks(777).for_each(|part| listener.update(part));
    key.verify_heard(algorithm, weak, &listener.finish(), signature)
}

/// Both ways must give the same verdict; it is given back.
fn both(
    key: &PublicKey,
    algorithm: ForeignAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), TrustError> {
    let verdict = key.verify(algorithm, WeakPolicy::Allow, message, signature);
    assert_eq!(
        heard(key, algorithm, WeakPolicy::Allow, message, signature),
        verdict,
        "{algorithm} with {}",
        key.kind()
    );
    assert_eq!(
        heard(key, algorithm, WeakPolicy::Refuse, message, signature),
        key.verify(algorithm, WeakPolicy::Refuse, message, signature),
        "{algorithm} with {}",
        key.kind()
    );
    verdict
}

/// Signs a message with `key.pem`, and lets both ways judge it, whole and altered.
fn judge(folder: &Path, key: &PublicKey, algorithm: ForeignAlgorithm, hash: &str, sound: bool) {
    let message: Vec<u8> = (0..100_000_u32).map(|i| (i % 253) as u8).collect();
    std::fs::write(folder.join("message"), &message).unwrap();
    let signature = openssl(folder, &format!("dgst -{hash} -sign key.pem message"));
    let verdict = both(key, algorithm, &message, &signature);
    assert_eq!(verdict.is_ok(), sound, "{algorithm}: {verdict:?}");
    assert!(both(key, algorithm, &message[1..], &signature).is_err());
    for at in [0, 1, signature.len() / 2, signature.len() - 1] {
        let mut altered = signature.clone();
        altered[at] ^= 1;
        assert!(both(key, algorithm, &message, &altered).is_err(), "{at}");
    }
    for other in [
        [&[0], signature.as_slice()].concat(),
        [signature.as_slice(), &[0]].concat(),
        signature[1..].to_vec(),
        vec![0xff; signature.len()],
        vec![0; signature.len()],
        Vec::new(),
    ] {
        assert!(both(key, algorithm, &message, &other).is_err());
    }
}

const HASHES: [(Hash, &str); 4] = [
    (Hash::Sha1, "sha1"),
    (Hash::Sha256, "sha256"),
    (Hash::Sha384, "sha384"),
    (Hash::Sha512, "sha512"),
];

#[test]
fn an_rsa_signature_over_a_hash_is_judged_otherwise_than_ring_does() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
        // A modulus that does not fill its octets.
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2050",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
    ] {
        let key = key(folder.path(), words);
        for (hash, name) in HASHES {
            let short = words.contains("1024");
            let sound = !(short && hash == Hash::Sha384);
            let algorithm = ForeignAlgorithm::RsaPkcs1(hash);
            judge(folder.path(), &key, algorithm, name, sound);
        }
    }
}

// RFC 8017 §9.2: 00 01 FF … FF 00 `DigestInfo`, at least eight FF, and nothing behind it.
#[test]
fn an_rsa_encoding_that_is_not_the_right_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let words = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3";
    let key = key(folder.path(), words);
    let message = b"what was signed";
    let digest = ring::digest::digest(&ring::digest::SHA256, message);
    let info = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    // The same without the parameters NULL, which some verifiers take.
    let no_null = [
        0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x04, 0x20,
    ];
    let block = |start: &[u8], filling: usize, info: &[u8], behind: &[u8]| {
        let mut block = [
            start,
            &vec![0xff; filling],
            &[0],
            info,
            digest.as_ref(),
            behind,
        ]
        .concat();
        block.resize(256, 0);
        block
    };
    let algorithm = ForeignAlgorithm::RsaPkcs1(Hash::Sha256);
    let verdict = |block: Vec<u8>| {
        std::fs::write(folder.path().join("block"), block).unwrap();
        let words = "pkeyutl -decrypt -inkey key.pem -in block -pkeyopt rsa_padding_mode:none";
        let signature = openssl(folder.path(), words);
        both(&key, algorithm, message, &signature)
    };
    assert_eq!(verdict(block(&[0, 1], 202, &info, &[])), Ok(()));
    // Bleichenbacher 2006: few FF and room behind the hash, where a cube root can be hidden.
    let refused = Err(TrustError::BadSignature);
    assert_eq!(verdict(block(&[0, 1], 8, &info, &[7; 194])), refused);
    assert_eq!(verdict(block(&[0, 1], 201, &info, &[0])), refused);
    assert_eq!(verdict(block(&[0, 1], 204, &no_null, &[])), refused);
    assert_eq!(verdict(block(&[0, 2], 202, &info, &[])), refused);
    assert_eq!(verdict(block(&[0, 0], 202, &info, &[])), refused);
    let mut hole = block(&[0, 1], 202, &info, &[]);
    hole[100] = 0xfe;
    assert_eq!(verdict(hole), refused);
    let mut longer_parameters = info;
    longer_parameters[16] = 1;
    assert_eq!(
        verdict(block(&[0, 1], 202, &longer_parameters, &[])),
        refused
    );
}

/// An RSA key of these numbers, whoever made them up.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> PublicKey {
    let tlv = |tag: u8, parts: &[&[u8]]| {
        let value = parts.concat();
        let length = match value.len() {
            short @ ..0x80 => vec![short as u8],
            long => [&[0x82], &(long as u16).to_be_bytes()[..]].concat(),
        };
        [&[tag], &length[..], &value].concat()
    };
    let integer = |number: &[u8]| match number[0] {
        0x80.. => tlv(2, &[&[0], number]),
        _ => tlv(2, &[number]),
    };
    let numbers = tlv(0x30, &[&integer(modulus), &integer(exponent)]);
    let rsa_encryption = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let spki = tlv(0x30, &[&rsa_encryption, &tlv(3, &[&[0], &numbers])]);
    PublicKey::from_spki(&spki).unwrap()
}

// RFC 8017 §3.1: the exponent is odd and at least three; with any other, signatures can be made up without a key.
#[test]
fn an_rsa_exponent_under_which_anybody_can_sign_is_taken() {
    let algorithm = ForeignAlgorithm::RsaPkcs1(Hash::Sha256);
    // The right encoding of a message whose hash is even.
    let (message, digest) = (0..=u8::MAX)
        .map(|octet| {
            (
                [octet],
                ring::digest::digest(&ring::digest::SHA256, &[octet]),
            )
        })
        .find(|(_, digest)| digest.as_ref()[31] % 2 == 0)
        .unwrap();
    let info = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let encoding = [&[0, 1], &[0xff; 202][..], &[0], &info, digest.as_ref()].concat();
    let refused = |key: &PublicKey, signature: &[u8]| {
        assert_eq!(
            both(key, algorithm, &message, signature),
            Err(TrustError::BadSignature)
        );
    };
    // One: the encoding is its own signature, under any modulus.
    let mut odd = [0xff; 256];
    odd[255] = 0xfd;
    refused(&rsa_key(&odd, &[1]), &encoding);
    // Two: the square of s less the encoding is a modulus under which s is a signature. s is 2^1024 - 1.
    let s = [&[0; 128][..], &[0xff; 128]].concat();
    let mut modulus = [0_u8; 256];
    modulus[..127].fill(0xff);
    modulus[127] = 0xfe;
    modulus[255] = 1;
    let mut borrow = false;
    for (octet, less) in modulus.iter_mut().zip(&encoding).rev() {
        let (once, first) = octet.overflowing_sub(*less);
        let (twice, second) = once.overflowing_sub(u8::from(borrow));
        (*octet, borrow) = (twice, first || second);
    }
    refused(&rsa_key(&modulus, &[2]), &s);
    // Beyond 33 bits a signature is sound, and costs whoever judges it more than it is worth.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("message"), message).unwrap();
    for (exponent, sound) in [(0x1_ffff_ffff_u64, true), (0x2_0000_0001, false)] {
        let words = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp";
        let key = key(folder.path(), &format!("{words}:{exponent}"));
        let signature = openssl(folder.path(), "dgst -sha256 -sign key.pem message");
        let verdict = both(&key, algorithm, &message, &signature);
        assert_eq!(verdict.is_ok(), sound, "{exponent}: {verdict:?}");
    }
}

#[test]
fn an_ec_signature_over_a_hash_is_judged_otherwise_than_ring_does() {
    let folder = tempfile::tempdir().unwrap();
    for (curve, sound) in [
        ("P-256", &[Hash::Sha256, Hash::Sha384][..]),
        ("P-384", &[Hash::Sha256, Hash::Sha384]),
        ("P-521", &[Hash::Sha384, Hash::Sha512]),
    ] {
        let words = format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
        let key = key(folder.path(), &words);
        for (hash, name) in HASHES {
            let algorithm = ForeignAlgorithm::Ecdsa(hash);
            judge(folder.path(), &key, algorithm, name, sound.contains(&hash));
        }
        let rsa = ForeignAlgorithm::RsaPkcs1(Hash::Sha256);
        assert!(matches!(
            both(&key, rsa, b"message", &[0; 256]),
            Err(TrustError::KeyMismatch { .. })
        ));
    }
}

#[test]
fn an_sm2_signature_over_a_hash_forgets_who_signed() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "-algorithm SM2");
    let message: Vec<u8> = (0..100_000_u32).map(|i| (i % 253) as u8).collect();
    std::fs::write(folder.path().join("message"), &message).unwrap();
    let id = |id: &str| {
        let words = format!(
            "pkeyutl -sign -inkey key.pem -in message -rawin -digest sm3 -pkeyopt distid:{id}"
        );
        openssl(folder.path(), &words)
    };
    let algorithm = ForeignAlgorithm::Sm2Sm3;
    let ours = id("1234567812345678");
    assert_eq!(both(&key, algorithm, &message, &ours), Ok(()));
    assert!(both(&key, algorithm, &message[1..], &ours).is_err());
    assert!(both(&key, algorithm, &message, &id("somebody-else")).is_err());
}

#[test]
fn ed25519_and_pss_are_hashed_and_then_cannot_be_judged() {
    let folder = tempfile::tempdir().unwrap();
    let edwards = key(folder.path(), "-algorithm ED25519");
    std::fs::write(folder.path().join("message"), b"message").unwrap();
    let words = "pkeyutl -sign -inkey key.pem -in message -rawin";
    let signature = openssl(folder.path(), words);
    let verdict = both(&edwards, ForeignAlgorithm::Ed25519, b"message", &signature);
    assert_eq!(verdict, Ok(()));

    let rsa = key(
        folder.path(),
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    );
    let words = "dgst -sha256 -sign key.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 message";
    let signature = openssl(folder.path(), words);
    let pss = ForeignAlgorithm::RsaPss {
        hash: Hash::Sha256,
        salt: 32,
    };
    assert_eq!(both(&rsa, pss, b"message", &signature), Ok(()));
}
