//! Which deposit a camera's judgement speaks of.
//!
//! A judgement that names a bin means that bin's deposit, not yet judged by a camera, nearest in time
//! within [`REACH_MS`]. Judgement and deposit may arrive in either order, and late. A match once made
//! stays; where several judgements wait for one deposit, the first committed has it.

/// How far apart a judgement and its deposit may lie, in milliseconds, both ends included.
pub const REACH_MS: i64 = 20_000;

/// A deposit of the judged bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub row: i64,
    pub time: i64,
}

/// The candidates in reach of `time`, nearest first; of two equally near the earlier, of these the first committed.
pub fn nearest_first(time: i64, candidates: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let mut near: Vec<_> = candidates.into_iter().filter(|candidate| in_reach(time, candidate.time)).collect();
    near.sort_unstable_by_key(|candidate| (candidate.time.abs_diff(time), candidate.time, candidate.row));
    near
}

pub fn in_reach(judgement: i64, deposit: i64) -> bool {
    judgement.abs_diff(deposit) <= REACH_MS.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(row: i64, time: i64) -> Candidate {
        Candidate { row, time }
    }

    #[test]
    fn the_nearest_within_twenty_seconds() {
        let near = |candidates: &[Candidate]| nearest_first(100_000, candidates.iter().copied());
        assert_eq!(near(&[at(1, 81_000), at(2, 112_000)]), [at(2, 112_000), at(1, 81_000)]);
        assert_eq!(near(&[at(1, 80_000)]), [at(1, 80_000)]);
        assert_eq!(near(&[at(1, 79_999), at(2, 120_001)]), []);
        assert_eq!(near(&[at(2, 105_000), at(1, 95_000)]), [at(1, 95_000), at(2, 105_000)]);
        assert_eq!(near(&[at(2, 95_000), at(1, 95_000)]), [at(1, 95_000), at(2, 95_000)]);
    }
}
