//! What a newcomer may try, ready to paste.

use std::path::Path;

use crate::data::{Data, Recorded};
use crate::probe::reachable;
use crate::program::{Program, quoted, words};
use crate::step::say;

/// One thing to try: what it shows, and the command.
struct Try {
    shows: &'static str,
    command: String,
}

/// Prints the commands and leaves them in `DIR/demo/TRY.txt`.
pub(crate) fn print(program: &Program, data: &Data, settings: &Recorded) {
    let text = text(program, data.root(), settings);
    say(&text);
    // A convenience only: the same text was just printed.
    let _ = std::fs::write(data.root().join("demo/TRY.txt"), &text);
}

fn text(program: &Program, root: &Path, settings: &Recorded) -> String {
    let ocsp = format!("http://{}", reachable(settings.ocsp));
    let admin = format!("http://{}", reachable(settings.admin));
    let mut text = format!(
        "OCSP, CRLs, issuer certificates: {ocsp}    metrics, readiness: {admin}    Ctrl-C stops\n"
    );
    for Try { shows, command } in tries(program, root, &ocsp, &admin) {
        text.push_str(&format!("\n# {shows}\n{command}\n"));
    }
    text
}

fn tries(program: &Program, root: &Path, ocsp: &str, admin: &str) -> Vec<Try> {
    let demo = quoted(root.join("demo").as_os_str());
    let ask = |name: &str| {
        format!(
            "openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/p256-{name}.pem -CAfile {demo}/p256-chain.pem -no_nonce -url {ocsp}"
        )
    };
    let hufu = |line: Vec<std::ffi::OsString>| program.shown(&line);
    vec![
        Try {
            shows: "a good certificate",
            command: ask("good"),
        },
        Try {
            shows: "a revoked one, with reason and time",
            command: ask("revoked"),
        },
        Try {
            shows: "the same by GET: make the request, fetch it as a cache would, verify the answer",
            command: format!(
                "openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/p256-good.pem -no_nonce -reqout /tmp/hufu.req\n\
                 curl -s {ocsp}/$(base64 -w0 /tmp/hufu.req | sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g') -o /tmp/hufu.resp -D -\n\
                 openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/p256-good.pem -CAfile {demo}/p256-chain.pem -no_nonce -respin /tmp/hufu.resp"
            ),
        },
        Try {
            shows: "SM2 (openssl ocsp cannot judge it; the script verifies with openssl dgst)",
            command: format!(
                "{demo}/verify-sm2 sm2-good {ocsp}\n{demo}/verify-sm2 sm2-revoked {ocsp}"
            ),
        },
        Try {
            shows: "a serial never issued: unauthorized",
            command: format!(
                "openssl ocsp -issuer {demo}/p256-issuer.pem -serial 0x1234 -CAfile {demo}/p256-chain.pem -no_nonce -url {ocsp}"
            ),
        },
        Try {
            shows: "the CRL, and the issuer certificate",
            command: format!(
                "curl -s {ocsp}/crl/p256.crl | openssl crl -inform DER -noout -text\ncurl -s {ocsp}/ca/p256.cer | openssl x509 -inform DER -noout -subject -fingerprint"
            ),
        },
        Try {
            shows: "readiness and metrics",
            command: format!("curl -s {admin}/readyz\ncurl -s {admin}/metrics"),
        },
        Try {
            shows: "what is published",
            command: hufu(words("loader inspect --data {}", &[&root])),
        },
        Try {
            shows: "another authority's CRL, served as OCSP (1001 is revoked on it)",
            command: format!(
                "{}\nsleep 2; openssl ocsp -issuer {demo}/foreign/issuer.pem -serial 0x1001 -no_nonce -url {ocsp} -VAfile {demo}/local-responder.pem",
                hufu(words(
                    "loader import --crl {} --issuer {} --data {}",
                    &[
                        &root.join("demo/foreign/crl.pem"),
                        &root.join("demo/foreign/issuer.pem"),
                        &root
                    ]
                )),
            ),
        },
    ]
}
