//! A responder at the address that its certificates name, and certificates to lose.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use hufu_tests::holders::{Holder, enrol};
use hufu_tests::http;
use hufu_tests::office::{Office, Responder};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{free_address, wait_until};
use hufu_tests::shared_folder;

/// The holders: `lost` is revoked before anything starts, `web` never, each other one by its own test.
const NAMES: [&str; 8] = [
    "web",
    "lost",
    "nginx",
    "apache",
    "stunnel",
    "strongswan",
    "caddy",
    "jdk",
];

/// What the tests of this file share.
pub(crate) struct Place {
    folder: PathBuf,
    pub(crate) office: Office,
    pub(crate) responder: Responder,
    holders: Vec<Holder>,
    /// The authority's certificate, PEM.
    pub(crate) issuer: PathBuf,
    /// Its root's.
    pub(crate) root: PathBuf,
    /// Both.
    pub(crate) chain: PathBuf,
    /// One revocation after another: publishing is one program's at a time.
    turn: Mutex<()>,
}

impl Place {
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Place> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&shared_folder("relying")))
    }

    fn start(folder: &Path) -> Self {
        let ocsp = free_address();
        let office = Office::found_for(&folder.join("data"), &format!("http://{ocsp}"));
        let holders = enrol(&office, &folder.join("holders"), &NAMES);
        office.revoke("p256", &holders[1].hex());
        office.publish();
        let edge = folder.join("edge");
        let _ = office.follow(&office.store(), &edge).ok();
        let responder = office.responder_at(&edge, ocsp, free_address());
        for what in ["issuer", "root"] {
            let _ = office.certificate("p256", what);
        }
        let file = |name: &str| office.data.join(name);
        let (issuer, root) = (file("p256-issuer.pem"), file("p256-root.pem"));
        let chain = folder.join("chain.pem");
        let both = [&issuer, &root].map(|path| fs::read_to_string(path).unwrap());
        fs::write(&chain, both.concat()).unwrap();
        Self {
            folder: folder.to_owned(),
            office,
            responder,
            holders,
            issuer,
            root,
            chain,
            turn: Mutex::new(()),
        }
    }

    pub(crate) fn holder(&self, name: &str) -> &Holder {
        let place = NAMES.iter().position(|known| *known == name).unwrap();
        &self.holders[place]
    }

    /// A folder for a program that may give up its rights once it runs.
    pub(super) fn party(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let open = Command::new("chmod").arg("a+rwx").arg(&folder).status();
        assert!(open.unwrap().success());
        folder
    }

    /// Revokes a holder's certificate, and waits until the responder says so; what it says.
    #[track_caller]
    pub(crate) fn loses(&self, holder: &Holder) -> Status {
        // A test that failed in here has said why.
        let turn = self.turn.lock().unwrap_or_else(|lost| lost.into_inner());
        self.office.revoke("p256", &holder.hex());
        self.office.publish();
        let edge = self.folder.join("edge");
        let _ = self.office.follow(&self.office.store(), &edge).ok();
        drop(turn);
        let issuer = Certificate::open(&self.issuer);
        let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &holder.serial());
        let mut status = Status::Good;
        wait_until("the loss is served", Duration::from_secs(90), || {
            let answer = http::ask(self.responder.ocsp, &request(&[&id], None)).unwrap();
            status = Answer::read(&answer.body).single().status;
            matches!(status, Status::Revoked(..))
        });
        status
    }
}
