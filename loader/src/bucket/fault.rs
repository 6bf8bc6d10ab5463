//! What goes wrong with a bucket, in words that stay the same from one attempt to the next: the library's own tell times,
//! retries and request numbers, and a log that is to say a thing once could not tell that it is the same thing.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// A request to a bucket that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {place}: {words}")]
pub struct BucketError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which object, as a URL.
    pub place: String,
    /// What kind of failure it is.
    pub fault: Fault,
    /// What the other side said.
    pub words: String,
}

/// Kinds of failures, as far as anybody here acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such object.
    Missing,
    /// It has not changed since the entity tag that was sent.
    Unchanged,
    /// A condition on a write did not hold: somebody else wrote.
    Condition,
    /// The bucket knows us not, or does not let us.
    Denied,
    /// Longer than such an object ever is.
    TooLong,
    /// It ends before the piece that was asked for.
    TooShort,
    /// Everything else: away, slow, broken. Trying again later may help.
    Away,
}

impl BucketError {
    /// From the library's error.
    pub(super) fn of(action: &'static str, place: String, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let words = words(error);
        let fault = match error {
            _ if words.starts_with("416") => Fault::TooShort,
            E::NotFound { .. } => Fault::Missing,
            E::NotModified { .. } => Fault::Unchanged,
            E::Precondition { .. } | E::AlreadyExists { .. } => Fault::Condition,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Fault::Denied,
            _ => Fault::Away,
        };
        BucketError {
            action,
            place,
            fault,
            words,
        }
    }

    /// As a file's error, for those who read a store wherever it is.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match self.fault {
            Fault::Missing => io::ErrorKind::NotFound,
            Fault::Denied => io::ErrorKind::PermissionDenied,
            Fault::TooLong => io::ErrorKind::FileTooLarge,
            Fault::TooShort => io::ErrorKind::UnexpectedEof,
            Fault::Unchanged | Fault::Condition | Fault::Away => io::ErrorKind::Other,
        };
        io::Error::new(kind, self.words)
    }

    /// As a store's error.
    pub(super) fn into_store(self, path: &Path) -> StoreError {
        StoreError::Unreadable {
            path: path.to_owned(),
            source: self.into_io(),
        }
    }
}

/// The innermost cause, shortened: `403 Forbidden, SignatureDoesNotMatch`, `Connection refused (os error 111)`.
fn words(error: &object_store::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let status = between(&text, "status code: ", ":");
    let code = between(&text, "<Code>", "</Code>");
    let words = match (status, code) {
        (Some(status), Some(code)) => format!("{}, {code}", status.trim()),
        (Some(status), None) => status.trim().to_owned(),
        (None, _) => text,
    };
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut words: String = plain.take(MAX_WORDS).collect();
    if ["301", "302", "303", "307", "308"]
        .iter()
        .any(|redirect| words.starts_with(redirect))
    {
        words.push_str("; redirects are not followed, say where the store really is");
    }
    words
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after).map_or(rest, |(inside, _)| inside))
}

/// Characters of what a server says that are worth repeating.
const MAX_WORDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_told_in_other_words_the_next_time() {
        let failure = |request: u32| {
            object_store::Error::Generic {
            store: "S3",
            source: format!(
                "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied\
                 </Code><RequestId>{request}</RequestId></Error>"
            )
            .into(),
        }
        };
        let say = |request| {
            BucketError::of("read", "s3://b/current".to_owned(), &failure(request)).to_string()
        };
        assert_eq!(say(1), say(2));
        assert_eq!(
            say(1),
            "cannot read s3://b/current: 403 Forbidden, AccessDenied"
        );
    }
}
