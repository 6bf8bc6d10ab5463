//! What changed, in pieces: each status once, what turned first, whatever comes in between.

use super::*;
use crate::registry::{Changes, Rest, Told};
use std::collections::BTreeSet;

/// A row of a filled registry: its revision, and whether it was ever revoked, held or released.
#[derive(Clone, Copy)]
enum Life {
    Issued,
    Revoked,
    Released,
}

impl Rig {
    /// Certificates numbered from `first` on, each with its revision.
    fn fill(&self, first: u32, rows: &[(u64, Life)]) {
        for (number, (revision, life)) in (first..).zip(rows) {
            let (revoked, released) = match life {
                Life::Issued => (None, None),
                Life::Revoked => (Some(5_i64), None),
                Life::Released => (None, Some(6_i64)),
            };
            let fill = sqlx::query(
                "INSERT INTO certificate (authority, serial, kind, state, not_before, not_after, reserved_at,
                     revision, revoked_at, reason, released_at)
                 VALUES ($1, unhex(printf('41%08x', $2)), 'authority', 'issued', 0, 1, 0, $3, $4, $5, $6)",
            );
            let fill = fill
                .bind(self.authority.0)
                .bind(i64::from(number))
                .bind(i64::try_from(*revision).unwrap())
                .bind(revoked)
                .bind(revoked.map(|_| 1_i64))
                .bind(released);
            self.db
                .drive(fill.execute(&self.db.store().writer))
                .unwrap();
        }
        let newest = rows.iter().map(|row| row.0).max().unwrap();
        let raise = sqlx::query("UPDATE revision SET newest = max(newest, $1)");
        let raise = raise.bind(i64::try_from(newest).unwrap());
        self.db
            .drive(raise.execute(&self.db.store().writer))
            .unwrap();
    }

    fn piece(&self, told: Told, most: u32) -> Changes {
        let changes = self.db.store().changes(self.authority, told, most);
        self.db.drive(changes).unwrap()
    }
}

/// Many of one revision, some that turned among them, and at the end several that turned at once.
fn history() -> Vec<(u64, Life)> {
    let mut rows = Vec::new();
    for number in 0..60_u64 {
        let revision = 1 + number / 9;
        rows.push((revision, Life::Issued));
        match number % 10 {
            3 => rows.push((revision, Life::Revoked)),
            7 => rows.push((revision + 1, Life::Released)),
            _ => {}
        }
    }
    rows.extend([(9, Life::Revoked); 5]);
    rows.extend([(9, Life::Released); 3]);
    rows
}

#[test]
fn pieces_lose_a_status_or_tell_it_twice() {
    let rig = rig();
    let history = history();
    rig.fill(1, &history);
    let turned_up_to = |revision| {
        let turned = history.iter().filter(|row| !matches!(row.1, Life::Issued));
        turned.filter(|row| row.0 <= revision).count()
    };
    for most in [1, 2, 3, 7, 10, 59, 60, 80, 1_000] {
        let mut told = Told::all(0);
        let (mut serials, mut turned) = (BTreeSet::new(), 0);
        for round in 0.. {
            assert!(round < 200, "it does not end");
            let piece = rig.piece(told, most);
            let is_whole_act = piece
                .rows
                .iter()
                .all(|row| row.revision == piece.told.turned);
            assert!(piece.rows.len() <= most as usize || is_whole_act);
            for row in &piece.rows {
                assert!(serials.insert(row.serial), "twice, {most} at a time");
                assert!(row.revision <= piece.told.turned);
            }
            turned = turned_up_to(piece.told.turned).max(turned);
            assert!(serials.len() >= turned, "a list may show that revision");
            told = piece.told;
            if piece.rest == Rest::Nothing {
                break;
            }
        }
        assert_eq!(serials.len(), history.len(), "{most} at a time");
        assert!(told.reaches(9) && !told.reaches(10));
    }
}

#[test]
fn what_turned_is_told_behind_what_was_issued() {
    let rig = rig();
    let mut rows = vec![(1, Life::Issued); 10];
    rows.extend([(2, Life::Revoked), (3, Life::Released)]);
    rig.fill(1, &rows);
    let first = rig.piece(Told::all(0), 4);
    let revisions: Vec<_> = first.rows.iter().map(|row| row.revision).collect();
    assert_eq!(revisions, [2, 3, 1, 1]);
    assert_eq!((first.told.turned, first.rest), (3, Rest::More));
    // Of those that were not told yet one is revoked; it is told at once, and not as good later.
    let last = Serial::from_content(&[0x41, 0, 0, 0, 10]).unwrap();
    let revoke =
        "UPDATE certificate SET revision = 4, revoked_at = 9, reason = 1 WHERE serial = $1";
    let revoke = sqlx::query(revoke).bind(last.content());
    rig.db
        .drive(revoke.execute(&rig.db.store().writer))
        .unwrap();
    rig.fill(100, &[(4, Life::Issued)]);
    let second = rig.piece(first.told, 4);
    assert_eq!(second.rows[0].serial, last);
    assert!(matches!(
        second.rows[0].status,
        CertStatus::Revoked { at: 9, .. }
    ));
    let third = rig.piece(second.told, 100);
    assert_eq!(third.rest, Rest::Nothing);
    assert_eq!(first.rows.len() + second.rows.len() + third.rows.len(), 13);
    assert!(third.rows.iter().all(|row| row.serial != last));
    assert!(rig.piece(third.told, 4).rows.is_empty());
}

#[test]
fn the_next_turn_is_another_authoritys_or_one_that_was_told() {
    let rig = rig();
    let next = |since| {
        let next = rig.db.store().next_turn(rig.authority, since);
        rig.db.drive(next).unwrap()
    };
    assert_eq!(next(0), None);
    rig.fill(
        1,
        &[(2, Life::Issued), (3, Life::Released), (5, Life::Revoked)],
    );
    assert_eq!([next(0), next(3), next(5)], [Some(3), Some(5), None]);
    let other = rig.db.store().next_turn(AuthorityId(99), 0);
    assert_eq!(rig.db.drive(other).unwrap(), None);
}
