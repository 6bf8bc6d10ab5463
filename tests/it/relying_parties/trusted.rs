//! Another authority's certificates, by its list: answers are signed by our local responder, which a party believes only if it
//! is told to, and then knows good and revoked as for our own.

use std::fs;
use std::path::Path;
use std::process::Command;

use hufu_tests::holders::{Holder, foreign};
use hufu_tests::http;
use hufu_tests::judge::{jdk_pkix, openssl};
use hufu_tests::office::{Office, Responder};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Running, command, free_address, free_addresses, run, wait_until};
use hufu_tests::shared_folder;

use super::clients::{Stapled, let_in, stapled};
use super::letting_in;
use super::parties::{apache, caddy, nginx, stunnel};

/// Ours, with the list of another authority, and a live lane for who is not on it.
struct Local {
    responder: Responder,
    _lane: Running,
    url: String,
    good: Holder,
    revoked: Holder,
    /// The other authority's certificate, PEM.
    root: std::path::PathBuf,
    /// The local responder's, PEM.
    signer: std::path::PathBuf,
}

impl Local {
    fn start(folder: &Path) -> Self {
        let ocsp = free_address();
        let url = format!("http://{ocsp}/");
        let office = Office::found_for(&folder.join("data"), &url);
        let [good, revoked] = foreign(&folder.join("foreign"), &url);
        let file = |name: &str| folder.join("foreign").join(name);
        let (list, root) = (file("list.pem"), file("ca.pem"));
        let (list, issuer) = (list.to_str().unwrap(), root.to_str().unwrap());
        let _ = office
            .loader(&["import", "--crl", list, "--issuer", issuer])
            .ok();
        let _ = office.signer(&["adopt"]).ok();
        office.publish();
        let edge = folder.join("edge");
        let _ = office.follow(&office.store(), &edge).ok();
        let live = free_address();
        let mut lane = command("hufu-signer", ["live", "--listen", &live.to_string()]);
        lane.arg("--data").arg(&office.data);
        let mut lane = Running::start(&lane, &folder.join("lane.log"));
        lane.until("the lane listens", super::PATIENCE, || {
            http::get(live, "/metrics").is_ok_and(|response| response.status == 200)
        });
        let live = live.to_string();
        let admin = free_address();
        let flags = ["--live", &live, "--live-deadline-millis", "8000"];
        let mut program = office.start_responder_with(&edge, ocsp, admin, &flags);
        program.until("/readyz says 200", super::PATIENCE, || {
            http::get(admin, "/readyz").is_ok_and(|response| response.status == 200)
        });
        Self {
            responder: Responder {
                program,
                ocsp,
                admin,
            },
            _lane: lane,
            url,
            good,
            revoked,
            signer: office.data.join("demo/local-responder.pem"),
            root,
        }
    }

    fn status(&self, holder: &Holder) -> Option<Status> {
        let issuer = Certificate::open(&self.root);
        let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &holder.serial());
        let answer = http::ask(self.responder.ocsp, &request(&[&id], None)).ok()?;
        match Answer::read(&answer.body) {
            Answer::Signed(basic) => Some(basic.singles[0].status),
            Answer::Refused(_) => None,
        }
    }
}

// RFC 6960 §2.2: a local responder's answers count for who has configured it as trusted, and for nobody else.
#[test]
fn a_local_responder_is_believed_by_who_does_not_trust_it_or_not_by_who_does() {
    let folder = shared_folder("local-responder");
    let local = Local::start(&folder);
    wait_until("both are answered", super::PATIENCE, || {
        local.status(&local.good) == Some(Status::Good)
            && matches!(local.status(&local.revoked), Some(Status::Revoked(..)))
    });
    let root = fs::read_to_string(&local.root).unwrap();
    let trust = |name: &str, signer: &Path| {
        let path = folder.join(name);
        fs::write(&path, root.clone() + &fs::read_to_string(signer).unwrap()).unwrap();
        path
    };
    // OpenSSL wants more than an anchor: one that is marked as good for OCSP.
    let marked = folder.join("marked.pem");
    let words = ["x509", "-addtrust", "OCSPSigning", "-in"].map(AsRef::as_ref);
    let files = [
        local.signer.as_os_str(),
        "-out".as_ref(),
        marked.as_os_str(),
    ];
    let _ = openssl(&folder, words.into_iter().chain(files)).ok();
    let trusting = trust("trusting.pem", &marked);
    let wary = trust("wary.pem", &local.signer);

    by_nginx(&local, &folder, &trusting, &wary);
    by_stunnel(&local, &folder, &trusting, &wary);
    by_apache(&local, &folder);
    by_strongswan(&local);
    by_the_jdk(&local, &folder);
    // Caddy believes none but the issuer and whom the issuer names.
    let address = free_address();
    let _caddy = caddy(&party(&folder, "caddy"), &[(address, &local.good)]);
    assert_eq!(stapled(address, &local.good, &local.root), Stapled::Nothing);
}

fn party(folder: &Path, name: &str) -> std::path::PathBuf {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    let open = Command::new("chmod").arg("a+rwx").arg(&folder).status();
    assert!(open.unwrap().success());
    folder
}

fn by_nginx(local: &Local, folder: &Path, trusting: &Path, wary: &Path) {
    let [staples, never, clients] = free_addresses();
    let staple = |trusted: &Path| {
        format!(
            "ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {};",
            trusted.display()
        )
    };
    let check = format!(
        "ssl_verify_client on; ssl_client_certificate {}; ssl_trusted_certificate {}; ssl_ocsp on;",
        local.root.display(),
        trusting.display()
    );
    let servers = [
        (staples, &local.good, &*staple(trusting)),
        (never, &local.good, &*staple(wary)),
        (clients, &local.good, &*check),
    ];
    let nginx = nginx(&party(folder, "nginx"), &servers);
    wait_until("nginx staples", super::PATIENCE, || {
        stapled(staples, &local.good, &local.root) == Stapled::Good
    });
    wait_until("nginx refuses the responder", super::PATIENCE, || {
        let staple = stapled(never, &local.good, &local.root);
        assert_eq!(staple, Stapled::Nothing);
        nginx.said().contains("root ca not trusted")
    });
    assert_eq!(let_in(clients, &local.good).ok().stdout, "204");
    assert_eq!(let_in(clients, &local.revoked).ok().stdout, "400");
}

fn by_stunnel(local: &Local, folder: &Path, trusting: &Path, wary: &Path) {
    let [believes, doubts] = free_addresses();
    let service = |trusted: &Path| {
        format!(
            "cert = {}\nkey = {}\nconnect = {}\nCAfile = {}\nverifyChain = yes\nOCSP = {}",
            local.good.chain.display(),
            local.good.key.display(),
            local.responder.admin,
            trusted.display(),
            local.url
        )
    };
    let services = [(believes, service(trusting)), (doubts, service(wary))];
    let stunnel = stunnel(&party(folder, "stunnel"), &services);
    let _ = let_in(believes, &local.good).ok();
    assert!(!letting_in(&let_in(believes, &local.revoked)));
    assert!(!letting_in(&let_in(doubts, &local.good)));
    let said = stunnel.said();
    assert!(
        said.contains("OCSP: Certificate revoked: 1: keyCompromise"),
        "{said}"
    );
    assert!(said.contains("root ca not trusted"), "{said}");
}

fn by_apache(local: &Local, folder: &Path) {
    let [believes, doubts] = free_addresses();
    let check = format!(
        "SSLVerifyClient require\nSSLCACertificateFile {}\nSSLOCSPEnable leaf\nSSLOCSPUseRequestNonce off",
        local.root.display()
    );
    let trusting = format!(
        "{check}\nSSLOCSPResponderCertificateFile {}",
        local.signer.display()
    );
    let hosts = [
        (believes, &local.good, &*trusting),
        (doubts, &local.good, &*check),
    ];
    let _apache = apache(&party(folder, "apache"), &hosts);
    let _ = let_in(believes, &local.good).ok();
    assert!(!letting_in(&let_in(believes, &local.revoked)));
    assert!(!letting_in(&let_in(doubts, &local.good)));
}

fn by_strongswan(local: &Local) {
    let verify = |holder: &Holder, trusted: &[&Path]| {
        let mut pki = Command::new("pki");
        pki.args(["--verify", "--online", "--in"])
            .arg(&holder.certificate);
        for path in trusted {
            pki.arg("--cacert").arg(path);
        }
        run(pki.env("LC_ALL", "C")).both()
    };
    let both = [&*local.root, &*local.signer];
    let said = verify(&local.good, &both);
    assert!(said.contains("certificate not revoked"), "{said}");
    let said = verify(&local.revoked, &both);
    assert!(said.contains("reason: key compromise"), "{said}");
    let said = verify(&local.good, &both[..1]);
    assert!(said.contains("revocation checking failed"), "{said}");
}

fn by_the_jdk(local: &Local, folder: &Path) {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let leaves = [&local.good, &local.revoked].map(|holder| path(&holder.certificate));
    let trusted = [
        "responder".to_owned(),
        path(&local.signer),
        local.url.clone(),
    ];
    let ask = |further: &[String]| {
        let words = [&["ocsp".to_owned(), path(&local.root)], further, &leaves].concat();
        jdk_pkix(folder, &words).ok().stdout
    };
    let said = ask(&trusted);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].ends_with(": valid"), "{said}");
    assert!(lines[1].contains(": revoked KEY_COMPROMISE "), "{said}");
    let said = ask(&[]);
    assert_eq!(said.matches("not authorized to sign").count(), 2, "{said}");
}
