//! What is said of certificates, and for how long.

use wire::response::{ExtendedRevoke, SingleStatus};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use super::list::List;
use super::settings::NeverIssued;
use crate::registry::{CertificateState, LiveStatus};

/// What is known of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its status, and when it expired, if it has.
    Status(SingleStatus, Option<UnixSeconds>),
    /// The authority never issued it.
    NeverIssued,
    /// Nothing is said of it: reserved and perhaps issued in a moment, archived, or outside of a list's scope.
    Withheld,
}

/// What is said of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) status: SingleStatus,
    pub(super) expired_at: Option<UnixSeconds>,
    pub(super) extended_revoke: ExtendedRevoke,
}

impl Known {
    /// By our own registry.
    pub(super) fn by_registry(
        row: Option<&LiveStatus>,
        now: UnixSeconds,
        archive_secs: u64,
    ) -> Self {
        let Some(row) = row else {
            return Self::NeverIssued;
        };
        let archived_at = row.not_after.saturating_add(archive_secs);
        if row.state == CertificateState::Reserved || now >= archived_at {
            return Self::Withheld;
        }
        let expired = (row.not_after < now).then_some(row.not_after);
        match spoken(row.status) {
            Some(status) => Self::Status(status, expired),
            None => Self::Withheld,
        }
    }

    /// By another authority's list.
    pub(super) fn by_list(list: &List, serial: &Serial) -> Self {
        match list.status(serial) {
            Some(status) => spoken(status).map_or(Self::Withheld, |said| Self::Status(said, None)),
            // RFC 6960 §2.2: "good" says no more than that the certificate is not revoked; a complete list says as much.
            None if list.names_all_revoked => Self::Status(SingleStatus::Good, None),
            None => Self::Withheld,
        }
    }

    /// What is said of it; none if that is `unauthorized`.
    pub(super) fn told(self, policy: NeverIssued, source_is_registry: bool) -> Option<Told> {
        let told = |status, expired_at, extended_revoke| Told {
            status,
            expired_at,
            extended_revoke,
        };
        match (self, policy) {
            (Self::Status(status, expired), _) => {
                Some(told(status, expired, ExtendedRevoke::Absent))
            }
            // Outside of a list's scope the honest word is that we do not know, if the operator wants one.
            (Self::Withheld, NeverIssued::Unknown) if !source_is_registry => {
                Some(told(SingleStatus::Unknown, None, ExtendedRevoke::Absent))
            }
            (Self::Withheld, _) | (Self::NeverIssued, NeverIssued::Unauthorized) => None,
            // RFC 6960 §2.2: "unknown" says that the responder does not know the certificate.
            (Self::NeverIssued, NeverIssued::Unknown) => {
                Some(told(SingleStatus::Unknown, None, ExtendedRevoke::Absent))
            }
            // RFC 6960 §2.2: "revoked" for what was never issued has the reason certificateHold, the time of 1 January 1970,
            // and the extended-revoke extension in the response.
            (Self::NeverIssued, NeverIssued::ExtendedRevoke) => {
                let status = SingleStatus::Revoked {
                    at: 0,
                    reason: Some(RevocationReason::CertificateHold),
                };
                Some(told(status, None, ExtendedRevoke::Present))
            }
        }
    }
}

fn spoken(status: CertStatus) -> Option<SingleStatus> {
    match status {
        CertStatus::Good => Some(SingleStatus::Good),
        CertStatus::Revoked { at, reason } => Some(SingleStatus::Revoked { at, reason }),
        CertStatus::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_800_000_000;

    fn row(state: CertificateState, not_after: UnixSeconds) -> LiveStatus {
        LiveStatus {
            serial: Serial::from_content(&[5]).unwrap(),
            status: CertStatus::Good,
            state,
            not_after,
        }
    }

    fn known(state: CertificateState, not_after: UnixSeconds) -> Known {
        Known::by_registry(Some(&row(state, not_after)), NOW, 1_000)
    }

    #[test]
    fn a_certificate_that_may_be_issued_in_a_moment_is_called_revoked_or_good() {
        // RFC 6960 §2.2: "good" must not be said of what was never issued.
        let reserved = known(CertificateState::Reserved, NOW + 9);
        for policy in [
            NeverIssued::Unauthorized,
            NeverIssued::Unknown,
            NeverIssued::ExtendedRevoke,
        ] {
            assert_eq!(reserved.told(policy, true), None, "{policy:?}");
        }
    }

    #[test]
    fn a_serial_never_issued_is_good() {
        let never = Known::by_registry(None, NOW, 1_000);
        assert_eq!(never.told(NeverIssued::Unauthorized, true), None);
        let unknown = never.told(NeverIssued::Unknown, true).unwrap();
        assert_eq!(unknown.status, SingleStatus::Unknown);
        // RFC 6960 §2.2: revoked since 1 January 1970, certificateHold, and the extension.
        let extended = never.told(NeverIssued::ExtendedRevoke, true).unwrap();
        let hold = SingleStatus::Revoked {
            at: 0,
            reason: Some(RevocationReason::CertificateHold),
        };
        assert_eq!(extended.status, hold);
        assert_eq!(extended.extended_revoke, ExtendedRevoke::Present);
    }

    #[test]
    fn an_expired_certificate_is_forgotten_at_once_or_never() {
        let expired = known(CertificateState::Expired, NOW - 10);
        assert_eq!(expired, Known::Status(SingleStatus::Good, Some(NOW - 10)));
        assert_eq!(
            known(CertificateState::Expired, NOW - 1_000),
            Known::Withheld
        );
    }
}
