//! Another authority's list as the lane reads it: from the staged folder, judged anew, kept in memory.

use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::response::CrlReference;
use wire::serial::Serial;
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use crate::adopt::Refusal;
use crate::adopt::judge::judge;
use crate::adopt::staged::{Form, Options, Staged, StagedError};
use crate::batch::Row;
use crate::home::Home;
use crate::registry::{Foreign, Revision};
use crate::text::hex;

/// A list that was adopted and that we have read ourselves.
pub(super) struct List {
    /// The revision of its adoption.
    pub(super) revision: Revision,
    /// thisUpdate.
    pub(super) this_update: UnixSeconds,
    /// Until when it speaks; none if it does not say, or is replayed.
    pub(super) until: Option<UnixSeconds>,
    /// Whether it is replayed.
    pub(super) is_replayed: bool,
    /// Whether what it does not name is good.
    pub(super) names_all_revoked: bool,
    pub(super) name_der: Vec<u8>,
    pub(super) key_bits: Vec<u8>,
    /// Whether there is one list of which it can be said that an entry stands on it.
    is_one: bool,
    number: Option<Vec<u8>>,
    address: Option<String>,
    options: Options,
    /// In order of serials.
    rows: Vec<Row>,
}

impl List {
    /// Reads the list of an adoption; refused if another one lies there.
    pub(super) fn read(
        home: &Home,
        row: &Foreign,
        partitions_complete: bool,
        now: UnixSeconds,
    ) -> Result<Self, Refusal> {
        let adopted = &row.adoption;
        let folder = home.staged().join(hex(&adopted.issuer));
        let options = Options::read(&folder)?;
        if !is_of(&options, row) {
            return Err(StagedError::OtherList(folder).into());
        }
        let staged = Staged::read(&folder, &options)?;
        let judged = judge(IssuerId(adopted.issuer), &staged, &options, now)?;
        Ok(Self {
            revision: row.revision,
            this_update: judged.this_update,
            until: judged.next_update.filter(|_| options.as_of.is_none()),
            is_replayed: options.as_of.is_some(),
            // RFC 5280 §5.2.5: a list whose IDP restricts it says nothing of what lies outside of its scope.
            // The setting is a word about lists that the authority signs for itself, one of a kind: of several, and of
            // lists signed for it, the operator says it when he imports them.
            names_all_revoked: judged.names_all_revoked
                || partitions_complete
                    && options.form == Form::Crl
                    && options.lists.is_empty()
                    && !judged.is_indirect,
            // Several partitions have no number in common.
            is_one: options.trusted.is_none()
                && (staged.lists.len() == 1 || judged.number.is_some()),
            number: judged.number,
            address: address(&staged),
            name_der: judged.name_der,
            key_bits: judged.key_bits,
            options,
            rows: judged.rows,
        })
    }

    /// Whether this is what that adoption adopted.
    pub(super) fn repeats(&self, row: &Foreign) -> bool {
        self.revision == row.revision && is_of(&self.options, row)
    }

    /// What it says of a certificate, if it names it.
    pub(super) fn status(&self, serial: &Serial) -> Option<CertStatus> {
        let found = self.rows.binary_search_by(|row| row.serial.cmp(serial));
        found
            .ok()
            .and_then(|at| self.rows.get(at))
            .map(|row| row.status)
    }

    /// What is said of the list to who asks about a certificate on it. RFC 5280 §5.2.4: a complete list and its delta say
    /// together what the complete list of the delta's number says, so that number and time are told. None of several
    /// partitions, of which it is no longer known which one names whom, nor of what is no CRL.
    pub(super) fn reference(&self) -> Option<CrlReference<'_>> {
        self.is_one.then_some(CrlReference {
            url: self.address.as_deref(),
            number: self.number.as_deref(),
            time: self.this_update,
        })
    }
}

/// Where the list says that it can be had, if it is one and says so briefly. (A delta lies elsewhere than the list of its
/// number, which perhaps nobody ever published.)
fn address(staged: &Staged) -> Option<String> {
    let [only] = staged.lists.as_slice() else {
        return None;
    };
    let list = Crl::parse(only).ok()?;
    let url = list.extensions.distribution_point?.uri()?;
    (url.is_ascii() && url.len() <= MAX_ADDRESS_OCTETS).then(|| url.to_owned())
}

/// Whether these are the options of the list that was adopted; the adoption of an unsigned one names its time of trust.
fn is_of(options: &Options, row: &Foreign) -> bool {
    let adopted = &row.adoption;
    options.crl_blake3 == adopted.crl_blake3
        && options.as_of == adopted.as_of
        && options.allow_weak == adopted.allow_weak
        && options.trusted.is_none_or(|(since, until)| {
            adopted.this_update == since && adopted.next_update == Some(until)
        })
}

/// A responder takes an answer of 16 KiB, with as many of these as a request names certificates.
const MAX_ADDRESS_OCTETS: usize = 128;
