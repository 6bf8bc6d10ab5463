//! How `hufu up` starts again, is refused, dies and ends.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

use crate::rig::{self, Appliance, free_ports, get, gone, said, until};
use rustix::process::{Signal, kill_process};

#[test]
fn second_start_founds_anew() {
    let folder = rig::founded();
    let issuer = folder.path().join("data/demo/p256-issuer.pem");
    let before = fs::read(&issuer).unwrap();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    // Within a second, in a release build on a quiet machine. This is neither, so it is told and not judged.
    println!("second start: {:?}", appliance.ready());
    assert_eq!(fs::read(&issuer).unwrap(), before);
    assert!(!folder.path().join("data/founding").exists());
    let told = appliance.line_with("ready after");
    println!("{told}");
}

#[test]
fn second_instance_is_refused_by_lock_and_by_port() {
    let folder = rig::founded();
    let data = folder.path().join("data");
    let mut first = Appliance::start(&data);
    first.ready();

    let [ocsp, admin] = free_ports();
    let locked = said(&mut rig::up(&data, ocsp, admin));
    assert!(locked.contains("another `hufu up` (process "), "{locked}");

    let elsewhere = tempfile::tempdir().unwrap();
    for (ocsp, admin, option) in [
        (first.ocsp, admin, "--ocsp"),
        (ocsp, first.admin, "--admin"),
    ] {
        let busy = said(&mut rig::up(elsewhere.path(), ocsp, admin));
        assert!(
            busy.contains(&format!("{option} 127.0.0.1:"))
                && busy.contains("cannot be listened on"),
            "{busy}"
        );
    }
    assert!(
        !elsewhere.path().join("signer").exists(),
        "nothing is founded before the ports are known to be free"
    );
}

#[test]
fn another_public_url_than_founded_is_refused() {
    let folder = rig::founded();
    let [ocsp, admin] = free_ports();
    let refused = said(
        rig::up(&folder.path().join("data"), ocsp, admin)
            .args(["--public-url", "http://other.example"]),
    );
    assert!(
        refused.contains("http://other.example") && refused.contains("founded with the public URL"),
        "{refused}"
    );
}

#[test]
fn parent_killed_outright_takes_its_children_along() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let children = appliance.children();
    let who = "signer, live lane, loader, follower, responder";
    assert_eq!(children.len(), 5, "{who}");
    appliance.end_by(Signal::KILL);
    until("all children gone", || {
        children.iter().all(|child| gone(*child))
    });
    assert!(get(appliance.ocsp, "/").is_none());

    let mut again = Appliance::start_at(&appliance.data, appliance.ocsp, appliance.admin);
    again.ready();
}

#[test]
fn start_right_after_a_kill_is_refused_while_the_old_responder_drains() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let mut halfway = TcpStream::connect(appliance.ocsp).unwrap();
    halfway
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n0")
        .unwrap();
    // Until the responder has it: one that still waits to be accepted holds up no drain.
    until("the connection is counted", || {
        let metrics = get(appliance.admin, "/metrics").unwrap();
        String::from_utf8_lossy(&metrics.body).contains("\nhufu_connections_open 1\n")
    });
    appliance.end_by(Signal::KILL);
    let mut again = Appliance::start_at(&appliance.data, appliance.ocsp, appliance.admin);
    again.line_with("waiting up to");
    drop(halfway);
    again.line_with("ready after");
}

#[test]
fn killed_child_comes_back() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let before = appliance.children();
    for child in &before {
        kill_process(*child, Signal::KILL).unwrap();
    }
    until("five new children", || {
        let now = appliance.children();
        now.len() == 5 && now.iter().all(|child| !before.contains(child))
    });
    appliance.ready();
    assert!(appliance.ask("good").contains("Response verify OK"));
}

#[test]
fn asked_to_end_it_drains_and_says_success() {
    let folder = rig::founded();
    let mut appliance = Appliance::start(&folder.path().join("data"));
    appliance.ready();
    let children = appliance.children();
    let status = appliance.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(children.iter().all(|child| gone(*child)));
}
