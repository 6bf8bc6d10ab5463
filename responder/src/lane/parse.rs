//! Octets → a simple request, borrowed; or that more must come; or that it is hyper's.
//!
//! RFC 9112 leaves a recipient much leeway (bare LF, folded lines, several equal lengths), and where two programs in a row
//! use it differently, one request becomes two. This reader uses none of it. What a request may hold is listed here, and
//! all that is not is [`Stop::NotSimple`].

use memchr::{memchr, memchr2};
use wire::request::MAX_REQUEST_OCTETS;

use crate::documents;
use crate::http::MAX_TARGET_OCTETS;

/// A whole request that the lane may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) question: Question<'a>,
    pub(super) version: Version,
    pub(super) after: After,
    /// Its length, head and body.
    pub(super) octets: usize,
}

/// Where the OCSP request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question<'a> {
    /// GET: in the path, if that is base64.
    Get(&'a [u8], Conditions<'a>),
    /// HEAD: the same, and the client wants the fields only.
    Head(&'a [u8], Conditions<'a>),
    /// POST: in the body.
    Post(&'a [u8]),
}

/// The copy that the client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions<'a> {
    pub(super) if_none_match: Option<&'a [u8]>,
    pub(super) if_modified_since: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
}

/// Why there is no simple request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More must come.
    Partial,
    /// It is something else, wrong or not: hyper's.
    NotSimple,
}

/// Reads the request at the front of `octets`.
#[inline]
pub(super) fn parse(octets: &[u8]) -> Result<Request<'_>, Stop> {
    let method = Method::read(octets)?;
    let mut lines = Lines { octets, at: 0 };
    let (path, version) = request_line(&lines.next()?[method.octets()..])?;
    let head = Head::read(&mut lines)?;

    let after = head.connection.unwrap_or(match version {
        Version::Http10 => After::Close,
        Version::Http11 => After::Keep,
    });
    let body = &octets[lines.at..];
    let (question, length) = match (method, head.content_length) {
        (Method::Get, None) => (Question::Get(path, head.conditions), 0),
        (Method::Head, None) => (Question::Head(path, head.conditions), 0),
        (Method::Post, Some(length)) if head.has_ocsp_type && path.iter().all(is_plain) => {
            let body = body.get(..length).ok_or(Stop::Partial)?;
            (Question::Post(body), length)
        }
        _ => return Err(Stop::NotSimple),
    };
    Ok(Request {
        question,
        version,
        after,
        octets: lines.at + length,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
}

impl Method {
    /// The first octets tell all else apart: TLS, HTTP/2, blank lines, other methods.
    fn read(octets: &[u8]) -> Result<Self, Stop> {
        for (word, method) in [
            (&b"GET /"[..], Self::Get),
            (b"POST /", Self::Post),
            (b"HEAD /", Self::Head),
        ] {
            if octets.starts_with(word) {
                return Ok(method);
            }
            if word.starts_with(octets) {
                return Err(Stop::Partial);
            }
        }
        Err(Stop::NotSimple)
    }

    /// The word and the space after it.
    fn octets(self) -> usize {
        match self {
            Self::Get => 4,
            Self::Head | Self::Post => 5,
        }
    }
}

/// `/path HTTP/1.1`, exactly one space.
fn request_line(line: &[u8]) -> Result<(&[u8], Version), Stop> {
    let (path, version) = line
        .split_last_chunk::<{ VERSION_OCTETS }>()
        .ok_or(Stop::NotSimple)?;
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        _ => return Err(Stop::NotSimple),
    };
    // The decoder of paths would take a space for a plus.
    let is_simple = path.len() <= MAX_TARGET_OCTETS && memchr2(b' ', b'\t', path).is_none();
    let is_document = std::str::from_utf8(path).map_or(true, documents::owns);
    if is_simple && !is_document {
        Ok((path, version))
    } else {
        Err(Stop::NotSimple)
    }
}

/// The lines of a head.
struct Lines<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its CR LF, of printable characters only.
    #[inline]
    fn next(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.octets[self.at..];
        let Some(end) = memchr(b'\n', rest) else {
            let so_far = rest.strip_suffix(b"\r").unwrap_or(rest);
            return Err(if is_clean(so_far) && self.octets.len() < MAX_HEAD_OCTETS {
                Stop::Partial
            } else {
                Stop::NotSimple
            });
        };
        // RFC 9112 §2.2: a bare CR is no line's end; a bare LF may be one, and is hyper's.
        self.at += end + 1;
        match rest[..end].split_last() {
            Some((b'\r', line)) if is_clean(line) && self.at <= MAX_HEAD_OCTETS => Ok(line),
            _ => Err(Stop::NotSimple),
        }
    }
}

/// What the fields say.
#[derive(Default)]
struct Head<'a> {
    host: Option<()>,
    connection: Option<After>,
    content_length: Option<usize>,
    content_type: Option<()>,
    has_ocsp_type: bool,
    conditions: Conditions<'a>,
}

impl<'a> Head<'a> {
    /// Reads fields to the empty line.
    #[inline]
    fn read(lines: &mut Lines<'a>) -> Result<Self, Stop> {
        let mut head = Self::default();
        for _ in 0..=MAX_FIELDS {
            let line = lines.next()?;
            if line.is_empty() {
                return Ok(head);
            }
            head.field(line)?;
        }
        Err(Stop::NotSimple)
    }

    fn field(&mut self, line: &'a [u8]) -> Result<(), Stop> {
        let colon = memchr(b':', line).ok_or(Stop::NotSimple)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // RFC 9112 §5.1: no space stands between a field's name and its colon.
        // RFC 9112 §5.2: a folded line, which has no name, is not accepted.
        if name.is_empty() || !name.iter().all(is_name) {
            return Err(Stop::NotSimple);
        }
        match Field::named(name) {
            Field::Ignored => Ok(()),
            Field::Host => once(&mut self.host, ()),
            Field::Connection => once(&mut self.connection, connection(value)?),
            Field::ContentLength => once(&mut self.content_length, content_length(value)?),
            Field::ContentType => {
                self.has_ocsp_type = value.eq_ignore_ascii_case(b"application/ocsp-request");
                once(&mut self.content_type, ())
            }
            Field::IfNoneMatch => once(&mut self.conditions.if_none_match, value),
            Field::IfModifiedSince => once(&mut self.conditions.if_modified_since, value),
            Field::NotSimple => Err(Stop::NotSimple),
        }
    }
}

/// Sets what may stand once: a second Content-Length is how requests are smuggled past a proxy.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Stop> {
    // RFC 9112 §6.3: lengths that contradict one another, or a length beside Transfer-Encoding, are never read leniently.
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Stop::NotSimple),
    }
}

/// One option that we know; a list of them, or another, is hyper's.
fn connection(value: &[u8]) -> Result<After, Stop> {
    if value.eq_ignore_ascii_case(b"keep-alive") {
        Ok(After::Keep)
    } else if value.eq_ignore_ascii_case(b"close") {
        Ok(After::Close)
    } else {
        Err(Stop::NotSimple)
    }
}

/// Digits alone, and no more than a request may have: `+5`, `5, 5` and `0x5` are hyper's, and so is 413.
fn content_length(value: &[u8]) -> Result<usize, Stop> {
    if value.is_empty() || value.len() > 4 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Stop::NotSimple);
    }
    let length = value
        .iter()
        .fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    if length <= MAX_REQUEST_OCTETS {
        Ok(length)
    } else {
        Err(Stop::NotSimple)
    }
}

/// What a field means to the lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Host,
    Connection,
    ContentLength,
    ContentType,
    IfNoneMatch,
    IfModifiedSince,
    /// It changes what the request is, or how the answer must be.
    NotSimple,
    /// RFC 9110 §5.1: fields that a recipient does not know are ignored.
    Ignored,
}

impl Field {
    fn named(name: &[u8]) -> Self {
        let known: &[(&[u8], Self)] = match name.len() {
            4 => &[(b"host", Self::Host)],
            5 => &[(b"range", Self::NotSimple)],
            // RFC 9110 §10.1.1: who waits for 100 is answered, with 100 or with the final status.
            6 => &[(b"expect", Self::NotSimple)],
            7 => &[(b"upgrade", Self::NotSimple), (b"trailer", Self::NotSimple)],
            8 => &[
                (b"if-match", Self::NotSimple),
                (b"if-range", Self::NotSimple),
            ],
            10 => &[(b"connection", Self::Connection)],
            12 => &[(b"content-type", Self::ContentType)],
            13 => &[(b"if-none-match", Self::IfNoneMatch)],
            14 => &[
                (b"content-length", Self::ContentLength),
                (b"http2-settings", Self::NotSimple),
            ],
            16 => &[(b"content-encoding", Self::NotSimple)],
            17 => &[
                (b"if-modified-since", Self::IfModifiedSince),
                (b"transfer-encoding", Self::NotSimple),
            ],
            19 => &[(b"if-unmodified-since", Self::NotSimple)],
            _ => &[],
        };
        known
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map_or(Self::Ignored, |(_, field)| *field)
    }
}

/// True if there is no control character but the tab. Written without an early end, so that sixteen octets are one step.
#[inline]
fn is_clean(octets: &[u8]) -> bool {
    octets.iter().fold(true, |clean, octet| {
        clean & ((*octet >= b' ') & (*octet != 0x7F) | (*octet == b'\t'))
    })
}

/// RFC 9110 §5.6.2: what names are made of.
fn is_name(octet: &u8) -> bool {
    NAME[usize::from(*octet)]
}

const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let symbols = b"!#$%&'*+-.^_`|~";
    let mut octet = 0;
    while octet < 256 {
        table[octet] = (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let mut index = 0;
    while index < symbols.len() {
        table[symbols[index] as usize] = true;
        index += 1;
    }
    table
};

/// Of the paths that are not base64, those that no reader of URIs disputes.
fn is_plain(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || b"/-._~%+=".contains(octet)
}

/// Octets of a head; hyper refuses one that is longer than its buffer.
pub(super) const MAX_HEAD_OCTETS: usize = 8_000;

/// Fields of a head; OCSP clients send five, browsers fifteen.
const MAX_FIELDS: usize = 64;

const VERSION_OCTETS: usize = b" HTTP/1.1".len();
