//! What is told to everybody: on the board, in the feed, on a projector.
//!
//! Counts are rounded to multiples of 5, so that one household more or less does not show, and rates are made from the
//! rounded counts, in whole percent. Where a count or its complement is under 5 nothing is told: the contract, section 4.

/// The least count that is told, and the least that may be missing to a whole.
const LEAST: u64 = 5;
/// How far a count is from what is told of it at most.
const ROUNDED_BY: u64 = 2;

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
    Some(Share { part, whole, percent: percent(part, whole) })
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2) / whole
}

/// The share of a longer period, of whose parts `within` (part and whole of each, as `share` takes them) together hold
/// everybody who is in it: where some of these are withheld for being few, it is told as no more than lets each of them be
/// anything from nobody to the most that is withheld. Otherwise the sum of the shorter periods might give away what each
/// withheld, as their bound: 5 told of one week and 25 of a month leave 4 to each of its four other weeks.
pub fn share_of_longer(part: u64, whole: u64, within: &[(u64, u64)]) -> Option<Share> {
    let told = share(part, whole)?;
    let (mut most, mut withheld) = (0, 0);
    for (part, whole) in within {
        match share(*part, *whole) {
            Some(share) => most += share.part + ROUNDED_BY,
            None if *part < LEAST => withheld += 1,
            // Nearly everybody of it: no bound.
            None => return Some(told),
        }
    }
    let Some(others) = u64::checked_sub(withheld, 1) else { return Some(told) };
    most += others * (LEAST - 1);
    // The greatest multiple of 5 that stands for a count up to this one.
    let part = told.part.min((most + ROUNDED_BY) / 5 * 5);
    (part >= LEAST).then(|| Share { part, percent: percent(part, told.whole), ..told })
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

    #[test]
    fn a_longer_period_does_not_give_away_what_the_shorter_ones_withhold() {
        let weeks = [(7, 100), (4, 100), (4, 100), (4, 100), (4, 100)];
        assert_eq!(share(23, 100).unwrap().part, 25, "and 23 of the month less 7 of a week are four times 4");
        assert_eq!(share_of_longer(23, 100, &weeks).unwrap(), Share { part: 20, whole: 100, percent: 20 });
        // What could be of the weeks that are told is told, and so is what no sum can bound.
        assert_eq!(share_of_longer(13, 100, &weeks), share(13, 100));
        assert_eq!(share_of_longer(23, 100, &[(7, 100), (16, 100)]), share(23, 100));
        assert_eq!(share_of_longer(60, 100, &[(40, 42), (4, 100)]), share(60, 100));
        assert_eq!(share_of_longer(4, 100, &weeks), None);
    }

    proptest! {
        /// Whoever is counted in the longer period is counted in a shorter one: so a withheld one of these may be anything
        /// from 0 to 4, by all that is told.
        #[test]
        fn each_withheld_part_of_a_longer_period_may_be_anything(
            parts in prop::collection::vec(prop_oneof![0u64..6, 0u64..40], 1..7), drawn in 0.0..=1.0_f64, rest in 5u64..200,
        ) {
            let (most, least) = (parts.iter().sum::<u64>(), parts.iter().max().copied().unwrap());
            let union = least + ((most - least) as f64 * drawn) as u64;
            let within: Vec<_> = parts.iter().map(|part| (*part, most + rest)).collect();
            if let Some(told) = share_of_longer(union, most + rest, &within) {
                let upper = |part: u64| if part < 5 { 4 } else { super::rounded(part) + 2 };
                for (index, _) in parts.iter().enumerate().filter(|(_, part)| **part < 5) {
                    let others: u64 = parts.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, part)| upper(*part)).sum();
                    prop_assert!(told.part - 2 <= others, "none of it in part {index} is consistent");
                }
                prop_assert!(told.part <= super::rounded(union) && super::rounded(union) - told.part <= 5, "a step at most");
            }
        }

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
