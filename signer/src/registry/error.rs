//! What can go wrong in the registry, and whose fault it is.

use wire::time::UnixSeconds;

use super::{ApplicationState, SubmissionNumber};
use crate::text::moment;

/// A refusal or failure of the registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The same schedule file was submitted before.
    #[error("this file was submitted before: it is submission {first}")]
    SameFile {
        /// The submission that holds it.
        first: SubmissionNumber,
    },
    /// No such submission.
    #[error("there is no submission {0}")]
    NoSubmission(SubmissionNumber),
    /// No such authority.
    #[error("there is no authority {0:?}")]
    NoAuthority(String),
    /// No such certificate.
    #[error("there is no such certificate")]
    NoCertificate,
    /// An authority of that alias or issuer id exists.
    #[error("an authority {0:?}, or one of the same name and key, is already founded")]
    AuthorityExists(String),
    /// The officer who approves took the application in.
    #[error(
        "{who} took submission {number} in as clerk and may not approve it: a second officer must"
    )]
    SameOfficer {
        /// The officer.
        who: String,
        /// The submission.
        number: SubmissionNumber,
    },
    /// Nobody can be held to account by such a name.
    #[error("{0:?} is no name of a clerk or officer")]
    NoName(String),
    /// The step does not follow from the state.
    #[error("submission {number} is {from}, it cannot become {to}", from = from.name(), to = to.name())]
    WrongState {
        /// The submission.
        number: SubmissionNumber,
        /// Its state.
        from: ApplicationState,
        /// The step asked for.
        to: ApplicationState,
    },
    /// A serial is used already.
    #[error("a serial of the lot is already used by this authority")]
    SerialUsed,
    /// The certificate is not in a state that allows this.
    #[error("certificate {serial} is {state}, not {wanted}")]
    WrongCertificateState {
        /// Its serial, hexadecimal.
        serial: String,
        /// Its state.
        state: String,
        /// What was needed.
        wanted: &'static str,
    },
    /// It was revoked before.
    #[error(
        "certificate {serial} was revoked before, {when}, on the ground {ground} (已于此前撤销)", when = moment(*at)
    )]
    AlreadyRevoked {
        /// Its serial, hexadecimal.
        serial: String,
        /// When.
        at: UnixSeconds,
        /// Why.
        ground: String,
    },
    /// A certificate for somebody that nobody approved, or one of our own that answers an item.
    #[error("a certificate of a subject answers an approved item, and no other certificate does")]
    NoItem,
    /// An item was approved for another authority.
    #[error("an item of the lot was approved for the authority {approved}, not for {reserved}")]
    OtherAuthority {
        /// Alias of the authority chosen at submission.
        approved: String,
        /// Alias of the one that was to sign.
        reserved: String,
    },
    /// The key was not yet certified, or the day is to come.
    #[error(
        "the key of certificate {serial} cannot have gone bad at {}: that is from {} until now (发生日期有误)",
        moment(*at), moment(*not_before)
    )]
    InvalidityDate {
        /// Its serial, hexadecimal.
        serial: String,
        /// The date that was given.
        at: UnixSeconds,
        /// Where it begins.
        not_before: UnixSeconds,
    },
    /// An item already has a certificate, or is reserved.
    #[error("an item of the lot already has a certificate reserved")]
    ItemTaken,
    /// Our own database holds something no version of this program writes.
    #[error("the registry holds an unreadable {what}: {value}")]
    Unreadable {
        /// Which column.
        what: &'static str,
        /// What stood there.
        value: String,
    },
    /// The database was written by a newer program or is not ours.
    #[error("the registry's schema does not fit this program")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("the registry's database failed")]
    Database(#[from] sqlx::Error),
    /// The runtime could not be built.
    #[error("no runtime for the registry")]
    Runtime(#[from] std::io::Error),
}
