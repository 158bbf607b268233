//! How a figure is told: never without its numerator and denominator, and its change in words.

use maud::{Markup, html};

use crate::domain::awareness::Answers;
use crate::domain::statistics::Participation;
use crate::web::language::Language;

/// A share, and what it is a share of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub part: u64,
    pub whole: u64,
    pub rate: Option<f64>,
}

/// What is counted in a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Households,
    Respondents,
    Deposits,
    Judged,
}

impl Counted {
    /// `72 / 103 户`.
    pub(super) fn told(self, lang: Language, share: Share) -> String {
        let Share { part, whole, .. } = share;
        let unit = match self {
            Self::Households => lang.t("户", "households"),
            Self::Respondents => lang.t("户受访", "households asked"),
            Self::Deposits => lang.t("次投放", "deposits"),
            Self::Judged => lang.t("次有判定的投放", "judged deposits"),
        };
        format!("{part} / {whole} {unit}")
    }
}

/// The figures that a period is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Participation,
    Correct,
    Accuracy,
    OffHours,
}

impl Figure {
    pub(super) const ALL: [Self; 4] = [Self::Participation, Self::Correct, Self::Accuracy, Self::OffHours];

    pub(super) fn name(self, lang: Language) -> &'static str {
        match self {
            Self::Participation => lang.t("参与率", "Participation"),
            Self::Correct => lang.t("正确参与率", "Correct participation"),
            Self::Accuracy => lang.t("准确率", "Accuracy"),
            Self::OffHours => lang.t("非开放时段占比", "Off-hours share"),
        }
    }

    pub(super) fn counted(self) -> Counted {
        match self {
            Self::Participation | Self::Correct => Counted::Households,
            Self::Accuracy => Counted::Judged,
            Self::OffHours => Counted::Deposits,
        }
    }

    /// The rate of a period to compare with; `None` where nobody observed it: an outage is not non-participation.
    pub(super) fn known(self, period: &Participation) -> Option<f64> {
        self.of(period).rate.filter(|_| period.is_observed())
    }

    pub(super) fn of(self, period: &Participation) -> Share {
        let (part, whole, rate) = match self {
            Self::Participation => (period.participating, period.households, period.participation_rate()),
            Self::Correct => (period.correct_participating, period.households, period.correct_participation_rate()),
            Self::Accuracy => (period.verdict.correct, period.verdict.judged(), period.accuracy()),
            Self::OffHours => (period.timing.off_hours, period.timing.total(), period.off_hours_share()),
        };
        Share { part, whole, rate }
    }
}

impl Share {
    pub(super) fn of(answers: Answers) -> Self {
        Self { part: answers.aware, whole: answers.respondents, rate: answers.rate() }
    }
}

/// A figure as a tile: its name, the rate, what it is made of, and what there is to say of it.
pub(super) fn tile(lang: Language, name: &str, (share, counted): (Share, Counted), further: &[Markup]) -> Markup {
    html! {
        div.figure {
            h3 { (name) }
            p.number { (lang.percent(share.rate)) }
            p.made { @if share.whole > 0 { (counted.told(lang, share)) } @else { (nothing(lang, counted)) } }
            @for line in further { p.further { (line) } }
        }
    }
}

fn nothing(lang: Language, counted: Counted) -> &'static str {
    match counted {
        Counted::Households => lang.t("还没有导入住户", "no household is enrolled yet"),
        Counted::Respondents => lang.t("还没有人受访", "nobody was asked yet"),
        Counted::Deposits => lang.t("没有投放", "no deposits"),
        Counted::Judged => lang.t("没有判定过的投放", "no deposit was judged"),
    }
}

/// Tenths of a percentage point from `before` to `now`, as they are shown; `None`: one of them is not known.
fn tenths(now: Option<f64>, before: Option<f64>) -> Option<i64> {
    let shown = |rate: f64| (rate * 1000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "rates lie between 0 and 1")]
    now.zip(before).map(|(now, before)| (shown(now) - shown(before)) as i64)
}

/// A change in percentage points, in words, against what `against` names (“前一周”, “the week before”).
pub(super) fn change(lang: Language, now: Option<f64>, before: Option<f64>, against: &str) -> String {
    let points = |tenths: i64| format!("{}.{}", tenths.abs() / 10, tenths.abs() % 10);
    match (tenths(now, before), lang) {
        (None, Language::Zh) => format!("{against}没有可比的数"),
        (None, Language::En) => format!("nothing to compare with {against}"),
        (Some(0), Language::Zh) => format!("与{against}持平"),
        (Some(0), Language::En) => format!("the same as {against}"),
        (Some(by), Language::Zh) => {
            format!("比{against}{} {} 个百分点", if by > 0 { "上升" } else { "下降" }, points(by))
        }
        (Some(by), Language::En) => {
            format!("{} {} points on {against}", if by > 0 { "up" } else { "down" }, points(by))
        }
    }
}

/// How a rate stands to its target, in words.
pub(super) fn against_target(lang: Language, rate: Option<f64>, target: Option<f64>) -> Option<Markup> {
    let target = target?;
    let told = lang.percent(Some(target));
    Some(match rate {
        None => html! { (lang.t("目标 ", "target ")) (told) },
        Some(rate) if rate >= target => {
            html! { span.tag.good { (lang.t("达到目标 ", "target reached: ")) (told) } }
        }
        Some(_) => html! { span.tag.care { (lang.t("低于目标 ", "below target ")) (told) } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_difference_of_what_is_shown() {
        let (zh, en) = (Language::Zh, Language::En);
        assert_eq!(change(zh, Some(0.703), Some(0.671), "前一周"), "比前一周上升 3.2 个百分点");
        assert_eq!(change(en, Some(0.5), Some(0.6), "the week before"), "down 10.0 points on the week before");
        // 70.04 % and 69.96 % are both shown as 70.0 %.
        assert_eq!(change(zh, Some(0.7004), Some(0.6996), "前一周"), "与前一周持平");
        assert_eq!(change(en, Some(0.5), None, "the week before"), "nothing to compare with the week before");
    }
}
