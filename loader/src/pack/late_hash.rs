//! BLAKE3 of a file whose first octets are known last.
//!
//! The header counts the records and stands before them; the writer streams. BLAKE3 is a tree over chunks of 1,024
//! octets, and the header lies in the first chunk alone, so everything else is hashed as it passes and the first chunk
//! joined in at the end. The first chunk's neighbours on its way to the root are the subtrees that begin at chunk 1, 2,
//! 4, 8 …, each as long as its offset; the last of them may be shorter.
//!
//! ```text
//!            root
//!         ┌───┴────┐
//!      ┌──┴──┐   chunks 4…
//!    ┌─┴─┐  2 3
//!    0   1
//! ```

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};
use blake3::{CHUNK_LEN, Hash, Hasher};

/// A hash in the making.
pub(super) struct LateHash {
    /// The first chunk, as far as it has come.
    first: Vec<u8>,
    /// The complete subtrees beside it, from the shortest.
    complete: Vec<ChainingValue>,
    current: Hasher,
    /// Octets the current subtree still takes.
    room: u64,
}

impl LateHash {
    pub(super) fn new() -> LateHash {
        LateHash {
            first: Vec::with_capacity(CHUNK_LEN),
            complete: Vec::new(),
            current: subtree(0),
            room: CHUNK_LEN as u64,
        }
    }

    /// Takes the next octets of the file.
    pub(super) fn update(&mut self, mut octets: &[u8]) {
        let first = octets.len().min(CHUNK_LEN - self.first.len());
        self.first.extend_from_slice(&octets[..first]);
        octets = &octets[first..];
        while !octets.is_empty() {
            if self.room == 0 {
                self.complete.push(self.current.finalize_non_root());
                self.current = subtree(self.complete.len());
                self.room = (CHUNK_LEN as u64) << self.complete.len();
            }
            let taken = octets
                .len()
                .min(usize::try_from(self.room).unwrap_or(usize::MAX));
            self.current.update(&octets[..taken]);
            self.room -= taken as u64;
            octets = &octets[taken..];
        }
    }

    /// The hash of the file with its first octets replaced by `front`, which is no longer than a chunk or what has come.
    pub(super) fn finish(mut self, front: &[u8]) -> Hash {
        self.first[..front.len()].copy_from_slice(front);
        let current = (CHUNK_LEN as u64) << self.complete.len();
        if self.room < current {
            self.complete.push(self.current.finalize_non_root());
        }
        let mut hasher = Hasher::new();
        hasher.update(&self.first);
        let Some((last, others)) = self.complete.split_last() else {
            return hasher.finalize();
        };
        let left = others
            .iter()
            .fold(hasher.finalize_non_root(), |left, right| {
                merge_subtrees_non_root(&left, right, Mode::Hash)
            });
        merge_subtrees_root(&left, last, Mode::Hash)
    }
}

/// A hasher for the subtree number `step` beside the first chunk: it begins at chunk 2^step.
fn subtree(step: usize) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset((CHUNK_LEN as u64) << step);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_header_does_not_change_the_hash_at_any_length() {
        let octets: Vec<u8> = (0..70_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
        let lengths = [
            256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4096, 4097, 8192, 65_536, 70_000,
        ];
        for length in lengths {
            for step in [1, 100, 1024, 5000] {
                let mut wrong_front = octets[..length].to_vec();
                wrong_front[..256].fill(0xee);
                let mut hash = LateHash::new();
                wrong_front.chunks(step).for_each(|part| hash.update(part));
                let expected = blake3::hash(&octets[..length]);
                assert_eq!(
                    hash.finish(&octets[..256]),
                    expected,
                    "{length} octets by {step}"
                );
            }
        }
    }
}
