//! What a board says, in both languages.

use super::super::language::Language;
use crate::domain::published::Share;

impl Language {
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
