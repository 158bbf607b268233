//! What the words of the API are called on the pages.

use fenlei_wire::vocabulary::{Stream, Timing, Verdict};

use crate::domain::alarms::{Kind, Severity};
use crate::domain::awareness::{Outcome, VisitKind};
use crate::web::language::Language;

pub(super) fn stream(lang: Language, stream: Stream) -> &'static str {
    match stream {
        Stream::Food => lang.t("厨余垃圾", "Food waste"),
        Stream::Residual => lang.t("其他垃圾", "Residual waste"),
        Stream::Recyclable => lang.t("可回收物", "Recyclables"),
        Stream::Hazardous => lang.t("有害垃圾", "Hazardous waste"),
    }
}

pub(super) fn timing(lang: Language, timing: Timing) -> &'static str {
    match timing {
        Timing::InWindow => lang.t("开放时段", "In the open hours"),
        Timing::Makeup => lang.t("误时投放", "Makeup hours"),
        Timing::OffHours => lang.t("非开放时段", "Off hours"),
    }
}

/// Of a deposit; `None`: nobody judged it.
pub(super) fn verdict(lang: Language, verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Correct) => lang.t("正确", "Correct"),
        Some(Verdict::Incorrect) => lang.t("有误", "Incorrect"),
        None => lang.t("未判定", "Not judged"),
    }
}

pub(super) fn severity(lang: Language, severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => lang.t("紧急", "Critical"),
        Severity::Warning => lang.t("警告", "Warning"),
        Severity::Info => lang.t("提示", "Notice"),
    }
}

pub(super) fn alarm(lang: Language, kind: Kind) -> &'static str {
    match kind {
        Kind::Full => lang.t("满溢", "Full"),
        Kind::Fire => lang.t("火情", "Fire"),
        Kind::Jam => lang.t("卡堵", "Jammed"),
        Kind::Tilt => lang.t("倾倒", "Tilted"),
        Kind::Tamper => lang.t("被拆动", "Tampered with"),
        Kind::LowBattery => lang.t("电量低", "Low battery"),
        Kind::Sensor => lang.t("传感器故障", "Sensor fault"),
        Kind::Littering => lang.t("乱扔垃圾", "Littering"),
        Kind::OffHours => lang.t("非开放时段投放多", "Many deposits off hours"),
        Kind::Silent => lang.t("设备失联", "Silent device"),
        Kind::Gap => lang.t("数据缺失", "Events missing"),
        Kind::Conflict => lang.t("数据冲突", "Conflicting events"),
        Kind::Clock => lang.t("时钟不准", "Clock off"),
        Kind::Lid => lang.t("箱盖未按时开关", "Lid off its hours"),
    }
}

pub(super) fn visit(lang: Language, kind: VisitKind) -> &'static str {
    match kind {
        VisitKind::Visit => lang.t("走访", "Visits"),
        VisitKind::Survey => lang.t("问卷", "Surveys"),
    }
}

pub(super) fn outcome(lang: Language, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => lang.t("已回答", "Answered"),
        Outcome::Refused => lang.t("拒绝", "Refused"),
        Outcome::Absent => lang.t("不在家", "Absent"),
    }
}
