//! A revocation is on the wire soon after it is said, and no request fails while generations change under it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http::{self, Connection};
use hufu_tests::office::{Office, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::Raises;

/// A second in a release build on a quiet machine; this is neither.
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);

fn question(issuer: &Certificate, serial: &[u8]) -> Vec<u8> {
    request(
        &[&cert_id(Hash::Sha1, Parameters::Null, issuer, serial)],
        None,
    )
}

#[test]
fn revocations_become_visible_and_no_request_fails_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("data"));
    let office = Office {
        data: demo.data.clone(),
    };
    let issuer = demo.certificate(Authority::P256, "issuer");
    let serials = office.serials("p256");
    let steady = question(&issuer, &demo.certificate(Authority::P256, "good").serial);

    let stop = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        let asking = || {
            let mut connection = Connection::open(demo.ocsp).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let kept = connection.ask(&steady).unwrap();
                let fresh = http::ask(demo.ocsp, &steady).unwrap();
                for response in [kept, fresh] {
                    assert_eq!(response.status, 200);
                    assert_eq!(Answer::read(&response.body).single().status, Status::Good);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let clients = [scope.spawn(asking), scope.spawn(asking)];
        let stops = Raises(&stop);
        // The first few are the demo's own: one stays good, three are revoked already.
        for serial in serials.iter().skip(10).take(8) {
            office.revoke("p256", serial);
            let began = Instant::now();
            let asks = question(&issuer, &serial_octets(serial));
            loop {
                let answer = Answer::read(&http::ask(demo.ocsp, &asks).unwrap().body);
                if matches!(answer.single().status, Status::Revoked(..)) {
                    break;
                }
                assert!(
                    began.elapsed() < VISIBLE_WITHIN,
                    "{serial} is still {answer:?}\n{}",
                    demo.up.said()
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            waits.push(began.elapsed());
        }
        drop(stops);
        for client in clients {
            client.join().unwrap();
        }
    });
    waits.sort();
    let asked = asked.into_inner();
    eprintln!("{asked} answers without a failure; revoke → revoked: {waits:?}");
    assert_eq!(
        waits.len(),
        8,
        "the demo has too few certificates to revoke"
    );
    assert!(asked > 0, "nobody asked meanwhile");
}
