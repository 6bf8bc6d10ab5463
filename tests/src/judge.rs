//! Programs of others that judge our octets: OpenSSL, GnuTLS, BouncyCastle, the JDK.
//!
//! `openssl ocsp` prints "good" even when verification failed, so its exit status and "Response verify OK" count. It
//! cannot judge SM2 responses at all (3.0 cannot set the signer's ID): BouncyCastle does, and `openssl dgst` on the parts.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{Ran, run};
use crate::{root, shared_folder};

/// The signer's ID that GM/T 0009 sets where none is agreed on.
pub const SM2_ID: &str = "1234567812345678";

/// Runs `openssl` with these arguments in this folder.
///
/// # Panics
/// If it is not installed.
#[track_caller]
pub fn openssl<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Ran {
    run(Command::new("openssl").args(arguments).current_dir(folder))
}

/// Whether an SM2 signature (DER) over these octets verifies under the public key of this certificate, by `openssl dgst`.
///
/// # Panics
/// If OpenSSL cannot read the certificate.
#[must_use]
pub fn sm2_verifies(certificate: &[u8], signature: &[u8], signed: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, octets: &[u8]| {
        fs::write(folder.path().join(name), octets).expect("a file can be written");
    };
    path("certificate.der", certificate);
    path("signature.der", signature);
    path("signed.der", signed);
    let key = openssl(
        folder.path(),
        [
            "x509",
            "-inform",
            "DER",
            "-in",
            "certificate.der",
            "-pubkey",
            "-noout",
        ],
    )
    .ok();
    path("key.pem", key.stdout.as_bytes());
    let id = format!("distid:{SM2_ID}");
    let arguments = [
        "dgst",
        "-sm3",
        "-verify",
        "key.pem",
        "-sigopt",
        &id,
        "-signature",
        "signature.der",
        "signed.der",
    ];
    let judged = openssl(folder.path(), arguments);
    judged.code == Some(0) && judged.stdout.contains("Verified OK")
}

/// Runs `tests/java/Judge.java` (BouncyCastle) with these arguments in this folder; it says what it found line by line,
/// and ends with an exit code other than 0 if a signature or a structure is wrong.
///
/// # Panics
/// If there is no JDK, or it does not compile.
#[track_caller]
pub fn bouncy_castle<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Ran {
    java(folder, "Judge", arguments)
}

/// Runs `tests/java/Pkix.java` (the JDK's own path validator) with these arguments in this folder: one line a certificate,
/// `valid`, `revoked REASON SECONDS`, or why not.
///
/// # Panics
/// If there is no JDK, or it does not compile.
#[track_caller]
pub fn jdk_pkix<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Ran {
    java(folder, "Pkix", arguments)
}

#[track_caller]
fn java<S: AsRef<OsStr>>(
    folder: &Path,
    class: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Ran {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let jars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar";
    let classes = CLASSES.get_or_init(|| {
        let classes = shared_folder("java");
        let sources = root().join("tests/java");
        let _ = run(Command::new("javac")
            .args(["-Xlint:all,-path", "-cp", jars, "-d"])
            .arg(&classes)
            .args(["Judge.java", "Pkix.java"].map(|name| sources.join(name))))
        .ok();
        classes
    });
    let path = format!("{}:{jars}", classes.display());
    // A short-lived program: the first compiler tier only, one collector thread.
    let mut java = Command::new("java");
    java.args([
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-cp",
        &path,
        class,
    ])
    .args(arguments);
    run(java.current_dir(folder))
}
