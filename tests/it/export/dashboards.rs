//! The dashboard for Grafana asks for what is exported, and for nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ledger::documented;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana").join(name)
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path("dashboards/fenlei.json")).unwrap()).unwrap()
}

/// What stands between `before` and the next `after`, each time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> BTreeSet<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// The names after `r.` in a query.
fn columns(query: &str) -> BTreeSet<&str> {
    let word = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let starts = query.match_indices("r.").filter(|(at, _)| !query[..*at].ends_with(|one: char| one.is_alphanumeric()));
    starts.map(|(at, _)| &query[at + 2..at + 2 + word(&query[at + 2..])]).collect()
}

#[test]
fn each_panel_asks_for_measurements_fields_and_tags_that_there_are() {
    let (dashboard, schema) = (dashboard(), documented());
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 15, "{}", panels.len());
    let mut met = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let chinese = |text: &Value| text.as_str().unwrap().chars().any(|one| ('\u{4e00}'..='\u{9fff}').contains(&one));
        assert!(chinese(&panel["title"]) && chinese(&panel["description"]), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["query"].as_str().unwrap();
            let measurements = between(query, "r._measurement == \"", "\"");
            let [measurement] = measurements.iter().collect::<Vec<_>>()[..] else {
                panic!("{title}: {measurements:?}")
            };
            let (tags, fields) = schema.get(*measurement).unwrap_or_else(|| panic!("{title}: {measurement}"));
            met.insert(measurement.to_string());
            let asked = between(query, "r._field == \"", "\"");
            assert!(!asked.is_empty(), "{title} asks for no field");
            for field in &asked {
                assert!(fields.iter().any(|known| known == field), "{title}: {measurement} has no field {field}");
            }
            let grouped =
                between(query, "group(columns: [\"", "\"]").into_iter().chain(between(query, "columnKey: [\"", "\"]"));
            for column in columns(query).into_iter().chain(grouped).filter(|column| !column.starts_with('_')) {
                let known = tags.iter().any(|tag| tag == column) || asked.contains(column);
                assert!(known, "{title}: {measurement} has no tag {column}");
            }
        }
    }
    let shown = ["alarm", "deposit", "display", "emptied", "fill", "heartbeat", "lost", "sighting"];
    assert_eq!(met.iter().map(String::as_str).collect::<Vec<_>>(), shown);
    // The choices at its top are tags of every measurement.
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(variable["query"].as_str().unwrap().contains(&format!("tag: \"{name}\"")), "{name}");
        assert!(schema.values().all(|(tags, _)| tags.iter().any(|tag| tag == name)), "{name}");
    }
}

#[test]
fn everything_asks_the_source_that_is_provided() {
    let source = std::fs::read_to_string(path("provisioning/datasources/fenlei.yml")).unwrap();
    let uid = between(&source, "uid: ", "\n").pop_first().unwrap();
    assert!(source.contains("version: Flux"));
    let dashboard = dashboard();
    let mut found = 0;
    let mut values = vec![&dashboard];
    while let Some(value) = values.pop() {
        match value {
            Value::Object(object) => {
                if let Some(asked) = object.get("datasource") {
                    assert_eq!(asked["uid"], uid);
                    found += 1;
                }
                values.extend(object.values());
            }
            Value::Array(array) => values.extend(array),
            _ => {}
        }
    }
    assert!(found > 30, "{found}");
    let ids: BTreeSet<_> = dashboard["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_i64()).collect();
    assert_eq!(ids.len(), dashboard["panels"].as_array().unwrap().len());
}

#[test]
fn the_reader_of_queries_sees_what_it_must() {
    let query = "filter(fn: (r) => r._field == \"a\" and r.site =~ /x/) |> group(columns: [\"_field\"]) |> map(fn: (r) => f(v: r.b))";
    assert_eq!(columns(query).into_iter().collect::<Vec<_>>(), ["_field", "b", "site"]);
    assert_eq!(between(query, "r._field == \"", "\"").into_iter().collect::<Vec<_>>(), ["a"]);
}
