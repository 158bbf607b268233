//! What a community's monthly report is made of, read at one moment, and its tables.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use fenlei_wire::vocabulary::Stream;

use super::tables::{count, kilograms, percent, table};
use crate::domain::alarms::Kind;
use crate::domain::awareness::{Awareness, Outcome, VisitKind, awareness};
use crate::domain::period::{Period, Span};
use crate::domain::registry::{Community, Registry, Targets};
use crate::domain::statistics::{Participation, rate};
use crate::domain::zone::{closes_at, opens_at, today};
use crate::sheets::{Cell, Table};
use crate::store::sql::Connection;
use crate::store::{StoreError, alarms, figures, visits};
use crate::web::language::Language;
use crate::web::pages::alarms::{gravity, kind as kind_name};
use crate::web::pages::figure::{Figure, change};
use crate::web::pages::standing::{Asked, Surveyed};
use crate::web::pages::words;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

pub(super) struct Month {
    /// As far as it has gone.
    pub span: Span,
    pub is_over: bool,
    pub now: Participation,
    pub before: Participation,
    pub weeks: Vec<Participation>,
    /// Up to the end of the month, and of the month before.
    pub surveyed: Surveyed,
    pub surveyed_before: Awareness,
    pub targets: Targets,
    /// Versions of the hours that began to hold: of which site, since when, and why.
    pub hours: Vec<(String, NaiveDate, Option<String>)>,
    pub visits: Vec<(VisitKind, Outcome, u64)>,
    pub alarms: BTreeMap<&'static str, (Kind, u64)>,
}

/// The days of the month in which `day` lies.
pub(super) fn month_of(day: NaiveDate) -> Option<Span> {
    let first = day.with_day(1)?;
    Some(Span { from: first, to: first.checked_add_months(Months::new(1))?.pred_opt()? })
}

impl Month {
    /// `month` has begun by the day of `now`.
    pub(super) fn read(
        connection: &Connection,
        registry: &Registry,
        community: &Community,
        month: Span,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let today = today(community.zone, now);
        let span = Span { from: month.from, to: month.to.min(today) };
        let before = month.from.pred_opt().and_then(month_of).unwrap_or(span);
        let counts = figures::counts(connection, registry, community, Span { from: before.from, to: span.to }, now)?;
        let asked = |last: NaiveDate| {
            let (days, since) = (registry.surveyed(&community.id, last), registry.first_start(&community.id, last));
            let said = visits::said(connection, community.key, days)?;
            let awareness = awareness(&counts.roster, &said, days, today);
            Ok::<_, StoreError>(Surveyed { span: days, since, awareness })
        };
        let hours = registry.sites_of(&community.id).flat_map(|site| {
            let held = site.schedules.iter().filter(|version| span.contains(version.valid_from));
            held.map(|version| (site.name.clone(), version.valid_from, version.reason.clone()))
        });
        let (first, last) = (opens_at(community.zone, span.from, 0), closes_at(community.zone, span.to, DAY));
        let mut raised: BTreeMap<&'static str, (Kind, u64)> = BTreeMap::new();
        for (site, kind, count) in alarms::raised(connection, first.timestamp_millis(), last.timestamp_millis())? {
            if registry.sites_of(&community.id).any(|own| own.key == site) {
                raised.entry(kind.as_str()).or_insert((kind, 0)).1 += count;
            }
        }
        Ok(Self {
            is_over: month.to < today,
            now: counts.participation(span, today),
            before: counts.participation(before, today),
            weeks: Period::Week.cut(span).into_iter().map(|week| counts.participation(week, today)).collect(),
            surveyed: asked(span.to)?,
            surveyed_before: asked(before.to)?.awareness,
            targets: registry.targets(&community.id, span.to),
            hours: hours.collect(),
            visits: visits::made(connection, community.key, span)?,
            alarms: raised,
            span,
        })
    }

    /// All tables of the report, in its order.
    pub(super) fn tables(&self, lang: Language) -> Vec<Table> {
        let mut tables = vec![self.changes(lang), self.weeks(lang), self.streams(lang)];
        tables.extend([self.hours(lang), self.visits(lang), self.alarms(lang)].into_iter().flatten());
        tables
    }

    /// Every figure beside that of the month before.
    pub(super) fn changes(&self, lang: Language) -> Table {
        let month_before = lang.t("上月", "the month before");
        let row = |name: &str, (part, whole, now): (u64, u64, Option<f64>), before: Option<f64>| {
            let change = change(lang, now, before, month_before);
            vec![name.into(), count(part), count(whole), percent(now), percent(before), change.into()]
        };
        let mut rows: Vec<_> = Figure::ALL
            .iter()
            .map(|figure| {
                let now = figure.of(&self.now);
                row(figure.name(lang), (now.part, now.whole, now.rate), figure.known(&self.before))
            })
            .collect();
        for asked in [Asked::Tested, Asked::Claimed] {
            let (now, before) = (asked.of(&self.surveyed.awareness), asked.of(&self.surveyed_before));
            rows.push(row(asked.name(lang), (now.aware, now.respondents, now.rate()), before.rate()));
        }
        let (now, before) = (&self.now, &self.before);
        let makeup = |of: &Participation| rate(of.timing.makeup, of.timing.total());
        let name = lang.t("误时投放占比", "Makeup share");
        rows.push(row(name, (now.timing.makeup, now.timing.total(), makeup(now)), makeup(before)));
        let name = lang.t("识别率", "Identified coverage");
        let now = (now.identified, now.timing.total(), now.identified_coverage());
        rows.push(row(name, now, before.identified_coverage()));
        let columns = [
            ["指标", "Figure"],
            ["分子", "Numerator"],
            ["分母", "Denominator"],
            ["本月", "This month"],
            ["上月", "Month before"],
            ["变化", "Change"],
        ];
        table(lang, lang.t("与上月相比", "Against the month before"), &columns, rows)
    }

    pub(super) fn weeks(&self, lang: Language) -> Table {
        let rows = self.weeks.iter().map(|week| {
            vec![
                Cell::Date(week.span.from),
                Cell::Date(week.span.to),
                count(week.participating),
                count(week.households),
                percent(week.participation_rate()),
                percent(week.accuracy()),
                count(week.windows_observed),
                count(week.windows_scheduled),
            ]
        });
        let columns = [
            ["从", "From"],
            ["到", "To"],
            ["参与户", "Participating"],
            ["在册户", "Households"],
            ["参与率", "Participation"],
            ["准确率", "Accuracy"],
            ["已观测时段", "Windows observed"],
            ["应开放时段", "Scheduled"],
        ];
        table(lang, lang.t("各周(按月首月末截断)", "Weeks, cut at the ends of the month"), &columns, rows.collect())
    }

    pub(super) fn streams(&self, lang: Language) -> Table {
        let total: u64 = self.now.grams.values().sum();
        let rows = Stream::ALL.iter().map(|stream| {
            let grams = |of: &Participation| of.grams.get(stream).copied().unwrap_or(0);
            let (now, before) = (grams(&self.now), grams(&self.before));
            vec![words::stream(lang, *stream).into(), kilograms(now), percent(rate(now, total)), kilograms(before)]
        });
        let columns = [
            ["类别", "Stream"],
            ["本月(千克)", "This month (kg)"],
            ["占比", "Share"],
            ["上月(千克)", "Month before (kg)"],
        ];
        table(lang, lang.t("类别与重量", "Streams and weight"), &columns, rows.collect())
    }

    /// Absent: the hours stayed as they were.
    pub(super) fn hours(&self, lang: Language) -> Option<Table> {
        let rows: Vec<_> = self
            .hours
            .iter()
            .map(|(site, since, reason)| vec![site.as_str().into(), Cell::Date(*since), reason.clone().into()])
            .collect();
        let columns = [["箱房", "Site"], ["生效日", "In force from"], ["原因", "Reason"]];
        (!rows.is_empty()).then(|| table(lang, lang.t("开放时间调整", "Changes of the hours"), &columns, rows))
    }

    /// Absent: nobody went to the doors.
    pub(super) fn visits(&self, lang: Language) -> Option<Table> {
        let made = |kind: VisitKind, outcome: Outcome| {
            let made = self.visits.iter().filter(|made| (made.0, made.1) == (kind, outcome));
            made.map(|(_, _, count)| count).sum::<u64>()
        };
        let rows = VisitKind::ALL.iter().map(|kind| {
            let counts: Vec<u64> = Outcome::ALL.iter().map(|outcome| made(*kind, *outcome)).collect();
            let all = counts.iter().sum();
            [words::visit(lang, *kind).into(), count(all)].into_iter().chain(counts.into_iter().map(count)).collect()
        });
        let mut table = table(
            lang,
            lang.t("走访与问卷(户次)", "Visits and surveys"),
            &[["方式", "Kind"], ["合计", "All"]],
            rows.collect(),
        );
        table.columns.extend(Outcome::ALL.iter().map(|outcome| words::outcome(lang, *outcome).to_owned()));
        (!self.visits.is_empty()).then_some(table)
    }

    /// Absent: there were none.
    pub(super) fn alarms(&self, lang: Language) -> Option<Table> {
        let rows: Vec<_> = self
            .alarms
            .values()
            .map(|(kind, raised)| {
                let severity = gravity(lang, kind.severity());
                vec![kind_name(lang, *kind).into(), severity.into(), count(*raised)]
            })
            .collect();
        let columns = [["告警", "Alarm"], ["级别", "Severity"], ["次数", "Raised"]];
        (!rows.is_empty()).then(|| table(lang, lang.t("告警", "Alarms"), &columns, rows))
    }
}
