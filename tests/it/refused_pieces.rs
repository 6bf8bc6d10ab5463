//! Changes in pieces that begin again, behind a refusal and behind a kill: the loader holds deltas of later revisions by
//! then, and takes them all the same.

use std::fs;
use std::path::{Path, PathBuf};

use hufu_tests::office::Office;

/// Two changes a piece.
const SETTINGS: &str = "[signing]\ndelta-records = 2\n";
const CA: &str = "p256";

struct Place {
    office: Office,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("signer.toml");
        fs::write(&config, SETTINGS).unwrap();
        Self {
            office: Office::found(&folder.path().join("data")),
            config,
            _folder: folder,
        }
    }

    /// Whether all that is due was signed.
    fn sign(&self) -> bool {
        let config = self.config.to_str().unwrap();
        let signed = self.office.signer(&["--config", config, "sign"]);
        signed.code == Some(0)
    }

    fn publish(&self) {
        assert!(self.sign());
        let _ = self.office.loader(&["publish"]);
    }

    fn revoke(&self, serials: &[String]) {
        for serial in serials {
            self.office.revoke(CA, serial);
        }
    }

    /// Notes of what is void of the issuer that has this folder.
    fn notes(&self, folder: &Path) -> u64 {
        let issuer = folder.file_name().unwrap().to_str().unwrap();
        let begins = format!("void-{issuer}-");
        let beside = fs::read_dir(self.office.data.join("signer")).unwrap();
        let names = beside.map(|file| file.unwrap().file_name());
        let notes =
            names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(&begins)));
        u64::try_from(notes.count()).unwrap()
    }

    /// Batches in each issuer's folder, waiting or set aside, in order.
    fn batches(&self, within: &str) -> Vec<PathBuf> {
        let spools = fs::read_dir(self.office.data.join("spool")).unwrap();
        let folders = spools.map(|folder| folder.unwrap().path().join(within));
        let files = folders.filter_map(|folder| fs::read_dir(folder).ok());
        let paths = files.flatten().map(|file| file.unwrap().path());
        let is_batch = |path: &PathBuf| path.extension().is_some_and(|end| end == "batch");
        let mut batches: Vec<_> = paths.filter(is_batch).collect();
        batches.sort();
        batches
    }
}

fn number(batch: &Path) -> u64 {
    let name = batch.file_stem().unwrap().to_str().unwrap();
    name.parse().unwrap()
}

fn damage(batch: &Path) {
    let mut octets = fs::read(batch).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(batch, octets).unwrap();
}

#[test]
fn pieces_that_begin_again_are_refused_as_going_back() {
    let place = Place::new();
    let serials = place.office.enrol(CA, "unit");
    assert!(serials.len() >= 12, "{}", serials.len());
    place.publish();
    for pair in serials[..6].chunks(2) {
        place.revoke(pair);
        place.publish();
    }
    assert_eq!(place.batches("refused"), [] as [PathBuf; 0]);
    // One delta is refused.
    place.revoke(&serials[6..7]);
    let before = place.batches("");
    assert!(place.sign());
    let written = place.batches("");
    let delta = written.iter().find(|batch| !before.contains(batch));
    let delta = delta.unwrap().clone();
    damage(&delta);
    let _ = place.office.loader(&["publish"]);
    let refused = place.batches("refused");
    assert!(
        refused
            .iter()
            .any(|batch| batch.file_name() == delta.file_name())
    );
    place.publish();
    assert_eq!(
        place.batches("refused"),
        refused,
        "all of it is said again, and taken"
    );
    // Cut off behind the second of three pieces: nothing gets a name any more.
    place.revoke(&serials[7..12]);
    let folder = delta.parent().unwrap();
    let before = place.batches("");
    let newest = before.iter().map(|batch| number(batch)).max().unwrap();
    // What was void takes a number for each note.
    let third = newest + place.notes(folder) + 3;
    let blocked = (third..third + 60).map(|number| folder.join(format!("{number:020}.batch")));
    let blocked: Vec<_> = blocked.collect();
    blocked
        .iter()
        .for_each(|path| fs::create_dir(path).unwrap());
    assert!(!place.sign());
    blocked
        .iter()
        .for_each(|path| fs::remove_dir(path).unwrap());
    let written = place.batches("");
    let new = written.iter().filter(|batch| !before.contains(batch));
    assert_eq!(new.count(), 2, "two pieces left before it was cut off");
    let _ = place.office.loader(&["publish"]);
    place.publish();
    assert_eq!(place.batches("refused"), refused, "begun again, and taken");
    let _ = place.office.loader(&["verify"]).ok();
}
