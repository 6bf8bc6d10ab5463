//! Caches get what RFC 9919 §6 promises them.

use crate::edge::{Edge, Generation, now, request};
use crate::forms::{get, post};
use crate::process::{Running, Says, wait_for};

fn with(request: &str, header: &str) -> String {
    request.replace("Host: x\r\n", &format!("Host: x\r\n{header}\r\n"))
}

// RFC 9919 §6: a cacheable answer carries Content-Type, Content-Length, Last-Modified, ETag, Expires, Cache-Control and Date.
#[test]
fn cache_downloads_an_unchanged_answer_again() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let full = responder.ask(get(1000));
    let tag = full.header("etag").to_owned();
    for condition in [
        format!("If-None-Match: {tag}"),
        format!("If-None-Match: \"other\", W/{tag}"),
        "If-None-Match: *".to_owned(),
        format!("If-Modified-Since: {}", full.header("last-modified")),
    ] {
        let mut wire = responder.connect();
        // A second request proves that no body came with the 304.
        wire.send(with(&get(1000), &condition) + &get(1007));
        let response = wire.read();
        assert_eq!(response.status, 304, "{condition}");
        for name in ["etag", "expires", "cache-control", "last-modified"] {
            assert_eq!(response.header(name), full.header(name), "{name}");
        }
        assert!(!response.headers.contains_key("content-type"));
        assert_eq!(wire.read().says(), Says::Revoked);
    }
    assert_eq!(responder.metric("hufu_http_not_modified_total"), 4.0);
}

#[test]
fn cache_keeps_a_good_that_has_become_revoked() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let before = responder.ask(get(1000));
    let number = edge.publish(&Generation {
        signed_with: 1,
        ..Generation::default()
    });
    crate::reload::wait_until_served(&responder, number);
    let conditional = with(
        &get(1000),
        &format!("If-None-Match: {}", before.header("etag")),
    );
    let after = responder.ask(conditional);
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), before.header("etag"));
}

#[test]
fn date_condition_keeps_a_good_that_has_become_revoked() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let before = responder.ask(get(1000));
    let number = edge.publish(&Generation {
        records: vec![(1000, crate::edge::status_of(7))],
        // Signed before the client asked, published after it.
        window: (-30, 86_400),
        ..Generation::default()
    });
    crate::reload::wait_until_served(&responder, number);
    for date in [before.header("last-modified"), before.header("date")] {
        let conditional = with(&get(1000), &format!("If-Modified-Since: {date}"));
        assert_eq!(responder.ask(conditional).says(), Says::Revoked, "{date}");
    }
}

#[test]
fn date_condition_keeps_a_good_of_the_second_in_which_it_was_revoked() {
    let mut edge = Edge::filled();
    let responder = Running::start(&edge);
    let good = responder.ask(get(1000));
    let date = good.header("last-modified");
    let signed = httpdate::parse_http_date(date).unwrap();
    let signed = signed.duration_since(std::time::UNIX_EPOCH).unwrap();
    let revoked = wait_for("an answer signed in the same second", || {
        let began = signed.as_secs() as i64 - now() as i64;
        let number = edge.publish(&Generation {
            records: vec![(1000, crate::edge::status_of(7))],
            window: (began, 86_400),
            ..Generation::default()
        });
        crate::reload::wait_until_served(&responder, number);
        let revoked = responder.ask(get(1000));
        (revoked.header("last-modified") == date).then_some(revoked)
    });
    assert_eq!((good.says(), revoked.says()), (Says::Good, Says::Revoked));
    let conditional = with(&get(1000), &format!("If-Modified-Since: {date}"));
    assert_eq!(responder.ask(conditional).says(), Says::Revoked);
    // Its tag tells the two apart.
    let tag = format!("If-None-Match: {}", revoked.header("etag"));
    assert_eq!(responder.ask(with(&get(1000), &tag)).status, 304);
}

#[test]
fn answer_has_been_modified_in_the_future() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        window: (200, 86_400),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    for request in [
        get(1000),
        "GET /crl/test.crl HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
    ] {
        let response = responder.ask(&request);
        assert_eq!(response.status, 200);
        assert!(
            !response.headers.contains_key("last-modified"),
            "{response:?}"
        );
        let ahead = "If-Modified-Since: Fri, 31 Dec 2049 23:59:59 GMT";
        assert_eq!(responder.ask(with(&request, ahead)).status, 200);
    }
}

#[test]
fn two_answers_share_a_tag() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let one = responder.ask(get(1000));
    let two = responder.ask(get(1001));
    assert_ne!(one.header("etag"), two.header("etag"));
    let crossed = with(
        &get(1001),
        &format!("If-None-Match: {}", one.header("etag")),
    );
    assert_eq!(responder.ask(crossed).status, 200);
}

// RFC 9110 §13.1: conditions are for GET and HEAD.
#[test]
fn post_is_answered_with_304() {
    let edge = Edge::filled();
    let responder = Running::start(&edge);
    let request = String::from_utf8_lossy(&post(b""))
        .replace("Length: 0", &format!("Length: {}", request(1000).len()));
    let conditional = with(&request, "If-None-Match: *");
    let response = responder.ask([conditional.as_bytes(), &crate::edge::request(1000)].concat());
    assert_eq!(response.says(), Says::Good);
}

// RFC 9919 §6: max-age ends no later than nextUpdate.
#[test]
fn answer_may_be_kept_past_its_next_update() {
    let mut edge = Edge::new();
    let published = now();
    edge.publish(&Generation {
        window: (-60, 280),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    let response = responder.ask(get(1000));
    let cache_control = response.header("cache-control");
    let (age, rest) = cache_control
        .strip_prefix("max-age=")
        .unwrap()
        .split_once(',')
        .unwrap();
    let age: u64 = age.parse().unwrap();
    assert_eq!(rest, " public, no-transform, must-revalidate");
    let seconds = |name| {
        let date = httpdate::parse_http_date(response.header(name)).unwrap();
        let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_secs()
    };
    // Less than the policy allows, and no more than is left.
    assert_eq!(age, seconds("expires") - seconds("date"));
    assert!((1..300).contains(&age), "{age}");
    assert!(seconds("expires") >= published + 280);
}

#[test]
fn policy_does_not_bound_max_age() {
    let edge = Edge::filled();
    let responder = Running::start_with(&edge, &["--max-age-secs", "42"]);
    assert!(
        responder
            .ask(get(1000))
            .header("cache-control")
            .starts_with("max-age=42,")
    );
}

// RFC 6960 §4.2.2.1: an answer past its nextUpdate is unreliable, so it is not given.
#[test]
fn stale_answer_is_served() {
    let mut edge = Edge::new();
    // Between these two seconds lies the end of its window.
    let earliest = now() + 4;
    edge.publish(&Generation {
        window: (-100, 4),
        ..Generation::default()
    });
    let latest = now() + 4;
    let responder = Running::start(&edge);
    let mut wire = responder.connect();
    wait_for("the end of the window", || {
        let asked = now();
        wire.send(get(1000));
        let says = wire.read().says();
        assert!(says == Says::TryLater || asked <= latest, "stale: {says:?}");
        assert!(says == Says::Good || now() >= earliest, "fresh: {says:?}");
        (says == Says::TryLater).then_some(())
    });
    assert_eq!(
        responder.metric("hufu_ocsp_responses_total{outcome=\"past_next_update\"}"),
        1.0
    );
    let ready = responder.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        String::from_utf8(ready.body)
            .unwrap()
            .contains("past their nextUpdate")
    );
}

// RFC 6960 §4.2.2.1: nor is one whose thisUpdate lies ahead, beyond what two clocks may differ by.
#[test]
fn answer_from_the_future_is_served() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        window: (200, 86_400),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    assert_eq!(
        responder.ask(get(1000)).says(),
        Says::Good,
        "clocks differ by minutes"
    );
    drop(responder);
    edge.publish(&Generation {
        window: (400, 86_400),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    assert_eq!(responder.ask(get(1000)).says(), Says::TryLater);
    assert_eq!(responder.admin("/readyz").status, 503);
}

#[test]
fn newest_answers_begin_ahead_and_readiness_sees_only_the_oldest() {
    let mut edge = Edge::new();
    edge.publish(&Generation {
        another_window: Some(400),
        ..Generation::default()
    });
    let responder = Running::start(&edge);
    let ready = responder.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(String::from_utf8(ready.body).unwrap().contains("ahead"));
}
