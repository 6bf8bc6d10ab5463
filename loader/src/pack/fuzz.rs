//! The fuzz body of the pack reader: what must hold for any file under a name in `objects/`.

use std::path::Path;

use wire::serial::Serial;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::index::Needle;
use super::layout::{HEADER_OCTETS, Header};
use super::{Find, Pack};

/// Opens `octets` as a pack, through the file `scratch`, asks it, verifies it. The hash over header and tables is put
/// right first: a fuzzer would never get past it, and who can publish can make it.
pub fn fuzz_pack(octets: &[u8], scratch: &Path) {
    let mut octets = octets.to_vec();
    put_right(&mut octets);
    std::fs::write(scratch, &octets).expect("the scratch folder can be written");
    let Ok(pack) = Pack::open(scratch) else {
        return;
    };
    pack.touch();
    assert!(pack.windows().count() <= usize::from(u16::MAX) + 1);
    let sound = pack.verify().is_ok();
    for record in pack.records().take(MAX_ASKED) {
        let Ok(serial) = Serial::from_padded(record.serial_padded()) else {
            assert!(!sound);
            continue;
        };
        let Some(needle) = Needle::new(pack.hash_key(), serial.content()) else {
            continue;
        };
        let found = pack.find(&needle);
        if sound {
            assert!(pack.may_hold(&needle), "{serial}: the filter denies it");
            assert!(matches!(found, Find::Here(_)), "{serial}: {found:?}");
        }
        let _ = (record.status(), pack.window(record.window()));
    }
    for number in [1_u64, u64::MAX] {
        let serial = Serial::from_unsigned(&number.to_be_bytes());
        let needle = serial.map(|serial| Needle::new(pack.hash_key(), serial.content()));
        if let Ok(Some(needle)) = needle {
            let _ = (pack.may_hold(&needle), pack.find(&needle));
        }
    }
}

/// Gives the header the hash it should have, if the file is long enough to have one.
fn put_right(octets: &mut [u8]) {
    let Ok((mut header, _)) = Header::read_from_prefix(octets) else {
        return;
    };
    let tables = usize::try_from(header.tables_octets.get()).unwrap_or(usize::MAX);
    let Some(front) = octets.get(HEADER_OCTETS..HEADER_OCTETS.saturating_add(tables)) else {
        return;
    };
    header.file_octets = (octets.len() as u64).into();
    header.tables_blake3 = [0; 32];
    let mut hasher = blake3::Hasher::new();
    hasher.update(header.as_bytes());
    hasher.update(front);
    header.tables_blake3 = *hasher.finalize().as_bytes();
    octets[..HEADER_OCTETS].copy_from_slice(header.as_bytes());
}

/// Records asked for by name.
const MAX_ASKED: usize = 256;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use wire::algorithm::SignatureAlgorithm;
    use wire::status::{CertStatus, RevocationReason};

    use super::super::spec::Scope;
    use super::*;
    use crate::specimen::{serial, shared, spec, write};

    /// Files a fuzzer may start from: a base of one variant, a shard, a delta of two variants.
    fn seeds(folder: &Path) -> Vec<Vec<u8>> {
        let good = CertStatus::Good;
        let revoked = CertStatus::Revoked {
            at: 1_700_000_000,
            reason: Some(RevocationReason::KeyCompromise),
        };
        let rows: HashMap<_, _> = (1..40)
            .map(|number| {
                (
                    serial(number * 7919),
                    (if number % 5 == 0 { revoked } else { good }, 0),
                )
            })
            .collect();
        let one = [SignatureAlgorithm::EcdsaP256Sha256];
        let two = [
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::Sm2Sm3,
        ];
        [
            (
                Scope::Base {
                    shards: 1,
                    shard: 0,
                },
                &one[..],
            ),
            (
                Scope::Base {
                    shards: 4,
                    shard: 2,
                },
                &one[..],
            ),
            (Scope::Delta, &two[..]),
        ]
        .into_iter()
        .map(|(scope, algorithms)| {
            let path = folder.join("seed");
            let _ = write(&path, &spec(1, scope, 3, shared(1, algorithms, 2)), &rows).unwrap();
            let octets = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            octets
        })
        .collect()
    }

    #[test]
    fn file_of_another_make_makes_the_reader_panic() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        for seed in seeds(folder.path()) {
            fuzz_pack(&seed, &scratch);
            for at in 0..seed.len() {
                let mut flipped = seed.clone();
                flipped[at] ^= 1 << (at % 8);
                fuzz_pack(&flipped, &scratch);
            }
            for cut in (0..seed.len()).step_by(37) {
                fuzz_pack(&seed[..cut], &scratch);
            }
            fuzz_pack(&[&seed[..], &seed].concat(), &scratch);
        }
    }

    /// The committed seeds, which must still be packs: a fuzzer that starts from what is refused finds nothing.
    #[test]
    fn the_corpus_panics_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/pack");
        let mut files = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            Pack::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let octets = std::fs::read(&path).unwrap();
            fuzz_pack(&octets, &scratch);
            for cut in (0..octets.len()).rev().take(64) {
                fuzz_pack(&octets[..cut], &scratch);
            }
            files += 1;
        }
        assert!(files >= 3);
    }

    #[test]
    #[ignore = "writes into the source tree"]
    fn make_corpus() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/pack");
        std::fs::create_dir_all(&corpus).unwrap();
        for (name, octets) in ["base", "shard", "delta"].iter().zip(seeds(folder.path())) {
            std::fs::write(corpus.join(name), octets).unwrap();
        }
    }
}
