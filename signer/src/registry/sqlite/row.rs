//! From columns to typed values and back. Our own disk is distrusted too: what does not fit is
//! [`RegistryError::Unreadable`], never a guess.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use wire::serial::Serial;
use wire::status::RevocationReason;

use crate::registry::{Answer, RegistryError};

/// A count or time as SQL keeps it. Nothing here comes near 2⁶³; what would is kept as the greatest.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or time as SQL kept it. The schema never holds a negative one.
pub(super) fn loaded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A non-negative number.
pub(super) fn number(row: &SqliteRow, column: &'static str) -> Answer<u64> {
    Ok(loaded(row.try_get(column)?))
}

/// A number or NULL.
pub(super) fn number_or_none(row: &SqliteRow, column: &'static str) -> Answer<Option<u64>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(loaded))
}

/// A serial from its content octets.
pub(super) fn serial(row: &SqliteRow) -> Answer<Serial> {
    let content: &[u8] = row.try_get("serial")?;
    Serial::from_content(content).map_err(|_| unreadable("serial", &format!("{content:02x?}")))
}

/// The partition whose list a certificate names, or NULL.
pub(super) fn partition(row: &SqliteRow) -> Answer<Option<u32>> {
    number_or_none(row, "crl_partition")?
        .map(|number| {
            u32::try_from(number).map_err(|_| unreadable("crl_partition", &number.to_string()))
        })
        .transpose()
}

/// Octets of a fixed length.
pub(super) fn array<const N: usize>(row: &SqliteRow, column: &'static str) -> Answer<[u8; N]> {
    let octets: &[u8] = row.try_get(column)?;
    octets
        .try_into()
        .map_err(|_| unreadable(column, &format!("{} octets, not {N}", octets.len())))
}

/// One of a persisted enum.
pub(super) fn named<T>(
    row: &SqliteRow,
    column: &'static str,
    from_name: impl Fn(&str) -> Option<T>,
) -> Answer<T> {
    let name: &str = row.try_get(column)?;
    from_name(name).ok_or_else(|| unreadable(column, name))
}

/// A revocation reason or NULL.
pub(super) fn reason(row: &SqliteRow) -> Answer<Option<RevocationReason>> {
    row.try_get::<Option<i64>, _>("reason")?
        .map(|code| {
            u8::try_from(code)
                .ok()
                .and_then(RevocationReason::from_code)
                .ok_or_else(|| unreadable("reason", &code.to_string()))
        })
        .transpose()
}

/// A column that no version of this program writes so.
pub(super) fn unreadable(what: &'static str, value: &str) -> RegistryError {
    RegistryError::Unreadable {
        what,
        value: value.to_owned(),
    }
}
