//! The figures that may stand in a projector's message. They are public: where a count or its complement is under 5,
//! nothing is told.

use chrono::{DateTime, Datelike, Days, Utc};
use rusqlite::Connection;

use super::{StoreError, figures};
use crate::domain::period::Span;
use crate::domain::registry::{Registry, Site};
use crate::domain::statistics::Participation;
use crate::domain::zone::today;

/// What stands where nothing is told.
const WITHHELD: &str = "—";
/// The least count that is told, and the least that may be missing to a whole.
const LEAST: u64 = 5;

/// What the placeholders of a text stand for at a site.
#[derive(Clone, Debug)]
pub struct Fillings {
    community: String,
    site: String,
    date: String,
    /// Of the last full week, Monday to Sunday; absent where the text asks for none of it.
    figures: Option<Participation>,
}

/// Reads what `text` asks for.
pub fn read(
    connection: &Connection,
    registry: &Registry,
    site: &Site,
    now: DateTime<Utc>,
    text: &str,
) -> Result<Fillings, StoreError> {
    let community = registry.communities.get(&site.community).ok_or(StoreError::Corrupt("a site without community"))?;
    let asks = ["{participation}", "{participating}", "{households}", "{accuracy}"];
    let today = today(community.zone, now);
    let figures = if asks.iter().any(|figure| text.contains(figure)) {
        let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()) + 7);
        let week = Span { from: monday, to: monday + Days::new(6) };
        Some(figures::counts(connection, registry, community, week, now)?.participation(week, today))
    } else {
        None
    };
    let (community, site) = (community.name.clone(), site.name.clone());
    Ok(Fillings { community, site, date: today.format("%Y-%m-%d").to_string(), figures })
}

impl Fillings {
    /// What a placeholder stands for: rates in whole percent.
    pub fn value(&self, name: &str) -> String {
        let figures = self.figures.as_ref();
        let told = match name {
            "community" => return self.community.clone(),
            "site" => return self.site.clone(),
            "date" => return self.date.clone(),
            "participation" => figures.and_then(|figures| percent(figures.participating, figures.households)),
            "participating" => figures.and_then(|figures| count(figures.participating, figures.households)),
            "households" => figures.and_then(|figures| count(figures.households, u64::MAX)),
            "accuracy" => figures.and_then(|figures| {
                let verdict = figures.verdict;
                percent(verdict.correct, verdict.correct + verdict.incorrect)
            }),
            _ => None,
        };
        told.unwrap_or_else(|| WITHHELD.to_owned())
    }
}

/// To the nearest multiple of 5: one household more or less does not show.
fn count(part: u64, whole: u64) -> Option<String> {
    let told = part >= LEAST && whole.saturating_sub(part) >= LEAST;
    told.then(|| (part.saturating_add(2) / 5 * 5).to_string())
}

fn percent(part: u64, whole: u64) -> Option<String> {
    let rounded = |number: u64| (number + 2) / 5 * 5;
    let told = part >= LEAST && whole.saturating_sub(part) >= LEAST;
    let (part, whole) = (rounded(part), rounded(whole));
    told.then(|| format!("{}%", (part * 100 + whole / 2) / whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_counts_are_withheld_and_the_others_rounded() {
        assert_eq!(percent(70, 100).as_deref(), Some("70%"));
        assert_eq!(percent(68, 101).as_deref(), Some("70%"), "rounded to 70 of 100");
        assert_eq!((percent(4, 100), percent(97, 100)), (None, None));
        assert_eq!((count(63, 100).as_deref(), count(96, 100)), (Some("65"), None));
    }
}
