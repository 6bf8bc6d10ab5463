//! What a connection that rests takes of the responder's memory, by the way it came: printed, and bounded.
//!
//! For the figures of a large site: `HUFU_RESTING=50000 cargo test -p hufu-responder --test no_allocation -- --nocapture`,
//! where `ulimit -n` lets both ends have as many.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::counting::{alone, held_by_others};
use crate::edge::{Edge, Generation};
use crate::served::{Served, exchange, get, length_of_answer, path};

#[test]
fn resting_connection_takes_a_buffer() {
    let _alone = alone();
    let edge = Edge::filled();
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    fs::write(&files[0], own.cert.pem()).expect("a file");
    fs::write(&files[1], own.signing_key.serialize_pem()).expect("a file");
    let served = Served::start_with(&edge, 100_000, Some([&files[0], &files[1]]));
    // Both ends are this process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = limit.unwrap_or(u64::MAX).saturating_sub(500) as usize / 2;
    let wanted = resting();
    let many = wanted.min(files);
    if many < wanted {
        println!(
            "{many} instead of {wanted}: this process has room for {files} connections with both their ends (ulimit -n)"
        );
    }
    // So many handshakes would take a minute, and tell nothing more; one in eight may speak HTTP/2.
    let some = many.min(many / 10 + 300);

    let simple = get(1000, "").into_bytes();
    let other = get(1000, "Range: none\r\n").into_bytes();
    let mut space = vec![0; length_of_answer(served.ocsp, &simple)];
    let plain = || TcpStream::connect(served.ocsp).expect("it listens");
    let shaken = |protocol: &'static [u8]| {
        let config = trusting(own.cert.der(), protocol);
        move || shake(&config, TcpStream::connect(served.tls).expect("it listens"))
    };
    let (over_tls, over_tls_2) = (shaken(b"http/1.1"), shaken(b"h2"));

    let mut told = Vec::new();
    let mut note = |way: &str, most: f64, octets: f64| {
        served.wait_until_empty();
        println!("{octets:.0} octets of memory for a resting connection: {way}");
        told.push((way.to_owned(), most, octets));
    };
    let lane = each(many, || {
        let mut stream = plain();
        exchange(&mut stream, &simple, &mut space, 2);
        stream
    });
    note("HTTP/1, simple requests", 1_500.0, lane);
    let hyper = each(some, || {
        let mut stream = plain();
        exchange(&mut stream, &other, &mut space, 2);
        stream
    });
    note("HTTP/1, after one that was not simple", 32_768.0, hyper);
    let http2 = each(some, || {
        let mut stream = plain();
        ask_in_frames(&mut stream);
        stream
    });
    note("HTTP/2", 65_536.0, http2);
    let tls = each(some, || {
        let mut stream = over_tls();
        exchange(&mut stream, &simple, &mut space, 2);
        stream
    });
    note("HTTP/1 behind TLS", 65_536.0, tls);
    let tls_2 = each(some, || {
        let mut stream = over_tls_2();
        ask_in_frames(&mut stream);
        stream
    });
    note("HTTP/2 behind TLS", 131_072.0, tls_2);
    for (way, most, octets) in told {
        assert!((1.0..most).contains(&octets), "{way}: {octets}");
    }
}

#[test]
fn list_is_copied_for_each_client_that_reads_it() {
    let _alone = alone();
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: vec![b'l'; 20_000_000],
        ..Generation::default()
    });
    let served = Served::start(&edge, 1_000);
    let octets = each(60, || {
        let mut stream = TcpStream::connect(served.ocsp).expect("it listens");
        stream
            .write_all(b"GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("it reads");
        // Some of it: the rest is more than the sockets hold.
        stream.read_exact(&mut [0; 1_000]).expect("it answers");
        stream
    });
    println!("{octets:.0} octets of memory for a connection that reads a list");
    // What rests after hyper has had it, and no piece of the list.
    assert!((1.0..24_576.0).contains(&octets), "{octets}");
}

/// Octets the responder holds for each of `connections` that `open` leaves open.
fn each<T>(connections: usize, mut open: impl FnMut() -> T) -> f64 {
    let third = (connections / 3).max(1);
    let mut kept = Vec::with_capacity(3 * third);
    let mut held = Vec::with_capacity(3);
    for _ in 0..3 {
        kept.extend((0..third).map(|_| open()));
        held.push(held_by_others());
    }
    // The first third also grew the tables, which double.
    (held[2] - held[0]) as f64 / (2 * third) as f64
}

/// How many to open: `HUFU_RESTING=50000`, if the limit of open files allows twice that.
fn resting() -> usize {
    let wanted = std::env::var("HUFU_RESTING").ok();
    wanted
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or(3_000)
}

/// A client that believes this certificate and speaks that protocol.
fn trusting(certificate: &CertificateDer<'static>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

type Shaken = StreamOwned<ClientConnection, TcpStream>;

fn shake(config: &Arc<ClientConfig>, stream: TcpStream) -> Shaken {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(config), name).expect("a session");
    StreamOwned::new(session, stream)
}

/// Two questions over HTTP/2, each in a stream of its own, and their answers.
fn ask_in_frames(stream: &mut (impl Read + Write)) {
    stream.write_all(PREFACE).expect("it reads");
    for number in [1_u8, 3] {
        let fields = fields(&path(1000));
        let length = (fields.len() as u32).to_be_bytes();
        let head = [
            length[1], length[2], length[3], HEADERS, WHOLE, 0, 0, 0, number,
        ];
        stream
            .write_all(&[&head[..], &fields].concat())
            .expect("it reads");
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).expect("a frame");
            let [a, b, c, kind, flags, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            stream.read_exact(&mut payload).expect("its payload");
            if kind == DATA && flags & END_STREAM != 0 {
                break;
            }
        }
    }
}

/// The fields of a GET, as they are, never indexed.
fn fields(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
    ] {
        block.push(0x10);
        for text in [name, value] {
            // RFC 7541, 5.1: what does not fit into seven bits goes on in the octets after them.
            match u8::try_from(text.len()) {
                Ok(short @ ..127) => block.push(short),
                _ => {
                    let rest = u16::try_from(text.len() - 127).expect("some hundred");
                    block.extend([127, (rest % 128) as u8 | 128, (rest / 128) as u8]);
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The client's, and empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 5;
