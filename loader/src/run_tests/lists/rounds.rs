//! What comes while a list is held against what came before.

use std::cell::RefCell;

use super::beside::{change, put_lists};
use super::*;
use crate::draft::{Ask, Draft};
use crate::durable::FsDisk;
use crate::spool::waiting;

/// Whether a list of revision 8 with serial 2 alone agrees in the end, and what was asked, if by then so many of these changes
/// are out each time.
fn agrees(changes: &[(u64, Row)], out: &[usize]) -> (bool, Vec<Ask>) {
    let place = Place::new();
    let base = [good(1), row(2), good(3)];
    assert_eq!(published(&place, &base, 5, &[WHOLE]).taken.len(), 1);
    let mut line = place.line(&FsDisk);
    let mut generations = vec![line.publisher().current().unwrap().clone()];
    for (number, (revision, row)) in (3..).zip(changes) {
        place.put(change(&place, number, *revision), &[*row]);
        assert_eq!(line.pass(NOW, &mut |_, _| ()).unwrap().taken.len(), 1);
        generations.push(line.publisher().current().unwrap().clone());
    }
    let next = List {
        number: 2,
        revision: 8,
        ..WHOLE
    };
    put_lists(&place, 50, &[next]);
    let batch = waiting(&place.data.path().join("spool")).unwrap().remove(0);
    let asks = RefCell::new(Vec::new());
    let newest = |ask: Ask| {
        let mut asks = asks.borrow_mut();
        let out = out[asks.len()];
        asks.push(ask);
        Some(Draft::of(Some(&generations[out])))
    };
    let draft = Draft::of(generations.first());
    let workplace = line.workplace();
    let built = workplace.build(&batch, &draft, NOW, &mut |_, _| (), &newest);
    (built.is_ok(), asks.into_inner())
}

#[test]
fn changes_wait_while_what_came_before_is_held_against_a_list() {
    let later = [(9, row(3)), (10, row(1))];
    let asked = [Ask::Now, Ask::Now, Ask::Now, Ask::Last];
    assert_eq!(agrees(&later, &[1, 2, 2, 2]), (true, asked.to_vec()));
    // However many come, in the end they wait.
    let many: Vec<_> = (0..7).map(|n| (9 + n, row(100 + n))).collect();
    let (agrees, asks) = agrees(&many, &[1, 2, 3, 4, 5, 6, 7]);
    assert!(agrees && asks.len() < 7, "{asks:?}");
    assert_eq!(asks.last(), Some(&Ask::Last));
}

#[test]
fn what_contradicts_a_list_is_missed_between_two_rounds_or_held_against_it_when_it_is_taken_back() {
    let (now, last) = (Ask::Now, Ask::Last);
    let second = [(6, good(100)), (7, row(3))];
    assert_eq!(agrees(&second, &[1, 2, 2]), (false, vec![now, now, last]));
    assert_eq!(agrees(&second, &[1, 1, 2]), (false, vec![now, now, last]));
    let hold = dated(3, NOW - 50, RevocationReason::CertificateHold);
    let taken_back = [(6, hold), (7, good(3))];
    assert_eq!(agrees(&taken_back, &[1, 2]), (true, vec![now, last]));
    assert_eq!(agrees(&taken_back, &[1, 1]), (false, vec![now, last]));
}
