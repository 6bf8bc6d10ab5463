//! What of one rank goes into one generation.

use wire::time::UnixSeconds;

use super::{Line, PassReport, RunError};
use crate::draft::Draft;
use crate::error::sentence;
use crate::import::batch::BatchRefusal;
use crate::manifest::Role;
use crate::spool::{Rank, Waiting};

impl Line<'_> {
    /// Takes batches of one rank into one generation: all changes, or of the others as much as is soon done.
    pub(super) fn take_rank(
        &mut self,
        rank: Rank,
        mut batches: Vec<Waiting>,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        if rank == Rank::Document {
            // A list goes out behind the changes that stand on it. Some may have come since this was listed, or have been put
            // off so that the list has its turn: held against the packs without them it would be refused.
            self.take_changes(now, report)?;
            batches.retain(|batch| !report.puts_off(batch.issuer, Rank::Change));
            // Nor do one issuer's keep another's out, be it that they cannot be read or that there are always some.
            let had_turns = batches.partition_point(|b| Some(b.issuer) <= self.documents_of);
            batches.rotate_left(had_turns);
            self.documents_of = batches.first().map(|batch| batch.issuer);
        }
        let most = match rank {
            Rank::Change => u64::MAX,
            Rank::Document => self.portion.document_octets,
            Rank::Base => self.portion.octets,
        };
        let mut octets = 0_u64;
        let mut chosen = Vec::new();
        for batch in batches {
            let together = octets.saturating_add(self.weight(rank, &batch));
            if !chosen.is_empty() && together > most {
                break;
            }
            octets = together;
            chosen.push((rank, batch));
        }
        match (rank, chosen.as_slice()) {
            (Rank::Document, [(_, batch)]) if octets > most => match self.check_opens(batch) {
                Ok(()) => self.take_beside(batch, now, report),
                Err(refusal) => {
                    report.put_off(batch, rank, sentence(&refusal));
                    Ok(())
                }
            },
            (Rank::Base, [(_, batch)]) if octets > most => {
                self.take_long(batch, now, progress, report)
            }
            _ => self.take_together(chosen, now, progress, report),
        }
    }

    /// Whether there is anything to hold a long batch of files against. A short one is soon read, and may bring no list.
    fn check_opens(&self, batch: &Waiting) -> Result<(), BatchRefusal> {
        if length(batch) <= self.portion.document_octets {
            return Ok(());
        }
        let draft = Draft::of(self.publisher.current());
        draft.check_opens(self.publisher.store(), batch.issuer)
    }

    /// How many octets are looked through for a batch. Files that come are held against the lists that are there: the delta
    /// of a long list takes as long as the list.
    fn weight(&self, rank: Rank, batch: &Waiting) -> u64 {
        let current = self.publisher.current().filter(|_| rank == Rank::Document);
        let there = current.map_or(&[][..], |current| &current.objects);
        let lists = there
            .iter()
            .filter(|entry| entry.issuer.0 == batch.issuer && matches!(entry.role, Role::Crl(_)));
        lists.fold(length(batch), |sum, entry| sum.saturating_add(entry.octets))
    }
}

fn length(batch: &Waiting) -> u64 {
    std::fs::metadata(&batch.path).map_or(0, |file| file.len())
}
