//! Certificates: `reserved → issued → (held) → revoked | expired | superseded`.

use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use super::{AuthorityId, ItemId, Revision, SubjectKind, SubmissionNumber};

/// Row number of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(pub i64);

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// A person's, unit's or device's.
    Subject,
    /// A delegated OCSP signer's.
    OcspSigner,
    /// An authority's, certified by its parent.
    Authority,
}

impl CertificateKind {
    /// As stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::OcspSigner => "ocsp-signer",
            Self::Authority => "authority",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Subject, Self::OcspSigner, Self::Authority]
            .into_iter()
            .find(|k| k.name() == name)
    }
}

/// Where a certificate is in its life. Stored state: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateState {
    /// Serial and to-be-signed octets are stored; nothing is signed that counts. On the wire: unauthorized.
    Reserved,
    /// Signed and stored: good.
    Issued,
    /// Suspended: revoked with certificateHold.
    Held,
    /// Revoked.
    Revoked,
    /// Past notAfter: its last status until the archive period ends.
    Expired,
    /// Replaced by a newer one: good until expiry, unless the profile revokes.
    Superseded,
}

impl CertificateState {
    /// All of them, in the order of life.
    pub const ALL: [Self; 6] = [
        Self::Reserved,
        Self::Issued,
        Self::Held,
        Self::Revoked,
        Self::Expired,
        Self::Superseded,
    ];

    /// As stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Issued => "issued",
            Self::Held => "held",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }

    /// From what is stored or typed.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A certificate about to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Who signs it.
    pub authority: AuthorityId,
    /// Its serial; the to-be-signed octets say the same.
    pub serial: Serial,
    /// The item it answers, if it comes from a form.
    pub item: Option<ItemId>,
    /// What it is for.
    pub kind: CertificateKind,
    /// TBSCertificate, DER.
    pub tbs: Vec<u8>,
    /// notBefore.
    pub not_before: UnixSeconds,
    /// notAfter.
    pub not_after: UnixSeconds,
    /// File name of its key, where we hold it (OCSP signers; demo keys until delivered).
    pub key_file: Option<String>,
    /// The partition whose list it names; none: the list of all.
    pub crl_partition: Option<u32>,
}

/// A certificate that was reserved and not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Row number.
    pub id: CertificateId,
    /// What was reserved.
    pub reservation: Reservation,
    /// When.
    pub reserved_at: UnixSeconds,
}

/// A signed certificate, ready to be stored over its reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its reservation.
    pub id: CertificateId,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

/// The status of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// Serial.
    pub serial: Serial,
    /// What OCSP says of it: good or revoked.
    pub status: CertStatus,
    /// Where it is in its life (tells expired from live).
    pub state: CertificateState,
    /// Since when its key is thought bad (CRL entry extension invalidityDate).
    pub invalidity_date: Option<UnixSeconds>,
    /// notBefore.
    pub not_before: UnixSeconds,
    /// notAfter.
    pub not_after: UnixSeconds,
    /// The revision of its last change.
    pub revision: Revision,
}

/// Statuses and the revision they show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// Nothing newer is in `rows`, nothing older is missing.
    pub revision: Revision,
    /// In no order.
    pub rows: Vec<StatusRow>,
}

/// What the live lane asks about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveStatus {
    /// Serial.
    pub serial: Serial,
    /// What OCSP says of it, if it was issued.
    pub status: CertStatus,
    /// Where it is in its life.
    pub state: CertificateState,
    /// notAfter.
    pub not_after: UnixSeconds,
}

/// Statuses of single certificates at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveStatuses {
    /// The newest revision.
    pub revision: Revision,
    /// The revision at which a certificate of the authority last changed.
    pub changed_at: Revision,
    /// Those that are known, in no order.
    pub rows: Vec<LiveStatus>,
}

/// A certificate with what people ask about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Row number.
    pub id: CertificateId,
    /// Who signed it.
    pub authority: AuthorityId,
    /// That authority's alias.
    pub alias: String,
    /// Serial.
    pub serial: Serial,
    /// What it is for.
    pub kind: CertificateKind,
    /// Where it is in its life.
    pub state: CertificateState,
    /// The item and submission it answers.
    pub item: Option<(ItemId, SubmissionNumber)>,
    /// The subject's name as on the form it was issued on; empty for our own.
    pub name: String,
    /// What the subject is; none for our own.
    pub subject_kind: Option<SubjectKind>,
    /// notBefore.
    pub not_before: UnixSeconds,
    /// notAfter.
    pub not_after: UnixSeconds,
    /// When and why it was revoked.
    pub revoked: Option<RevokedMark>,
    /// The revision of its last change.
    pub revision: Revision,
    /// File name of its key, where we hold it.
    pub key_file: Option<String>,
    /// DER; none while only reserved.
    pub certificate: Option<Vec<u8>>,
}

/// When and why a certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedMark {
    /// revocationDate.
    pub at: UnixSeconds,
    /// RFC 5280 reason.
    pub reason: RevocationReason,
    /// The ground as the regulations name it.
    pub ground: String,
    /// Who ordered it.
    pub officer: String,
}

/// Which certificates are asked for. What is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Authority alias.
    pub alias: Option<String>,
    /// Kind.
    pub kind: Option<CertificateKind>,
    /// State.
    pub state: Option<CertificateState>,
    /// Subject's name, exactly.
    pub name: Option<String>,
    /// Subject's number, exactly: identity number, unit code, device number.
    pub number: Option<String>,
    /// With `number`: the subject of this key fits as well. A unit has a code of nine characters and one of
    /// eighteen.
    pub subject_key: Option<String>,
    /// Submission.
    pub submission: Option<SubmissionNumber>,
    /// The item it answers.
    pub item: Option<ItemId>,
    /// Serial, whoever issued it.
    pub serial: Option<Serial>,
    /// At most so many; 0: all.
    pub limit: u32,
}

/// An order to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which certificate.
    pub id: CertificateId,
    /// RFC 5280 reason the ground maps to.
    pub reason: RevocationReason,
    /// The ground as the regulations name it.
    pub ground: String,
    /// revocationDate: when the centre acted.
    pub at: UnixSeconds,
    /// Since when the key is thought bad, if known.
    pub invalidity_date: Option<UnixSeconds>,
}

/// An OCSP signer's certificate and where its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspSigner {
    /// Row number.
    pub id: CertificateId,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// File name of its key under `DIR/signer/keys/`.
    pub key_file: String,
    /// notBefore.
    pub not_before: UnixSeconds,
    /// notAfter.
    pub not_after: UnixSeconds,
}
