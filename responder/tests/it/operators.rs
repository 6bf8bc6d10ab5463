//! What operators see is what is.

use crate::edge::{Edge, Generation, now, status_of};
use crate::forms::{get, post};
use crate::process::{Running, Says, wait_for};
use crate::reload::wait_until_served;

// RFC 9919 §3.2.1: which CertID hash clients use is noted, so that SHA-1 can be retired one day.
#[test]
fn outcome_is_counted_under_another_name_or_not_at_all() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    for number in 1000..1020 {
        wire.send(get(number));
        wire.read();
    }
    responder.ask(get(3));
    responder.ask(post(b"?"));
    for (sample, value) in [
        ("hufu_ocsp_responses_total{outcome=\"good\"}", 18.0),
        ("hufu_ocsp_responses_total{outcome=\"revoked\"}", 2.0),
        ("hufu_ocsp_responses_total{outcome=\"unknown_serial\"}", 1.0),
        ("hufu_ocsp_responses_total{outcome=\"malformed\"}", 1.0),
        (
            "hufu_ocsp_responses_total{outcome=\"past_next_update\"}",
            0.0,
        ),
        ("hufu_ocsp_requests_total{method=\"get\"}", 21.0),
        ("hufu_ocsp_requests_total{method=\"post\"}", 1.0),
        (
            "hufu_ocsp_answers_total{algorithm=\"ecdsa-p256-sha256\",cert_id=\"sha1\"}",
            20.0,
        ),
        ("hufu_ocsp_cert_ids_total{cert_id=\"sha1\"}", 21.0),
        ("hufu_ocsp_cert_ids_total{cert_id=\"other\"}", 0.0),
        ("hufu_ocsp_duration_seconds_count", 22.0),
        ("hufu_ocsp_duration_seconds_bucket{le=\"+Inf\"}", 22.0),
        ("hufu_connections_accepted_total", 3.0),
        ("hufu_generation_number", 1.0),
        ("hufu_issuer_records{", 1000.0),
        ("hufu_ready", 1.0),
    ] {
        assert_eq!(responder.metric(sample), value, "{sample}");
    }
    wait_for("those that have left to be taken off", || {
        (responder.metric("hufu_connections_open") == 1.0).then_some(())
    });
}

#[test]
fn change_of_status_is_visible_and_nobody_knows_how_late() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    // What it found at its start is not news.
    assert_eq!(responder.metric("hufu_change_visible_seconds_count"), 0.0);
    let resealed = edge.publish(&Generation {
        signed_with: 1,
        ..Generation::default()
    });
    wait_until_served(&responder, resealed);
    assert_eq!(
        responder.metric("hufu_change_visible_seconds_count"),
        0.0,
        "nothing has changed in it"
    );
    let changed = edge.publish(&Generation {
        revision: 2,
        ..Generation::default()
    });
    wait_until_served(&responder, changed);
    wait_for("the change to be counted", || {
        (responder.metric("hufu_change_visible_seconds_count") == 1.0).then_some(())
    });
    let late = responder.metric("hufu_change_visible_seconds_sum");
    assert!((0.0..3600.0).contains(&late), "{late}");
}

#[test]
fn last_of_many_changes_is_late_and_only_the_first_is_measured() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let piece = |piece, serial| Generation {
        changed: vec![(serial, status_of(7))],
        piece,
        ..Generation::default()
    };
    let joined = |newest: Generation| Generation {
        signed_with: 1,
        ..newest
    };
    let steps = [
        (piece(0, 1001), 1.0, "the first piece"),
        (piece(1, 1002), 2.0, "the next one, of the same revision"),
        (
            joined(piece(1, 1002)),
            2.0,
            "nothing that was not told before",
        ),
        (piece(2, 1003), 3.0, "one more piece behind it"),
        // With this one in place all before it were counted: the one that was joined, had it been, makes four.
        (joined(piece(2, 1003)), 3.0, "nothing again"),
    ];
    for (generation, times, which) in steps {
        let number = edge.publish(&generation);
        wait_until_served(&responder, number);
        // Counted when it is in place, a moment after that.
        let seen = wait_for(which, || {
            let seen = responder.metric("hufu_change_visible_seconds_count");
            (seen >= times).then_some(seen)
        });
        assert_eq!(seen, times, "{which}");
    }
}

#[test]
fn cut_off_edge_keeps_saying_good_unnoticed() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        valid_for: -10,
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    let ready = responder.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        String::from_utf8(ready.body)
            .unwrap()
            .contains("was valid until")
    );
    assert_eq!(responder.metric("hufu_ready"), 0.0);
    assert_eq!(
        responder.ask(get(1000)).says(),
        Says::Good,
        "the default policy serves until nextUpdate"
    );
    drop(responder);

    let responder = Running::start_with(&edge, &["--past-valid-until", "try-later"]);
    assert_eq!(responder.ask(get(1000)).says(), Says::TryLater);
    assert_eq!(
        responder.metric("hufu_ocsp_responses_total{outcome=\"past_valid_until\"}"),
        1.0
    );
}

#[test]
fn foreign_crl_that_runs_out_takes_the_edge_out_of_service() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        window: (-100, 1),
        foreign: true,
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(
        responder.ask(get(1000)).says(),
        Says::TryLater,
        "what has run out is not served"
    );
    assert_eq!(responder.admin("/readyz").status, 200);
    assert_eq!(responder.metric("hufu_issuer_foreign{"), 1.0);
    assert!(responder.metric("hufu_issuer_next_update_timestamp_seconds{") <= now() as f64);
}

#[test]
fn crl_that_is_about_to_run_out_is_seen_by_nobody() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let ends =
        responder.metric("hufu_document_next_update_timestamp_seconds{document=\"/crl/test.crl\"}");
    assert!((ends - now() as f64 - 86_400.0).abs() < 60.0, "{ends}");
}

#[test]
fn strangers_read_metrics_or_operators_find_nothing() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    assert_eq!(
        responder
            .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .says(),
        Says::Malformed
    );
    assert_eq!(responder.admin("/healthz").status, 200);
    assert_eq!(responder.admin("/readyz").status, 200);
    assert_eq!(responder.admin("/").status, 404);
    assert!(
        responder
            .admin("/metrics")
            .header("content-type")
            .starts_with("text/plain")
    );
}
