//! The fuzz body of the manifest reader.

use std::sync::OnceLock;

use super::Manifest;
use crate::seal::SealKey;

/// Reads `octets` as a manifest as they are, then with our own seal under them: a stranger's octets, and those of a
/// publisher gone mad.
pub fn fuzz_manifest(octets: &[u8]) {
    static KEY: OnceLock<SealKey> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        SealKey::generate()
            .expect("the kernel gives random octets")
            .0
    });
    let pins = [key.public()];
    let unsealed = Manifest::open(octets.to_vec(), &pins);
    assert!(unsealed.is_err(), "nobody knows this key");
    let Ok(manifest) = serde_json::from_slice::<Manifest>(octets) else {
        return;
    };
    let (text, digest) = manifest.seal(key);
    match Manifest::open(text, &pins) {
        Ok(opened) => {
            assert_eq!(*opened.manifest(), manifest);
            assert_eq!(opened.blake3(), digest);
        }
        Err(_) => assert!(manifest.check().is_err()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn text_of_another_make_makes_the_reader_panic() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/manifest");
        let mut files = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            fuzz_manifest(&octets);
            for at in 0..octets.len() {
                let mut changed = octets.clone();
                changed[at] = changed[at].wrapping_add(1);
                fuzz_manifest(&changed);
                fuzz_manifest(&octets[..at]);
            }
            files += 1;
        }
        assert!(files >= 2);
    }
}
