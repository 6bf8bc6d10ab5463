//! Over a real registry: signers that roll over, a book that is read again, questions put together; next door the way of a
//! request, and the port.

use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{AskedHash, asked_prefixes};
use wire::request::{build_request, build_request_for};

use super::book::Book;
use super::book::tests::wishing;
use super::question::{Question, Unanswerable};
use super::settings::{LiveConfig, LiveSettings};
use crate::ca::ocsp_signer::{self, Signers};
use crate::ca::tests::{founded, now};
use crate::office::Office;
use crate::registry::{By, SqliteStore};
use crate::settings::Settings;

mod expired;
mod found_on;
mod port;
pub(super) mod rig;
mod way;

fn settings() -> LiveSettings {
    LiveSettings::new(&LiveConfig::default()).unwrap()
}

fn read(office: &Office<SqliteStore>, before: &Book, at: u64) -> Book {
    Book::read(office, &settings(), before, at).unwrap()
}

/// The octets of a CertID by SHA-1 before the serial.
fn prefix(office: &Office<SqliteStore>, alias: &str) -> Vec<u8> {
    let issuer = office.issuer(alias).unwrap();
    let key_bits = super::book::key_bits(&issuer).unwrap();
    prefix_of(&issuer.name_der, &key_bits)
}

fn prefix_of(name_der: &[u8], key_bits: &[u8]) -> Vec<u8> {
    let hash = |hash: AskedHash, octets: &[u8]| match hash {
        AskedHash::Sha1 => crate::batch::cert_id_hash(wire::cert_id::CertIdHash::Sha1, octets),
        _ => vec![0],
    };
    asked_prefixes(name_der, key_bits, hash).swap_remove(0)
}

#[test]
fn a_signer_that_rolled_over_is_not_noticed_while_the_lane_runs() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let request = build_request(&prefix(&office, "p256"), &[5], None);
    let signer_at = |book: &Book, at| {
        let question = Question::read(&request, book, at)?;
        Ok::<_, Unanswerable>(question.signatory.responder.certificate.clone())
    };

    let start = now();
    let empty = read(&office, &Book::default(), start);
    assert_eq!(signer_at(&empty, start), Err(Unanswerable::TryLater));
    let first =
        ocsp_signer::current(&office, &issuer, issuer.algorithm, By::signer(start)).unwrap();
    let book = read(&office, &empty, start);
    assert_eq!(signer_at(&book, start), Ok(first.certificate.clone()));

    let later = start + 13 * 86_400;
    let second =
        ocsp_signer::current(&office, &issuer, issuer.algorithm, By::signer(later)).unwrap();
    assert_ne!(second.certificate, first.certificate);
    let book = read(&office, &book, later);
    assert_eq!(signer_at(&book, later), Ok(second.certificate.clone()));
    // Past its end nobody signs with it, whatever the book says.
    assert_eq!(
        signer_at(&book, second.not_after),
        Err(Unanswerable::TryLater)
    );
}

/// What a request for a certificate of `p256` is answered with, by what its client would rather have.
fn answered_with(
    office: &Office<SqliteStore>,
    book: &Book,
    wishes: &[SignatureAlgorithm],
) -> SignatureAlgorithm {
    let id = [&prefix(office, "p256")[..], &[0x02, 1, 5]].concat();
    let question = Question::read(&wishing(&id, wishes), book, now()).unwrap();
    question.signatory.responder.key.algorithm()
}

// RFC 6960 §4.4.7.2: the algorithm the client would like best of those there are, else our own first.
#[test]
fn the_signer_of_a_second_algorithm_is_not_opened_or_answers_unasked() {
    use SignatureAlgorithm::{EcdsaP256Sha256, EcdsaP384Sha384, Ed25519, Rsa2048Sha256};
    let folder = tempfile::tempdir().unwrap();
    let mut office = founded(folder.path());
    let config = "[issuer.p256]\nocsp-algorithms = [\"rsa-2048-sha256\", \"ecdsa-p384-sha384\"]\n";
    let two_more = Settings::new(toml::from_str(config).unwrap()).unwrap();
    office.settings = two_more.clone();
    let issuer = office.issuer("p256").unwrap();
    let signers = Signers::default();
    let group = signers.current(&office, &issuer, By::signer(now()));
    let made = group.unwrap();
    let made: Vec<_> = made.responders().iter().map(|one| one.key_hash).collect();
    let book = read(&office, &Book::default(), now());
    for (wishes, wanted) in [
        (&[][..], EcdsaP256Sha256),
        (&[Ed25519], EcdsaP256Sha256),
        (&[Rsa2048Sha256, EcdsaP384Sha384], Rsa2048Sha256),
        (&[Ed25519, EcdsaP384Sha384], EcdsaP384Sha384),
        (&[EcdsaP256Sha256, EcdsaP384Sha384], EcdsaP256Sha256),
    ] {
        assert_eq!(answered_with(&office, &book, wishes), wanted, "{wishes:?}");
    }
    // Answers that are kept, or shared, are told from one another by who signed them.
    let name = |wishes: &[_]| {
        let id = [&prefix(&office, "p256")[..], &[0x02, 1, 5]].concat();
        let question = Question::read(&wishing(&id, wishes), &book, now());
        question.unwrap().name()
    };
    assert_ne!(name(&[Rsa2048Sha256]), name(&[]));
    // No longer named, it signs nothing, though its certificate lasts; named again, no other is made.
    office.settings = Settings::default();
    let fewer = read(&office, &book, now());
    assert_eq!(
        answered_with(&office, &fewer, &[Rsa2048Sha256]),
        EcdsaP256Sha256
    );
    office.settings = two_more;
    let again = Signers::default();
    let again = again.current(&office, &issuer, By::signer(now())).unwrap();
    let again = again.responders().iter().map(|one| one.key_hash);
    assert!(again.eq(made));
}

#[test]
fn a_question_about_two_authorities_is_answered_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    for alias in ["p256", "sm2"] {
        let issuer = office.issuer(alias).unwrap();
        let _ =
            ocsp_signer::current(&office, &issuer, issuer.algorithm, By::signer(now())).unwrap();
    }
    let book = read(&office, &Book::default(), now());
    assert_eq!(book.len(), 2);
    let (one, other) = (prefix(&office, "p256"), prefix(&office, "sm2"));
    let read = |ids: &[&[u8]]| {
        let ids = ids.iter().map(|prefix| (*prefix, &[5_u8][..]));
        let request = build_request_for(ids, None);
        Question::read(&request, &book, now()).map(|question| question.asked.len())
    };
    assert_eq!(read(&[&one, &one]), Ok(2));
    assert_eq!(read(&[&other]), Ok(1));
    // RFC 6960 §4.2.2.2: whoever signs must be authorised by the issuer of each certificate.
    assert_eq!(read(&[&one, &other]), Err(Unanswerable::Unauthorized));
    assert_eq!(
        Question::read(b"x", &book, now()).err(),
        Some(Unanswerable::Malformed)
    );
}
