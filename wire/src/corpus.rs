//! Replays the committed fuzz corpora in plain tests.

use std::path::Path;

/// Feeds every file of `corpus/<folder>` to a fuzz body, whole, then cut short.
pub(crate) fn replay(folder: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        body(&octets);
        for cut in (0..octets.len()).rev().take(64) {
            body(&octets[..cut]);
        }
        files += 1;
    }
    assert!(files >= 5, "{} holds {files} files", folder.display());
}
