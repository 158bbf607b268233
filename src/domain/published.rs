//! What is told to everybody: on the board, in the feed, on a projector.
//!
//! Counts are rounded to multiples of 5, so that one household more or less does not show, and rates are made from the
//! rounded counts, in whole percent. Where a count or its complement is under 5 nothing is told: the contract, section 4.

/// The least count that is told, and the least that may be missing to a whole.
const LEAST: u64 = 5;

/// A share of a whole as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// A multiple of 5.
    pub part: u64,
    /// A multiple of 5.
    pub whole: u64,
    /// Of the two, in whole percent.
    pub percent: u64,
}

/// `part` of `whole`; `None`: withheld.
pub fn share(part: u64, whole: u64) -> Option<Share> {
    if part < LEAST || whole.saturating_sub(part) < LEAST {
        return None;
    }
    let (part, whole) = (rounded(part), rounded(whole));
    Some(Share { part, whole, percent: (part * 100 + whole / 2) / whole })
}

/// A count without a whole; `None`: withheld.
pub fn count(count: u64) -> Option<u64> {
    (count >= LEAST).then(|| rounded(count))
}

/// To the nearest multiple of 5.
fn rounded(count: u64) -> u64 {
    count.saturating_add(2) / 5 * 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_counts_are_withheld_and_the_others_rounded() {
        assert_eq!(share(70, 100), Some(Share { part: 70, whole: 100, percent: 70 }));
        assert_eq!(share(68, 101), Some(Share { part: 70, whole: 100, percent: 70 }));
        assert_eq!((share(4, 100), share(97, 100), share(100, 100), share(0, 0)), (None, None, None, None));
        assert_eq!((count(63), count(4)), (Some(65), None));
    }

    proptest! {
        #[test]
        fn what_is_told_is_near_the_truth_and_no_share_exceeds_its_whole(part in 0u64..10_000, rest in 0u64..10_000) {
            match share(part, part + rest) {
                None => prop_assert!(part < 5 || rest < 5),
                Some(share) => {
                    prop_assert!(part.abs_diff(share.part) <= 2 && (part + rest).abs_diff(share.whole) <= 2);
                    prop_assert!(share.part % 5 == 0 && share.whole % 5 == 0);
                    prop_assert!(share.part <= share.whole && share.percent <= 100);
                }
            }
        }
    }
}
