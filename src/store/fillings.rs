//! The figures that may stand in a projector's message. They are public, so they are told as [`crate::domain::published`] has it.

use chrono::{DateTime, Datelike, Days, Utc};

use super::sql::Connection;
use super::{StoreError, figures};
use crate::domain::period::Span;
use crate::domain::published::{Share, count, share};
use crate::domain::registry::{Registry, Site};
use crate::domain::statistics::Participation;
use crate::domain::zone::today;

/// What stands where nothing is told.
const WITHHELD: &str = "—";

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
        let took_part = || figures.and_then(|figures| share(figures.participating, figures.households));
        let percent = |share: Share| format!("{}%", share.percent);
        let told = match name {
            "community" => return self.community.clone(),
            "site" => return self.site.clone(),
            "date" => return self.date.clone(),
            "participation" => took_part().map(percent),
            "participating" => took_part().map(|share| share.part.to_string()),
            "households" => figures.and_then(|figures| count(figures.households)).map(|count| count.to_string()),
            "accuracy" => figures.and_then(|figures| {
                let verdict = figures.verdict;
                share(verdict.correct, verdict.correct + verdict.incorrect).map(percent)
            }),
            _ => None,
        };
        told.unwrap_or_else(|| WITHHELD.to_owned())
    }
}
