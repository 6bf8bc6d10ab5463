//! Who fetches lists: whole, the delta after it, and the whole once more in two parts.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::tally::Outcome;
use super::truth::{Exchange, clock};
use super::witness::List;
use crate::http::{Connection, Response};

/// Fetches lists until the day is over.
pub(super) fn read(crowd: &Crowd<'_>) {
    let pause = Duration::from_secs(1) / crowd.plan.lists.max(1);
    let mut newest = 0;
    while !crowd.over.load(Ordering::Relaxed) {
        let opened = Instant::now();
        match once(crowd, &mut newest) {
            Ok(()) => {}
            Err(Fault::Wrong(why)) => crowd.tally.wrong(KIND, &why),
            Err(Fault::Failed(why)) => crowd.tally.failed(KIND, opened, why),
        }
        std::thread::sleep(pause.saturating_sub(opened.elapsed()));
    }
}

enum Fault {
    Wrong(String),
    Failed(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

fn once(crowd: &Crowd<'_>, newest: &mut u64) -> Result<(), Fault> {
    let (whole, first) = fetch(crowd, FULL, &[])?;
    let list = judged(crowd, &whole, first)?;
    if list.number < *newest {
        return Err(Fault::Wrong(format!("list {} after {newest}", list.number)));
    }
    *newest = list.number;
    let (delta, second) = fetch(crowd, DELTA, &[])?;
    let delta = judged(crowd, &delta, second)?;
    let base = delta
        .base
        .ok_or_else(|| "a delta without a base".to_owned())?;
    // A delta goes with a list whose number is its base's or above (RFC 5280 §5.2.4). Otherwise the list has been renewed
    // between the two.
    if base <= list.number && delta.number >= list.number {
        together(crowd, &list, &delta, first, second)?;
    }
    in_parts(crowd, &whole)
}

/// Both say who is revoked.
fn together(
    crowd: &Crowd<'_>,
    list: &List,
    delta: &List,
    first: Exchange,
    second: Exchange,
) -> Result<(), Fault> {
    let (list, delta) = (&list.crl.revoked, &delta.crl.revoked);
    let listed = |serial: &[u8]| list.contains_key(serial) || delta.contains_key(serial);
    let fresh = delta.keys().filter(|serial| !list.contains_key(*serial));
    let exchange = Exchange {
        sent: first.sent,
        received: second.received,
    };
    crowd
        .truth
        .judge_lists(&listed, list.len() + fresh.count(), exchange)?;
    Ok(())
}

/// Parts of the list that was fetched, or the whole of another (RFC 9110 §13.1.5).
fn in_parts(crowd: &Crowd<'_>, whole: &Response) -> Result<(), Fault> {
    let tag = whole
        .header("etag")
        .ok_or_else(|| "a list without a tag".to_owned())?;
    let condition = format!("If-Range: {tag}");
    let half = whole.body.len() / 2;
    for (range, part) in [
        (format!("Range: bytes=0-{}", half - 1), &whole.body[..half]),
        (format!("Range: bytes={half}-"), &whole.body[half..]),
    ] {
        let (response, exchange) = fetch(crowd, FULL, &[&range, &condition])?;
        match response.status {
            206 if response.body == part => {
                let took = exchange.received - exchange.sent;
                crowd.tally.right(KIND, Outcome::Read, false, took);
            }
            206 => return Err(Fault::Wrong(format!("another part than {range}"))),
            _ => {
                let _ = judged(crowd, &response, exchange)?;
            }
        }
    }
    Ok(())
}

fn judged(crowd: &Crowd<'_>, response: &Response, exchange: Exchange) -> Result<List, Fault> {
    if response.status != 200 {
        return Err(Fault::Wrong(format!("HTTP status {}", response.status)));
    }
    // Seconds are let go of: the list is dated by them.
    let sent_at = clock() - exchange.sent.elapsed().as_secs();
    let list = crowd.witness.list(&response.body, sent_at)?;
    let took = exchange.received - exchange.sent;
    crowd.tally.right(KIND, Outcome::Read, false, took);
    Ok(list)
}

fn fetch(crowd: &Crowd<'_>, path: &str, headers: &[&str]) -> Result<(Response, Exchange), Fault> {
    let failed = |error: std::io::Error| Fault::Failed(format!("{path}: {error}"));
    let mut connection = Connection::open(crowd.line.ocsp).map_err(failed)?;
    let sent = Instant::now();
    let headers = [&["Host: city", "Connection: close"], headers].concat();
    let response = connection
        .send(&format!("GET {path} HTTP/1.1"), &headers, b"")
        .map_err(failed)?;
    let received = Instant::now();
    Ok((response, Exchange { sent, received }))
}

const KIND: &str = "list";
const FULL: &str = "/crl/p256.crl";
const DELTA: &str = "/crl/p256.delta.crl";
