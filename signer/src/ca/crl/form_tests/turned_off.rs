//! Deltas that an operator turns off, and on again.

use super::*;

// RFC 5280 §5.2.6: a list that says where its deltas are is followed by deltas until its end.
#[test]
fn deltas_that_were_turned_off_stay_for_ever_or_are_missed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = office(folder.path(), &with_deltas(), 3);
    let rows = certificates(&office, "p256");
    let start = now();
    let base = of(
        &lists(&office, Urgency::Due, start),
        ListScope::Whole,
        false,
    )
    .clone();
    assert!(base.names_deltas);
    office.settings = settings(&ListConfig::default());
    // A full list that does not name them, at once; the delta stays for who holds the list before.
    let off = lists(&office, Urgency::Due, start + 10);
    let plain = of(&off, ListScope::Whole, false);
    let read = wire::crl::Crl::parse(&plain.der).unwrap();
    assert!(plain.number > base.number && read.extensions.freshest.is_none());
    assert_eq!(off.len(), 2);
    // It goes on to say what changed since.
    revoke(&office, &rows[0], RevocationReason::KeyCompromise);
    let full = lists(&office, Urgency::Due, start + 20);
    let last = lists(&office, Urgency::Due, start + 21);
    let delta = of(&last, ListScope::Whole, true);
    assert_eq!(
        applied(&base, delta),
        entries(of(&full, ListScope::Whole, false))
    );
    assert!(delta.next_update <= base.next_update);
    // Nobody holds that list any more.
    for at in [base.next_update, base.next_update + 10] {
        let later = lists(&office, Urgency::Due, at);
        assert!(later.iter().all(|list| !list.form.is_delta()), "{later:?}");
    }
    // And on again.
    office.settings = settings(&with_deltas());
    let on = lists(&office, Urgency::Due, base.next_update + 20);
    assert!(of(&on, ListScope::Whole, false).names_deltas);
    assert_eq!(on.len(), 2);
}
