//! Reading the picture of a community, as it is to be told now.

use chrono::{DateTime, NaiveDate, Utc};
use sha2::{Digest, Sha256};

use super::linkage::{self, Basis, Look};
use super::sql::Connection;
use super::{StoreError, figures, visits};
use crate::domain::DEFINITIONS;
use crate::domain::alarms::Kind;
use crate::domain::needs::{Need, SILENT_MS, Seen, Silent, cluster, needs};
use crate::domain::period::{Period, Span};
use crate::domain::picture::{
    Baseline, Knowing, Party, Picture, Progress, Taking, WEEKS, baseline_span, full_months, full_weeks, last_full_day,
    mean, met, month, rate, surveyed_before, told_span, trend, week,
};
use crate::domain::registry::{Community, Organization, Project, Registry};
use crate::domain::statistics::TimingCounts;
use crate::domain::zone::{rfc3339, today};

/// A community as it is to be told at `now`, beside what was told of it until now.
pub fn look(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    now: DateTime<Utc>,
) -> Result<Look, StoreError> {
    let before = linkage::latest(connection, &community.id)?;
    let needs_before = before.as_ref().and_then(|(_, picture)| Some(picture.as_ref()?.needs.as_slice()));
    let picture = picture(connection, registry, community, needs_before.unwrap_or_default(), now)?;
    let basis = Basis { schedules: schedules(registry, community)?, roster: roster(connection, community.key)? };
    let moved = basis.moved(&linkage::basis(connection, &community.id)?);
    Ok(Look { before, picture, basis, moved })
}

fn picture(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    needs_before: &[Need],
    now: DateTime<Utc>,
) -> Result<Picture, StoreError> {
    const NONE: StoreError = StoreError::Corrupt("a calendar without weeks");
    let today = today(community.zone, now);
    let counts = figures::deposits(connection, registry, community, told_span(today))?;
    let mut weeks = full_weeks(today, WEEKS).into_iter().map(|span| week(&counts, span, today));
    let mut months = full_months(today).into_iter().map(|span| month(&counts, span, today));
    let participation = Taking {
        week: weeks.next().ok_or(NONE)?,
        month: months.next().ok_or(NONE)?,
        earlier_weeks: weeks.collect(),
        earlier_months: months.collect(),
    };
    let projects = || registry.projects.values().filter(|project| project.community == community.id);
    let span = registry.surveyed(&community.id, last_full_day(today));
    let awareness = Knowing::new(span, &visits::figure(connection, community, span, today)?);
    let progress = |project: &Project| -> Result<Progress, StoreError> {
        let baseline = baseline_span(project.starts, today);
        let baseline = baseline.map(|span| self::baseline(connection, registry, community, span, today)).transpose()?;
        let Project { id, organization, starts, targets, .. } = project.clone();
        Ok(Progress { id, organization, starts, targets, baseline, met: met(targets, &participation, &awareness) })
    };
    let projects = projects().map(progress).collect::<Result<Vec<_>, _>>()?;
    let organizations = parties(registry, community, &projects);
    let last = Span { from: participation.week.from, to: participation.week.to };
    let cluster = cluster(&hours(connection, registry, community, last)?);
    let silent = silent(connection, &community.id, now)?;
    let seen = Seen {
        participation: &participation,
        awareness: &awareness,
        projects: &projects,
        organizations: &organizations,
        cluster: cluster.as_ref(),
        silent: &silent,
        today,
    };
    let needs = needs(needs_before, seen);
    Ok(Picture {
        definitions: DEFINITIONS,
        community: community.id.clone(),
        name: community.name.clone(),
        time_zone: community.zone.name().to_owned(),
        committee: community.committee.clone(),
        organizations,
        trend: trend(&participation),
        projects,
        participation,
        awareness,
        needs,
    })
}

fn baseline(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    span: Span,
    today: NaiveDate,
) -> Result<Baseline, StoreError> {
    let counts = figures::deposits(connection, registry, community, span)?;
    let weeks = Period::Week.cut(span).into_iter();
    let told = mean(weeks.map(|span| week(&counts, span, today).participation.percent()));
    let surveyed = surveyed_before(span);
    Ok(Baseline {
        from: span.from,
        to: span.to,
        participation_rate: told.map(|(percent, _)| rate(percent.unsigned_abs())),
        awareness: Knowing::new(surveyed, &visits::figure(connection, community, surveyed, today)?),
    })
}

fn parties(registry: &Registry, community: &Community, projects: &[Progress]) -> Vec<Party> {
    let working = |id: &str| id == community.committee || projects.iter().any(|project| project.organization == id);
    let organizations = registry.organizations.values().filter(|organization| working(&organization.id));
    let party = |one: &Organization| Party { id: one.id.clone(), name: one.name.clone(), kind: one.kind };
    organizations.map(party).collect()
}

fn hours(
    connection: &Connection,
    registry: &Registry,
    community: &Community,
    span: Span,
) -> Result<[TimingCounts; 24], StoreError> {
    let mut all = [TimingCounts::default(); 24];
    for site in registry.sites_of(&community.id) {
        let hours = figures::hours(connection, site, span)?;
        all.iter_mut().zip(&hours).for_each(|(all, hour)| all.add(hour));
    }
    Ok(all)
}

/// The devices of a community that are silent for so long that it is told.
fn silent(connection: &Connection, community: &str, now: DateTime<Utc>) -> Result<Vec<Silent>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT s.id, d.id, a.raised FROM alarm a JOIN site s ON s.key = a.site JOIN device d ON d.key = a.device
         WHERE a.kind = ?1 AND a.cleared IS NULL AND a.raised <= ?2 AND s.community = ?3 ORDER BY s.id, d.id",
    )?;
    let long_ago = now.timestamp_millis() - SILENT_MS;
    let silent = select.query_map((Kind::Silent.as_str(), long_ago, community), |row| {
        Ok(Silent { site: row.get(0)?, device: row.get(1)?, since: rfc3339(row.get(2)?) })
    })?;
    Ok(silent.collect::<Result<_, _>>()?)
}

/// A digest of the schedules of a community.
fn schedules(registry: &Registry, community: &Community) -> Result<Vec<u8>, StoreError> {
    let sites: Vec<_> = registry.sites_of(&community.id).map(|site| (&site.id, &site.schedules)).collect();
    let text = serde_json::to_vec(&sites).map_err(|_| StoreError::Corrupt("a schedule cannot be written"))?;
    Ok(Sha256::digest(text).to_vec())
}

/// A digest of who lives in a community and which cards they hold.
fn roster(connection: &Connection, community: i64) -> Result<Vec<u8>, StoreError> {
    let mut digest = Sha256::new();
    let mut households = connection
        .prepare_cached("SELECT key, enrolled_from, enrolled_until FROM household WHERE community = ?1 ORDER BY key")?;
    let mut cards = connection.prepare_cached(
        "SELECT hc.household, hc.card, NULL FROM household h JOIN household_card hc ON hc.household = h.key
         WHERE h.community = ?1 ORDER BY hc.household, hc.card",
    )?;
    for select in [&mut households, &mut cards] {
        let mut rows = select.query([community])?;
        while let Some(row) = rows.next()? {
            let fields: (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            digest.update(fields.0.to_be_bytes());
            digest.update(fields.1.to_be_bytes());
            digest.update(fields.2.unwrap_or(i64::MAX).to_be_bytes());
        }
        digest.update([0]);
    }
    Ok(digest.finalize().to_vec())
}
