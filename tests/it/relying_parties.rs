//! Relying parties of others against a running responder: nginx, Apache, stunnel, strongSwan and Caddy, each as its manual
//! sets it up. A good certificate is stapled or let in; a revoked one is not; and a revocation is seen as soon as what the
//! party keeps allows.

mod clients;
mod parties;
pub(crate) mod place;
mod trusted;

use std::process::Command;
use std::time::Duration;

use hufu_tests::holders::Holder;
use hufu_tests::process::{Ran, run, wait_until};

use clients::{Stapled, certified, let_in, stapled};
use parties::{apache, caddy, nginx, stunnel};
use place::Place;

/// Whatever a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Without a fresh answer at hand nginx staples nothing, and asks for one; a revoked certificate is never stapled.
#[test]
fn nginx_staples_good_for_a_revoked_certificate_or_lets_it_in() {
    let place = Place::shared();
    let own = place.holder("nginx");
    let [good, lost, clients] = hufu_tests::process::free_addresses();
    let staple = format!(
        "ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {};",
        place.chain.display()
    );
    let check = format!(
        "ssl_verify_client on; ssl_client_certificate {}; ssl_verify_depth 2; ssl_ocsp leaf;",
        place.chain.display()
    );
    let servers = [
        (good, own, &*staple),
        (lost, place.holder("lost"), &*staple),
        (clients, place.holder("web"), &*check),
    ];
    let nginx = nginx(&place.party("nginx"), &servers);
    wait_until("nginx staples", PATIENCE, || {
        stapled(good, own, &place.root) == Stapled::Good
    });
    let _ = certified(good, own, &place.root).ok();
    let revoked = |holder: &Holder| {
        let chain = holder.chain.display().to_string();
        nginx
            .said()
            .lines()
            .any(|line| line.contains("certificate status \"revoked\"") && line.contains(&chain))
    };
    wait_until("nginx hears of the revocation", PATIENCE, || {
        assert_eq!(
            stapled(lost, place.holder("lost"), &place.root),
            Stapled::Nothing
        );
        revoked(place.holder("lost"))
    });
    assert_eq!(let_in(clients, own).ok().stdout, "204");
    assert_eq!(let_in(clients, place.holder("lost")).ok().stdout, "400");

    place.loses(own);
    // `ssl_ocsp` asks at each handshake, unless ssl_ocsp_cache is set.
    assert_eq!(let_in(clients, own).ok().stdout, "400");
    assert!(
        nginx.said().contains("certificate revoked"),
        "{}",
        nginx.said()
    );
    // A staple is kept for up to an hour; a reload forgets it.
    nginx.signal("HUP");
    wait_until("those who know the old staple are gone", PATIENCE, || {
        nginx.said().contains("exited with code 0")
    });
    wait_until("nginx hears of the loss", PATIENCE, || {
        assert_eq!(stapled(good, own, &place.root), Stapled::Nothing);
        revoked(own)
    });
    let _ = certified(good, own, &place.root).ended_with(NOT_CERTIFIED);
}

/// `mod_ssl` staples what it is told, "revoked" too: clients see it.
#[test]
fn apache_staples_good_for_a_revoked_certificate_or_lets_it_in() {
    let place = Place::shared();
    let own = place.holder("apache");
    let [good, lost, clients] = hufu_tests::process::free_addresses();
    let check = format!(
        "SSLVerifyClient require\nSSLVerifyDepth 2\nSSLCACertificateFile {}\n\
         SSLOCSPEnable leaf\nSSLOCSPUseRequestNonce off",
        place.chain.display()
    );
    let hosts = [
        (good, own, "SSLUseStapling on"),
        (lost, place.holder("lost"), "SSLUseStapling on"),
        (clients, place.holder("web"), &*check),
    ];
    let apache = apache(&place.party("apache"), &hosts);
    wait_until("Apache staples", PATIENCE, || {
        stapled(good, own, &place.root) == Stapled::Good
    });
    let _ = certified(good, own, &place.root).ok();
    wait_until("Apache staples what is revoked", PATIENCE, || {
        let staple = stapled(lost, place.holder("lost"), &place.root);
        assert_ne!(staple, Stapled::Good);
        staple == Stapled::Revoked
    });
    let refused = certified(lost, place.holder("lost"), &place.root).ended_with(NOT_CERTIFIED);
    assert!(refused.stderr.contains("keyCompromise"), "{refused:?}");
    let mut gnutls = Command::new("gnutls-cli");
    gnutls
        .arg("--x509cafile")
        .arg(&place.root)
        .args(["--verify-hostname", &place.holder("lost").host])
        .args(["-p", &lost.port().to_string(), "127.0.0.1"]);
    let refused = run(&mut gnutls);
    assert!(refused.both().contains("revoked"), "{refused:?}");
    let _ = let_in(clients, own).ok();
    assert!(!letting_in(&let_in(clients, place.holder("lost"))));

    place.loses(own);
    assert!(!letting_in(&let_in(clients, own)));
    let said = apache.said();
    assert!(said.contains("certificate status: revoked"), "{said}");
    // SSLStaplingStandardCacheTimeout: an hour by default, a second here.
    wait_until("Apache staples the loss", PATIENCE, || {
        stapled(good, own, &place.root) == Stapled::Revoked
    });
}

/// As a server it judges its clients, as a client the servers it is sent to.
#[test]
fn stunnel_lets_a_revoked_certificate_through() {
    let place = Place::shared();
    let own = place.holder("stunnel");
    let [judging, good, lost, to_good, to_lost] = hufu_tests::process::free_addresses();
    let target = place.responder.admin;
    let check = format!(
        "verifyChain = yes\nCAfile = {}\nOCSPaia = yes\nsessionResume = no",
        place.chain.display()
    );
    let serve = |holder: &Holder| {
        format!(
            "cert = {}\nkey = {}\nconnect = {target}",
            holder.chain.display(),
            holder.key.display()
        )
    };
    let ask = |server| format!("client = yes\nconnect = {server}\n{check}");
    let services = [
        (judging, format!("{}\n{check}", serve(place.holder("web")))),
        (good, serve(own)),
        (lost, serve(place.holder("lost"))),
        (to_good, ask(good)),
        (to_lost, ask(lost)),
    ];
    let stunnel = stunnel(&place.party("stunnel"), &services);
    let _ = let_in(judging, own).ok();
    assert!(!letting_in(&let_in(judging, place.holder("lost"))));
    let _ = clients::plain(to_good).ok();
    assert!(!letting_in(&clients::plain(to_lost)));
    let rejected = |name: &str| {
        let (said, name) = (stunnel.said(), format!("CN={name}"));
        assert!(
            said.contains("OCSP: Certificate revoked: 1: keyCompromise"),
            "{said}"
        );
        said.lines()
            .any(|line| line.contains("Rejected by OCSP at depth=0") && line.ends_with(&name))
    };
    assert!(
        rejected("lost") && !rejected("stunnel"),
        "{}",
        stunnel.said()
    );

    // It keeps no answers: the next handshake knows.
    place.loses(own);
    assert!(!letting_in(&let_in(judging, own)));
    assert!(!letting_in(&clients::plain(to_good)));
    assert!(rejected("stunnel"), "{}", stunnel.said());
}

#[test]
fn strongswan_takes_a_revoked_certificate_for_a_good_one() {
    let place = Place::shared();
    let own = place.holder("strongswan");
    let verify = |holder: &Holder| {
        let mut pki = Command::new("pki");
        pki.args(["--verify", "--online", "--in"])
            .arg(&holder.certificate);
        pki.arg("--cacert").arg(&place.issuer);
        run(pki.arg("--cacert").arg(&place.root).env("LC_ALL", "C"))
    };
    let good = verify(own).ok();
    // Where it can learn no status it says so and ends with 0 all the same: the words count.
    assert!(good.both().contains("certificate not revoked"), "{good:?}");
    assert!(
        good.both().contains("ocsp response correctly signed"),
        "{good:?}"
    );
    // The issuer's own status is by the root's list, which it fetches too.
    assert!(good.both().contains("crl correctly signed"), "{good:?}");
    let refused = |holder: &Holder| {
        let judged = verify(holder).ended_with(1);
        let why = "reason: key compromise";
        assert!(judged.both().contains(why), "{judged:?}");
    };
    refused(place.holder("lost"));
    place.loses(own);
    refused(own);
}

/// Caddy staples by itself whatever it loads; what is revoked it serves without a staple.
#[test]
fn caddy_staples_good_for_a_revoked_certificate() {
    let place = Place::shared();
    let own = place.holder("caddy");
    let [good, lost] = hufu_tests::process::free_addresses();
    let sites = [(good, own), (lost, place.holder("lost"))];
    let first = caddy(&place.party("caddy-1"), &sites);
    wait_until("Caddy staples", PATIENCE, || {
        stapled(good, own, &place.root) == Stapled::Good
    });
    let _ = certified(good, own, &place.root).ok();
    assert_eq!(
        stapled(lost, place.holder("lost"), &place.root),
        Stapled::Nothing
    );
    let _ = certified(lost, place.holder("lost"), &place.root).ended_with(NOT_CERTIFIED);

    place.loses(own);
    // A staple is kept, on disk too, for half of its life: only one who begins anew asks.
    drop(first);
    let [good, lost] = hufu_tests::process::free_addresses();
    let sites = [(good, own), (lost, place.holder("web"))];
    let _again = caddy(&place.party("caddy-2"), &sites);
    // The one beside it shows that it has asked.
    wait_until("Caddy staples again", PATIENCE, || {
        stapled(lost, place.holder("web"), &place.root) == Stapled::Good
    });
    assert_eq!(stapled(good, own, &place.root), Stapled::Nothing);
}

/// Whether curl came through to what is behind the party.
fn letting_in(ran: &Ran) -> bool {
    ran.code == Some(0)
}

/// What curl says where the staple is missing or says "revoked".
const NOT_CERTIFIED: i32 = 91;
