//! Which events of one boot of a device have come: a high-water mark and the gaps below it.
//!
//! Holds always: gaps are disjoint, not touching each other, and lie between 1 and `next - 1`. An
//! event is new if it lies in a gap or at or above `next`; everything else has come before. The gaps
//! are at once the deduplication, the receipt and the report of what a device never delivered.

use std::collections::BTreeMap;
use std::ops::Bound;

use fenlei_wire::limits::{MAX_BEYOND, MAX_SEQ};
use serde::Serialize;

/// The events of one boot that have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    next: u64,
    gaps: BTreeMap<u64, u64>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { next: 1, gaps: BTreeMap::new() }
    }
}

/// What a device may forget: the JSON of `fenlei_wire::receipt::Receipt`. That has room for all its ranges in
/// itself, as a device needs it; nearly every receipt has none, and one is made for each publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub boot: u32,
    pub through: u64,
    /// At most 32 ranges, lowest first.
    pub beyond: Vec<(u64, u64)>,
}

impl Receipt {
    pub fn covers(&self, boot: u32, seq: u64) -> bool {
        boot == self.boot
            && (seq <= self.through || self.beyond.iter().any(|(first, last)| (*first..=*last).contains(&seq)))
    }
}

/// What a change did to the gaps, for a store that keeps them as rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// First seqs of gaps that are no more.
    pub removed: Vec<u64>,
    /// Gaps that are new, as (first, last).
    pub added: Vec<(u64, u64)>,
}

impl Marks {
    pub fn restore(next: u64, gaps: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self { next, gaps: gaps.into_iter().collect() }
    }

    /// One above the highest seq that has come.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.gaps.iter().map(|(first, last)| (*first, *last))
    }

    pub fn has(&self, seq: u64) -> bool {
        seq < self.next && self.gap_around(seq).is_none()
    }

    /// Uses `seq` up. `None`: it has come before.
    pub fn take(&mut self, seq: u64) -> Option<Change> {
        if self.has(seq) { None } else { Some(self.close(seq, seq)) }
    }

    /// Closes whatever of `from..=to` has not come, above the high-water mark included.
    pub fn close(&mut self, from: u64, to: u64) -> Change {
        let mut change = Change::default();
        if to >= self.next {
            if from > self.next {
                self.gaps.insert(self.next, from - 1);
                change.added.push((self.next, from - 1));
            }
            self.next = to + 1;
        }
        while let Some((first, last)) = self.first_gap_within(from, to) {
            self.gaps.remove(&first);
            change.removed.push(first);
            for (left, right) in [(first, from.saturating_sub(1)), (to.saturating_add(1), last)] {
                if first <= left && left <= right && right <= last {
                    self.gaps.insert(left, right);
                    change.added.push((left, right));
                }
            }
        }
        change
    }

    /// The seqs in `from..=to` that have not come, as ranges.
    pub fn missing_within(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut missing: Vec<_> = self
            .gaps()
            .filter(|(first, last)| *first <= to && from <= *last)
            .map(|(first, last)| (first.max(from), last.min(to)))
            .collect();
        if to >= self.next {
            missing.push((from.max(self.next), to));
        }
        missing
    }

    /// What a device may forget.
    pub fn receipt(&self, boot: u32) -> Receipt {
        let through = self.gaps.first_key_value().map_or(self.next, |(first, _)| *first) - 1;
        let mut receipt = Receipt { boot, through, beyond: Vec::new() };
        let mut gaps = self.gaps().peekable();
        while let Some((_, last)) = gaps.next() {
            let until = gaps.peek().map_or(self.next, |(first, _)| *first) - 1;
            if receipt.beyond.len() == MAX_BEYOND {
                break;
            }
            receipt.beyond.push((last + 1, until));
        }
        receipt
    }

    fn gap_around(&self, seq: u64) -> Option<(u64, u64)> {
        let (first, last) = self.gaps.range(..=seq).next_back()?;
        (*last >= seq).then_some((*first, *last))
    }

    fn first_gap_within(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        self.gap_around(from).or_else(|| {
            let mut after = self.gaps.range((Bound::Excluded(from), Bound::Included(to)));
            after.next().map(|(first, last)| (*first, *last))
        })
    }
}

/// Whether `seq` can be the number of an event.
pub fn is_seq(seq: u64) -> bool {
    (1..=MAX_SEQ).contains(&seq)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_receipt_names_what_came_beyond_a_gap() {
        let mut marks = Marks::default();
        for seq in (1..=1042).chain(1045..=1050) {
            assert!(marks.take(seq).is_some());
        }
        let receipt = marks.receipt(7);
        assert_eq!((receipt.through, receipt.beyond.as_slice()), (1042, &[(1045, 1050)][..]));
        assert_eq!(marks.gaps().collect::<Vec<_>>(), [(1043, 1044)]);
        let read: fenlei_wire::receipt::Receipt =
            serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        assert_eq!((read.boot, read.through, &read.beyond[..]), (7, 1042, &[(1045, 1050)][..]), "as devices read it");
    }

    #[test]
    fn the_highest_seq_opens_one_gap_and_uses_up_no_more_than_itself() {
        let mut marks = Marks::default();
        marks.take(MAX_SEQ);
        assert!(!marks.has(1) && !marks.has(MAX_SEQ - 1) && marks.has(MAX_SEQ));
        assert_eq!(marks.receipt(1).through, 0);
    }

    #[test]
    fn a_receipt_lists_at_most_32_ranges_lowest_first() {
        let mut marks = Marks::default();
        for seq in (2..200).step_by(2) {
            marks.take(seq);
        }
        let receipt = marks.receipt(1);
        assert_eq!(receipt.beyond.len(), 32);
        assert_eq!(receipt.beyond.first(), Some(&(2, 2)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64),
        Close(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1u64..60).prop_map(Step::Take),
            1 => (1u64..60, 0u64..20).prop_map(|(from, length)| Step::Close(from, from + length)),
        ]
    }

    proptest! {
        #[test]
        fn marks_agree_with_a_plain_set_and_changes_rebuild_the_stored_gaps(steps in prop::collection::vec(step(), 0..80)) {
            let (mut marks, mut came, mut stored) = (Marks::default(), BTreeSet::new(), BTreeMap::new());
            for step in steps {
                let change = match step {
                    Step::Take(seq) => {
                        let change = marks.take(seq);
                        prop_assert_eq!(change.is_some(), came.insert(seq));
                        change.unwrap_or_default()
                    }
                    Step::Close(from, to) => {
                        came.extend(from..=to);
                        marks.close(from, to)
                    }
                };
                for first in change.removed {
                    prop_assert!(stored.remove(&first).is_some(), "a gap removed that was never stored");
                }
                stored.extend(change.added);
                prop_assert_eq!(&stored, &marks.gaps);
                for seq in 1..90 {
                    prop_assert_eq!(marks.has(seq), came.contains(&seq));
                }
                let receipt = marks.receipt(1);
                for seq in 1..90 {
                    prop_assert_eq!(receipt.covers(1, seq), came.contains(&seq));
                }
                prop_assert_eq!(Marks::restore(marks.next(), marks.gaps()), marks.clone());
            }
        }
    }
}
