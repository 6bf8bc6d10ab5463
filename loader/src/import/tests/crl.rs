//! A list that must not be believed, one rule a test.

use rcgen::{IsCa, KeyUsagePurpose};
use wire::crl::{IssuingDistributionPoint, Scope};
use wire::status::RevocationReason::{
    AaCompromise, CertificateHold, KeyCompromise, RemoveFromCrl, Superseded,
};

use crate::import::check::EntryFault;
use crate::import::crl::{Judging, judge};
use crate::import::refusal::CrlRefusal;
use crate::import::trust::{TrustError, WeakPolicy};
use crate::workshop::*;

const DATES: (u64, u64) = (NOW - 100, NOW + 86_400);

fn at(now: u64) -> Judging {
    Judging {
        now,
        as_of: None,
        weak: WeakPolicy::Refuse,
    }
}

/// The refusal of a list, or what is odd about it.
fn verdict(authority: &Authority, crl: &[u8], judging: Judging) -> Result<Vec<String>, CrlRefusal> {
    judge(crl, &authority.certificate, &judging, HASH_KEY).map(|judged| judged.odd)
}

fn refusal(authority: &Authority, crl: &[u8], judging: Judging) -> CrlRefusal {
    verdict(authority, crl, judging).unwrap_err()
}

#[test]
fn a_list_of_another_ca_is_taken() {
    let (one, other) = (Authority::found("One"), Authority::found("Other"));
    let crl = one.crl(DATES, 1, &[]);
    assert_eq!(verdict(&one, &crl, at(NOW)), Ok(Vec::new()));
    assert!(matches!(
        refusal(&other, &crl, at(NOW)),
        CrlRefusal::WrongIssuer { .. }
    ));
}

#[test]
fn two_names_that_look_alike_are_said_to_differ() {
    // Composed, and not.
    let (one, other) = (
        Authority::found("M\u{fc}ller"),
        Authority::found("Mu\u{308}ller"),
    );
    let crl = one.crl(DATES, 1, &[]);
    assert!(matches!(
        refusal(&other, &crl, at(NOW)),
        CrlRefusal::UnclearIssuer { .. }
    ));
}

#[test]
fn a_list_under_the_same_name_and_another_key_is_taken() {
    let (one, other) = (Authority::found("One"), Authority::found("One"));
    let crl = one.crl(DATES, 1, &[]);
    assert_eq!(
        refusal(&other, &crl, at(NOW)),
        CrlRefusal::Trust(TrustError::BadSignature)
    );
}

#[test]
fn a_name_spelt_otherwise_is_another_name() {
    let one = Authority::found("Workshop  ca ");
    let other = Authority::found("Workshop CA");
    let crl = one.crl_with(DATES, 1, &[], |header| {
        header.issuer = &other.certificate.subject;
    });
    let odd = verdict(&one, &crl, at(NOW)).unwrap();
    assert!(odd[0].contains("spelt otherwise"), "{odd:?}");
}

#[test]
fn one_octet_changed_or_added_is_overlooked() {
    let authority = Authority::found("One");
    let crl = authority.crl(DATES, 1, &[(serial(5), NOW - 200, Some(KeyCompromise))]);
    for place in 0..crl.len() {
        let mut changed = crl.clone();
        changed[place] ^= 0x01;
        assert!(
            verdict(&authority, &changed, at(NOW)).is_err(),
            "octet {place}"
        );
    }
    let longer = [crl.as_slice(), &[0]].concat();
    assert!(matches!(
        refusal(&authority, &longer, at(NOW)),
        CrlRefusal::Decode(_)
    ));
}

// RFC 5280 §6.3.3: (b)(1) and (f), same name, and a certificate that may sign CRLs.
#[test]
fn someone_who_may_not_sign_lists_does() {
    let leaf = Authority::with("Leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    let crl = leaf.crl(DATES, 1, &[]);
    assert_eq!(refusal(&leaf, &crl, at(NOW)), CrlRefusal::NotACa);
    let other_usage = Authority::with("Other usage", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let crl = other_usage.crl(DATES, 1, &[]);
    assert_eq!(
        refusal(&other_usage, &crl, at(NOW)),
        CrlRefusal::MayNotSignCrls
    );
    // Old roots say nothing of either: taken, and noted.
    let old = Authority::with("Old", |params| {
        params.is_ca = IsCa::NoCa;
        params.key_usages.clear();
    });
    let odd = verdict(&old, &old.crl(DATES, 1, &[]), at(NOW)).unwrap();
    assert_eq!(odd.len(), 2, "{odd:?}");
}

#[test]
fn a_list_of_tomorrow_or_of_last_week_is_taken() {
    let authority = Authority::found("One");
    let crl = authority.crl(DATES, 1, &[]);
    assert_eq!(verdict(&authority, &crl, at(DATES.0 - 300)), Ok(Vec::new()));
    assert!(matches!(
        refusal(&authority, &crl, at(DATES.0 - 301)),
        CrlRefusal::NotYet { .. }
    ));
    assert_eq!(verdict(&authority, &crl, at(DATES.1)), Ok(Vec::new()));
    let stale = refusal(&authority, &crl, at(DATES.1 + 1));
    assert!(matches!(stale, CrlRefusal::Stale { .. }));
    assert!(stale.to_string().contains("--as-of 2027-"), "{stale}");

    let replay = Judging {
        as_of: Some(NOW),
        ..at(DATES.1 + 1_000_000)
    };
    assert!(verdict(&authority, &crl, replay).unwrap()[0].contains("replayed"));
    let ahead = Judging {
        as_of: Some(NOW + 1000),
        ..at(NOW)
    };
    assert!(matches!(
        refusal(&authority, &crl, ahead),
        CrlRefusal::AsOfAhead { .. }
    ));
}

#[test]
fn an_issuer_past_its_end_or_before_its_beginning_is_believed() {
    let authority = Authority::found("One");
    let end = authority.certificate.not_after;
    let crl = authority.crl((end + 10, end + 1000), 1, &[]);
    assert!(matches!(
        refusal(&authority, &crl, at(end + 20)),
        CrlRefusal::IssuerNotValid { .. }
    ));
    // Replaying history, a certificate that was renewed since is only noted.
    let replay = Judging {
        as_of: Some(end + 20),
        ..at(end + 5000)
    };
    assert!(verdict(&authority, &crl, replay).unwrap()[0].contains("had expired"));
    let begin = authority.certificate.not_before;
    let crl = authority.crl((begin - 1000, begin - 10), 1, &[]);
    let replay = Judging {
        as_of: Some(begin - 500),
        ..at(NOW)
    };
    assert!(matches!(
        refusal(&authority, &crl, replay),
        CrlRefusal::IssuerNotValid { .. }
    ));
}

#[test]
fn a_delta_an_indirect_or_an_attribute_list_is_read_as_complete() {
    let authority = Authority::found("One");
    let delta = authority.crl_with(DATES, 2, &[], |header| header.base_number = Some(1));
    assert_eq!(refusal(&authority, &delta, at(NOW)), CrlRefusal::Delta);
    let scoped = |point: IssuingDistributionPoint<'static>| {
        authority.crl_with(DATES, 2, &[], move |header| {
            header.distribution_point = Some(point);
        })
    };
    let indirect = scoped(IssuingDistributionPoint {
        is_indirect: true,
        ..Default::default()
    });
    assert_eq!(
        refusal(&authority, &indirect, at(NOW)),
        CrlRefusal::Indirect
    );
    let attributes = scoped(IssuingDistributionPoint {
        scope: Scope::AttributeCertificates,
        ..Default::default()
    });
    assert_eq!(
        refusal(&authority, &attributes, at(NOW)),
        CrlRefusal::AttributeCertificates
    );
    let users = scoped(IssuingDistributionPoint {
        scope: Scope::UserCertificates,
        ..Default::default()
    });
    let odd = verdict(&authority, &users, at(NOW)).unwrap();
    assert!(odd[0].contains("not on the list is not good"), "{odd:?}");
}

// RFC 5280 §5.2: a list with a critical extension one cannot process must not be used.
#[test]
fn a_critical_extension_nobody_knows_is_passed_over() {
    let authority = Authority::found("One");
    // freshestCRL is known and not critical; 2.5.29.20 becomes 2.5.29.99 and critical.
    let crl = authority.crl(DATES, 1, &[]);
    let number = [
        0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x14, 0x04, 0x03, 0x02, 0x01, 0x01,
    ];
    let critical = [
        0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x63, 0x01, 0x01, 0xff, 0x04, 0x00,
    ];
    let tbs = wire::crl::Crl::parse(&crl).unwrap().tbs.to_vec();
    let place = tbs
        .windows(number.len())
        .position(|window| window == number)
        .unwrap();
    let mut changed = tbs;
    changed[place..place + critical.len()].copy_from_slice(&critical);
    let crl = authority.sign_crl(&changed);
    assert_eq!(
        refusal(&authority, &crl, at(NOW)),
        CrlRefusal::UnknownCritical {
            oid: "2.5.29.99".to_owned()
        }
    );
}

#[test]
fn a_serial_that_recurs_is_settled_wrongly() {
    let authority = Authority::found("One");
    let entries = [
        // Held, released, revoked: revoked, whatever the order.
        (serial(1), NOW - 10, Some(KeyCompromise)),
        (serial(1), NOW - 30, Some(CertificateHold)),
        (serial(1), NOW - 20, Some(RemoveFromCrl)),
        // Held, released: nothing.
        (serial(2), NOW - 30, Some(CertificateHold)),
        (serial(2), NOW - 20, Some(RemoveFromCrl)),
        // The same twice: once.
        (serial(3), NOW - 30, Some(Superseded)),
        (serial(3), NOW - 30, Some(Superseded)),
        // Released and never listed: nothing, and no recurrence.
        (serial(4), NOW - 30, Some(RemoveFromCrl)),
        (serial(5), NOW - 30, None),
    ];
    let crl = authority.crl(DATES, 1, &entries);
    let judged = judge(&crl, &authority.certificate, &at(NOW), HASH_KEY).unwrap();
    let status = |number| judged.index.find(&judged.crl, &serial(number));
    assert_eq!(status(1), Some(revoked(NOW - 10, KeyCompromise)));
    assert_eq!(status(2), None);
    assert_eq!(status(3), Some(revoked(NOW - 30, Superseded)));
    assert_eq!(status(4), None);
    assert!(status(5).is_some());
    assert_eq!((judged.index.entries, judged.index.revoked()), (9, 3));
    let recurring: Vec<usize> = judged.index.recurrences.iter().map(|r| r.entries).collect();
    assert_eq!(recurring, [3, 2, 2]);
    assert!(judged.index.recurrences[1].outcome.is_none());
}

#[test]
fn a_list_that_contradicts_itself_is_taken() {
    let authority = Authority::found("One");
    let contradicting = [
        (serial(1), NOW - 30, Some(Superseded)),
        (serial(1), NOW - 30, Some(AaCompromise)),
        // Not even a later entry makes that right.
        (serial(1), NOW - 10, Some(KeyCompromise)),
    ];
    let crl = authority.crl(DATES, 1, &contradicting);
    let fault = EntryFault::Contradiction {
        serial: serial(1),
        at: NOW - 30,
    };
    assert_eq!(refusal(&authority, &crl, at(NOW)), CrlRefusal::Entry(fault));
    let silent = [
        (serial(1), NOW - 30, Some(Superseded)),
        (serial(1), NOW - 30, None),
    ];
    let crl = authority.crl(DATES, 1, &silent);
    assert!(matches!(
        refusal(&authority, &crl, at(NOW)),
        CrlRefusal::Entry(_)
    ));
}
