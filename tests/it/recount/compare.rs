//! Holds the store against the recount, and its rollups against a plain count of its own ledger.

use std::collections::{BTreeMap, BTreeSet};

use fenlei::domain::awareness::Awareness;
use fenlei::domain::period::{Period, Span};
use fenlei::domain::statistics::Place;
use fenlei::domain::zone::Day;
use fenlei::store::events::{Filter, list};
use fenlei::store::recount::recount;
use fenlei::store::{Store, StoreError, card_counts, figures, fleet, visits};
use fenlei_wire::vocabulary::{Stream, Timing as StoredTiming, Verdict};

use super::figures::{Figures, Recount, Timing, local};
use super::history::{Body, COMMUNITIES, Check, DEVICES, LATE, SITES};
use super::model::ranges;
use super::world::World;
use crate::support::rollups;

pub async fn everything(world: &World<'_>, check: &Check) {
    the_ledger(world).await;
    the_fleet(world).await;
    the_rollups(world).await;
    the_figures(world, check).await;
}

/// Every accepted event exactly once, in commit order, as its first arrival said.
async fn the_ledger(world: &World<'_>) {
    let recount = Recount { history: world.history, model: &world.model };
    let stored = world
        .store
        .read(|connection| {
            let listed = list(connection, &Filter { limit: 100_000, ..Filter::default() })?;
            let mut incarnations =
                connection.prepare("SELECT b.incarnation FROM ledger l JOIN boot b ON b.id = l.boot ORDER BY l.id")?;
            let incarnations: Vec<u32> = incarnations.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(listed.into_iter().zip(incarnations).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(stored.len(), world.model.ledger.len(), "events in the ledger");
    for ((stored, incarnation), entry) in stored.iter().zip(&world.model.ledger) {
        let event = &stored.event;
        assert_eq!(
            (stored.device.as_str(), *incarnation, event.boot, event.seq, event.time, event.unsynced, stored.received),
            (
                DEVICES[entry.device()].id,
                entry.boot.1,
                entry.boot.2,
                entry.seq,
                entry.time,
                entry.unsynced,
                entry.received
            ),
        );
        assert_eq!(stored.site, SITES[DEVICES[entry.device()].site].id);
        let mut sent = entry.body.fields();
        let sent = sent.as_object_mut().unwrap();
        sent.remove("card");
        assert_eq!(sent.remove("type").unwrap(), event.body.event_type().as_str());
        let mut fields = event.body.fields();
        if let Some(percent) = fields.get_mut("percent") {
            *percent = (percent.as_f64().unwrap() as u8).into();
        }
        if let Some(rssi) = fields.get_mut("rssi") {
            *rssi = (rssi.as_f64().unwrap() as i64).into();
        }
        assert_eq!(&fields, sent);
        let Body::Deposit { .. } = entry.body else { continue };
        assert_eq!(stored.verdict, entry.verdict().map(|verdict| Verdict::ALL[verdict]), "verdict of {entry:?}");
        let timing = match recount.timing(entry).0 {
            Timing::InWindow => StoredTiming::InWindow,
            Timing::Makeup => StoredTiming::Makeup,
            Timing::OffHours => StoredTiming::OffHours,
        };
        assert_eq!(stored.timing, Some(timing), "timing of {entry:?}");
    }
}

/// Gaps, declared losses, conflicts and refusals of every device.
async fn the_fleet(world: &World<'_>) {
    let model = &world.model;
    for (device, place) in DEVICES.iter().enumerate() {
        if device == LATE && !model.registered_late {
            continue;
        }
        let registered = world.store.registry().devices[place.id].clone();
        let status = world.store.read(move |connection| fleet::status(connection, &registered)).await.unwrap();
        let incarnation = model.incarnation(device);
        let (mut gaps, mut lost) = (Vec::new(), BTreeSet::new());
        for boot in model.boots(device).into_iter().rev() {
            let name = (device, incarnation, boot);
            let settled = model.settled(name);
            let highest = settled.last().map_or(0, |(_, last)| *last);
            let missing = (1..=highest).filter(|seq| !settled.iter().any(|(first, last)| first <= seq && seq <= last));
            gaps.extend(ranges(missing).into_iter().map(|(first, last)| (boot, first as i64, last as i64)));
            lost.extend(model.lost(name).into_iter().map(|seq| (boot, seq as i64)));
        }
        assert_eq!(status.boot, model.latest_boot(device), "latest boot of {}", place.id);
        let listed: Vec<_> = status.gaps.iter().map(|gap| (gap.boot, gap.from, gap.to)).collect();
        assert_eq!(listed, gaps, "gaps of {}", place.id);
        assert_eq!(status.missing, gaps.iter().map(|(_, first, last)| last - first + 1).sum::<i64>());
        let declared = status.lost.iter().flat_map(|range| (range.from..=range.to).map(|seq| (range.boot, seq)));
        let declared: Vec<_> = declared.collect();
        assert_eq!(declared.len(), lost.len(), "a loss is declared once");
        assert_eq!(declared.into_iter().collect::<BTreeSet<_>>(), lost, "declared losses of {}", place.id);
        let conflicts =
            model.conflicts.iter().filter(|((of, generation, _), _)| (*of, *generation) == (device, incarnation));
        assert_eq!(status.conflicts, conflicts.map(|(_, count)| count).sum::<i64>(), "conflicts of {}", place.id);
        assert_eq!(status.quarantined, model.refusals.get(&device).copied().unwrap_or(0), "refusals of {}", place.id);
    }
}

async fn the_figures(world: &World<'_>, check: &Check) {
    let recount = Recount { history: world.history, model: &world.model };
    let (from, to) = (world.day(check.from), world.day(check.from + check.days - 1));
    let (span, now) = (Span::new(from, to).unwrap(), world.now(check.now_hours));
    let registry = world.store.registry();
    for (index, (id, zone)) in COMMUNITIES.iter().enumerate() {
        let (community, read) = (registry.communities[*id].clone(), registry.clone());
        let counts = world
            .store
            .read(move |connection| figures::counts(connection, &read, &community, span, now))
            .await
            .unwrap();
        let community = registry.communities[*id].clone();
        let today = now.with_timezone(zone).date_naive();
        let aware = world.store.read(move |connection| visits::figure(connection, &community, span, today)).await;
        assert_eq!(numbers(&aware.unwrap()), recount.awareness(index, from, to, now), "awareness of {id} at {now}");
        for period in [Period::Day, Period::Week, Period::Month, Period::Range] {
            let periods = period.cut(span);
            let bounds: Vec<_> = periods.iter().map(|period| (period.from, period.to)).collect();
            assert_eq!(bounds, cut(period, from, to), "{period:?}");
            for period in periods {
                let found = counts.participation(period, now.with_timezone(zone).date_naive());
                let found = Figures {
                    households: found.households,
                    participating: found.participating,
                    correct_participating: found.correct_participating,
                    set_out_rate: found.set_out_rate.map(|rate| (rate * 1e6).round() / 1e6),
                    total: found.timing.total(),
                    in_window: found.timing.in_window,
                    makeup: found.timing.makeup,
                    off_hours: found.timing.off_hours,
                    identified: found.identified,
                    correct: found.verdict.correct,
                    incorrect: found.verdict.incorrect,
                    unjudged: found.verdict.unjudged,
                    grams: [0, 1, 2, 3].map(|stream| found.grams.get(&Stream::ALL[stream]).copied().unwrap_or(0)),
                    scheduled: found.windows_scheduled,
                    observed: found.windows_observed,
                };
                let expected = recount.figures(index, period.from, period.to, now);
                assert_eq!(found, expected, "{id} {period:?} at {now}");
            }
        }
    }
    for (index, site) in SITES.iter().enumerate() {
        let registered = registry.sites[site.id].clone();
        let hours = world.store.read(move |connection| figures::hours(connection, &registered, span)).await.unwrap();
        let hours = hours.map(|hour| [hour.in_window, hour.makeup, hour.off_hours]);
        assert_eq!(hours, recount.hours(index, from, to), "hours of {}", site.id);
    }
}

/// As the recount has them.
pub fn numbers(figure: &Awareness) -> [u64; 7] {
    let Awareness { population, claimed, tested, refused, absent } = *figure;
    [population, claimed.respondents, claimed.aware, tested.respondents, tested.aware, refused, absent]
}

/// Periods by what their days have in common.
fn cut(period: Period, from: chrono::NaiveDate, to: chrono::NaiveDate) -> Vec<(chrono::NaiveDate, chrono::NaiveDate)> {
    use chrono::Datelike;
    let name = |date: &chrono::NaiveDate| match period {
        Period::Day => date.num_days_from_ce(),
        Period::Week => date.iso_week().year() * 100 + date.iso_week().week() as i32,
        Period::Month => date.year() * 100 + date.month() as i32,
        Period::Range => 0,
    };
    let days = super::figures::days(from, to);
    days.chunk_by(|one, next| name(one) == name(next)).map(|days| (days[0], days[days.len() - 1])).collect()
}

/// The rollups against a count of the ledger's own rows.
async fn the_rollups(world: &World<'_>) {
    let zones: BTreeMap<String, chrono_tz::Tz> = SITES.iter().map(|site| (site.id.to_owned(), site.zone)).collect();
    world.store.read(move |connection| Ok(rollups::equal_the_ledger(connection, &zones)?)).await.unwrap();
    let report = world.store.read(recount).await.unwrap();
    assert_eq!(report.differences(), 0, "{report}\n{}", report.named().collect::<Vec<_>>().join("\n"));
    windows_of_cards(&world.store, world).await;
}

/// In which windows each card was seen, however often, and that nothing is left of what was taken back.
async fn windows_of_cards(store: &Store, world: &World<'_>) {
    let recount = Recount { history: world.history, model: &world.model };
    let mut expected: BTreeMap<(String, i64, u32, u32, Vec<u8>), i64> = BTreeMap::new();
    for entry in &world.model.ledger {
        let Body::Deposit { card: Some(card), .. } = entry.body else { continue };
        let site = &SITES[DEVICES[entry.device()].site];
        let day = (local(site.zone, entry.time).date - chrono::NaiveDate::default()).num_days();
        // A card that is erased has a hash that nobody knows: all of them together, then.
        let hash = match entry.erased {
            Some(_) => Vec::new(),
            None => super::world::key().hash(&super::history::card_name(card)).0.to_vec(),
        };
        for (open, close) in recount.timing(entry).1 {
            *expected.entry((site.id.to_owned(), day, open, close, hash.clone())).or_default() += 1;
        }
    }
    let found = store
        .read(|connection| {
            let names = |sql: &str| -> Result<BTreeMap<i64, (String, i64)>, StoreError> {
                let mut select = connection.prepare(sql)?;
                let rows = select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
            let sites = names("SELECT s.key, s.id, c.key FROM site s JOIN community c ON c.id = s.community")?;
            let mut hash =
                connection.prepare("SELECT CASE WHEN erased = 1 THEN NULL ELSE hash END FROM card WHERE id = ?1")?;
            let communities: BTreeSet<i64> = sites.values().map(|(_, community)| *community).collect();
            let mut found = BTreeMap::new();
            for community in communities {
                for (site, count) in card_counts::read(connection, community, Day(i32::MIN), Day(i32::MAX))? {
                    let (Place::Window(opening) | Place::AlsoIn(opening)) = count.place else { continue };
                    let card: Option<Vec<u8>> = hash.query_row([count.card.0], |row| row.get(0))?;
                    let (open, close) = (u32::from(opening.open), u32::from(opening.close));
                    let key = (sites[&site].0.clone(), i64::from(count.day.0), open, close, card.unwrap_or_default());
                    *found.entry(key).or_default() += i64::try_from(count.deposits).unwrap();
                }
            }
            found.retain(|_, deposits| *deposits != 0);
            Ok(found)
        })
        .await
        .unwrap();
    assert_eq!(found, expected, "windows in which cards were seen");
}
