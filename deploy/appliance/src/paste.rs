//! What a newcomer may try, ready to paste.

use std::ffi::OsStr;
use std::path::Path;

use crate::data::{Data, Recorded};
use crate::probe::reachable;
use crate::program::{Program, quoted, words};
use crate::scrape::Teller;
use crate::step::say;

/// Where things are, as they are written in a shell.
struct Places<'a> {
    program: &'a Program,
    root: &'a Path,
    demo: String,
    ocsp: String,
    admin: String,
    metrics: Vec<String>,
}

/// Prints the commands and leaves them in `DIR/demo/TRY.txt`.
pub(crate) fn print(program: &Program, data: &Data, settings: &Recorded) {
    let places = Places::new(program, data.root(), settings);
    say(&format!(
        "OCSP, CRLs, issuer certificates: {}    metrics, readiness: {}    Ctrl-C stops",
        places.ocsp, places.admin
    ));
    if !places.metrics.is_empty() {
        say(&format!(
            "metrics of signer, loader, follower, live lane: {}",
            places.metrics.join("  ")
        ));
    }
    // A folder founded by hand has none of the demo's files.
    if data.root().join("demo/p256-good.pem").exists() {
        let text = places.tries();
        say(&text);
        // A convenience only: the same text was just printed.
        let _ = std::fs::write(data.root().join("demo/TRY.txt"), &text);
    }
}

impl<'a> Places<'a> {
    fn new(program: &'a Program, root: &'a Path, settings: &Recorded) -> Self {
        Self {
            program,
            root,
            demo: quoted(root.join("demo").as_os_str()),
            ocsp: format!("http://{}", reachable(settings.ocsp)),
            admin: format!("http://{}", reachable(settings.admin)),
            metrics: Teller::ALL
                .into_iter()
                .filter_map(|teller| settings.metrics.of(teller))
                .map(|address| format!("http://{}/metrics", reachable(address)))
                .collect(),
        }
    }

    fn tries(&self) -> String {
        let Self { demo, ocsp, .. } = self;
        let tries = [
            ("a good certificate", self.ask("p256-good.pem")),
            (
                "a revoked one: reason and time are in the answer",
                self.ask("p256-revoked.pem"),
            ),
            (
                "the same by GET: make the request, fetch it as a cache would, verify what came",
                self.get(),
            ),
            (
                "with a nonce, as OpenSSL asks unless told not to: without `hufu up --nonce live` it warns that the answer has none",
                self.with_nonce(),
            ),
            (
                "SM2 (openssl ocsp cannot judge it; this script can, with openssl dgst)",
                format!("{demo}/verify-sm2 sm2-good {ocsp}\n{demo}/verify-sm2 sm2-revoked {ocsp}"),
            ),
            (
                "a serial that was never issued: unauthorized, never good",
                format!(
                    "openssl ocsp -issuer {demo}/p256-issuer.pem -serial 0x1234 -no_nonce -url {ocsp}"
                ),
            ),
            (
                "the CRL and the issuer's certificate, where the certificates say they are",
                self.documents(),
            ),
            ("readiness and metrics", self.watch()),
            (
                "what is published, and whether it is all true",
                self.inspect(),
            ),
            (
                "your own form: the row that was refused, with its check digit put right",
                self.own_form(),
            ),
            (
                "revoke that certificate and see it on the wire",
                self.revoke(),
            ),
            (
                "two certificates in one request: signed live, by `hufu signer live`",
                self.two(),
            ),
            (
                "another authority's CRL, served as OCSP under a responder you trust explicitly",
                self.foreign(),
            ),
        ];
        tries
            .iter()
            .map(|(shows, commands)| format!("\n# {shows}\n{commands}\n"))
            .collect()
    }

    /// Readiness, and the metrics of every program that tells some.
    fn watch(&self) -> String {
        let admin = &self.admin;
        let responder = format!("curl -s {admin}/readyz\ncurl -s {admin}/metrics");
        let others = self.metrics.iter().map(|url| format!("\ncurl -s {url}"));
        responder + &others.collect::<String>()
    }

    /// By POST, verified.
    fn ask(&self, certificate: &str) -> String {
        let Self { demo, ocsp, .. } = self;
        format!(
            "openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/{certificate} -CAfile {demo}/p256-chain.pem \
             -no_nonce -url {ocsp}"
        )
    }

    fn with_nonce(&self) -> String {
        self.ask("p256-good.pem").replace(" -no_nonce", "")
    }

    fn two(&self) -> String {
        let Self { demo, ocsp, .. } = self;
        format!(
            "openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/p256-good.pem -cert {demo}/p256-revoked.pem \
             -CAfile {demo}/p256-chain.pem -no_nonce -url {ocsp}"
        )
    }

    fn get(&self) -> String {
        let Self { demo, ocsp, .. } = self;
        let about = format!(
            "openssl ocsp -issuer {demo}/p256-issuer.pem -cert {demo}/p256-good.pem -no_nonce"
        );
        // Base64 has three characters that mean something else in a URL.
        let path = format!("$(base64 -w0 {demo}/good.req | sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g')");
        format!(
            "{about} -reqout {demo}/good.req\ncurl -s -D - -o {demo}/good.resp {ocsp}/{path}\n\
             {about} -CAfile {demo}/p256-chain.pem -respin {demo}/good.resp"
        )
    }

    fn documents(&self) -> String {
        let Self { demo, ocsp, .. } = self;
        format!(
            "openssl x509 -in {demo}/p256-good.pem -noout -ext authorityInfoAccess,crlDistributionPoints\n\
             curl -s {ocsp}/crl/p256.crl | openssl crl -inform DER -CAfile {demo}/p256-issuer.pem -noout -text\n\
             curl -s {ocsp}/ca/p256.cer | openssl x509 -inform DER -noout -subject -issuer"
        )
    }

    fn inspect(&self) -> String {
        format!(
            "{}\n{}",
            self.hufu("loader inspect --data {}", &[&self.root]),
            self.hufu("loader verify --data {}", &[&self.root])
        )
    }

    /// Copies the refused row's application, writes a schedule of one line, and goes the whole way with it.
    fn own_form(&self) -> String {
        let (demo, own) = (&self.demo, self.root.join("demo/own"));
        let (application, form) = (own.join("application.csv"), own.join("schedule.csv"));
        let shown = quoted(own.as_os_str());
        format!(
            "mkdir -p {shown}\n\
             sed 's/,110,/,1,/; s/-0001/-0007/' {demo}/forms/p256-person/application.csv > {shown}/application.csv\n\
             printf '%s\\n' 'name,no,id_type,id_no,department,mobile,staff_kind,medium' \
             '{NAME},1,身份证,11010519491231002X,办公室,19900000000,在编,USBKey' > {shown}/schedule.csv\n\
             N=$({} | sed 's/.*\"submission\":\\([0-9]*\\).*/\\1/')\n{} $N\n{} $N\n{}\n{}",
            self.hufu(
                "signer submit --ca p256 --kind person --application {} --form {} --clerk {} --json --data {}",
                &[&application, &form, &"王受理", &self.root]
            ),
            self.hufu("signer approve --officer {} --data {}", &[&"李审核", &self.root]),
            self.hufu("signer issue --data {}", &[&self.root]),
            self.hufu(
                "signer export --ca p256 --name {} --out {} --data {}",
                &[&NAME, &self.root.join("demo/own.pem"), &self.root]
            ),
            format_args!("sleep 1; {}", self.ask("own.pem")),
        )
    }

    fn revoke(&self) -> String {
        let revoke = self.hufu(
            "signer revoke --ca p256 --name {} --ground {} --officer {} --data {}",
            &[&NAME, &"私钥泄露", &"李审核", &self.root],
        );
        format!("{revoke}\nsleep 1; {}", self.ask("own.pem"))
    }

    fn foreign(&self) -> String {
        let Self { demo, ocsp, .. } = self;
        let (crl, issuer) = (
            self.root.join("demo/foreign/crl.pem"),
            self.root.join("demo/foreign/issuer.pem"),
        );
        let import = self.hufu(
            "loader import --crl {} --issuer {} --data {}",
            &[&crl, &issuer, &self.root],
        );
        format!(
            "{import}\nsleep 2; openssl ocsp -issuer {demo}/foreign/issuer.pem -serial 0x1001 -no_nonce \
             -VAfile {demo}/local-responder.pem -url {ocsp}"
        )
    }

    fn hufu(&self, line: &str, values: &[&dyn AsRef<OsStr>]) -> String {
        self.program.shown(&words(line, values))
    }
}

/// Whoever the refused row is about.
const NAME: &str = "萧磊";

#[cfg(test)]
mod tests {
    use super::NAME;

    #[test]
    fn corrected_row_is_the_refused_one() {
        let schedule = include_str!("../../demo/forms/p256-person/schedule.csv");
        let refused: Vec<&str> = schedule
            .lines()
            .filter(|line| line.contains("110105194912310021"))
            .collect();
        assert!(
            matches!(refused[..], [row] if row.contains(NAME)),
            "{refused:?}"
        );
    }
}
