//! Several algorithms: who says which it likes gets that one, by the lane and by hyper, and is told by caches of no other.

use wire::algorithm::SignatureAlgorithm::{self, EcdsaP256Sha256, Ed25519, Rsa2048Sha256, Sm2Sm3};
use wire::response::OcspResponse;

use crate::edge::{Edge, Generation, request, request_preferring, signature, status_of};
use crate::forms::{get, get_of, post};
use crate::process::{Response, Running, Says};

/// Every record signed with P-256, the authority's own, and with Ed25519; those of the delta with these.
fn edge(changed: &[u64], of_delta: &[SignatureAlgorithm]) -> Edge {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        changed: changed
            .iter()
            .map(|&number| (number, status_of(7)))
            .collect(),
        algorithms: [vec![EcdsaP256Sha256, Ed25519], of_delta.to_vec()],
        ..Generation::default()
    });
    edge
}

fn algorithm(response: &Response) -> SignatureAlgorithm {
    let parsed = OcspResponse::parse(&response.body).unwrap();
    let identifier = parsed.basic.unwrap().algorithm;
    let mut all = SignatureAlgorithm::ALL.into_iter();
    all.find(|one| one.identifier() == identifier).unwrap()
}

/// A field that the lane does not know, so that hyper has the request.
fn for_hyper(request: &str) -> String {
    request.replace("Host: x\r\n", "Host: x\r\nRange: none\r\n")
}

// RFC 6960 §4.4.7.2.2: of answers signed ahead the one with the algorithm that the client likes best goes out.
#[test]
fn client_gets_an_algorithm_that_it_likes_less() {
    let edge = edge(&[], &[]);
    let responder = Running::start(&edge);
    let both = [&[EcdsaP256Sha256, Ed25519][..], &[Ed25519, EcdsaP256Sha256]];
    let mut own = 0;
    let mut others = 0;
    for liked in both.into_iter().chain([
        &[][..],
        &[Ed25519],
        &[EcdsaP256Sha256],
        // Nothing is signed with these.
        &[Rsa2048Sha256, Sm2Sm3],
        &[Rsa2048Sha256, Sm2Sm3, Ed25519],
    ]) {
        let first = liked
            .iter()
            .find(|algorithm| [EcdsaP256Sha256, Ed25519].contains(algorithm));
        let expected = first.copied().unwrap_or(EcdsaP256Sha256);
        let wish = request_preferring(1007, liked);
        for asked in [
            get_of(&wish).into_bytes(),
            for_hyper(&get_of(&wish)).into_bytes(),
            post(&wish),
        ] {
            let response = responder.ask(asked);
            assert_eq!(response.says(), Says::Revoked, "{liked:?}");
            assert_eq!(algorithm(&response), expected, "{liked:?}");
            match expected {
                Ed25519 => others += 1,
                _ => own += 1,
            }
            if expected == Ed25519 {
                // SHA-1 of the second slot, behind both forms of the first.
                assert!(
                    response
                        .body
                        .windows(64)
                        .any(|part| part == signature(1007, 2, 0))
                );
            }
        }
    }
    assert_eq!(algorithm(&responder.ask(get(1007))), EcdsaP256Sha256);
    let answers = |name| {
        let sample = format!("hufu_ocsp_answers_total{{algorithm=\"{name}\",cert_id=\"sha1\"}}");
        responder.metric(&sample)
    };
    assert_eq!(answers(EcdsaP256Sha256.name()), f64::from(own + 1));
    assert_eq!(answers(Ed25519.name()), f64::from(others));
}

#[test]
fn wish_is_answered_with_a_good_from_before_the_revocation() {
    let edge = edge(&[1000], &[EcdsaP256Sha256]);
    let responder = Running::start(&edge);
    for (number, says, by) in [
        (1000, Says::Revoked, EcdsaP256Sha256),
        (1001, Says::Good, Ed25519),
    ] {
        let wish = request_preferring(number, &[Ed25519]);
        for asked in [get_of(&wish), for_hyper(&get_of(&wish))] {
            let response = responder.ask(asked);
            assert_eq!(response.says(), says);
            assert_eq!(algorithm(&response), by);
        }
    }
}

#[test]
fn tag_of_one_algorithm_stands_for_another() {
    let edge = edge(&[], &[]);
    let responder = Running::start(&edge);
    let (plain, wish) = (request(1000), request_preferring(1000, &[Ed25519]));
    let own = responder.ask(get_of(&plain)).header("etag").to_owned();
    let liked = responder.ask(get_of(&wish)).header("etag").to_owned();
    assert_ne!(own, liked);
    for (asked, tag, status) in [
        (&plain, &own, 304),
        (&plain, &liked, 200),
        (&wish, &own, 200),
        (&wish, &liked, 304),
    ] {
        let field = format!("Host: x\r\nIf-None-Match: {tag}\r\n");
        let asked = get_of(asked).replace("Host: x\r\n", &field);
        assert_eq!(responder.ask(&asked).status, status);
        assert_eq!(responder.ask(for_hyper(&asked)).status, status);
    }
}
