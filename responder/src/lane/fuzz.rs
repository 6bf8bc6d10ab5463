//! The fuzz body of the lane's reader: what must hold for any octets.

use super::parse::{MAX_HEAD_OCTETS, Question, Request, Stop, parse};
use wire::request::MAX_REQUEST_OCTETS;

/// Reads `octets` as a request and checks what the lane relies on.
///
/// # Panics
/// If that does not hold.
pub fn fuzz_head(octets: &[u8]) {
    let request = match parse(octets) {
        Ok(request) => request,
        Err(Stop::Partial) => {
            // What is kept until more comes has a bound.
            assert!(octets.len() < MAX_HEAD_OCTETS + MAX_REQUEST_OCTETS);
            return;
        }
        Err(Stop::NotSimple) => return,
    };
    let own = &octets[..request.octets];
    let body = match request.question {
        Question::Get(path, _) | Question::Head(path, _) => {
            assert!(path.starts_with(b"/") && !path.contains(&b' '));
            &[][..]
        }
        Question::Post(body) => body,
    };
    let head = own.strip_suffix(body).expect("the body comes last");
    // Two programs that read it one after the other end it at the same place.
    assert!(head.ends_with(b"\r\n\r\n"));
    assert_eq!(
        head.windows(4).filter(|four| four == b"\r\n\r\n").count(),
        1
    );
    let lines = head.split(|octet| *octet == b'\n').count() - 1;
    assert_eq!(head.windows(2).filter(|two| two == b"\r\n").count(), lines);
    assert!(!head.contains(&0));
    // What follows changes nothing, and without its last octet it is not there yet.
    assert_eq!(parse(own), Ok(request));
    for cut in (0..own.len()).rev().take(8) {
        assert_eq!(parse(&own[..cut]), Err(Stop::Partial), "cut at {cut}");
    }
    same_to_hyper(own, &request);
}

/// hyper's reader finds the same request.
#[cfg(test)]
fn same_to_hyper(own: &[u8], request: &Request<'_>) {
    use super::parse::Version;

    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut theirs = httparse::Request::new(&mut fields);
    let head = theirs.parse(own).expect("hyper reads it").unwrap();
    let version = u8::from(request.version == Version::Http11);
    assert_eq!(theirs.version, Some(version));
    let method = match request.question {
        Question::Get(path, _) => {
            assert_eq!(theirs.path.map(str::as_bytes), Some(path));
            "GET"
        }
        Question::Head(path, _) => {
            assert_eq!(theirs.path.map(str::as_bytes), Some(path));
            "HEAD"
        }
        Question::Post(body) => {
            assert_eq!(&own[head..], body);
            "POST"
        }
    };
    assert_eq!(theirs.method, Some(method));
    let lengths = theirs.headers.iter().filter(|field| {
        let name = field.name;
        name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
    });
    assert_eq!(lengths.count(), usize::from(method == "POST"));
}

#[cfg(not(test))]
fn same_to_hyper(_: &[u8], _: &Request<'_>) {}
