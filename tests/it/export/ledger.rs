//! What a time-series server must hold of a ledger, worked out from what `/events` shows of it and from the schema in the
//! README: not by the code that exports.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fenlei::influx::{Options, Token};
use serde_json::{Map, Value};

use super::server::TOKEN;
use crate::support::api::Api;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    Number(f64),
    Text(String),
}

/// Fields by series and time in nanoseconds.
pub(crate) type Points = BTreeMap<(String, i64), BTreeMap<String, Written>>;

pub(crate) fn series(measurement: &str, tags: BTreeMap<String, String>) -> String {
    tags.iter().fold(measurement.to_owned(), |series, (key, value)| format!("{series},{key}={value}"))
}

/// How the test exports: quickly impatient.
pub(crate) fn options(url: &str, batch: usize) -> Options {
    Options {
        url: url.parse().unwrap(),
        org: "居委会 & co".to_owned(),
        bucket: "fenlei".to_owned(),
        token: Token::parse(TOKEN).unwrap(),
        timeout: Duration::from_secs(1),
        batch,
    }
}

/// The whole ledger of the API, as `/events` shows it.
pub(crate) async fn events(api: &Api) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("events?limit=1000{cursor}")).await.body;
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

/// The points of a ledger, each at the time of its event and the digits of its name.
pub(crate) fn points(events: &[Value], community: impl Fn(&str) -> &'static str) -> Points {
    events.iter().map(|event| point(event, &community)).collect()
}

/// What the tags of each measurement are beside those of all.
const TAGS: [(&str, &[&str]); 11] = [
    ("deposit", &["stream"]),
    ("fill", &["stream"]),
    ("emptied", &["stream"]),
    ("door", &["by"]),
    ("alarm", &["alarm"]),
    ("judgement", &[]),
    ("sighting", &["what"]),
    ("display", &["status"]),
    ("executed", &["status"]),
    ("heartbeat", &[]),
    ("lost", &[]),
];

fn point(event: &Value, community: &impl Fn(&str) -> &'static str) -> ((String, i64), BTreeMap<String, Written>) {
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    let measurement = text("type");
    let mut tags = BTreeMap::from([
        ("community".to_owned(), community(&text("site")).to_owned()),
        ("site".to_owned(), text("site")),
        ("device".to_owned(), text("device")),
    ]);
    let (_, own) = TAGS.iter().find(|(name, _)| *name == measurement).unwrap();
    tags.extend(own.iter().map(|tag| ((*tag).to_owned(), text(tag))));
    let mut fields = BTreeMap::new();
    let number = |fields: &mut BTreeMap<String, Written>, name: &str, value: f64| {
        fields.insert(name.to_owned(), Written::Number(value));
    };
    for (name, value) in event.as_object().unwrap() {
        let place = ["site", "device", "time", "received", "type", "clock", "timing", "verdict", "deposit", "bin"];
        if place.contains(&name.as_str()) || own.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::Number(value) => number(&mut fields, name, value.as_f64().unwrap()),
            Value::Bool(value) => number(&mut fields, name, f64::from(u8::from(*value))),
            Value::String(value)
                if !(name == "reason" && measurement == "deposit" && text("device") == "volunteers") =>
            {
                let carried = value.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
                fields.insert(name.clone(), Written::Text(carried));
            }
            Value::String(_) => {}
            other => panic!("{name}: {other}"),
        }
    }
    let words = |field: &str, words: &[&'static str]| {
        let said = event.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
        words
            .iter()
            .map(|word| ((*word).to_owned(), Written::Number(f64::from(u8::from(*word == said)))))
            .collect::<Vec<_>>()
    };
    match measurement.as_str() {
        "deposit" => {
            fields.extend(words("timing", &["in_window", "makeup", "off_hours"]));
            fields.extend(words("verdict", &["correct", "incorrect", "unjudged"]));
        }
        "judgement" => {
            fields.extend(words("verdict", &["correct", "incorrect"]));
            let none = Map::new();
            let deposit = event.get("deposit").and_then(Value::as_object).unwrap_or(&none);
            let device = deposit.get("device").or(event.get("bin")).and_then(Value::as_str).unwrap();
            fields.insert("of_device".to_owned(), Written::Text(device.to_owned()));
            for name in ["boot", "seq"] {
                if let Some(value) = deposit.get(name).and_then(Value::as_f64) {
                    number(&mut fields, &format!("of_{name}"), value);
                }
            }
        }
        "lost" => number(&mut fields, "events", event["to"].as_f64().unwrap() - event["from"].as_f64().unwrap() + 1.0),
        _ => {}
    }
    let instant = |name: &str| event[name].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let (time, received) = (instant("time").timestamp_millis(), instant("received").timestamp_millis());
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of days")]
    number(&mut fields, "delay_ms", (received - time) as f64);
    number(&mut fields, "unsynced", f64::from(u8::from(event.get("clock").is_some_and(|clock| clock == "unsynced"))));
    let (boot, seq) = (event["boot"].as_i64().unwrap(), event["seq"].as_i64().unwrap());
    // Of the first incarnation of each device.
    let digits = (seq + boot * 618_033 + 414_213) % 1_000_000;
    ((series(&measurement, tags), time * 1_000_000 + digits), fields)
}

/// The schema as the README documents it: tags and fields of each measurement.
pub(crate) fn documented() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, table) = readme.split_once("| measurement | tags | fields |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = rows.map(|row| row.split('|').skip(1).map(quoted).collect::<Vec<_>>()).collect();
    let (all, rows) = rows.split_last().unwrap();
    let mut schema = BTreeMap::new();
    for row in rows {
        for measurement in &row[0] {
            let with = |at: usize| row[at].iter().chain(&all[at]).cloned().collect();
            schema.insert(measurement.clone(), (with(1), with(2)));
        }
    }
    schema
}
