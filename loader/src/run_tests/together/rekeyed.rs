//! Whoever signs lists for a CA gets another key under the same name.

use super::indirect::{come, list_signer, octets};
use super::*;

#[test]
fn the_word_about_one_keys_lists_is_taken_for_anothers_or_its_numbers_are() {
    let (place, signer, rekeyed) = (Place::new(), list_signer(), list_signer());
    let ours = Some(&place.authority);
    let all = How {
        complete: true,
        ..ALONE
    };
    let of = |signer: &Authority, number, this_update| {
        octets(
            signer,
            &full(number, this_update, &[]),
            &[(ours, key(1)), (None, key(2))],
        )
    };
    let first = of(&signer, 50, NOW - 300);
    assert!(come(&place, Some(&signer), &[first], all).unwrap().complete);
    // It counts anew, and may not go back in time.
    let earlier = of(&rekeyed, 1, NOW - 400);
    let why = come(&place, Some(&rekeyed), &[earlier], ALONE).unwrap_err();
    assert!(why.contains("lies before the staged list"), "{why}");
    let later = of(&rekeyed, 1, NOW - 200);
    let report = come(&place, Some(&rekeyed), &[later], ALONE).unwrap();
    assert!(!report.complete, "{report:?}");
    let is_told = |odd: &String| odd.contains("another key");
    assert!(report.odd.iter().any(is_told), "{report:?}");
    // The same key: the number holds, and so does a word.
    let lower = of(&rekeyed, 0, NOW - 100);
    let why = come(&place, Some(&rekeyed), &[lower], all).unwrap_err();
    assert!(why.contains("below the staged list"), "{why}");
    let higher = of(&rekeyed, 2, NOW - 100);
    assert!(
        come(&place, Some(&rekeyed), &[higher], all)
            .unwrap()
            .complete
    );
    let next = of(&rekeyed, 3, NOW - 90);
    assert!(
        come(&place, Some(&rekeyed), &[next], ALONE)
            .unwrap()
            .complete
    );
}

#[test]
fn a_delta_of_the_key_before_keeps_the_next_keys_lists_out() {
    let (place, signer, rekeyed) = (Place::new(), list_signer(), list_signer());
    let ours = Some(&place.authority);
    let of = |signer: &Authority, list: &List, number| octets(signer, list, &[(ours, key(number))]);
    let before = [
        of(&signer, &full(40, NOW - 300, &[]), 1),
        of(&signer, &delta(40, 50, NOW - 200, &[]), 2),
    ];
    come(&place, Some(&signer), &before, ALONE).unwrap();
    // What the delta says may be news to a list dated before it.
    let earlier = of(&rekeyed, &full(1, NOW - 201, &[]), 3);
    let why = come(&place, Some(&rekeyed), &[earlier], ALONE).unwrap_err();
    assert!(why.contains("delta"), "{why}");
    // The new key counts anew, and issues no deltas.
    let later = of(&rekeyed, &full(1, NOW - 100, &[]), 3);
    let report = come(&place, Some(&rekeyed), &[later], ALONE).unwrap();
    let is_told = |odd: &String| odd.contains("another key") && odd.contains("goes");
    assert!(report.odd.iter().any(is_told), "{report:?}");
    assert_eq!((report.lists.len(), report.revoked), (0, 1), "{report:?}");
}

#[test]
fn an_issuer_of_lists_whose_name_is_spelt_otherwise_is_taken_for_another() {
    let (place, signer) = (Place::new(), list_signer());
    let ours = Some(&place.authority);
    let all = How {
        complete: true,
        ..ALONE
    };
    let of = |number| {
        octets(
            &signer,
            &full(number, NOW - 300 + number, &[]),
            &[(ours, key(1))],
        )
    };
    assert!(come(&place, Some(&signer), &[of(5)], all).unwrap().complete);
    // UTF8String becomes PrintableString.
    let respelt = |number| {
        let mut tbs = wire::crl::Crl::parse(&of(number)).unwrap().tbs.to_vec();
        let text = b"\x0c\x0fSigner of lists";
        let at = tbs.windows(text.len()).position(|part| part == text);
        tbs[at.unwrap()] = 0x13;
        signer.sign_crl(&tbs)
    };
    let report = come(&place, Some(&signer), &[respelt(6)], ALONE).unwrap();
    assert!(report.complete, "{report:?}");
    let why = come(&place, Some(&signer), &[respelt(4)], ALONE).unwrap_err();
    assert!(why.contains("staged list"), "{why}");
    let report = come(&place, Some(&signer), &[of(7)], BESIDE).unwrap();
    assert_eq!((report.lists.len(), report.revoked), (0, 1), "{report:?}");
}

#[test]
fn a_kept_partition_is_blamed_for_the_certificate_that_was_named_for_another() {
    let (place, signer, rekeyed) = (Place::new(), list_signer(), list_signer());
    let ours = Some(&place.authority);
    let of = |signer: &Authority, point, number| {
        let list = List {
            point: Some(point),
            ..full(number, NOW - 300 + number, &[])
        };
        octets(signer, &list, &[(ours, key(number))])
    };
    let (one, two) = ("http://x/1.crl", "http://x/2.crl");
    let both = [of(&signer, one, 1), of(&signer, two, 2)];
    come(&place, Some(&signer), &both, ALONE).unwrap();
    let why = come(&place, Some(&rekeyed), &[of(&rekeyed, one, 3)], BESIDE).unwrap_err();
    let signed_by = signer.certificate.fingerprint();
    assert!(
        why.contains(two) && why.contains(&signed_by) && why.contains("--retire"),
        "{why}"
    );
    let both = [of(&rekeyed, one, 3), of(&rekeyed, two, 4)];
    assert_eq!(
        come(&place, Some(&rekeyed), &both, BESIDE).unwrap().revoked,
        2
    );
}
