//! Killed under load and started again, a responder serves again, and nobody was told anything wrong.
//!
//! How long that takes is printed; `benches/restart` measures it with millions of records.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wire::response::{OcspResponse, ResponseStatus, SingleStatus};

use crate::edge::{Edge, Generation, serial, status_of};
use crate::forms::get;
use crate::ports::free_addresses;
use crate::process::{PATIENCE, Running, wait_for};
use crate::reload::Stopping;

/// How often it is killed.
const KILLS: u64 = 4;

/// Clients that ask all the while.
const CLIENTS: u64 = 4;

/// Asks about `number` on a connection of its own; none if the connection fails, as it does when its server is killed. An
/// answer that comes whole is right.
fn ask(address: SocketAddr, number: u64) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = get(number).replace("Host: x", "Host: x\r\nConnection: close");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let body = answer.get(end + 4..end + 4 + length.parse::<usize>().ok()?)?;
    let response = OcspResponse::parse(body).expect("an answer that came whole");
    assert_eq!(response.status, ResponseStatus::Successful, "{head}");
    let single = response.basic.expect("a successful one has it").first;
    assert_eq!(single.cert_id.serial, serial(number).content());
    let expected_good = status_of(number) == wire::status::CertStatus::Good;
    assert_eq!(matches!(single.status, SingleStatus::Good), expected_good);
    Some(())
}

#[test]
fn responder_killed_under_load_stays_away_or_comes_back_with_wrong_answers() {
    let mut edge = Edge::filled();
    let [address, admin] = free_addresses();
    let (ocsp, admin) = (address.to_string(), admin.to_string());
    let flags = ["--ocsp", &ocsp, "--admin", &admin];
    let mut responder = Running::start_with(&edge, &flags);
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let after = |times: u64| {
        let before = answered.load(Ordering::Relaxed);
        wait_for("answers", || {
            (answered.load(Ordering::Relaxed) >= before + times).then_some(())
        });
    };
    thread::scope(|scope| {
        let _stop = Stopping(&stop);
        for client in 0..CLIENTS {
            let (stop, answered) = (&stop, &answered);
            scope.spawn(move || {
                let mut number = client;
                while !stop.load(Ordering::Relaxed) {
                    number = (number + 7) % 1000;
                    if ask(address, 1000 + number).is_some() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    } else {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        for kill in 1..=KILLS {
            after(50);
            // Every other time there is something new to come back with.
            if kill % 2 == 0 {
                edge.publish(&Generation {
                    signed_with: kill as u8,
                    ..Generation::default()
                });
            }
            responder.signal(Signal::KILL);
            let killed = Instant::now();
            responder.wait();
            responder = Running::start_with(&edge, &flags);
            after(1);
            println!("kill {kill}: an answer again after {:?}", killed.elapsed());
        }
        after(50);
    });
    assert_eq!(responder.metric("hufu_connection_panics_total"), 0.0);
    let generation = responder.metric("hufu_generation_number");
    assert_eq!(generation, (1 + KILLS / 2) as f64);
}
