//! Killed between any two acts, a pass loses nothing and does nothing twice.

use wire::batch::{Header, Kind};
use wire::status::RevocationReason;

use super::{Place, TERMS, good};
use crate::durable::{Audience, Disk, DiskFile, FsDisk};
use crate::run::open;
use crate::verify::verify;
use crate::workshop::*;

/// A disk on which the act number `fails_at` and all after it fail, as if the process had been killed.
struct FailingDisk {
    left: std::sync::atomic::AtomicIsize,
}

impl FailingDisk {
    fn act(&self) -> std::io::Result<()> {
        match self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(std::io::Error::other("killed")),
        }
    }
}

impl Disk for FailingDisk {
    fn create_new(
        &self,
        path: &std::path::Path,
        audience: Audience,
    ) -> std::io::Result<Box<dyn DiskFile>> {
        self.act()?;
        FsDisk.create_new(path, audience)
    }
    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.rename(from, to)
    }
    fn sync_folder(&self, folder: &std::path::Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.sync_folder(folder)
    }
    fn remove(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.remove(path)
    }
    fn create_folder(&self, folder: &std::path::Path) -> std::io::Result<()> {
        self.act()?;
        FsDisk.create_folder(folder)
    }
}

#[test]
fn a_pass_cut_short_anywhere_loses_a_batch_or_takes_it_twice() {
    for acts in 0.. {
        let place = Place::new();
        place.put(place.header(1), &[good(1)]);
        place.put(
            Header {
                kind: Kind::Delta,
                ..place.header(2)
            },
            &[(serial(1), revoked(NOW, RevocationReason::KeyCompromise), 0)],
        );
        let disk = FailingDisk {
            left: std::sync::atomic::AtomicIsize::new(acts),
        };
        let cut = open(&disk, place.data.path(), TERMS)
            .is_ok_and(|mut line| line.pass(NOW, &mut |_, _| ()).is_ok());
        let after = place.pass(NOW + 1);
        assert!(after.refused.is_empty(), "after {acts} acts: {after:?}");
        assert_eq!(
            place.status(1),
            Some(revoked(NOW, RevocationReason::KeyCompromise)),
            "after {acts} acts"
        );
        assert!(
            place.ack(1).is_some() && place.ack(2).is_some(),
            "after {acts} acts"
        );
        assert!(
            verify(place.data.path(), NOW).unwrap().holds(),
            "after {acts} acts"
        );
        if cut {
            assert!(acts > 20, "the pass makes more acts than {acts}");
            assert_eq!(after.generation, None, "all was done in the first pass");
            break;
        }
    }
}

#[test]
fn a_batch_being_set_aside_leaves_a_reason_from_which_nobody_can_tell_what_was_refused() {
    for acts in 0.. {
        let place = Place::new();
        let path = place.put(place.header(1), &[good(1)]);
        std::fs::write(&path, b"HUFUBTCH").unwrap();
        let refused = path.parent().unwrap().join("refused");
        let aside = refused.join(path.file_name().unwrap());
        let reason = refused.join(format!("{:020}.reason", 1));
        let disk = FailingDisk {
            left: std::sync::atomic::AtomicIsize::new(acts),
        };
        let done = open(&disk, place.data.path(), TERMS)
            .is_ok_and(|mut line| line.pass(NOW, &mut |_, _| ()).is_ok());
        assert!(
            aside.exists() || !reason.exists() && path.exists(),
            "after {acts} acts"
        );
        if done {
            assert!(reason.exists(), "and in the end it is told");
            break;
        }
        // What was not moved is refused by the next run; what was stays where it is.
        let _ = place.pass(NOW + 1);
        assert!(aside.exists() && !path.exists(), "after {acts} acts");
    }
}
