//! Starting, refusing to start, and stopping without failing anyone.

use std::fs;
use std::net::TcpStream;
use std::process::Output;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::edge::{Edge, Generation};
use crate::forms::{get, post};
use crate::process::{Running, Says, command, wait_for};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn second_instance_takes_half_of_the_connections() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    for (flag, other, address) in [
        ("--ocsp", "--admin", responder.ocsp),
        ("--admin", "--ocsp", responder.admin),
    ] {
        let output = command(&edge)
            .args([flag, &address.to_string(), other, "127.0.0.1:0"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(
            text(&output).contains("Address already in use"),
            "{}",
            text(&output)
        );
        assert!(
            text(&output).contains(&address.to_string()),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn restart_drops_the_request_in_progress() {
    let edge = Edge::filled();
    let mut responder = Running::start_with(&edge, &["--drain-secs", "60"]);
    let mut resting = responder.connect();
    resting.send(get(1000));
    assert_eq!(resting.read().says(), Says::Good);
    let mut halfway = responder.connect();
    let request = post(&crate::edge::request(1007));
    halfway.send(&request[..request.len() / 2]);
    thread::sleep(Duration::from_millis(100));

    responder.terminate();
    assert!(
        resting.is_closed(),
        "a resting connection is closed at once"
    );
    let ready = responder.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(String::from_utf8(ready.body).unwrap().contains("draining"));
    halfway.send(&request[request.len() / 2..]);
    let last = halfway.read();
    assert_eq!(last.says(), Says::Revoked);
    assert_eq!(last.header("connection"), "close");
    assert!(halfway.is_closed());
    assert_eq!(responder.wait().code(), Some(0));
    assert_eq!(responder.logged("drained").len(), 1);
}

#[test]
fn restart_drops_what_is_asked_behind_a_list_that_is_being_read() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        crl: vec![b'l'; 20_000_000],
        ..Generation::default()
    });
    let mut responder = Running::start_with(&edge, &["--drain-secs", "60"]);
    let mut reading = responder.connect();
    reading.send("GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n");
    reading.read_some(1_000);
    reading.send(get(1007));

    responder.terminate();
    // Then the listener is closed, and what rests is told to end.
    wait_for("the end of the grace", || {
        TcpStream::connect(responder.ocsp).is_err().then_some(())
    });
    assert_eq!(reading.read().body.len(), 20_000_000);
    let last = reading.read();
    assert_eq!(last.says(), Says::Revoked);
    assert_eq!(last.header("connection"), "close");
    assert!(responder.wait().success());
}

#[test]
fn connection_that_waits_to_be_accepted_is_reset_by_a_restart() {
    let edge = Edge::filled();
    let mut responder = Running::start(&edge);
    // The program cannot accept, the kernel does: as on a core that is busy.
    responder.signal(Signal::STOP);
    let mut waiting: Vec<_> = (0..300).map(|_| responder.connect()).collect();
    for wire in &mut waiting {
        wire.send(get(1007));
    }
    responder.terminate();
    responder.signal(Signal::CONT);
    for mut wire in waiting {
        assert_eq!(wire.read().says(), Says::Revoked);
    }
    assert_eq!(responder.wait().code(), Some(0));
}

#[test]
fn slow_client_holds_up_a_restart() {
    let edge = Edge::filled();
    let mut responder = Running::start_with(&edge, &["--drain-secs", "1"]);
    let mut halfway = responder.connect();
    halfway.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n0");
    thread::sleep(Duration::from_millis(100));
    responder.terminate();
    assert_eq!(responder.wait().code(), Some(0));
    assert!(responder.logged("drained")[0].contains("connections_cut_off=1"));
}

#[test]
fn misconfiguration_is_found_only_when_serving() {
    let edge = Edge::filled();
    let file = edge.root().join("responder.toml");
    fs::write(&file, "idle-secs = 5\nidle-sec = 6\n").unwrap();
    let output = command(&edge)
        .args(["--check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("idle-sec"), "{}", text(&output));

    fs::write(&file, "idle-secs = 5\nmax-age-secs = 77\n").unwrap();
    let output = command(&edge)
        .args(["--max-age-secs", "78", "--check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("idle_secs: 5") && text(&output).contains("max_age_secs: 78"));

    fs::write(edge.pin(), "not a key").unwrap();
    let output = command(&edge).arg("--check").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("seal.pub"), "{}", text(&output));

    let output = command(&edge).arg("--no-such-flag").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn child_outlives_its_parent() {
    let edge = Edge::filled();
    let output = command(&edge)
        .args([
            "--ocsp",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--exit-with-parent",
            "1",
        ])
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "the parent named is not ours: it has gone"
    );
    assert!(text(&output).contains("parent"), "{}", text(&output));
}
