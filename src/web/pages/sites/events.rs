//! The last events of a site, in words.

use fenlei_wire::vocabulary::{EventType, Stream};
use maud::{Markup, html};
use serde_json::Value;

use super::super::visitor::Visitor;
use super::super::words;
use crate::domain::zone::Tz;
use crate::web::events::EventView;
use crate::web::language::Language;

pub(super) fn section(visitor: &Visitor, zone: Tz, events: &[EventView]) -> Markup {
    let lang = visitor.lang;
    html! {
        h2 { (lang.t("最近的动静", "What just happened")) }
        @if events.is_empty() { p { (lang.t("还没有收到数据。", "Nothing has come in yet.")) } }
        @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (lang.t("时间", "Time")) } th scope="col" { (lang.t("设备", "Device")) } th scope="col" { (lang.t("事件", "Event")) } } }
                tbody { @for event in events { tr {
                    td { (lang.moment(&event.time, zone)) }
                    td { bdi { (device(visitor, &event.device)) } }
                    td { (words(lang, event)) }
                } } }
            } }
        }
    }
}

fn device(visitor: &Visitor, id: &str) -> String {
    if id == crate::domain::registry::VOLUNTEERS {
        return visitor.lang.t("志愿者", "volunteers").to_owned();
    }
    let device = visitor.access.registry.devices.get(id);
    device.and_then(|device| device.name.clone()).unwrap_or_else(|| id.to_owned())
}

fn words(lang: Language, event: &EventView) -> String {
    let text = |name: &str| event.fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let of_stream = || Stream::parse(text("stream")).map_or("", |one| words::stream(lang, one));
    let number = |name: &str| event.fields.get(name).and_then(Value::as_f64).unwrap_or_default();
    let kilograms = || lang.kilograms(number("grams").max(0.0) as u64);
    let open = event.fields.get("open").and_then(Value::as_bool).unwrap_or_default();
    match event.r#type {
        EventType::Deposit => {
            let timing = match text("timing") {
                "in_window" => lang.t("开放时段内", "in the open hours"),
                "makeup" => lang.t("误时投放", "makeup hours"),
                _ => lang.t("非开放时段", "off hours"),
            };
            format!("{} {} {} · {timing}", lang.t("投放", "deposit:"), of_stream(), kilograms())
        }
        EventType::Fill => format!("{} {} {:.0}%", lang.t("满溢度", "fill level:"), of_stream(), number("percent")),
        EventType::Emptied => format!("{} {} {}", lang.t("清运", "emptied:"), of_stream(), kilograms()),
        EventType::Door if open => lang.t("投放口打开", "lid opened").to_owned(),
        EventType::Door => lang.t("投放口关闭", "lid closed").to_owned(),
        EventType::Alarm => {
            let active = event.fields.get("active").and_then(Value::as_bool).unwrap_or_default();
            let kind = crate::domain::alarms::Kind::parse(text("alarm"));
            let kind = kind.map_or("", |kind| super::super::alarms::kind(lang, kind));
            let state = if active { lang.t("告警:", "alarm: ") } else { lang.t("告警解除:", "no longer: ") };
            format!("{state}{kind}")
        }
        EventType::Judgement if text("verdict") == "correct" => {
            lang.t("判定:投放正确", "judged: sorted well").to_owned()
        }
        EventType::Judgement => lang.t("判定:投放有误", "judged: not sorted well").to_owned(),
        EventType::Sighting => lang.t("摄像头发现异常", "seen by the camera").to_owned(),
        EventType::Display => lang.t("投影回报", "projector's answer").to_owned(),
        EventType::Executed => lang.t("执行了指令", "did as told").to_owned(),
        EventType::Heartbeat => lang.t("设备心跳", "sign of life").to_owned(),
        EventType::Lost => lang.t("设备声明丢失数据", "events declared lost").to_owned(),
    }
}
