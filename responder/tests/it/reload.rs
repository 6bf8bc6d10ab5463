//! New generations are taken whole and without anyone noticing; what cannot be trusted is refused, and the old serves on.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::edge::{Edge, Generation};
use crate::forms::{get, post};
use crate::process::{Running, Says, wait_for};

pub(crate) fn wait_until_served(responder: &Running, number: u64) {
    wait_for("the new generation", || {
        (responder.try_metric("hufu_generation_number ") == Some(number as f64)).then_some(())
    });
}

#[test]
fn request_fails_while_generations_change() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let stop = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    thread::scope(|scope| {
        for client in 0..4u64 {
            let (responder, stop, asked) = (&responder, &stop, &asked);
            scope.spawn(move || {
                let mut wire = responder.connect();
                let mut number = 1000 + client;
                while !stop.load(Ordering::Relaxed) {
                    number = 1000 + (number + 7) % 1000;
                    wire.send(get(number));
                    let expected = if number % 10 == 7 {
                        Says::Revoked
                    } else {
                        Says::Good
                    };
                    assert_eq!(wire.read().says(), expected);
                    // And a connection a request, which an accepting core could lose.
                    if number % 50 == 0 {
                        assert_eq!(
                            responder.ask(post(&crate::edge::request(1007))).says(),
                            Says::Revoked
                        );
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = Stopping(&stop);
        for signed_with in 1..8 {
            let number = edge.publish(&Generation {
                signed_with,
                ..Generation::default()
            });
            wait_until_served(&responder, number);
        }
        wait_for("enough questions among the changes", || {
            (asked.load(Ordering::Relaxed) > 200).then_some(())
        });
    });
    assert_eq!(responder.metric("hufu_generations_taken_total"), 8.0);
}

/// Tells clients to stop, however the test ends: the scope waits for them.
pub(crate) struct Stopping<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn replaced_generation_stays_mapped() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    responder.ask(get(1000));
    for signed_with in 1..6 {
        let number = edge.publish(&Generation {
            signed_with,
            ..Generation::default()
        });
        wait_until_served(&responder, number);
    }
    wait_for("the old maps to go", || {
        let maps = fs::read_to_string(format!("/proc/{}/maps", responder.pid())).unwrap();
        // One pack, one CRL, one certificate, one message of certificates, each once.
        (maps
            .lines()
            .filter(|line| line.contains("/objects/"))
            .count()
            == 4)
            .then_some(())
    });
}

#[test]
fn first_generation_comes_after_the_responder() {
    let mut edge = Edge::new();
    let responder = Running::start(&edge);
    assert_eq!(responder.ask(get(1000)).says(), Says::TryLater);
    assert_eq!(
        responder
            .ask("GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n")
            .status,
        503
    );
    assert_eq!(responder.admin("/readyz").status, 503);
    let number = edge.publish(&Generation::default());
    wait_until_served(&responder, number);
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
    assert_eq!(responder.admin("/readyz").status, 200);
}

/// Moves the pointer as publishing does: at once.
fn point(current: &Path, octets: &[u8]) {
    let temp = current.with_extension("temp");
    fs::write(&temp, octets).unwrap();
    fs::rename(temp, current).unwrap();
}

/// Spoils something, sees it refused for `reason` with one log line while the old generation serves on, and mends it.
fn refused(responder: &Running, reason: &str, spoil: impl FnOnce(), mend: impl FnOnce()) {
    let sample = format!("hufu_generations_refused_total{{reason=\"{reason}\"}}");
    let before = responder.metric(&sample);
    let lines = responder.logged("generation refused").len();
    spoil();
    wait_for("the refusal", || {
        (responder.metric(&sample) > before).then_some(())
    });
    wait_for("the line that says it", || {
        (responder.logged("generation refused").len() > lines).then_some(())
    });
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(
        responder.metric(&sample),
        before + 1.0,
        "{reason}: one count for one refusal"
    );
    assert_eq!(
        responder.logged("generation refused").len(),
        lines + 1,
        "{reason}: one line for one refusal"
    );
    assert_eq!(responder.ask(get(1000)).says(), Says::Good);
    mend();
}

#[test]
fn torn_flipped_or_older_generation_is_served() {
    let mut edge = Edge::filled();
    let current = edge.root().join("current");
    let first = fs::read(&current).unwrap();
    edge.publish(&Generation {
        signed_with: 1,
        ..Generation::default()
    });
    let second = fs::read(&current).unwrap();
    let responder = Running::start(&edge);
    let tag = responder.ask(get(1000)).header("etag").to_owned();
    let restore = || point(&current, &second);

    refused(&responder, "lower", || point(&current, &first), restore);
    refused(
        &responder,
        "torn",
        || point(&current, &second[..20]),
        restore,
    );
    refused(
        &responder,
        "unreadable",
        || fs::remove_file(&current).unwrap(),
        restore,
    );
    assert_eq!(responder.ask(get(1000)).header("etag"), tag);

    let number = edge.publish(&Generation {
        signed_with: 2,
        ..Generation::default()
    });
    wait_until_served(&responder, number);
    assert_ne!(responder.ask(get(1000)).header("etag"), tag);
}

#[test]
fn another_generation_under_the_number_served_is_taken() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let folder = edge.root();
    let current = folder.join("current");
    let manifest = "manifests/00000000000000000001.manifest";
    let first = fs::read(&current).unwrap();
    let first_manifest = fs::read(folder.join(manifest)).unwrap();
    // The same key seals another first generation elsewhere.
    let mut twin = Edge::sealed_with(&fs::read(edge.pin().with_file_name("seal.key")).unwrap());
    twin.publish(&Generation {
        signed_with: 1,
        ..Generation::default()
    });
    refused(
        &responder,
        "lower",
        || {
            for file in fs::read_dir(twin.root().join("objects")).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), folder.join("objects").join(file.file_name())).unwrap();
            }
            fs::copy(twin.root().join(manifest), folder.join(manifest)).unwrap();
            point(&current, &fs::read(twin.root().join("current")).unwrap());
        },
        || {
            fs::write(folder.join(manifest), &first_manifest).unwrap();
            point(&current, &first);
        },
    );
    let number = edge.publish(&Generation::default());
    wait_until_served(&responder, number);
}

#[test]
fn generation_of_a_stranger_is_served() {
    let ours = Edge::filled();
    let responder = Running::start(&ours);
    let mut theirs = Edge::filled();
    theirs.publish(&Generation::default());
    let copy = |folder: &str| {
        for file in fs::read_dir(theirs.root().join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), ours.root().join(folder).join(file.file_name())).unwrap();
        }
    };
    let before = fs::read(ours.root().join("current")).unwrap();
    refused(
        &responder,
        "unknown_key",
        || {
            copy("objects");
            copy("manifests");
            let theirs = fs::read(theirs.root().join("current")).unwrap();
            point(&ours.root().join("current"), &theirs);
        },
        || point(&ours.root().join("current"), &before),
    );
}
