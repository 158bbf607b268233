//! What the statistics are computed from, read from the rollups alone: a figure of a month costs the
//! same however many events were stored in all.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Utc};
use fenlei_wire::vocabulary::DeviceKind;

use super::StoreError;
use super::sql::{Connection, Row};
use super::{card_counts, ledger, roster};
use crate::domain::period::Span;
use crate::domain::registry::{Community, Registry, Site};
use crate::domain::statistics::{Counts, Opportunity, StreamCount, TimingCounts, VerdictCounts};
use crate::domain::timetable::Opening;
use crate::domain::zone::{Day, closes_at, opens_at};

/// Everything that the figures of `community` for `span` are computed from.
pub fn counts(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Counts, StoreError> {
    let mut counts = deposits(connection, registry, community, span)?;
    for site in registry.sites_of(&community.id) {
        opportunities(connection, registry, site, span, now, &mut counts.opportunities)?;
    }
    Ok(counts)
}

/// What the figures are computed from that do not speak of opportunities: who took part, and what was brought.
pub fn deposits(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    span: Span,
) -> Result<Counts, StoreError> {
    let cards = card_counts::read(connection, community.key, span.first_day(), span.last_day())?;
    let mut counts = Counts {
        roster: roster::load(connection, community.key)?,
        cards: cards.into_iter().map(|(_, count)| count).collect(),
        ..Counts::default()
    };
    for site in registry.sites_of(&community.id) {
        counts.streams.extend(streams(connection, site, span)?);
    }
    counts.streams.sort_by_key(|count| count.day);
    Ok(counts)
}

fn streams(connection: &Connection, site: &Site, span: Span) -> Result<Vec<StreamCount>, StoreError> {
    let select = "SELECT day, stream, sum(in_window), sum(makeup), sum(off_hours), sum(correct), sum(incorrect),
                sum(unjudged), sum(grams)
         FROM hour_count WHERE day = ?1 AND site = ?2 GROUP BY day, stream";
    let streams = connection.query_each(select, days(site, span), |row| {
        let timing = TimingCounts { in_window: count(row, 2)?, makeup: count(row, 3)?, off_hours: count(row, 4)? };
        let verdict = VerdictCounts { correct: count(row, 5)?, incorrect: count(row, 6)?, unjudged: count(row, 7)? };
        Ok((Day(row.get(0)?), row.get(1)?, timing, verdict, count(row, 8)?))
    })?;
    let streams = streams.into_iter().map(|(day, stream, timing, verdict, grams)| {
        Ok(StreamCount { day, stream: ledger::stream(stream)?, timing, verdict, grams })
    });
    streams.collect()
}

/// What is asked for of a site: its rows of a day lie beside those of the other sites.
fn days(site: &Site, span: Span) -> impl Iterator<Item = (i32, i64)> {
    span.dates().map(|date| (Day::of(date).0, site.key))
}

fn count(row: &Row<'_>, column: usize) -> super::sql::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Deposits by local hour of the day, 24 rows.
pub fn hours(connection: &Connection, site: &Site, span: Span) -> Result<[TimingCounts; 24], StoreError> {
    let select = "SELECT hour, in_window, makeup, off_hours FROM hour_count WHERE day = ?1 AND site = ?2";
    let found = connection.query_each(select, days(site, span), |row| {
        Ok((row.get::<_, u16>(0)?, count(row, 1)?, count(row, 2)?, count(row, 3)?))
    })?;
    let mut hours = [TimingCounts::default(); 24];
    for (hour, in_window, makeup, off_hours) in found {
        if let Some(hour) = hours.get_mut(usize::from(hour)) {
            hour.in_window += in_window;
            hour.makeup += makeup;
            hour.off_hours += off_hours;
        }
    }
    Ok(hours)
}

/// Deposits by weekday (Monday first) and local hour of the day.
pub fn week(connection: &Connection, site: &Site, span: Span) -> Result<[[u64; 24]; 7], StoreError> {
    let select = "SELECT day, hour, in_window + makeup + off_hours FROM hour_count WHERE day = ?1 AND site = ?2";
    let found = connection
        .query_each(select, days(site, span), |row| Ok((Day(row.get(0)?), row.get::<_, u16>(1)?, count(row, 2)?)))?;
    let mut week = [[0; 24]; 7];
    for (day, hour, deposits) in found {
        let weekday = day.date().weekday().num_days_from_monday() as usize;
        if let Some(hour) = week.get_mut(weekday).and_then(|day| day.get_mut(usize::from(hour))) {
            *hour += deposits;
        }
    }
    Ok(week)
}

/// The opportunities of a site, each marked if it is over and a bin is known to have been there.
fn opportunities(
    connection: &Connection,
    registry: &Registry,
    site: &Site,
    span: Span,
    now: DateTime<Utc>,
    into: &mut BTreeMap<Opportunity, bool>,
) -> Result<(), StoreError> {
    let presence = presence(connection, site, span)?;
    let online = online(connection, registry, site)?;
    for date in span.dates() {
        let day = Day::of(date);
        for opening in site.timetable.openings(date) {
            let observed = into.entry(Opportunity { day, opening }).or_default();
            if *observed {
                continue;
            }
            let closes = closes_at(site.zone, date, opening.close);
            let opens = opens_at(site.zone, date, opening.open);
            // A window that the clock skips never was: nobody can have been there.
            *observed = opens < closes
                && closes <= now
                && (reported(&presence, day, opening)
                    || online.iter().any(|(since, until)| {
                        *since <= opens.timestamp_millis() && closes.timestamp_millis() <= *until
                    }));
        }
    }
    Ok(())
}

type Presence = HashMap<(Day, u16), u64>;

fn presence(connection: &Connection, site: &Site, span: Span) -> Result<Presence, StoreError> {
    let select = "SELECT day, hour, minutes FROM presence WHERE day = ?1 AND site = ?2";
    let found = connection.query_each(select, days(site, span), |row| {
        Ok(((Day(row.get(0)?), row.get(1)?), row.get::<_, i64>(2)?.cast_unsigned()))
    })?;
    Ok(found.into_iter().collect())
}

fn reported(presence: &Presence, day: Day, opening: Opening) -> bool {
    (opening.open / 60..=(opening.close - 1) / 60).any(|hour| {
        let minutes = presence.get(&(day, hour)).copied().unwrap_or(0);
        let within = (hour * 60..hour * 60 + 60).filter(|minute| (opening.open..opening.close).contains(minute));
        within.into_iter().any(|minute| minutes & (1 << (minute % 60)) != 0)
    })
}

/// The spans in which a bin of the site was online.
fn online(connection: &Connection, registry: &Registry, site: &Site) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT since, until FROM online WHERE device = ?1")?;
    let mut spans = Vec::new();
    let bins = registry.devices.values().filter(|device| device.site == site.id && device.kind == DeviceKind::Bin);
    for bin in bins {
        let mut rows = select.query([bin.key])?;
        while let Some(row) = rows.next()? {
            let until: Option<i64> = row.get(1)?;
            spans.push((row.get(0)?, until.unwrap_or(i64::MAX)));
        }
    }
    Ok(spans)
}
