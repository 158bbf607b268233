//! What a board says, in both languages.

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;

use crate::domain::period::Span;
use crate::domain::published::Share;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// The other one: its parameter, and what it calls itself.
    pub(super) fn other(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Zh => ("en", "en", "English"),
            Self::En => ("zh", "zh-CN", "中文"),
        }
    }

    pub(super) fn title(self, community: &str) -> String {
        match self {
            Self::Zh => format!("{community}垃圾分类"),
            Self::En => format!("Waste sorting in {community}"),
        }
    }

    pub(super) fn thanks(self) -> &'static str {
        match self {
            Self::Zh => "垃圾分类,因为你。谢谢每一位邻居!",
            Self::En => "Sorted because of you. Thank you, neighbours!",
        }
    }

    pub(super) fn participation(self) -> &'static str {
        match self {
            Self::Zh => "参与率",
            Self::En => "Participation",
        }
    }

    pub(super) fn awareness(self) -> &'static str {
        match self {
            Self::Zh => "知晓率",
            Self::En => "Awareness",
        }
    }

    pub(super) fn households(self, share: Share) -> String {
        match self {
            Self::Zh => format!("{} 户中约 {} 户参与", share.whole, share.part),
            Self::En => format!("about {} of {} households took part", share.part, share.whole),
        }
    }

    pub(super) fn claimed(self, share: Share) -> String {
        match self {
            Self::Zh => format!("{} 户受访者中约 {} 户表示知道怎么分", share.whole, share.part),
            Self::En => format!("about {} of {} households asked say that they know how", share.part, share.whole),
        }
    }

    pub(super) fn tested(self, share: Share) -> String {
        match self {
            Self::Zh => format!("{} 户受访者中约 {} 户当场分对", share.whole, share.part),
            Self::En => format!("about {} of {} households asked showed that they know how", share.part, share.whole),
        }
    }

    pub(super) fn withheld(self) -> &'static str {
        match self {
            Self::Zh => "户数过少或过于接近全部,为保护隐私不公布",
            Self::En => "withheld for privacy: too few households, or nearly all",
        }
    }

    pub(super) fn trend(self) -> &'static str {
        match self {
            Self::Zh => "近八周参与率",
            Self::En => "Participation in the last eight weeks",
        }
    }

    pub(super) fn week(self) -> &'static str {
        match self {
            Self::Zh => "周",
            Self::En => "Week",
        }
    }

    /// A span of days, each with its year where they differ.
    pub(super) fn span(self, span: Span) -> String {
        let day = |date: NaiveDate, year: bool| match (self, year) {
            (Self::Zh, true) => date.format("%Y年%-m月%-d日").to_string(),
            (Self::Zh, false) => date.format("%-m月%-d日").to_string(),
            (Self::En, true) => date.format("%-d %b %Y").to_string(),
            (Self::En, false) => date.format("%-d %b").to_string(),
        };
        let both = span.from.year() != span.to.year();
        match self {
            Self::Zh => format!("{}–{}", day(span.from, true), day(span.to, both)),
            Self::En => format!("{}–{}", day(span.from, both), day(span.to, true)),
        }
    }

    /// The first day of a week, for an axis.
    pub(super) fn short(self, date: NaiveDate) -> String {
        format!("{}/{}", date.month(), date.day())
    }

    pub(super) fn about(self, committee: &str) -> String {
        match self {
            Self::Zh => format!(
                "{committee}。参与:一周内至少一次在开放或误时时段投放。户数取整到 5 的倍数,百分比由取整后的户数算出;每周一更新。"
            ),
            Self::En => format!(
                "{committee}. Taking part: at least one deposit a week in an open or makeup window. Households are rounded to \
                 multiples of 5 and percentages made from these; new every Monday."
            ),
        }
    }

    pub(super) fn unknown(self) -> &'static str {
        match self {
            Self::Zh => "没有这个小区。请检查网址最后一段。",
            Self::En => "There is no such community. Check the last part of the address.",
        }
    }
}
