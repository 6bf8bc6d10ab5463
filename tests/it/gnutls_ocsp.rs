//! GnuTLS's `ocsptool` agrees about P-256.

use std::process::Command;

use hufu_tests::demo::Demo;
use hufu_tests::process::{Ran, run};

fn ask(demo: &Demo, which: &str, further: &[&str]) -> Ran {
    let mut ocsptool = Command::new("ocsptool");
    ocsptool
        .current_dir(demo.folder())
        .arg(format!("--ask={}", demo.url()));
    ocsptool.args([
        "--load-issuer",
        "p256-issuer.pem",
        "--load-trust",
        "p256-issuer.pem",
        "--load-cert",
    ]);
    run(ocsptool.arg(format!("p256-{which}.pem")).args(further))
}

#[test]
fn good_and_revoked() {
    let demo = Demo::shared();
    let good = ask(demo, "good", &[]).ok();
    assert!(
        good.stdout.contains("Verifying OCSP Response: Success."),
        "{good:?}"
    );
    assert!(good.stdout.contains("Certificate Status: good"), "{good:?}");
    // Revoked is an answer, not a failure, but the tool's exit status says "do not trust the certificate".
    let revoked = ask(demo, "revoked", &[]);
    assert!(
        revoked.stdout.contains("Verifying OCSP Response: Success."),
        "{revoked:?}"
    );
    assert!(
        revoked.stdout.contains("Certificate Status: revoked"),
        "{revoked:?}"
    );
    assert!(revoked.stdout.contains("Revocation time: "), "{revoked:?}");
}
