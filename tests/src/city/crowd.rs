//! Who asks for answers: each thread at its own pace, over its own connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Plan;
use super::line::Line;
use super::tally::{Outcome, Tally};
use super::truth::{Exchange, Truth, Voice, clock};
use super::witness::Witness;
use crate::http::{Connection, Response};
use crate::pki::{Answer, Hash, Parameters, Status, cert_id, request};

/// All that those who ask have in common.
#[derive(Debug)]
pub struct Crowd<'a> {
    /// Whom they ask.
    pub line: &'a Line,
    /// What may be said.
    pub truth: &'a Truth,
    /// Who verifies.
    pub witness: &'a Witness,
    /// Where it is counted.
    pub tally: &'a Tally,
    /// How much.
    pub plan: &'a Plan,
    /// Set when the day is over.
    pub over: &'a AtomicBool,
    /// When the day began.
    pub dawn: Instant,
}

/// How a question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Get,
    GetAlone,
    GetIfChanged,
    Post,
    Nonce,
    Several,
    NeverIssued,
}

impl Manner {
    fn kind(self) -> &'static str {
        super::tally::KINDS[self as usize]
    }
}

/// One who asks.
struct Asker<'a> {
    crowd: &'a Crowd<'a>,
    drawn: u64,
    connection: Option<(Connection, Instant)>,
    /// The last answers by GET and their tags.
    kept: HashMap<usize, (String, Answer)>,
}

impl<'a> Crowd<'a> {
    /// Sends everybody out; they come home when the day is over.
    pub(super) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let threads = [
            (GETS, self.plan.gets / 2, true),
            (GETS, self.plan.gets.div_ceil(2), true),
            (POSTS, self.plan.posts, false),
            (LIVE, self.plan.live / 2, false),
            (LIVE, self.plan.live.div_ceil(2), false),
        ];
        for (number, (manners, rate, bursts)) in threads.into_iter().enumerate() {
            scope.spawn(move || self.ask(number as u64, manners, rate, bursts));
        }
    }

    fn ask(&self, number: u64, manners: &[Manner], rate: u32, bursts: bool) {
        let mut asker = Asker {
            crowd: self,
            drawn: 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(number + 1),
            connection: None,
            kept: HashMap::new(),
        };
        let mut due = Instant::now();
        for turn in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            asker.ask(manners[turn % manners.len()]);
            let times = if bursts && self.in_burst() {
                self.plan.burst
            } else {
                1
            };
            due += Duration::from_secs(1) / (rate * times).max(1);
            let now = Instant::now();
            // Who is late by more than a second on this machine does not catch up.
            due = due.max(now - Duration::from_secs(1).min(now.duration_since(self.dawn)));
            std::thread::sleep(due.saturating_duration_since(now));
        }
    }

    /// Four times a day, for a twentieth of it.
    fn in_burst(&self) -> bool {
        let part = self.dawn.elapsed().as_secs_f64() / self.plan.length.as_secs_f64();
        (part * 4.0).fract() < 0.2
    }

    /// Waits until then.
    pub(super) fn sleep_until(&self, then: Instant) {
        std::thread::sleep(then.saturating_duration_since(Instant::now()));
    }
}

/// A question as it is put.
struct Question {
    manner: Manner,
    /// About whom; nobody, if the serial was never issued.
    about: Vec<usize>,
    ids: Vec<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

impl Asker<'_> {
    fn ask(&mut self, manner: Manner) {
        let question = self.question(manner);
        let kind = manner.kind();
        let begun = Instant::now();
        if manner == Manner::GetAlone {
            self.connection = None;
        }
        let opened = match self.connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(self.crowd.line.ocsp).map(|connection| (connection, begun)),
        };
        let (mut connection, opened) = match opened {
            Ok(open) => open,
            Err(error) => return self.crowd.tally.failed(kind, begun, error.to_string()),
        };
        let sent_at = clock();
        let sent = Instant::now();
        let response = match self.send(&mut connection, &question) {
            Ok(response) => response,
            Err(error) => return self.crowd.tally.failed(kind, opened, error.to_string()),
        };
        let exchange = Exchange {
            sent,
            received: Instant::now(),
        };
        if manner != Manner::GetAlone {
            self.connection = Some((connection, opened));
        }
        match self.judge(&question, &response, exchange, sent_at) {
            Ok((outcome, fell_back)) => {
                let took = exchange.received - sent;
                self.crowd.tally.right(kind, outcome, fell_back, took);
            }
            Err(why) => self.crowd.tally.wrong(kind, &why),
        }
    }

    fn question(&mut self, manner: Manner) -> Question {
        let truth = self.crowd.truth;
        let (drawn, form) = (self.draw(), self.draw());
        let hash = if form % 2 == 0 || manner == Manner::GetIfChanged {
            Hash::Sha1
        } else {
            Hash::Sha256
        };
        let about = match manner {
            Manner::NeverIssued => Vec::new(),
            Manner::Several => vec![truth.somebody(drawn), truth.somebody(self.draw())],
            // A few, who are asked about again and again.
            Manner::GetIfChanged => {
                let number = drawn % u64::from(self.crowd.plan.revocations.max(1));
                vec![truth.victim(u32::try_from(number).unwrap_or(0))]
            }
            _ => vec![truth.somebody(drawn)],
        };
        let issuer = self.crowd.witness.issuer();
        let id = |serial: &[u8]| cert_id(hash, Parameters::Null, issuer, serial);
        let mut ids: Vec<_> = about.iter().map(|which| id(truth.serial(*which))).collect();
        if ids.is_empty() {
            // A positive INTEGER without leading zeros, shorter than any that was issued.
            ids.push(id(&form.to_be_bytes().map(|octet| octet & 0x7F | 1)));
        }
        let wants_nonce = manner == Manner::Nonce || manner == Manner::Several && form % 4 < 2;
        Question {
            manner,
            about,
            ids,
            nonce: wants_nonce.then(|| [drawn, form].map(u64::to_be_bytes).concat()),
        }
    }

    fn send(&self, connection: &mut Connection, question: &Question) -> std::io::Result<Response> {
        let ids: Vec<&[u8]> = question.ids.iter().map(Vec::as_slice).collect();
        let octets = request(&ids, question.nonce.as_deref());
        let text = STANDARD.encode(&octets);
        let target = text
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        let get = |version, headers: &[&str]| {
            (
                format!("GET /{target} HTTP/{version}"),
                headers.to_vec().join("\r\n"),
            )
        };
        let (line, header) = match question.manner {
            Manner::Get => get("1.1", &["Host: city"]),
            // As stock clients ask: no Host, and the end of the connection is the end of it.
            Manner::GetAlone => get("1.0", &["Accept: */*"]),
            Manner::GetIfChanged => {
                let kept = self.kept.get(&question.about[0]);
                let tag = kept.map_or("\"none\"", |(tag, _)| tag.as_str());
                get("1.1", &["Host: city", &format!("If-None-Match: {tag}")])
            }
            _ => return connection.ask(&octets),
        };
        connection.send(&line, &[&*header], b"")
    }

    /// What the answer came to, and whether it was signed ahead although a nonce was asked for.
    fn judge(
        &mut self,
        question: &Question,
        response: &Response,
        exchange: Exchange,
        sent_at: u64,
    ) -> Result<(Outcome, bool), String> {
        let (truth, witness) = (self.crowd.truth, self.crowd.witness);
        if response.status == 304 && question.manner == Manner::GetIfChanged {
            let which = question.about[0];
            let (_, kept) = self.kept.get(&which).ok_or("304, and nothing was kept")?;
            witness.still_in_force(kept, sent_at)?;
            truth.judge(which, kept.single().status, Voice::Ahead, exchange)?;
            return Ok((Outcome::Unchanged, false));
        }
        if response.status != 200 {
            return Err(format!("HTTP status {}", response.status));
        }
        let ids: Vec<&[u8]> = question.ids.iter().map(Vec::as_slice).collect();
        let nonce = question.nonce.as_deref();
        let answer = witness.read(&response.body, &ids, nonce, sent_at)?;
        let basic = match &answer {
            Answer::Refused(UNAUTHORIZED) if question.about.is_empty() => {
                return Ok((Outcome::Refused, false));
            }
            // Two certificates are answered live or not at all: the lane may be late.
            Answer::Refused(TRY_LATER) if question.about.len() > 1 => {
                return Ok((Outcome::Refused, false));
            }
            Answer::Refused(code) => return Err(format!("refused with {code}")),
            Answer::Signed(_) if question.about.is_empty() => {
                return Err("somebody answers for a serial that nobody issued".to_owned());
            }
            Answer::Signed(basic) => basic,
        };
        let is_live = basic.nonce().is_some() || question.about.len() > 1;
        let voice = if is_live { Voice::Live } else { Voice::Ahead };
        for (single, which) in basic.singles.iter().zip(&question.about) {
            truth.judge(*which, single.status, voice, exchange)?;
        }
        let outcome = match basic.singles[0].status {
            Status::Revoked(..) => Outcome::Revoked,
            _ => Outcome::Good,
        };
        if question.manner == Manner::GetIfChanged {
            let tag = response.header("etag").ok_or("an answer without a tag")?;
            self.kept
                .insert(question.about[0], (tag.to_owned(), answer));
        }
        Ok((outcome, nonce.is_some() && !is_live))
    }

    /// xorshift: the same questions every day, in the same order.
    fn draw(&mut self) -> u64 {
        self.drawn ^= self.drawn << 13;
        self.drawn ^= self.drawn >> 7;
        self.drawn ^= self.drawn << 17;
        self.drawn
    }
}

const GETS: &[Manner] = &[
    Manner::Get,
    Manner::GetIfChanged,
    Manner::Get,
    Manner::GetAlone,
];
const POSTS: &[Manner] = &[Manner::Post];
const LIVE: &[Manner] = &[
    Manner::Nonce,
    Manner::Nonce,
    Manner::Several,
    Manner::NeverIssued,
];
const TRY_LATER: u8 = 3;
const UNAUTHORIZED: u8 = 6;
