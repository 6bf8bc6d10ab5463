//! Several algorithms: each client gets what it likes best of those that the newest record is signed with, and nobody an
//! older record for the sake of its algorithm.

use wire::algorithm::SignatureAlgorithm::Ed25519;
use wire::cert_id::CertIdForm;
use wire::request::{OcspRequest, build_request_preferring};

use super::super::Found;
use super::*;
use crate::specimen::several;

/// The prefix of a form, of issuer 1.
fn prefix(form: CertIdForm) -> Vec<u8> {
    let hash = vec![1; form.hash.octets()];
    cert_id_prefix(form, &hash, &hash).unwrap()
}

fn sha1() -> Vec<u8> {
    prefix(CertIdForm::ALL[0])
}

/// What a client that likes these gets; an empty list is a list too.
fn wished<T>(
    snapshot: &Snapshot,
    prefix: &[u8],
    serial: &Serial,
    liked: &[SignatureAlgorithm],
    look: impl Fn(Lookup<'_>) -> T,
) -> T {
    let request = build_request_preferring(prefix, serial.content(), None, liked);
    let asked = OcspRequest::parse(&request).unwrap();
    assert!(asked.preferred.is_some());
    look(snapshot.lookup(asked.first.prefix, asked.first.serial, asked.preferred))
}

/// The algorithm of the answer, whose every part must be of that algorithm and of `revision`.
fn whole(found: &Found<'_>, serial: &Serial, revision: u64) -> SignatureAlgorithm {
    let algorithm = found.algorithm;
    assert_eq!(found.signature, signature(serial, algorithm, revision));
    assert_eq!(found.key_hash, &[algorithm.code(); 20]);
    assert_eq!(found.certs, [0xa0, 3, 1, 1, algorithm.code()]);
    algorithm
}

// RFC 6960 §4.4.7.2.2: of answers signed ahead the one with the algorithm that the client likes best goes out.
#[test]
fn a_client_gets_what_it_cannot_verify_although_the_other_is_there() {
    let rig = Rig::new();
    let signed = several(1, &[EcdsaP256Sha256, Rsa2048Sha256, Ed25519], 1);
    let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    rig.publish(&[(spec(1, WHOLE, 1, signed), rows)]);
    let snapshot = rig.open();
    for (liked, expected) in [
        (&[][..], EcdsaP256Sha256),
        (&[EcdsaP256Sha256], EcdsaP256Sha256),
        (&[Rsa2048Sha256], Rsa2048Sha256),
        (&[Ed25519, Rsa2048Sha256], Ed25519),
        (&[Rsa2048Sha256, Ed25519], Rsa2048Sha256),
        // Unknown here.
        (&[EcdsaP384Sha384], EcdsaP256Sha256),
        (&[EcdsaP384Sha384, Sm2Sm3, Ed25519], Ed25519),
    ] {
        for form in [CertIdForm::ALL[0], CertIdForm::ALL[2]] {
            let algorithm = wished(&snapshot, &prefix(form), &serial(1), liked, |lookup| {
                let Lookup::Found(found) = lookup else {
                    panic!("{lookup:?}");
                };
                assert_eq!(found.form, form);
                assert_eq!(found.cert_id_prefix, prefix(form));
                whole(&found, &serial(1), 1)
            });
            assert_eq!(algorithm, expected, "{liked:?}");
        }
    }
    let plain = snapshot.lookup(&sha1(), serial(1).content(), None);
    assert!(matches!(plain, Lookup::Found(found) if found.algorithm == EcdsaP256Sha256));
}

/// The header is a signer's: another one may write the algorithms in another order.
#[test]
fn the_authoritys_own_is_whatever_stands_first() {
    let rig = Rig::new();
    let mut signed = several(1, &[EcdsaP256Sha256, Ed25519], 1);
    signed.variants.rotate_right(1);
    signed.variants.swap(0, 1);
    assert_eq!(signed.variants[1].algorithm, Ed25519);
    let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    rig.publish(&[(spec(1, WHOLE, 1, signed), rows)]);
    let snapshot = rig.open();
    for form in [CertIdForm::ALL[0], CertIdForm::ALL[2]] {
        let plain = snapshot.lookup(&prefix(form), serial(1).content(), None);
        assert!(matches!(plain, Lookup::Found(found) if found.algorithm == EcdsaP256Sha256));
    }
}

/// RSA of any length is one algorithm to a client.
#[test]
fn who_likes_rsa_gets_the_longest() {
    use SignatureAlgorithm::Rsa3072Sha256;
    let rig = Rig::new();
    let signed = several(1, &[Rsa2048Sha256, Rsa3072Sha256], 1);
    let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    rig.publish(&[(spec(1, WHOLE, 1, signed), rows)]);
    let snapshot = rig.open();
    let algorithm = wished(
        &snapshot,
        &sha1(),
        &serial(1),
        &[Rsa3072Sha256],
        |lookup| match lookup {
            Lookup::Found(found) => Some(found.algorithm),
            _ => None,
        },
    );
    assert_eq!(algorithm, Some(Rsa2048Sha256));
}

/// An algorithm was enabled after, or disabled before, the delta was signed: the base has the liked one and says "good".
#[test]
fn a_delta_without_the_liked_algorithm_lets_the_base_say_good() {
    for newer in [&[EcdsaP256Sha256][..], &[Sm2Sm3, EcdsaP256Sha256]] {
        let rig = Rig::new();
        let rows = |status| Rows::from([(serial(1), (status, 0))]);
        let mut base = rows(CertStatus::Good);
        base.extend([(serial(2), (CertStatus::Good, 0))]);
        rig.publish(&[
            (
                spec(1, WHOLE, 1, several(1, &[EcdsaP256Sha256, Ed25519], 1)),
                base,
            ),
            (
                spec(1, Scope::Delta, 2, several(1, newer, 1)),
                rows(revoked(NOW)),
            ),
        ]);
        let snapshot = rig.open();
        for liked in [
            &[Ed25519][..],
            &[Ed25519, EcdsaP256Sha256],
            &[Ed25519, Sm2Sm3],
            &[],
        ] {
            let status = wished(
                &snapshot,
                &sha1(),
                &serial(1),
                liked,
                |lookup| match lookup {
                    Lookup::Found(found) => Some(found.status),
                    _ => None,
                },
            );
            assert_eq!(status, Some(revoked(NOW)), "{liked:?}");
        }
        let of_base = wished(
            &snapshot,
            &sha1(),
            &serial(2),
            &[Ed25519],
            |lookup| match lookup {
                Lookup::Found(found) => Some(found.algorithm),
                _ => None,
            },
        );
        assert_eq!(of_base, Some(Ed25519));
    }
}

/// The one that ends first counts, also while the newest pack is a delta that has fewer.
#[test]
fn the_responder_that_ends_first_is_not_told_of() {
    let rig = Rig::new();
    let mut both = several(1, &[EcdsaP256Sha256, Ed25519], 1);
    both.responders[1].not_after = NOW + 5_000;
    let first = several(1, &[EcdsaP256Sha256], 1);
    let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
    rig.publish(&[
        (spec(1, WHOLE, 1, both), rows.clone()),
        (spec(1, Scope::Delta, 2, first), rows),
    ]);
    let snapshot = rig.open();
    let info = snapshot.issuers().next().unwrap();
    assert_eq!(info.responder_not_after, Some(NOW + 5_000));
    assert_eq!(info.variants.len(), 4);
}

/// Which algorithms a pack is signed with, in order; what a client likes.
fn algorithms(least: usize) -> impl Strategy<Value = Vec<SignatureAlgorithm>> {
    let all = vec![EcdsaP256Sha256, Rsa2048Sha256, Ed25519, Sm2Sm3];
    prop::sample::subsequence(all, least..=4).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_wish_changes_which_record_answers(
        shards in 1..4_u32,
        base in (algorithms(1), rows()),
        deltas in prop::collection::vec((algorithms(1), rows()), 0..5),
        wishes in prop::collection::vec((any_serial(), algorithms(0)), 1..60),
    ) {
        let of = |rows: Vec<Row>| -> Rows {
            rows.into_iter().map(|(serial, status, window)| (serial, (status, window))).collect()
        };
        let (of_base, base) = base;
        let base: Rows = of(base).into_iter().filter(|(_, (status, _))| *status != CertStatus::Absent).collect();
        let mut model = Model::new();
        let mut signed = HashMap::from([(1, of_base.clone())]);
        learn(&mut model, 1, &base);
        let mut packs: Vec<_> = (0..shards)
            .map(|shard| {
                let scope = Scope::Base { shards, shard };
                (spec(1, scope, 1, several(1, &of_base, 4)), base.clone())
            })
            .collect();
        for (revision, (algorithms, rows)) in (2..).zip(deltas) {
            let rows = of(rows);
            learn(&mut model, revision, &rows);
            packs.push((spec(1, Scope::Delta, revision, several(1, &algorithms, 4)), rows));
            signed.insert(revision, algorithms);
        }
        let rig = Rig::new();
        rig.publish(&packs);
        let snapshot = rig.open();
        let stored = packs.iter().flat_map(|(_, rows)| rows.keys());
        let stored = stored.zip(wishes.iter().cycle()).map(|(serial, (_, liked))| (serial, liked));
        for (asked, liked) in wishes.iter().map(|(serial, liked)| (serial, liked)).chain(stored) {
            let answered = wished(&snapshot, &sha1(), asked, liked, |lookup| match lookup {
                Lookup::Found(found) => Some((found.status, whole(&found, asked, model[asked].0))),
                Lookup::UnknownSerial => None,
                lookup => panic!("{lookup:?}"),
            });
            let expected = model.get(asked).filter(|(_, status, _)| *status != CertStatus::Absent);
            let expected = expected.map(|(revision, status, _)| {
                let there = &signed[revision];
                let liked = liked.iter().find(|liked| there.contains(liked));
                (*status, *liked.unwrap_or(&there[0]))
            });
            prop_assert_eq!(answered, expected);
        }
    }
}
