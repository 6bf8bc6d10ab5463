//! Clients whose machine or network is gone: nothing they are sent is acknowledged any more, and no word comes that they
//! have left.
//!
//! It takes no privilege to be one: a filter on its own socket drops what comes in, acknowledgements and resets too, before
//! TCP sees it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{SockFilter, SockRef};

use crate::edge::{Edge, Generation};
use crate::forms::get;
use crate::process::{PATIENCE, Running, wait_for};

/// A client that has sent this.
fn client(responder: &Running, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(responder.ocsp).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    stream
}

/// From here on nobody is there.
fn vanish(stream: &TcpStream) {
    // BPF_RET | BPF_K: of each segment, nothing is let through.
    let drop_all = [SockFilter::new(0x06, 0, 0, 0)];
    SockRef::from(stream).attach_filter(&drop_all).unwrap();
}

/// Whether the kernel still holds the other end of this connection.
fn is_held(stream: &TcpStream) -> bool {
    let ends = format!(":{:04X}", stream.peer_addr().unwrap().port());
    let begins = format!(":{:04X}", stream.local_addr().unwrap().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote) = (fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&ends))
            && remote.is_some_and(|remote| remote.ends_with(&begins))
    })
}

#[test]
fn client_that_has_vanished_holds_a_connection_or_the_kernels_memory() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: vec![b'l'; 20_000_000],
        ..Generation::default()
    });
    let flags = ["--idle-secs", "2", "--request-secs", "2"];
    let responder = Running::start_with(&edge, &flags);

    let mut resting = client(&responder, get(1000).as_bytes());
    let halfway = client(&responder, &get(1000).as_bytes()[..40]);
    let mut reading = client(&responder, b"GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n");
    for answered in [&mut resting, &mut reading] {
        answered.read_exact(&mut [0; 15]).unwrap();
    }
    for stream in [&resting, &halfway, &reading] {
        assert!(is_held(stream));
        vanish(stream);
    }

    wait_for("all of them to be given up", || {
        (responder.metric("hufu_connections_open") == 0.0).then_some(())
    });
    for (phase, times) in [("idle", 2.0), ("request", 1.0)] {
        let sample = format!("hufu_connection_timeouts_total{{in=\"{phase}\"}}");
        assert_eq!(responder.metric(&sample), times, "{phase}");
    }
    // Closed in good order, megabytes would wait in the kernel for acknowledgements, for a minute and a half.
    wait_for("the kernel to forget what was not sent", || {
        (!is_held(&reading)).then_some(())
    });
}

#[test]
fn client_behind_tls_that_has_vanished_holds_the_kernels_memory() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: vec![b'l'; 20_000_000],
        ..Generation::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&chain, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let flags = [
        "--tls",
        "127.0.0.1:0",
        "--idle-secs",
        "2",
        "--tls-certificate",
    ];
    let files = [chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let responder = Running::start_with(&edge, &[&flags[..], &files].concat());
    let said = wait_for("the address behind TLS", || {
        responder.logged("behind TLS as well").pop()
    });
    let (_, address) = said.split_once("tls=").unwrap();
    let address = address.split_whitespace().next().unwrap();

    let mut reading = shake(address.parse().unwrap(), own.cert.der());
    reading
        .write_all(b"GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    reading.read_exact(&mut [0; 15]).unwrap();
    vanish(&reading.sock);

    wait_for("it to be given up", || {
        (responder.metric("hufu_connections_open") == 0.0).then_some(())
    });
    wait_for("the kernel to forget what was not sent", || {
        (!is_held(&reading.sock)).then_some(())
    });
}

/// A client behind TLS that believes this certificate.
fn shake(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(session, stream)
}
