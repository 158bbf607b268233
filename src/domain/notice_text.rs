//! What group robots are told, in Chinese: which alarm, where, since when. Never a household: alarms know none.

use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::alarms::{AlarmView, Kind, Severity};
use super::notices::{BUNDLED, Change, Format};
use super::zone::Tz;

/// The most bytes of a robot's message; WeCom takes no more.
const MAX_BYTES: usize = 4096;
/// Robots that take only what has a certain word in it can be given one of this.
const HEAD: &str = "**垃圾分类告警**";

/// A notice, with the names that people know.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub change: Change,
    pub alarm: &'a AlarmView,
    pub site: &'a str,
    pub device: Option<&'a str>,
    pub zone: Tz,
}

/// What a generic webhook is sent: an object for each notice.
#[derive(Debug, Serialize)]
pub struct Generic<'a> {
    /// The same however often it is sent.
    pub id: &'a str,
    pub event: Change,
    pub alarm: &'a RawValue,
}

/// A message to a robot with as many of the notices, in their order, as fit in; how many these are.
pub fn message(format: Format, told: &[Told<'_>]) -> (usize, Value) {
    // DingTalk runs lines together that no empty one parts.
    let newline = if format == Format::Dingtalk { "\n\n" } else { "\n" };
    let (mut text, mut count) = (HEAD.to_owned(), 0);
    for line in told.iter().take(BUNDLED).map(line) {
        if count > 0 && text.len() + newline.len() + line.len() > MAX_BYTES {
            break;
        }
        text.push_str(newline);
        text.push_str(&line);
        count += 1;
    }
    text.truncate(text.floor_char_boundary(MAX_BYTES));
    let message = match format {
        Format::Dingtalk => {
            let title = match told {
                [first] => format!("告警：{} {}", plain(first.site), name(first.alarm.kind)),
                _ => format!("{count} 条告警"),
            };
            json!({"msgtype": "markdown", "markdown": {"title": title, "text": text}})
        }
        Format::Wecom | Format::Generic => json!({"msgtype": "markdown", "markdown": {"content": text}}),
    };
    (count, message)
}

fn line(told: &Told<'_>) -> String {
    let Told { alarm, zone, .. } = told;
    let head = match told.change {
        Change::Cleared => "已解除",
        Change::Raised => match alarm.severity {
            Severity::Critical => "紧急",
            Severity::Warning => "警告",
            Severity::Info => "提示",
        },
    };
    let device = told.device.map(|device| format!(" {}", plain(device))).unwrap_or_default();
    let since = local(&alarm.raised, *zone);
    let span = match alarm.cleared.as_ref().filter(|_| told.change == Change::Cleared) {
        Some(cleared) => format!("{since} 至 {}", local(cleared, *zone)),
        None => format!("{since} 起"),
    };
    format!("> 【{head}】{}{device}：{}，{span}", plain(told.site), name(alarm.kind))
}

fn local(instant: &str, zone: Tz) -> String {
    let instant: DateTime<Utc> = instant.parse().unwrap_or_default();
    let wall = instant.with_timezone(&zone);
    format!("{}年{}月{}日 {}", wall.year(), wall.month(), wall.day(), wall.format("%H:%M"))
}

/// What an alarm is called in Chinese.
pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "满溢",
        Kind::Fire => "火情",
        Kind::Jam => "卡住",
        Kind::Tilt => "倾斜",
        Kind::Tamper => "被撬动",
        Kind::LowBattery => "电量低",
        Kind::Sensor => "传感器故障",
        Kind::Littering => "非开放时段乱扔垃圾",
        Kind::OffHours => "非开放时段投放较多",
        Kind::Silent => "失去联系",
        Kind::Gap => "数据缺失",
        Kind::Conflict => "数据冲突",
        Kind::Clock => "时钟不准",
        Kind::Lid => "桶盖未按时段开关",
    }
}

/// A name without what a robot would take for markup, a link or a call to somebody.
fn plain(name: &str) -> String {
    let safe = |character: char| match character {
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '*' => '＊',
        '`' => '’',
        '@' => '＠',
        other if other.is_control() => ' ',
        other => other,
    };
    name.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alarms::State;
    use crate::domain::zone::DEFAULT_ZONE;

    fn alarm(kind: Kind) -> AlarmView {
        AlarmView {
            id: "7".into(),
            kind,
            severity: kind.severity(),
            site: "gate".into(),
            device: Some("bin-1".into()),
            state: State::Open,
            raised: "2026-11-23T04:00:00.000Z".into(),
            last: "2026-11-23T04:00:00.000Z".into(),
            count: 1,
            cleared: Some("2026-11-23T16:10:00.000Z".into()),
            acknowledged: None,
            note: None,
        }
    }

    fn told<'a>(change: Change, alarm: &'a AlarmView, site: &'a str) -> Told<'a> {
        Told { change, alarm, site, device: Some("厨余桶"), zone: DEFAULT_ZONE }
    }

    #[test]
    fn lines_say_what_where_and_since_when() {
        let (full, site) = (alarm(Kind::Full), alarm(Kind::OffHours));
        let raised = told(Change::Raised, &full, "东门箱房");
        assert_eq!(line(&raised), "> 【警告】东门箱房 厨余桶：满溢，2026年11月23日 12:00 起");
        let cleared = told(Change::Cleared, &full, "东门箱房");
        assert_eq!(line(&cleared), "> 【已解除】东门箱房 厨余桶：满溢，2026年11月23日 12:00 至 2026年11月24日 00:10");
        let of_site = Told { device: None, ..told(Change::Raised, &site, "东门\n<@all> [x](y) *z*") };
        assert_eq!(
            line(&of_site),
            "> 【提示】东门 ＜＠all＞ ［x］(y) ＊z＊：非开放时段投放较多，2026年11月23日 12:00 起"
        );
    }

    #[test]
    fn a_message_holds_what_fits() {
        let (full, long) = (alarm(Kind::Full), "长".repeat(66));
        let thirty = vec![told(Change::Raised, &full, "东门"); 30];
        assert_eq!(message(Format::Wecom, &thirty).0, 20);
        let longer = vec![told(Change::Raised, &full, &long); 20];
        let (count, body) = message(Format::Dingtalk, &longer);
        let text = body["markdown"]["text"].as_str().unwrap();
        assert!((10..20).contains(&count) && text.len() <= MAX_BYTES, "{count} in {}", text.len());
        assert_eq!(text.matches("满溢").count(), count);
        assert_eq!(body["markdown"]["title"], format!("{count} 条告警"));
    }

    #[test]
    fn no_two_kinds_are_called_the_same() {
        let mut names: Vec<_> = Kind::ALL.into_iter().map(name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
