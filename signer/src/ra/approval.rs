//! 审批: a second officer says yes, and only then is there something to issue.
//!
//! [`Approved`] has private fields and two makers, both here: [`approve`] (now, by an officer who is not
//! the clerk) and [`approved`] (after a restart, from the approval the registry holds). Issuing consumes it.

use super::row::{FilingUnit, Row};
use super::unit_code::UnitCode;
use crate::registry::audit::same_person;
use crate::registry::{
    ApplicationState, By, ItemId, ItemState, RegistryError, Store, Submission, SubmissionNumber,
};

/// A submission that a second officer approved, with the items that still want a certificate.
#[derive(Debug)]
#[must_use = "an approval is there to be issued on"]
pub struct Approved {
    submission: Submission,
    items: Vec<ApprovedItem>,
    _minted: Minted,
}

/// One approved item.
#[derive(Debug)]
#[must_use = "an approved item is there to be issued"]
pub struct ApprovedItem {
    id: ItemId,
    line: u64,
    row: Row,
    filing_unit: std::sync::Arc<FilingUnit>,
    spki: Option<Vec<u8>>,
    _minted: Minted,
}

/// Not to be had outside this file.
#[derive(Debug)]
struct Minted;

impl Approved {
    /// The submission as it stands.
    #[must_use]
    pub fn submission(&self) -> &Submission {
        &self.submission
    }

    /// Alias of the authority that shall issue.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.submission.alias
    }

    /// The items that have no certificate reserved yet.
    pub fn items(&self) -> &[ApprovedItem] {
        &self.items
    }

    /// Hands the items over to be issued.
    pub fn into_items(self) -> Vec<ApprovedItem> {
        self.items
    }
}

impl ApprovedItem {
    /// Row number, for the reservation.
    #[must_use]
    pub fn id(&self) -> ItemId {
        self.id
    }

    /// Line in the schedule file.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The checked row.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Who filed it.
    #[must_use]
    pub fn filing_unit(&self) -> &FilingUnit {
        &self.filing_unit
    }

    /// The key out of the verified CSR, `SubjectPublicKeyInfo` DER; none: demo, the signer makes the key.
    #[must_use]
    pub fn spki(&self) -> Option<&[u8]> {
        self.spki.as_deref()
    }
}

/// Approves a checked submission: by a second officer, never by the clerk who took it in.
pub async fn approve<S: Store>(
    store: &S,
    number: SubmissionNumber,
    by: By<'_>,
) -> Result<Approved, RegistryError> {
    if !super::is_name(by.who) {
        return Err(RegistryError::NoName(by.who.to_owned()));
    }
    store.approve(number, by).await?;
    approved(store, number).await
}

/// The approval of a submission that was approved before; refused for any other.
pub async fn approved<S: Store>(
    store: &S,
    number: SubmissionNumber,
) -> Result<Approved, RegistryError> {
    let submission = store
        .submission(number)
        .await?
        .ok_or(RegistryError::NoSubmission(number))?;
    let wrong_state = RegistryError::WrongState {
        number,
        from: submission.state,
        to: ApplicationState::Producing,
    };
    // The pair of eyes is judged again: a database edited by hand mints nothing.
    match (submission.state, &submission.officer) {
        (ApplicationState::Approved | ApplicationState::Producing, Some(officer))
            if !same_person(officer, &submission.clerk) => {}
        _ => return Err(wrong_state),
    }
    let filing_unit = std::sync::Arc::new(FilingUnit {
        name: submission.unit_name.clone(),
        code: UnitCode::parse(&submission.unit_code)
            .map_err(|_| unreadable("unit_code", &submission.unit_code))?,
    });
    let stored = store.items(number).await?;
    let open = stored
        .into_iter()
        .filter(|item| item.state == ItemState::Open);
    let items = open.map(|item| {
        Ok(ApprovedItem {
            id: item.id,
            line: item.line,
            row: serde_json::from_str(&item.fields)
                .map_err(|_| unreadable("fields", &item.fields))?,
            filing_unit: filing_unit.clone(),
            spki: item.spki,
            _minted: Minted,
        })
    });
    let items = items.collect::<Result<_, RegistryError>>()?;
    Ok(Approved {
        submission,
        items,
        _minted: Minted,
    })
}

fn unreadable(what: &'static str, value: &str) -> RegistryError {
    RegistryError::Unreadable {
        what,
        value: value.to_owned(),
    }
}
