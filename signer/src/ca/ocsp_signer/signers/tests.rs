//! Threads that want the same signers, or others, while a key is made.

use super::*;
use crate::ca::tests::{founded, now};
use crate::registry::SqliteStore;
use crate::settings::Settings;
use std::path::Path;
use std::sync::{Barrier, mpsc};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// An office whose `p256` signs with two algorithms.
fn office(folder: &Path) -> Arc<Office<SqliteStore>> {
    let mut office = founded(folder);
    let config = "[issuer.p256]\nocsp-algorithms = [\"ed25519\"]\n";
    office.settings = Settings::new(toml::from_str(config).unwrap()).unwrap();
    Arc::new(office)
}

fn keys(office: &Office<SqliteStore>) -> usize {
    let keys = office.keyring.names_beginning("p256-ocsp-");
    keys.unwrap().len()
}

fn certificates(group: &Group) -> Vec<Vec<u8>> {
    let responders = group.responders().iter();
    responders.map(|one| one.certificate.clone()).collect()
}

/// Who is at hand, asked on a thread of its own: what waits for somebody who waits for us fails, and does not hang.
fn at_hand(
    office: &Arc<Office<SqliteStore>>,
    signers: &Arc<Signers>,
    alias: &str,
    at: UnixSeconds,
) -> Vec<Vec<u8>> {
    let (done, answer) = mpsc::channel();
    let (office, signers) = (Arc::clone(office), Arc::clone(signers));
    let issuer = office.issuer(alias).unwrap();
    std::thread::spawn(move || {
        let group = signers.at_hand(&office, &issuer, By::signer(at)).unwrap();
        let _ = done.send(certificates(&group));
    });
    let answer = answer.recv_timeout(Duration::from_secs(120));
    answer.expect("it waits for whoever makes a key")
}

#[test]
fn a_key_in_the_making_holds_up_another_authority() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let signers = Arc::new(Signers::default());
    let own = signers.of(office.issuer("p256").unwrap().issuer_id());
    let _making = locked(&own.making);
    assert_eq!(at_hand(&office, &signers, "sm2", now()).len(), 1);
}

#[test]
fn a_revocation_waits_for_successors_that_another_thread_makes() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let signers = Arc::new(Signers::default());
    let current = |at| {
        let group = signers.current(&office, &issuer, By::signer(at));
        certificates(&group.unwrap())
    };
    let begun = now();
    let first = current(begun);
    // It is time for others; windows of a day still fit.
    let later = begun + 12 * DAY;
    let own = signers.of(issuer.issuer_id());
    let making = locked(&own.making);
    assert_eq!(at_hand(&office, &signers, "p256", later), first);
    drop(making);
    // Another process has none of them open, and makes none either.
    assert_eq!(at_hand(&office, &Arc::default(), "p256", later), first);
    assert_eq!(keys(&office), 2);
    let second = current(later);
    assert!(second.iter().all(|one| !first.contains(one)));
    assert_eq!(at_hand(&office, &signers, "p256", later), second);
    // Nobody made others, and no window fits any more.
    let last = at_hand(&office, &signers, "p256", later + 13 * DAY + 12 * HOUR);
    assert!(last.iter().all(|one| !second.contains(one)));
    assert_eq!(keys(&office), 6);
}

#[test]
fn threads_make_two_responders_where_one_is_wanted_or_remove_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let (signers, at_once, at) = (Signers::default(), Barrier::new(8), now());
    let made: Vec<_> = std::thread::scope(|scope| {
        let make = || {
            at_once.wait();
            let group = signers.current(&office, &issuer, By::signer(at));
            certificates(&group.unwrap())
        };
        let forget = || {
            at_once.wait();
            for _ in 0..20 {
                signers.forget_keys(&office, &issuer, at).unwrap();
            }
        };
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        let forgetters: Vec<_> = (0..4).map(|_| scope.spawn(forget)).collect();
        forgetters.into_iter().for_each(|one| one.join().unwrap());
        makers.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(made.iter().all(|one| *one == made[0]));
    let signers = living(&office, &issuer, at).unwrap();
    assert_eq!((signers.len(), keys(&office)), (2, 2));
    assert!(
        signers
            .iter()
            .all(|one| office.keyring.holds(&one.key_file))
    );
}
