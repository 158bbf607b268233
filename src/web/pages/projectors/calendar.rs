//! Two weeks of what shows when, and on which projector.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use maud::{Markup, html};

use super::{Reading, projector, projectors};
use crate::domain::projection::{Message, timeline};
use crate::domain::registry::{Community, Registry};
use crate::domain::zone::{Tz, opens_at, today};
use crate::store::messages::Stored;
use crate::web::language::Language;
use crate::web::pages::visitor::Visitor;

const DAYS: u64 = 14;

/// By its beginning, end and message (its number): the projectors that show it.
type Shows = BTreeMap<(i64, i64, i64), Vec<String>>;

pub(super) fn show(visitor: &Visitor, community: &Community, reading: &Reading, now: DateTime<Utc>) -> Markup {
    let lang = visitor.lang;
    let all = projectors(&visitor.access.registry, &community.id).count();
    let days = days(&visitor.access.registry, community, &reading.current, now);
    html! {
        h2 { (lang.t("今后两周", "The coming two weeks")) }
        p.note { (lang.t("同一台投影上,后开始的消息优先;它结束后,先前的继续。没有消息的时段放映自带的晚间标语。", "On one projector the message that began last shows, and then the earlier one goes on. Where nothing is planned it shows its own message of the evening.")) }
        ol.days {
            @for (date, shows) in &days {
                li {
                    h3 { (lang.weekday(date.weekday().num_days_from_monday())) " " (lang.short(*date)) }
                    @if shows.is_empty() { p.meta { (lang.t("无安排", "nothing planned")) } }
                    @else { ul { @for (span, on) in shows { li { (one(lang, community.zone, span, &reading.current)) (places(lang, on, all)) } } } }
                }
            }
        }
    }
}

fn one(lang: Language, zone: Tz, (start, end, number): &(i64, i64, i64), messages: &[Stored]) -> Markup {
    let message = messages.iter().find(|message| message.number == *number);
    html! {
        span.meta { (clock(lang, zone, *start)) "–" (clock(lang, zone, *end)) }
        @if let Some(message) = message { " " a href={ "/projectors/messages/" (message.id) } { bdi { (message.asked.text) } } }
    }
}

/// On which projectors something shows, of `all` in number.
fn places(lang: Language, on: &[String], all: usize) -> Markup {
    html! {
        p.meta {
            @if on.len() == all && all > 1 { (lang.t("全部投影", "all projectors")) }
            @else { @for (at, name) in on.iter().enumerate() { @if at > 0 { (lang.t("、", ", ")) } bdi { (name) } } }
        }
    }
}

fn clock(lang: Language, zone: Tz, instant: i64) -> String {
    let local = DateTime::from_timestamp_millis(instant).unwrap_or_default().with_timezone(&zone);
    lang.time(local.time())
}

/// What is planned on each of the days from today on; what began before today stands on the first.
fn days(registry: &Registry, community: &Community, current: &[Stored], now: DateTime<Utc>) -> Vec<(NaiveDate, Shows)> {
    let zone = community.zone;
    let first = today(zone, now);
    let until = opens_at(zone, first.checked_add_days(Days::new(DAYS)).unwrap_or(first), 0);
    // What was stored can be read, or it would have been refused.
    let messages: Vec<Message> = current.iter().filter_map(|stored| stored.message().ok()).collect();
    let mut days: Vec<(NaiveDate, Shows)> =
        first.iter_days().take(DAYS as usize).map(|date| (date, Shows::new())).collect();
    for (device, site) in projectors(registry, &community.id) {
        let meant: Vec<_> = messages.iter().filter(|message| message.target.means(device, site)).collect();
        let spans = timeline(&meant, site, now, until);
        for span in spans.into_iter().filter(|span| span.end > now.timestamp_millis()) {
            let begins = DateTime::from_timestamp_millis(span.start).unwrap_or(now);
            let date = today(zone, begins).max(first);
            if let Some((_, shows)) = days.iter_mut().find(|(day, _)| *day == date) {
                shows.entry((span.start, span.end, span.message)).or_default().push(projector(device, site));
            }
        }
    }
    days
}
