//! Forms that would be wrong, missing, or forgotten on their way to the edge.

use wire::cert_id::IssuerId;

use super::*;
use crate::durable::FsDisk;
use crate::follow::{Followed, Follower};
use crate::inspect::Inspection;
use crate::object::{DocumentKind, NewDocument, seal_document};
use crate::publish::{Edition, Publisher};
use crate::scrub::{Scrubbed, Scrubber};
use crate::seal::SealKey;
use crate::specimen::NOW;
use crate::store::Store;

fn made(octets: &[u8]) -> (tempfile::TempDir, Vec<EncodedFile>) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("document");
    std::fs::write(&source, octets).unwrap();
    let made = encode(&FsDisk, &source, octets.len() as u64).unwrap();
    (folder, made)
}

fn noise(octets: usize) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().finalize_xof();
    let mut noise = vec![0; octets];
    reader.fill(&mut noise);
    noise
}

#[test]
fn a_form_that_decodes_to_something_else_is_published() {
    for octets in [MIN_OCTETS, 100_000, LARGE_OCTETS + 1] {
        let document: Vec<u8> = (0..octets).map(|at| (at % 251 / 3) as u8).collect();
        let (_folder, made) = made(&document);
        assert_eq!(made.len(), 2, "{octets}");
        for EncodedFile { temp, note } in made {
            let encoded = std::fs::read(&temp).unwrap();
            assert_eq!(encoded.len() as u64, note.octets);
            assert!(note.octets < octets);
            assert_eq!(Digest::of(&encoded), note.blake3);
            let decoded = decoded_digest(&temp, note.encoding, octets).unwrap();
            assert_eq!(
                decoded,
                Digest::of(&document),
                "{:?} {octets}",
                note.encoding
            );
        }
    }
}

#[test]
fn a_form_larger_than_its_document_is_kept() {
    let (folder, made) = made(&noise(50_000));
    assert!(made.is_empty(), "{made:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the failed forms are still there");
}

#[test]
fn a_certificate_becomes_three_files() {
    assert!(made(&[7; 1000]).1.is_empty());
}

#[test]
fn a_form_that_decodes_without_end_fills_the_memory() {
    let (_folder, made) = made(&vec![0; 10_000_000]);
    for EncodedFile { temp, note } in made {
        let start = decoded_digest(&temp, note.encoding, 99).unwrap();
        assert_eq!(start, Digest::of(&[0; 100]));
    }
}

fn list(octets: &[u8]) -> NewDocument<'_> {
    NewDocument {
        kind: DocumentKind::Crl,
        name: "list.crl",
        issuer: IssuerId([1; 16]),
        last_modified: NOW,
        expires: None,
        octets,
    }
}

fn publish(publisher: &mut Publisher<'_>, document: &[u8], now: u64) {
    let sealed = seal_document(&FsDisk, publisher.store(), &list(document)).unwrap();
    let edition = Edition {
        kept: Vec::new(),
        added: vec![sealed],
        ..publisher.same_again(now)
    };
    publisher.publish(&edition).unwrap();
}

#[test]
fn forms_are_left_behind_on_the_way_to_the_edge_or_stay_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (root, edge) = (folder.path().join("store"), folder.path().join("edge"));
    let (key, _) = SealKey::generate().unwrap();
    let pins = vec![key.public()];
    let mut publisher = Publisher::open(&FsDisk, Store::at(&root), key, &[]).unwrap();
    let document = b"one list, ".repeat(1000);
    publish(&mut publisher, &document, NOW);

    let mut follower =
        Follower::open(&FsDisk, Store::at(&root), Store::at(&edge), pins.clone()).unwrap();
    let Followed::Took(taken) = follower.poll().unwrap() else {
        panic!("nothing to take")
    };
    assert_eq!(taken.files, 3, "the document and two forms");
    let snapshot = crate::snapshot::Snapshot::open(&edge, &pins, None).unwrap();
    let served = snapshot.document("/crl/list.crl").unwrap();
    let tokens: Vec<_> = served
        .encoded
        .iter()
        .map(|form| form.encoding.token())
        .collect();
    assert_eq!(tokens, ["gzip", "zstd"]);
    assert_eq!(Inspection::of(&snapshot).documents[0].encodings.len(), 2);

    // A bit flips in a form: the scrub finds it, the follower fetches it again.
    let flipped = Store::at(&edge).object(Digest::of(served.encoded[0].body.as_ref()));
    let sound = std::fs::read(&flipped).unwrap();
    let mut octets = sound.clone();
    octets[20] ^= 1;
    std::fs::write(&flipped, octets).unwrap();
    let mut scrubber = Scrubber::new(Store::at(&edge), pins);
    let found = loop {
        match scrubber.step(std::time::Instant::now(), 1 << 20).unwrap() {
            Scrubbed::Sound => {}
            other => break other,
        }
    };
    let Scrubbed::Damaged { entry, .. } = found else {
        panic!("{found:?}")
    };
    assert_eq!(entry.name, "list.crl.gz");
    follower.fetch(&entry).unwrap();
    assert_eq!(std::fs::read(&flipped).unwrap(), sound);

    // Long after another list has come, none of the three is left.
    publish(&mut publisher, b"another", NOW + 1);
    assert_eq!(Store::at(&root).object_digests().unwrap().len(), 4);
    for later in 1..20 {
        let again = publisher.same_again(NOW + later * 10_000);
        publisher.publish(&again).unwrap();
    }
    assert_eq!(Store::at(&root).object_digests().unwrap().len(), 1);
}
