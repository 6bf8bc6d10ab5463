//! A torn, flipped or lower-numbered generation is refused, and the one being served serves on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hufu_tests::office::Office;
use hufu_tests::pki::Status;
use hufu_tests::process::wait_until;

use crate::two_generations::{Published, copy, overwrite};

/// Files of the second generation that the first has not, below a folder of the store.
fn new_files(published: &Published, below: &str) -> Vec<PathBuf> {
    let names = |store: &Path| -> Vec<_> {
        fs::read_dir(store.join(below))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect()
    };
    let before = names(&published.first);
    let after = names(&published.second)
        .into_iter()
        .filter(|name| !before.contains(name));
    after.map(|name| Path::new(below).join(name)).collect()
}

fn flip(path: &Path, at: usize) {
    let mut octets = fs::read(path).unwrap();
    let at = at % octets.len();
    octets[at] ^= 0x10;
    overwrite(path, &octets);
}

#[test]
fn a_flipped_or_torn_file_of_the_store_is_refused_when_fetched() {
    let published = Published::new();
    let (edge, responder) = published.edge("edge");
    let [tampered, trial] = ["tampered", "trial"].map(|name| published.path(name));
    // What verified is kept when another file of the generation does not, so each attempt has an edge of its own.
    let refuses = |what: &str| {
        copy(&edge, &trial);
        refused(&published, &tampered, &trial, what);
    };
    let mut files = new_files(&published, "objects");
    assert!(!files.is_empty());
    let manifests = new_files(&published, "manifests");
    assert_eq!(manifests.len(), 1);
    files.extend(manifests);
    for file in &files {
        let length = fs::read(published.second.join(file)).unwrap().len();
        for at in [0, length / 2, length - 1] {
            copy(&published.second, &tampered);
            flip(&tampered.join(file), at);
            refuses(&format!("{} flipped at {at}", file.display()));
        }
        for keep in [0, length / 2, length - 1] {
            copy(&published.second, &tampered);
            let octets = fs::read(tampered.join(file)).unwrap();
            overwrite(&tampered.join(file), &octets[..keep]);
            refuses(&format!("{} torn after {keep}", file.display()));
        }
        copy(&published.second, &tampered);
        fs::remove_file(tampered.join(file)).unwrap();
        refuses(&format!("{} missing", file.display()));
    }
    copy(&published.second, &tampered);
    for file in &files {
        flip(&tampered.join(file), 0);
    }
    refused(&published, &tampered, &edge, "everything flipped");
    assert_eq!(
        published.status(&responder),
        Status::Good,
        "the current generation serves on"
    );
    // The same edge takes the right one afterwards.
    let _ = published.office.follow(&published.second, &edge).ok();
    wait_until(
        "the second generation is served",
        Duration::from_secs(60),
        || matches!(published.status(&responder), Status::Revoked(..)),
    );
}

#[track_caller]
fn refused(published: &Published, store: &Path, edge: &Path, what: &str) {
    let before = fs::read(edge.join("current")).unwrap();
    let ran = published.office.follow(store, edge);
    assert_eq!(ran.code, Some(1), "{what} was taken: {ran:?}");
    assert_eq!(
        fs::read(edge.join("current")).unwrap(),
        before,
        "{what} moved the pointer"
    );
}

#[test]
fn a_lower_number_is_refused_even_after_a_restart() {
    let published = Published::new();
    let edge = published.path("edge");
    let _ = published.office.follow(&published.second, &edge).ok();
    let responder = published.office.responder(&edge);
    assert!(matches!(published.status(&responder), Status::Revoked(..)));
    refused(
        &published,
        &published.first,
        &edge,
        "the first generation after the second",
    );
    // A store rolled back, and an edge that has lost its pointer but not its memory.
    drop(responder);
    let kept = fs::read(edge.join("current")).unwrap();
    fs::remove_file(edge.join("current")).unwrap();
    let ran = published.office.follow(&published.first, &edge);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    fs::write(edge.join("current"), kept).unwrap();
    let responder = published.office.responder(&edge);
    assert!(matches!(published.status(&responder), Status::Revoked(..)));
}

#[test]
fn a_responder_refuses_what_was_done_to_its_own_copy() {
    let published = Published::new();
    let (edge, responder) = published.edge("edge");
    let first = fs::read_to_string(edge.join("current")).unwrap();
    // Everything of the second generation lies there but in order; then the pointer names it.
    copy_into(&published.second, &edge);
    let manifest = new_files(&published, "manifests").swap_remove(0);
    let right = fs::read(published.second.join(&manifest)).unwrap();
    let torn = &right[..right.len() / 2];
    let flipped = {
        let mut octets = right.clone();
        octets[20] ^= 1;
        octets
    };
    for octets in [torn, &flipped[..]] {
        overwrite(&edge.join(&manifest), octets);
        point(&edge, &published.second);
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(
            published.status(&responder),
            Status::Good,
            "a manifest that does not verify was taken"
        );
    }
    // Nonsense in the pointer itself.
    for nonsense in ["", "\n", "0\n", "99999999999999999999999\nabc\n", "1\n"] {
        overwrite(&edge.join("current"), nonsense.as_bytes());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(published.status(&responder), Status::Good, "{nonsense:?}");
    }
    overwrite(&edge.join(&manifest), &right);
    point(&edge, &published.second);
    wait_until(
        "the second generation is served",
        Duration::from_secs(60),
        || matches!(published.status(&responder), Status::Revoked(..)),
    );
    overwrite(&edge.join("current"), first.as_bytes());
    std::thread::sleep(Duration::from_millis(400));
    assert!(
        matches!(published.status(&responder), Status::Revoked(..)),
        "it went back to a lower number"
    );
}

fn copy_into(store: &Path, edge: &Path) {
    for below in ["objects", "manifests"] {
        for entry in fs::read_dir(store.join(below)).unwrap().flatten() {
            let target = edge.join(below).join(entry.file_name());
            if !target.exists() {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

fn point(edge: &Path, store: &Path) {
    let temporary = edge.join("current.new");
    fs::copy(store.join("current"), &temporary).unwrap();
    fs::rename(temporary, edge.join("current")).unwrap();
}

#[test]
fn a_generation_under_another_key_is_refused() {
    let published = Published::new();
    let (edge, responder) = published.edge("edge");
    let stranger = Office::found(&published.path("stranger"));
    let _ = stranger.enrol("p256", "device");
    for _ in 0..3 {
        // Past the number that the edge has: only the seal is wrong.
        stranger.publish();
        let serial = stranger.serials("p256").swap_remove(0);
        let words = [
            "revoke",
            "--ca",
            "p256",
            "--serial",
            &serial,
            "--ground",
            "key-compromise",
            "--officer",
            "Grace",
        ];
        let _ = stranger.signer(&words);
    }
    refused(
        &published,
        &stranger.store(),
        &edge,
        "another loader's generation",
    );
    assert_eq!(published.status(&responder), Status::Good);
}
