//! How a community stands: the last full week beside the one before, and awareness since its project began.

use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};

use super::figure::{Counted, Figure, Share, against_target, change, tile};
use crate::domain::awareness::{Answers, Awareness, awareness};
use crate::domain::comparison::last_week;
use crate::domain::period::Span;
use crate::domain::registry::{Community, Registry, Targets};
use crate::domain::statistics::Participation;
use crate::domain::zone::today;
use crate::store::sql::Connection;
use crate::store::{StoreError, figures, visits};
use crate::web::language::Language;

pub(super) struct Standing {
    pub id: String,
    pub name: String,
    /// The last full week.
    pub week: Participation,
    pub before: Participation,
    pub surveyed: Surveyed,
    pub targets: Targets,
}

/// Awareness, and over which days.
pub(super) struct Surveyed {
    pub span: Span,
    /// When the first project began; absent: the year before is told.
    pub since: Option<NaiveDate>,
    pub awareness: Awareness,
}

impl Standing {
    pub(super) fn read(
        connection: &Connection,
        registry: &Registry,
        community: &Community,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let today = today(community.zone, now);
        let week = last_week(today).unwrap_or(Span { from: today, to: today });
        let before = last_week(week.from).unwrap_or(week);
        let counts = figures::counts(connection, registry, community, Span { from: before.from, to: week.to }, now)?;
        let (span, since) = (registry.surveyed(&community.id, today), registry.first_start(&community.id, today));
        let said = visits::said(connection, community.key, span)?;
        Ok(Self {
            id: community.id.clone(),
            name: community.name.clone(),
            week: counts.participation(week, today),
            before: counts.participation(before, today),
            surveyed: Surveyed { span, since, awareness: awareness(&counts.roster, &said, span, today) },
            targets: registry.targets(&community.id, today),
        })
    }

    /// Whether last week's participation was below the target.
    pub(super) fn is_below(&self) -> bool {
        let (rate, target) = (self.week.participation_rate(), self.targets.participation);
        rate.zip(target).is_some_and(|(rate, target)| rate < target)
    }

    /// Whether nobody was asked since the project began.
    pub(super) fn is_unsurveyed(&self) -> bool {
        let Awareness { claimed, tested, population, .. } = self.surveyed.awareness;
        population > 0 && claimed.respondents + tested.respondents == 0
    }

    /// The figures side by side, with what they are told for.
    pub(super) fn tiles(&self, lang: Language) -> Markup {
        let week_before = lang.t("前一周", "the week before");
        let tiles = Figure::ALL.map(|figure| {
            let (now, before) = (figure.of(&self.week), figure.known(&self.before));
            let mut further = vec![html! { (change(lang, now.rate, before, week_before)) }];
            if figure == Figure::Participation {
                further.extend(against_target(lang, now.rate, self.targets.participation));
            }
            tile(lang, figure.name(lang), (now, figure.counted()), &further)
        });
        let [participation, correct, accuracy, off_hours] = tiles;
        html! {
            p.note {
                (lang.t("上周:", "Last week: ")) (lang.span(self.week.span))
                " · " (lang.t("开放时段观测到 ", "open windows observed: ")) (self.week.windows_observed) " / " (self.week.windows_scheduled)
                " · " (self.surveyed.told(lang))
            }
            div.figures {
                (participation) (correct) (self.surveyed.tile(lang, Asked::Tested, self.targets))
                (self.surveyed.tile(lang, Asked::Claimed, self.targets)) (accuracy) (off_hours)
            }
        }
    }
}

/// The two ways of asking.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Tested,
    Claimed,
}

impl Asked {
    pub(super) fn name(self, lang: Language) -> &'static str {
        match self {
            Self::Tested => lang.t("知晓率(测试)", "Awareness, tested"),
            Self::Claimed => lang.t("知晓率(自述)", "Awareness, claimed"),
        }
    }

    pub(super) fn of(self, awareness: &Awareness) -> Answers {
        match self {
            Self::Tested => awareness.tested,
            Self::Claimed => awareness.claimed,
        }
    }
}

impl Surveyed {
    /// Since when awareness is told.
    fn told(&self, lang: Language) -> String {
        match (self.since, lang) {
            (Some(since), Language::Zh) => format!("知晓率:{}项目开始以来", lang.date(since)),
            (Some(since), Language::En) => format!("awareness: since the project began on {}", lang.date(since)),
            (None, Language::Zh) => "知晓率:近一年(还没有开始的项目)".to_owned(),
            (None, Language::En) => "awareness: of the last year (no project has begun)".to_owned(),
        }
    }

    pub(super) fn tile(&self, lang: Language, asked: Asked, targets: Targets) -> Markup {
        let answers = asked.of(&self.awareness);
        let mut further: Vec<Markup> = interval(lang, answers, self.awareness.population).into_iter().collect();
        further.extend(against_target(lang, answers.rate(), targets.awareness).filter(|_| answers.respondents > 0));
        tile(lang, asked.name(lang), (Share::of(answers), Counted::Respondents), &further)
    }
}

/// The 95 % interval for the share of all households.
pub(super) fn interval(lang: Language, answers: Answers, population: u64) -> Option<Markup> {
    let (low, high) = answers.interval(population)?;
    let (low, high) = (lang.percent(Some(low)), lang.percent(Some(high)));
    Some(html! {
        (lang.t("全部 ", "of all ")) (population) (lang.t(" 户的 95% 区间:", " households, 95% interval: ")) (low) "–" (high)
    })
}
