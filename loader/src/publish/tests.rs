//! A crash at any act leaves generation N or N+1 servable, and the next run goes on.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256;
use wire::cert_id::IssuerId;
use wire::status::CertStatus;

use super::{
    DEFAULT_VALID_FOR_SECS, Edition, KEEP_OBJECTS_OF, KEEP_OBJECTS_SECS, PublishError, Publisher,
};
use crate::digest::Digest;
use crate::durable::{Audience, Disk, DiskFile, FsDisk};
use crate::error::{Misfit, OpenError};
use crate::follow::{Followed, Follower};
use crate::manifest::Role;
use crate::object::{DocumentKind, NewDocument, seal_document};
use crate::pack::{PackWriter, Scope};
use crate::seal::SealKey;
use crate::snapshot::{Lookup, Snapshot};
use crate::specimen::{NOW, serial, shared, signature, spec, write};
use crate::store::Store;
use crate::trial_disk::{Loss, TrialDisk};

const WHOLE: Scope = Scope::Base {
    shards: 1,
    shard: 0,
};

fn key() -> SealKey {
    // Any fixed key: PKCS#8 of Ed25519 with a seed of sevens is made anew for each test process.
    static OCTETS: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let octets = OCTETS.get_or_init(|| SealKey::generate().unwrap().1);
    SealKey::from_pkcs8(octets, Path::new("test")).unwrap()
}

/// One base pack of `revision` records by `disk`, and a CRL whose octets name the revision.
fn publish_revision(disk: &dyn Disk, root: &Path, revision: u64) -> Result<u64, String> {
    publish_at(disk, root, revision, NOW + revision)
}

fn publish_at(disk: &dyn Disk, root: &Path, revision: u64, now: u64) -> Result<u64, String> {
    let say = |error: &dyn std::error::Error| crate::error::sentence(error);
    let mut publisher =
        Publisher::open(disk, Store::at(root), key(), &[]).map_err(|error| say(&error))?;
    let temp = publisher.store().temp().join("pack");
    let spec = spec(1, WHOLE, revision, shared(1, &[EcdsaP256Sha256], 1));
    let mut writer = PackWriter::create(disk, &temp, &spec).map_err(|error| say(&error))?;
    let octets = signature(&serial(5), EcdsaP256Sha256, revision);
    writer
        .push(&serial(5), CertStatus::Good, 0, &[&octets])
        .map_err(|error| say(&error))?;
    let pack = writer.finish().map_err(|error| say(&error))?;
    let crl = format!("crl of {revision}");
    let document = NewDocument {
        kind: DocumentKind::Crl,
        name: "one.crl",
        issuer: IssuerId([1; 16]),
        last_modified: NOW,
        expires: Some(NOW + 1),
        octets: crl.as_bytes(),
    };
    let crl = seal_document(disk, publisher.store(), &document).map_err(|error| say(&error))?;
    let edition = Edition {
        kept: Vec::new(),
        added: vec![pack, crl],
        ..publisher.same_again(now)
    };
    let published = publisher.publish(&edition).map_err(|error| say(&error))?;
    Ok(published.number)
}

/// Opens what is there and checks all of it; which revision it is.
fn revision_served(root: &Path) -> u64 {
    let snapshot = Snapshot::open(root, &[key().public()], None).unwrap();
    let prefix = &shared(1, &[EcdsaP256Sha256], 1).variants[0].prefix;
    let revision = snapshot.revision();
    for (digest, pack) in snapshot.packs() {
        assert_eq!(*digest, crate::digest::Digest::of(pack.octets()));
        pack.verify().unwrap();
    }
    let Lookup::Found(found) = snapshot.lookup(prefix, serial(5).content(), None) else {
        panic!("not found")
    };
    assert_eq!(
        found.signature,
        signature(&serial(5), EcdsaP256Sha256, revision)
    );
    let crl = snapshot.document("/crl/one.crl").unwrap();
    assert_eq!(crl.body.as_ref(), format!("crl of {revision}").as_bytes());
    revision
}

#[test]
fn a_crash_at_any_act_leaves_the_old_or_the_new_generation_and_the_next_run_goes_on() {
    for loss in [Loss::Nothing, Loss::Everything] {
        let (mut old, mut new) = (0, 0);
        for act in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            publish_revision(&FsDisk, root, 1).unwrap();
            let disk = TrialDisk::dying_at(Some(act));
            let outcome = publish_revision(&disk, root, 2);
            disk.crash(loss);
            let served = revision_served(root);
            let acts = disk.acts();
            match served {
                1 => old += 1,
                2 => new += 1,
                other => panic!("revision {other} after {:?}", acts.last()),
            }
            // Whoever was told that it is out can rely on it.
            assert!(
                outcome.is_err() || served == 2,
                "act {act}: {:?}",
                acts.last()
            );
            let number = publish_revision(&FsDisk, root, 3).unwrap();
            assert!(number > served, "act {act}");
            assert_eq!(revision_served(root), 3, "act {act}: {:?}", acts.last());
            assert_eq!(Store::at(root).leftovers().unwrap().len(), 0);
            if outcome.is_ok() {
                break;
            }
        }
        assert!(old > 15 && new >= 1, "{loss:?}: {old} old, {new} new");
    }
}

#[test]
fn a_follower_that_saw_the_pointer_move_before_the_power_went_is_left_on_a_fork() {
    for first in [false, true] {
        for act in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let (root, edge) = (folder.path().join("store"), folder.path().join("edge"));
            std::fs::create_dir(&root).unwrap();
            let pins = vec![key().public()];
            let mut follower =
                Follower::open(&FsDisk, Store::at(&root), Store::at(&edge), pins).unwrap();
            if !first {
                publish_revision(&FsDisk, &root, 1).unwrap();
                follower.poll().unwrap();
            }
            let disk = TrialDisk::dying_at(Some(act));
            let outcome = publish_revision(&disk, &root, 2);
            follower.poll().unwrap();
            disk.crash(Loss::Everything);
            let number = publish_revision(&FsDisk, &root, 3).unwrap();
            let followed = follower.poll();
            assert!(
                matches!(followed, Ok(Followed::Took(taken)) if taken.number == number),
                "act {act}, {:?}: {followed:?}",
                disk.acts().last()
            );
            assert_eq!(revision_served(&edge), 3);
            if outcome.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn the_acts_of_publishing_come_in_the_promised_order() {
    let folder = tempfile::tempdir().unwrap();
    let disk = TrialDisk::dying_at(None);
    publish_revision(&disk, folder.path(), 1).unwrap();
    let acts = disk.acts();
    let place = |act: &str| {
        acts.iter()
            .position(|done| done == act)
            .unwrap_or_else(|| panic!("{act} in {acts:#?}"))
    };
    let manifest = "00000000000000000001.manifest";
    assert!(place("sync pack") < place("sync-folder objects"));
    assert!(place("sync-folder objects") < place("sync manifest"));
    assert!(place("sync manifest") < place(&format!("rename {manifest}")));
    assert!(place(&format!("rename {manifest}")) < place("sync-folder manifests"));
    assert!(place("sync-folder manifests") < place("create current"));
    assert!(place("sync current") < place("rename current"));
    let root = folder
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert_eq!(
        acts.last().unwrap(),
        &format!("sync-folder {root}"),
        "{acts:#?}"
    );
}

#[test]
fn a_second_publisher_is_kept_out_while_the_first_lives() {
    let folder = tempfile::tempdir().unwrap();
    let first = Publisher::open(&FsDisk, Store::at(folder.path()), key(), &[]).unwrap();
    let second = Publisher::open(&FsDisk, Store::at(folder.path()), key(), &[]);
    assert!(matches!(second, Err(PublishError::Locked { .. })));
    drop(first);
    Publisher::open(&FsDisk, Store::at(folder.path()), key(), &[]).unwrap();
}

#[test]
fn objects_go_when_no_recent_manifest_names_them_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let store = Store::at(root);
    let is_there = |digests: &HashSet<Digest>| digests.iter().all(|d| store.object(*d).exists());
    let digests = || -> HashSet<Digest> { store.object_digests().unwrap().into_iter().collect() };
    publish_revision(&FsDisk, root, 1).unwrap();
    let first = digests();
    // One a second: sixteen are soon over, and a follower may still be copying the first.
    for revision in 2..=KEEP_OBJECTS_OF + 4 {
        publish_revision(&FsDisk, root, revision).unwrap();
        assert!(is_there(&first), "revision {revision}");
    }
    // The first was the newest until the second was sealed.
    let last = KEEP_OBJECTS_OF + 5;
    publish_at(&FsDisk, root, last, NOW + 2 + KEEP_OBJECTS_SECS - 1).unwrap();
    assert!(is_there(&first));
    publish_at(&FsDisk, root, last + 1, NOW + 2 + KEEP_OBJECTS_SECS).unwrap();
    assert!(first.iter().all(|digest| !store.object(*digest).exists()));
    // One an hour: the last sixteen stay.
    let before = digests();
    for hour in 1..KEEP_OBJECTS_OF {
        publish_at(&FsDisk, root, last + 1 + hour, NOW + hour * 3600).unwrap();
    }
    assert_eq!(digests().intersection(&before).count(), 2);
    assert_eq!(digests().len() as u64, 2 * KEEP_OBJECTS_OF);
    publish_at(&FsDisk, root, last + 99, NOW + 99 * 3600).unwrap();
    assert_eq!(digests().intersection(&before).count(), 0);
    let manifests = store.manifest_numbers().unwrap().len() as u64;
    assert_eq!(manifests, last + KEEP_OBJECTS_OF + 1);
}

#[test]
fn a_re_seal_changes_number_and_time_and_keeps_the_files() {
    let folder = tempfile::tempdir().unwrap();
    publish_revision(&FsDisk, folder.path(), 1).unwrap();
    let mut publisher = Publisher::open(&FsDisk, Store::at(folder.path()), key(), &[]).unwrap();
    let before = publisher.current().unwrap().clone();
    let plan = publisher.plan(&publisher.same_again(NOW + 1800)).unwrap();
    let text = plan.to_string();
    assert!(
        text.contains("point current at 2") && !text.contains("place"),
        "{text}"
    );
    publisher.carry_out(plan).unwrap();
    let after = publisher.current().unwrap();
    assert_eq!(
        (after.number, &after.objects),
        (before.number + 1, &before.objects)
    );
    assert_eq!(after.valid_until, NOW + 1800 + DEFAULT_VALID_FOR_SECS);
    assert_eq!(after.previous.unwrap().number, before.number);
}

#[test]
fn packs_that_cannot_be_asked_together_are_refused_before_the_pointer_moves() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    publish_revision(&FsDisk, root, 1).unwrap();
    let refused = |scope, issuer, prefix_of, key_octet: Option<u8>| {
        let mut publisher = Publisher::open(&FsDisk, Store::at(root), key(), &[]).unwrap();
        let mut spec = spec(issuer, scope, 7, shared(prefix_of, &[EcdsaP256Sha256], 1));
        if let Some(octet) = key_octet {
            spec.hash_key.0 = [octet; 16];
        }
        let sealed = write(&publisher.store().temp().join("p"), &spec, &[].into()).unwrap();
        let edition = Edition {
            added: vec![sealed],
            ..publisher.same_again(NOW)
        };
        let error = publisher.publish(&edition).unwrap_err();
        assert_eq!(revision_served(root), 1);
        match error {
            PublishError::Rehearsal(OpenError::Misfit { misfit, .. }) => misfit,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(Scope::Delta, 1, 1, Some(9)), Misfit::HashKey);
    assert_eq!(refused(WHOLE, 1, 1, None), Misfit::ShardTwice);
    assert_eq!(
        refused(
            Scope::Base {
                shards: 2,
                shard: 1
            },
            1,
            1,
            None
        ),
        Misfit::Shards
    );
    assert_eq!(refused(Scope::Delta, 2, 1, None), Misfit::Prefix);
}

#[test]
fn what_a_manifest_says_of_its_packs_is_held_against_their_headers() {
    let folder = tempfile::tempdir().unwrap();
    publish_revision(&FsDisk, folder.path(), 1).unwrap();
    let mut publisher = Publisher::open(&FsDisk, Store::at(folder.path()), key(), &[]).unwrap();
    let mut edition = publisher.same_again(NOW);
    for object in &mut edition.kept {
        if let Role::Base(note) = &mut object.role {
            note.revision += 1;
        }
    }
    let error = publisher.publish(&edition).unwrap_err();
    assert!(
        matches!(error, PublishError::Rehearsal(OpenError::OtherPack { .. })),
        "{error}"
    );
}

/// The real disk; one act fails, those before and after do not.
struct FailsOnce {
    acts: AtomicUsize,
    fails_at: AtomicUsize,
}

impl FailsOnce {
    fn act<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.acts.fetch_add(1, SeqCst) + 1 == self.fails_at.load(SeqCst) {
            return Err(io::Error::other("one bad moment"));
        }
        act()
    }
}

impl Disk for FailsOnce {
    fn create_new(&self, path: &Path, audience: Audience) -> io::Result<Box<dyn DiskFile>> {
        self.act(|| FsDisk.create_new(path, audience))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(|| FsDisk.rename(from, to))
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.act(|| FsDisk.sync_folder(folder))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act(|| FsDisk.remove(path))
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.act(|| FsDisk.create_folder(folder))
    }
}

#[test]
fn a_publisher_that_lives_through_a_failed_act_parts_its_history_in_two() {
    for act in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (root, edge) = (folder.path().join("store"), folder.path().join("edge"));
        let disk = FailsOnce {
            acts: AtomicUsize::new(0),
            fails_at: AtomicUsize::new(usize::MAX),
        };
        let mut publisher = Publisher::open(&disk, Store::at(&root), key(), &[]).unwrap();
        let pins = vec![key().public()];
        let mut follower =
            Follower::open(&FsDisk, Store::at(&root), Store::at(&edge), pins).unwrap();
        publisher.publish(&publisher.same_again(NOW)).unwrap();
        follower.poll().unwrap();
        // Something to retire.
        std::fs::write(publisher.store().object(Digest::of(b"old")), b"old").unwrap();
        disk.acts.store(0, SeqCst);
        disk.fails_at.store(act, SeqCst);
        let outcome = publisher.publish(&publisher.same_again(NOW + 1));
        let acts = disk.acts.load(SeqCst);
        follower.poll().unwrap();
        disk.fails_at.store(usize::MAX, SeqCst);
        publisher.settle().unwrap();
        let published = publisher.publish(&publisher.same_again(NOW + 2)).unwrap();
        let followed = follower.poll();
        assert!(
            matches!(followed, Ok(Followed::Took(taken)) if taken.number == published.number),
            "act {act}: {followed:?}"
        );
        if acts < act {
            assert!(outcome.is_ok() && act > 8, "{act}: {outcome:?}");
            break;
        }
    }
}

#[test]
fn a_revocation_opens_every_base_pack_again() {
    const SHARDS: u32 = 64;
    let root = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::open(&FsDisk, Store::at(root.path()), key(), &[]).unwrap();
    let base = |publisher: &Publisher<'_>, shard: u32, revision: u64| {
        let scope = Scope::Base {
            shards: SHARDS,
            shard,
        };
        let spec = spec(1, scope, revision, shared(1, &[EcdsaP256Sha256], 1));
        let temp = publisher.store().temp().join(format!("base-{shard}"));
        write(&temp, &spec, &Default::default()).unwrap()
    };
    let mut edition = publisher.same_again(NOW);
    edition.added = (0..SHARDS)
        .map(|shard| base(&publisher, shard, 1))
        .collect();
    let _ = publisher.publish(&edition).unwrap();
    let opened = |publisher: &Publisher<'_>| -> HashSet<usize> {
        let rehearsed = publisher.rehearsed.as_ref().unwrap();
        let packs = rehearsed.snapshot.packs();
        packs
            .map(|(_, pack)| std::sync::Arc::as_ptr(pack) as usize)
            .collect()
    };
    let first = opened(&publisher);
    assert_eq!(first.len(), SHARDS as usize);

    // A delta: one new pack is opened, whatever stands beside it.
    let spec = spec(1, Scope::Delta, 2, shared(1, &[EcdsaP256Sha256], 1));
    let temp = publisher.store().temp().join("delta");
    let rows = [(serial(5), (CertStatus::Good, 0))].into_iter().collect();
    let mut edition = publisher.same_again(NOW);
    edition.added = vec![write(&temp, &spec, &rows).unwrap()];
    let _ = publisher.publish(&edition).unwrap();
    let second = opened(&publisher);
    assert_eq!(second.difference(&first).count(), 1);

    // One that is not there any more is still missed.
    let (digest, path) = {
        let (digest, pack) = publisher
            .rehearsed
            .as_ref()
            .unwrap()
            .snapshot
            .packs()
            .next()
            .unwrap();
        (*digest, pack.path().to_owned())
    };
    let mut damaged = || {
        let edition = publisher.same_again(NOW);
        let _ = publisher.publish(&edition).unwrap();
        publisher.damaged().collect::<Vec<_>>()
    };
    let octets = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(damaged(), [digest]);
    // And one that grew.
    std::fs::write(&path, [&octets[..], b"x"].concat()).unwrap();
    assert_eq!(damaged(), [digest]);
    std::fs::write(&path, &octets).unwrap();
    assert_eq!(damaged(), []);
}

#[test]
fn what_a_generation_brings_is_published_though_nobody_can_open_it() {
    let root = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::open(&FsDisk, Store::at(root.path()), key(), &[]).unwrap();
    let _ = publisher.publish(&publisher.same_again(NOW)).unwrap();
    let scope = Scope::Base {
        shards: 1,
        shard: 0,
    };
    let spec = spec(1, scope, 1, shared(1, &[EcdsaP256Sha256], 1));
    let temp = publisher.store().temp().join("base");
    let sealed = write(&temp, &spec, &Default::default()).unwrap();
    std::fs::write(&temp, b"torn").unwrap();
    let mut edition = publisher.same_again(NOW);
    edition.added = vec![sealed];
    let refused = publisher.publish(&edition);
    assert!(matches!(refused, Err(PublishError::Rehearsal(_))));
    publisher.settle().unwrap();
    assert_eq!(publisher.current().unwrap().number, 1);
}
