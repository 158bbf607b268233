//! What the words of the API are called on the pages.

use fenlei_wire::vocabulary::{DeviceKind, Stream, Timing, Verdict};

use crate::domain::awareness::{Outcome, VisitKind};
use crate::faults::Part;
use crate::web::language::Language;

pub(super) fn device(lang: Language, kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Bin => lang.t("智能桶", "bin"),
        DeviceKind::Camera => lang.t("摄像头", "camera"),
        DeviceKind::Projector => lang.t("投影灯", "projector"),
    }
}

/// As the bins are labelled, in Shanghai too.
pub(super) fn stream(lang: Language, stream: Stream) -> &'static str {
    match stream {
        Stream::Food => lang.t("厨余垃圾(湿垃圾)", "food waste"),
        Stream::Residual => lang.t("其他垃圾(干垃圾)", "residual waste"),
        Stream::Recyclable => lang.t("可回收物", "recyclables"),
        Stream::Hazardous => lang.t("有害垃圾", "hazardous waste"),
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

pub(super) fn fault(lang: Language, part: Part) -> &'static str {
    match part {
        Part::Store => lang.t(
            "现在不能存储:设备会保留数据,恢复后自动补传;此时在页面上做的修改不会保存。",
            "Nothing can be stored at the moment: devices keep their data and send it once that works again. What you change here now is not saved.",
        ),
        Part::Mqtt => lang.t(
            "现在收不到设备的消息:设备会保留数据,恢复后自动补传。",
            "Devices cannot be heard at the moment: they keep their data and send it once they can.",
        ),
        Part::Clock => lang.t(
            "服务器的时钟在一小时内被改动过:请核对时间。因时间被拒收的数据在隔离区,时间正确后可以重试。",
            "The server's clock was set within the last hour: check that it is right. What was refused for its time is in quarantine and can be tried again.",
        ),
        Part::Export => lang.t(
            "现在不能写入时序数据库:恢复后自动补写。",
            "The time series cannot be written at the moment: what is missing there is written once that works again.",
        ),
    }
}
