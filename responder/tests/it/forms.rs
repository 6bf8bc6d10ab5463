//! Every way in which real clients ask is answered.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use wire::cert_id::CertIdHash;
use wire::request::{build_request, build_request_for};

use crate::edge::{Edge, REVOKED_AT, prefix, request, serial, signature};
use crate::process::{Running, Says};

/// GET with percent-encoded base64, HTTP/1.1.
pub(crate) fn get(number: u64) -> String {
    get_of(&request(number))
}

/// The same of these octets.
pub(crate) fn get_of(request: &[u8]) -> String {
    let path = STANDARD.encode(request);
    let path = path
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// POST of these octets, HTTP/1.1.
pub(crate) fn post(body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn get_in_some_encoding_is_not_understood() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for number in [1000, 1007, 1999] {
        let plain = STANDARD.encode(request(number));
        let expected = if number == 1007 {
            Says::Revoked
        } else {
            Says::Good
        };
        for path in [
            plain.clone(),
            format!("//{plain}"),
            plain.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(request(number)),
            plain
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D"),
            plain
                .replace('+', "%2b")
                .replace('/', "%2f")
                .replace('=', "%3d"),
            plain.replace('+', "%20"),
            format!("{plain}?cache-buster"),
        ] {
            let response = responder.ask(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(response.says(), expected, "{path}");
            assert_eq!(response.serial(), serial(number).content());
        }
        let absolute =
            format!("GET http://ocsp.example/{plain} HTTP/1.1\r\nHost: ocsp.example\r\n\r\n");
        assert_eq!(responder.ask(absolute).says(), expected);
    }
}

#[test]
fn stock_client_with_http_1_0_and_no_host_is_turned_away() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let body = request(1007);
    let mut wire = responder.connect();
    // As OpenSSL writes it.
    wire.send(format!(
        "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    wire.send(&body);
    let response = wire.read();
    assert_eq!(response.says(), Says::Revoked);
    assert!(
        response.status_line.starts_with("HTTP/1.0 200"),
        "{}",
        response.status_line
    );
    assert!(wire.is_closed(), "HTTP/1.0 clients read to the end");

    let mut wire = responder.connect();
    wire.send(get(1000).replace("HTTP/1.1\r\nHost: x", "HTTP/1.0"));
    assert_eq!(wire.read().says(), Says::Good);
    assert!(wire.is_closed());

    let mut wire = responder.connect();
    for _ in 0..2 {
        wire.send(get(1000).replace("HTTP/1.1\r\nHost: x", "HTTP/1.0\r\nConnection: keep-alive"));
        assert_eq!(wire.read().header("connection"), "keep-alive");
    }
}

// RFC 9112 §7.1: a recipient MUST be able to read the chunked coding.
#[test]
fn post_in_some_shape_is_not_understood() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let body = request(1000);

    assert_eq!(responder.ask(post(&body)).says(), Says::Good);

    let without_type = post(&body);
    let without_type = String::from_utf8_lossy(&without_type[..without_type.len() - body.len()])
        .replace("Content-Type: application/ocsp-request\r\n", "");
    assert_eq!(
        responder
            .ask([without_type.as_bytes(), &body].concat())
            .says(),
        Says::Good
    );

    let mut chunked =
        b"POST /ocsp/some/path HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(17) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(responder.ask(chunked).says(), Says::Good);
}

#[test]
fn post_that_comes_octet_by_octet_is_cut_short() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    for octet in post(&request(1007)) {
        wire.send([octet]);
    }
    assert_eq!(wire.read().says(), Says::Revoked);
}

// RFC 9110 §10.1.1: who waits for 100 is answered, with 100 or with the final status.
#[test]
fn client_that_waits_for_100_continue_waits_for_ever() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let body = request(1000);
    let mut wire = responder.connect();
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(wire.read().status, 100);
    wire.send(&body);
    assert_eq!(wire.read().says(), Says::Good);
}

#[test]
fn answer_is_for_another_form_of_the_cert_id() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for (variant, hash) in [CertIdHash::Sha1, CertIdHash::Sha256]
        .into_iter()
        .enumerate()
    {
        let asked = build_request(&prefix(hash), serial(1007).content(), None);
        let response = responder.ask(post(&asked));
        let parsed = wire::response::OcspResponse::parse(&response.body)
            .unwrap()
            .basic
            .unwrap();
        assert_eq!(parsed.first.cert_id.prefix, prefix(hash));
        assert!(
            matches!(
                parsed.first.status,
                wire::response::SingleStatus::Revoked { at: REVOKED_AT, .. }
            ),
            "{parsed:?}"
        );
        let r = &signature(1007, variant as u8, 0)[..32];
        assert!(
            parsed.signature.windows(32).any(|octets| octets == r),
            "another signature"
        );
    }
    let sm3 = build_request(&prefix(CertIdHash::Sm3), serial(1007).content(), None);
    assert_eq!(responder.ask(post(&sm3)).says(), Says::Unauthorized);
}

#[test]
fn serial_never_issued_is_called_good() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for number in [0, 1, 999, 2000, u64::MAX >> 1] {
        assert_eq!(
            responder.ask(post(&request(number))).says(),
            Says::Unauthorized,
            "{number}"
        );
    }
}

#[test]
fn nonce_makes_a_pre_signed_answer_impossible() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let with_nonce = build_request(
        &prefix(CertIdHash::Sha1),
        serial(1000).content(),
        Some(&[5; 32]),
    );
    let without = responder.ask(post(&request(1000)));
    let answered = responder.ask(post(&with_nonce));
    assert_eq!(answered.says(), Says::Good);
    assert_eq!(answered.body, without.body, "the nonce is not echoed");
}

// RFC 6960 §4.2.2.3: one SingleResponse never passes for an answer to several questions.
#[test]
fn answer_to_the_first_of_two_passes_for_an_answer_to_both() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let sha1 = prefix(CertIdHash::Sha1);
    let (one, two) = (serial(1000), serial(1007));
    let both = build_request_for(
        [(&sha1[..], one.content()), (&sha1[..], two.content())],
        None,
    );
    assert_eq!(responder.ask(post(&both)).says(), Says::Unauthorized);
}

// RFC 9112 §9.3.2: pipelined requests are answered in the order they came.
#[test]
fn sixteen_pipelined_requests_come_back_out_of_order_or_not_at_all() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    let numbers: Vec<u64> = (1000..1040).collect();
    let requests: Vec<u8> = numbers
        .iter()
        .flat_map(|number| match number % 3 {
            0 => post(&request(*number)),
            _ => get(*number).into_bytes(),
        })
        .collect();
    wire.send(requests);
    for number in numbers {
        assert_eq!(wire.read().serial(), serial(number).content());
    }
}

// RFC 9110 §9.3.2: HEAD is GET without the body.
#[test]
fn head_sends_a_body_that_the_client_takes_for_the_next_answer() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let full = responder.ask(get(1000));
    let mut wire = responder.connect();
    wire.send(get(1000).replace("GET", "HEAD") + &get(1007));
    let head = wire.read_head();
    assert_eq!(head.status, 200);
    for name in [
        "content-length",
        "content-type",
        "etag",
        "last-modified",
        "expires",
        "cache-control",
    ] {
        assert_eq!(head.header(name), full.header(name), "{name}");
    }
    assert_eq!(wire.read().says(), Says::Revoked);
}
