//! Who comes to a relying party: OpenSSL's client and curl.

use std::net::SocketAddr;
use std::path::Path;

use hufu_tests::holders::Holder;
use hufu_tests::judge::openssl;
use hufu_tests::process::Ran;
use hufu_tests::served::curl;

/// What a server staples in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stapled {
    Nothing,
    Good,
    Revoked,
}

/// What `openssl s_client -status` is shown for this holder's certificate.
#[track_caller]
pub(super) fn stapled(address: SocketAddr, holder: &Holder, root: &Path) -> Stapled {
    let address = address.to_string();
    let words = [
        "s_client",
        "-connect",
        &address,
        "-servername",
        &holder.host,
        "-status",
        "-verify_return_error",
        "-CAfile",
    ];
    let folder = root.parent().unwrap();
    let words = words.iter().map(AsRef::as_ref).chain([root.as_os_str()]);
    let shown = openssl(folder, words).ok();
    if shown.stdout.contains("OCSP response: no response sent") {
        return Stapled::Nothing;
    }
    let says = |status: &str| shown.stdout.contains(&format!("Cert Status: {status}"));
    match (says("good"), says("revoked")) {
        (true, false) => Stapled::Good,
        (false, true) => Stapled::Revoked,
        _ => panic!("{shown:?}"),
    }
}

/// curl with `--cert-status`: fails unless a stapled answer verifies and says good.
#[track_caller]
pub(super) fn certified(address: SocketAddr, holder: &Holder, root: &Path) -> Ran {
    let (host, port) = (&holder.host, address.port());
    let (resolve, url) = (
        format!("{host}:{port}:127.0.0.1"),
        format!("https://{host}:{port}/"),
    );
    let words = ["--cert-status", "--resolve", &resolve, "-o", "/dev/null"];
    let words = words.iter().map(AsRef::as_ref);
    let root_file = ["--cacert".as_ref(), root.as_os_str(), url.as_ref()];
    curl(root.parent().unwrap(), words.chain(root_file))
}

/// curl with this holder's certificate; it prints the HTTP status.
#[track_caller]
pub(super) fn let_in(address: SocketAddr, holder: &Holder) -> Ran {
    let folder = holder.key.parent().unwrap();
    let url = format!("https://{address}/healthz");
    let words = ["-k", "-o", "/dev/null", "-w", "%{http_code}", &url];
    let words = words.iter().map(AsRef::as_ref);
    let identity = ["--cert".as_ref(), holder.chain.as_os_str()];
    let key = ["--key".as_ref(), holder.key.as_os_str()];
    curl(folder, words.chain(identity).chain(key))
}

/// curl in the clear.
#[track_caller]
pub(super) fn plain(address: SocketAddr) -> Ran {
    let url = format!("http://{address}/healthz");
    curl(&std::env::temp_dir(), ["-o", "/dev/null", &url])
}
