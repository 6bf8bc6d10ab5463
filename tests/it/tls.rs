//! The TLS listener as `openssl s_client` and `curl` see it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::pki::{Answer, Status};
use hufu_tests::process::{command, free_address, run, wait_until};
use hufu_tests::served::{Served, curl, tls_files};

#[test]
fn answer_or_list_differs_behind_tls() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let trusted = served.tls_certificate.display().to_string();
    let target = served.target(&served.revoked);
    let plain = http::get(served.responder.ocsp, &target).unwrap().body;
    let list = served.list();
    let plain_list = http::get(served.responder.ocsp, &list).unwrap().body;
    for (further, version) in [
        (&["--http1.1"][..], "1.1"),
        (&["--http1.0"], "1"),
        (&["--http2"], "2"),
        (&["--tls-max", "1.2", "--http2"], "2"),
        (&["--tlsv1.3", "--no-alpn"], "1.1"),
    ] {
        for (path, expected) in [(&target, &plain), (&list, &plain_list)] {
            let url = format!("https://{}{path}", served.tls);
            let arguments = [
                "--cacert",
                &trusted,
                "-o",
                "got",
                "-w",
                "%{http_version} %{http_code}",
            ];
            let got = curl(
                folder.path(),
                arguments.iter().chain(further).copied().chain([&*url]),
            );
            assert_eq!(got.ok().stdout, format!("{version} 200"), "{further:?}");
            assert!(
                fs::read(folder.path().join("got")).unwrap() == *expected,
                "{further:?} {path}"
            );
        }
    }
    let status = Answer::read(&plain).single().status;
    assert!(matches!(status, Status::Revoked(..)));
}

#[test]
fn old_tls_or_an_unknown_protocol_is_spoken() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let address = served.tls.to_string();
    for (flags, works) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], false),
        // RFC 7301 §3.2: a client that offers only what we do not speak is refused with no_application_protocol.
        (&["-alpn", "smtp"], false),
    ] {
        let arguments = [&["s_client", "-connect", &address, "-brief"][..], flags].concat();
        let ran = openssl(folder.path(), arguments);
        assert_eq!(
            ran.both().contains("CONNECTION ESTABLISHED"),
            works,
            "{flags:?}: {ran:?}"
        );
    }
    // Octets that are no TLS are answered with an alert or a close, and counted.
    let failed = "hufu_tls_handshakes_total{result=\"failed\"}";
    let before = metric(served.responder.admin, failed);
    let mut stream = TcpStream::connect(served.tls).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    wait_until("the failure is counted", Duration::from_secs(60), || {
        metric(served.responder.admin, failed) > before
    });
}

fn metric(admin: SocketAddr, sample: &str) -> f64 {
    let text = String::from_utf8(http::get(admin, "/metrics").unwrap().body).unwrap();
    let line = text.lines().find(|line| line.starts_with(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// `openssl s_client` that stays connected.
struct Talking {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    fn open(address: SocketAddr) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The first line of the answer; its body is read.
    fn get(&mut self, target: &str) -> String {
        write!(self.stdin, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        self.stdin.flush().unwrap();
        let mut first = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "the connection is gone"
            );
            if let Some(octets) = line.to_lowercase().strip_prefix("content-length: ") {
                length = octets.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            if first.is_empty() {
                first = line;
            }
        }
        self.stdout.read_exact(&mut vec![0; length]).unwrap();
        first.trim().to_owned()
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name in the certificate that is shown there.
fn shown(address: SocketAddr) -> String {
    let script = format!(
        "openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -subject"
    );
    run(Command::new("sh").args(["-c", &script]))
        .stdout
        .trim()
        .to_owned()
}

#[test]
fn renewed_certificate_needs_a_restart_or_drops_connections() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("live.pem"),
        folder.path().join("live.key"),
    );
    let install = |name: &str| {
        let (new_certificate, new_key) = tls_files(&folder.path().join("made"), name);
        // The way certbot and Kubernetes do it, one after the other: for a moment the two do not fit.
        fs::rename(new_certificate, &certificate).unwrap();
        fs::rename(new_key, &key).unwrap();
    };
    install("before");
    let tls = free_address();
    let responder = served.another(&[
        "--tls",
        &tls.to_string(),
        "--tls-certificate",
        &certificate.display().to_string(),
        "--tls-key",
        &key.display().to_string(),
    ]);
    let target = served.target(&served.good[0]);
    let mut talking = Talking::open(tls);
    assert_eq!(talking.get(&target), "HTTP/1.1 200 OK");
    assert_eq!(shown(tls), "subject=CN = before");

    install("after");
    wait_until(
        "the new certificate is shown",
        Duration::from_secs(60),
        || shown(tls) == "subject=CN = after",
    );
    assert_eq!(
        talking.get(&target),
        "HTTP/1.1 200 OK",
        "the old connection goes on"
    );

    // What cannot be used is said, and changes nothing.
    fs::write(&key, "no key").unwrap();
    wait_until("the refusal is said", Duration::from_secs(60), || {
        responder
            .program
            .said()
            .contains("new TLS certificate refused")
    });
    assert_eq!(shown(tls), "subject=CN = after");
    assert_eq!(talking.get(&target), "HTTP/1.1 200 OK");
}

#[test]
fn wrong_tls_files_are_found_only_when_a_client_comes() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = tls_files(folder.path(), "one");
    let (_, other) = tls_files(folder.path(), "other");
    let text = |path: &Path| path.display().to_string();
    let check = |flags: &[&str]| {
        let mut check = command("hufu-responder", ["--check", "--edge", "/nowhere"]);
        check.arg("--pin").arg(served.office.pin()).args(flags);
        run(&mut check)
    };
    let flags = |certificate: &Path, key: &Path| {
        [
            "--tls",
            "127.0.0.1:0",
            "--tls-certificate",
            &text(certificate),
            "--tls-key",
            &text(key),
        ]
        .map(str::to_owned)
    };
    let checked = |certificate: &Path, key: &Path| {
        let flags = flags(certificate, key);
        check(&flags.each_ref().map(String::as_str))
    };
    let _ = checked(&certificate, &key).ok();
    for (certificate, key, said) in [
        (&certificate, &other, "do not make a TLS server"),
        (&key, &key, "holds no certificate"),
        (&certificate, &certificate, "is not PEM"),
        (&folder.path().join("absent"), &key, "cannot read"),
    ] {
        let ran = checked(certificate, key).ended_with(1);
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    let half = check(&["--tls", "127.0.0.1:0"]).ended_with(1);
    assert!(half.stderr.contains("go together"), "{half:?}");
}

#[test]
fn handshake_that_never_ends_holds_a_connection() {
    let served = Served::shared();
    let tls = free_address();
    let certificate = served.tls_certificate.display().to_string();
    let key = served
        .tls_certificate
        .with_extension("key")
        .display()
        .to_string();
    let responder = served.another(&[
        "--request-secs",
        "1",
        "--tls",
        &tls.to_string(),
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
    ]);
    let mut stream = TcpStream::connect(tls).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // The beginning of a ClientHello.
    stream
        .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .unwrap();
    assert!(matches!(stream.read(&mut [0; 99]), Ok(0)), "closed");
    wait_until("the timeout is counted", Duration::from_secs(60), || {
        metric(
            responder.admin,
            "hufu_connection_timeouts_total{in=\"request\"}",
        ) >= 1.0
    });
}
