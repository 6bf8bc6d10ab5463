//! What stands on a list, read fast: the database packs thousands of entries into one text, since a row costs a message
//! between two threads and several allocations, and a list has a million of them.

use sqlx::{Row, SqliteConnection};
use wire::serial::Serial;
use wire::status::RevocationReason;
use wire::time::UnixSeconds;

use super::row::{loaded, number, number_or_none, reason, serial, stored, unreadable};
use crate::registry::{
    Answer, AuthorityId, Cut, DeltaSince, ListQuery, Listed, Listing, Part, Revision, sql,
};

/// Everything a query asks for; `view` is one read transaction, so all of it shows one moment. `beside`, if there is one,
/// shows the same moment on another connection: a long list is read from both at once.
pub(super) async fn read(
    view: &mut SqliteConnection,
    beside: Option<&mut SqliteConnection>,
    query: &ListQuery,
) -> Answer<Listing> {
    let mut listing = Listing {
        revision: revision(&mut *view).await?,
        ..Listing::default()
    };
    if query.full == Part::Wanted {
        listing.full = full(view, beside, query).await?;
    }
    if let Some(cut) = query.cut {
        let from = query.archived_since;
        let ended = ended(view, query, from, cut.time).await?;
        let gone = ended.into_iter().filter(|row| row.has_left(Some(cut)));
        listing.expired = gone.map(|row| row.listed.serial).collect();
    }
    if let Some(since) = query.delta {
        listing.delta = delta(view, query, since).await?;
    }
    Ok(listing)
}

/// The revision a view shows. What stands on lists changes with a revision only: two views of one show the same lists.
pub(super) async fn revision(view: &mut SqliteConnection) -> Answer<Revision> {
    Ok(loaded(
        sqlx::query_scalar(sql::REVISION).fetch_one(view).await?,
    ))
}

async fn full(
    view: &mut SqliteConnection,
    beside: Option<&mut SqliteConnection>,
    query: &ListQuery,
) -> Answer<Vec<Listed>> {
    // Row numbers are shared by all authorities, which were rarely filled at the same pace: half of this one's own span.
    let (oldest, newest): (i64, i64) = sqlx::query_as(REVOKED_SPAN)
        .bind(query.authority.0)
        .fetch_one(&mut *view)
        .await?;
    let before = oldest - 1;
    let Some(beside) = beside.filter(|_| newest - before > 2 * PAGE) else {
        return part(view, query, (before, newest)).await;
    };
    let middle = before.midpoint(newest);
    let (one, other) = tokio::join!(
        part(view, query, (before, middle)),
        part(beside, query, (middle, newest))
    );
    let (mut entries, mut others) = (one?, other?);
    entries.append(&mut others);
    Ok(entries)
}

/// The entries of certificates after the first row number, up to the second.
async fn part(
    view: &mut SqliteConnection,
    query: &ListQuery,
    (after, until): (i64, i64),
) -> Answer<Vec<Listed>> {
    let cut = query.cut.unwrap_or(NOTHING_LEFT);
    let mut entries = Vec::new();
    let mut last = after;
    loop {
        let row = sqlx::query(PACKED_PAGE)
            .bind(query.authority.0)
            .bind(last)
            .bind(stored(cut.time))
            .bind(stored(cut.revision))
            .bind(i64::from(query.scope.code()))
            .bind(PAGE)
            .bind(until)
            .fetch_one(&mut *view)
            .await?;
        let count: i64 = row.try_get("rows")?;
        if count == 0 {
            return Ok(entries);
        }
        let packed: &str = row.try_get("packed")?;
        let mut rest = packed.as_bytes();
        while !rest.is_empty() {
            let (entry, after) = unpack(rest).ok_or_else(|| unreadable("serial", packed))?;
            entries.push(entry);
            rest = after;
        }
        last = row.try_get("last")?;
        if count < PAGE {
            return Ok(entries);
        }
    }
}

/// The first of several, and the others: `<serial, hexadecimal> <16 × revocation time + reason> <invalidity date, if there
/// is one>`, with commas between them.
fn unpack(packed: &[u8]) -> Option<(Listed, &[u8])> {
    let mut content = [0; wire::serial::MAX_SERIAL_OCTETS];
    let mut octets = 0;
    let mut rest = packed;
    let serial = loop {
        match rest {
            [b' ', after @ ..] => {
                rest = after;
                break content.get(..octets)?;
            }
            [high, low, after @ ..] => {
                *content.get_mut(octets)? = nibble(*high)? << 4 | nibble(*low)?;
                octets += 1;
                rest = after;
            }
            _ => return None,
        }
    };
    let (coded, rest) = decimal(rest)?;
    let [b' ', rest @ ..] = rest else { return None };
    let (invalidity_date, rest) = match rest {
        [] | [b',', ..] => (None, rest),
        _ => decimal(rest).map(|(date, rest)| (Some(date), rest))?,
    };
    let rest = match rest {
        [] => rest,
        [b',', after @ ..] => after,
        _ => return None,
    };
    let listed = Listed {
        serial: Serial::from_content(serial).ok()?,
        at: coded / 16,
        reason: RevocationReason::from_code(u8::try_from(coded % 16).ok()?)?,
        invalidity_date,
    };
    Some((listed, rest))
}

/// A number and what follows it.
fn decimal(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    let (digits, rest) = text.split_at(digits.count());
    let mut value = u64::from(*digits.first()? - b'0');
    for digit in digits.get(1..)? {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some((value, rest))
}

/// Of what SQLite's `hex` writes.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A revoked certificate with what decides whether it still stands on lists.
struct Revoked {
    listed: Listed,
    not_after: UnixSeconds,
    revision: Revision,
}

impl Revoked {
    /// RFC 5280 §3.3: an entry stays until it has stood on a list made after its certificate expired.
    // CABF BR §4.10.1: an entry is not removed before its certificate has expired.
    fn has_left(&self, cut: Option<Cut>) -> bool {
        cut.is_some_and(|cut| self.not_after < cut.time && self.revision <= cut.revision)
    }
}

async fn delta(
    view: &mut SqliteConnection,
    query: &ListQuery,
    since: DeltaSince,
) -> Answer<Vec<Listed>> {
    let partition = i64::from(query.scope.code());
    let mut entries = Vec::new();
    let changed = sqlx::query(sql::LISTED_SINCE)
        .bind(query.authority.0)
        .bind(stored(since.revision))
        .bind(partition)
        .fetch_all(&mut *view)
        .await?;
    for row in &changed {
        let row = revoked(row)?;
        // RFC 5280 §5.2.4: what expired may be taken off, and is, so that base and delta are the full list exactly.
        entries.push(if row.has_left(query.cut) {
            removed(row.listed.serial, row.listed.at)
        } else {
            row.listed
        });
    }
    let released = sqlx::query(sql::RELEASED_SINCE)
        .bind(query.authority.0)
        .bind(stored(since.revision))
        .bind(partition)
        .fetch_all(&mut *view)
        .await?;
    for row in &released {
        entries.push(removed(serial(row)?, number(row, "released_at")?));
    }
    if let Some(cut) = query.cut {
        // Stood on the base and has left since: what ended between the two cuts, or had ended before the first and was
        // revoked after it.
        let before = since.cut.unwrap_or(NOTHING_LEFT);
        let mut ended = ended(view, query, before.time, cut.time).await?;
        let late = sqlx::query(sql::LISTED_SINCE)
            .bind(query.authority.0)
            .bind(stored(before.revision))
            .bind(partition)
            .fetch_all(&mut *view)
            .await?;
        for row in &late {
            let row = revoked(row)?;
            if row.not_after < before.time {
                ended.push(row);
            }
        }
        let left = ended
            .into_iter()
            .filter(|row| row.revision <= since.revision && row.has_left(Some(cut)));
        entries.extend(left.map(|row| removed(row.listed.serial, row.listed.at)));
    }
    Ok(entries)
}

fn removed(serial: Serial, at: UnixSeconds) -> Listed {
    Listed {
        serial,
        at,
        reason: RevocationReason::RemoveFromCrl,
        invalidity_date: None,
    }
}

async fn ended(
    view: &mut SqliteConnection,
    query: &ListQuery,
    from: UnixSeconds,
    until: UnixSeconds,
) -> Answer<Vec<Revoked>> {
    let rows = sqlx::query(sql::REVOKED_ENDED)
        .bind(query.authority.0)
        .bind(stored(from))
        .bind(stored(until))
        .bind(i64::from(query.scope.code()))
        .fetch_all(view)
        .await?;
    rows.iter().map(revoked).collect()
}

fn revoked(row: &sqlx::sqlite::SqliteRow) -> Answer<Revoked> {
    Ok(Revoked {
        listed: Listed {
            serial: serial(row)?,
            at: number(row, "revoked_at")?,
            reason: reason(row)?.ok_or_else(|| unreadable("reason", "NULL"))?,
            invalidity_date: number_or_none(row, "invalidity_date")?,
        },
        not_after: number(row, "not_after")?,
        revision: number(row, "revision")?,
    })
}

pub(super) async fn changes(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    since: Revision,
) -> Answer<Vec<(Option<u32>, Revision)>> {
    let rows = sqlx::query(sql::LIST_CHANGES)
        .bind(authority.0)
        .bind(stored(since))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((super::row::partition(row)?, number(row, "revision")?)))
        .collect()
}

pub(super) async fn named(
    db: &mut SqliteConnection,
    authority: AuthorityId,
    at: UnixSeconds,
) -> Answer<Vec<Option<u32>>> {
    let mut named = Vec::new();
    let mut below = i64::MAX;
    loop {
        let row = sqlx::query(sql::NAMED_PARTITION)
            .bind(authority.0)
            .bind(below)
            .fetch_optional(&mut *db)
            .await?;
        let Some(row) = row else { break };
        below = row.try_get("crl_partition")?;
        if number(&row, "not_after")? >= at {
            named.push(super::row::partition(&row)?);
        }
    }
    let whole: i64 = sqlx::query_scalar(sql::NAMED_WHOLE)
        .bind(authority.0)
        .bind(stored(at))
        .fetch_one(db)
        .await?;
    if whole > 0 {
        named.push(None);
    }
    Ok(named)
}

/// Before any list nothing can have left one.
const NOTHING_LEFT: Cut = Cut {
    time: 0,
    revision: 0,
};
/// Entries packed into one text: some 700 kB.
const PAGE: i64 = 16_384;
/// A page of entries as one text, by row number, from the index that holds all of it.
pub(super) const PACKED_PAGE: &str = "SELECT count(*) AS rows, coalesce(max(id), 0) AS last,
    group_concat(hex(serial) || ' ' || (revoked_at * 16 + reason) || ' ' || coalesce(invalidity_date, '')) AS packed
    FROM (SELECT id, serial, revoked_at, reason, invalidity_date
        FROM certificate INDEXED BY certificate_listed
        WHERE authority = $1 AND id > $2 AND revoked_at IS NOT NULL
        AND id <= $7 AND NOT (not_after < $3 AND revision <= $4) AND ($5 = 0 OR crl_partition = $5)
        ORDER BY id LIMIT $6)";
/// The first and the last row that may stand on a list: two looks into the same index.
const REVOKED_SPAN: &str = "SELECT
    coalesce((SELECT min(id) FROM certificate INDEXED BY certificate_listed
        WHERE authority = $1 AND revoked_at IS NOT NULL), 1),
    coalesce((SELECT max(id) FROM certificate INDEXED BY certificate_listed
        WHERE authority = $1 AND revoked_at IS NOT NULL), 0)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_entries_that_are_cut_short_or_malformed_are_no_entries() {
        let both = b"01FF 26 ,7F 16 1700000000";
        let (first, rest) = unpack(both).unwrap();
        assert_eq!(first.serial.content(), [0x01, 0xFF]);
        assert_eq!(
            (first.at, first.reason.code(), first.invalidity_date),
            (1, 10, None)
        );
        let (second, rest) = unpack(rest).unwrap();
        assert_eq!(second.serial.content(), [0x7F]);
        assert_eq!(
            (second.at, second.invalidity_date),
            (1, Some(1_700_000_000))
        );
        assert!(rest.is_empty());
        for wrong in [
            "",
            "01",
            "01 ",
            "01 26",
            "01 26,7F 16 ",
            "0 26 ",
            "0G 26 ",
            " 26 ",
            "01 x ",
            "01 26 x",
            "01 26 5;",
            "01 99999999999999999999 ",
            "01 23 ",
        ] {
            assert!(unpack(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
        let long = format!("{} 26 ", "01".repeat(wire::serial::MAX_SERIAL_OCTETS + 1));
        assert!(unpack(long.as_bytes()).is_none());
    }
}
