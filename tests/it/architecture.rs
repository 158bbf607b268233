//! Imports run one way, read from the sources themselves: the domain knows nothing of what is around it, and the parts
//! that meet only in the store never reach for each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may import whom: modules of the crate, by their first segment. What is not listed may import nothing of it.
/// A module that does not exist yet simply has no files.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("credentials", &[]),
    ("draft", &[]),
    ("faults", &[]),
    ("passwords", &[]),
    ("telemetry", &[]),
    ("entrance", &[]),
    ("trust", &[]),
    ("webhook", &["trust"]),
    ("influx", &["webhook"]),
    ("sheets", &[]),
    ("rows", &["domain", "sheets"]),
    ("store", &["domain", "clock"]),
    ("mqtt", &["domain", "clock", "credentials", "entrance"]),
    ("ingest", &["domain", "store", "mqtt", "clock"]),
    (
        "web",
        &[
            "domain",
            "store",
            "mqtt",
            "clock",
            "credentials",
            "entrance",
            "faults",
            "passwords",
            "rows",
            "sheets",
            "telemetry",
            "webhook",
        ],
    ),
    ("jobs", &["domain", "store", "mqtt", "clock", "faults", "webhook", "influx"]),
    ("card_key", &["domain", "draft", "store"]),
    // It reads a file into the options of the parts; the parts know their options, and no file.
    ("config", &["domain", "store", "entrance", "mqtt", "ingest", "web", "webhook", "jobs", "influx"]),
];

/// They put the parts together and may import all of them; nobody above may import these.
const OUTERMOST: &[&str] = &["lib", "main", "cli", "serve", "demo", "simulate", "bench"];

/// What the domain may be built from.
const DOMAIN_CRATES: &[&str] = &[
    "chrono",
    "chrono_tz",
    "core",
    "crate",
    "fenlei_logic", // what a device does by itself, as the firmware does it: pure too
    "fenlei_wire",
    "heapless",
    "hmac",
    "self",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "std",
    "sunrise",
    "super",
    "thiserror",
    "utoipa",
    "proptest", // its unit tests
];

/// Clocks, files, networks and databases: nothing for the domain.
const IMPURE: &[&str] = &[
    "Utc::now",
    "Local::now",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "tokio",
    "rusqlite",
    "tokio_postgres",
];

const MAX_LINES: usize = 400;

struct Source {
    path: PathBuf,
    /// The first segment of its module path.
    module: String,
    /// Without comments.
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root()).unwrap();
                let segment = relative.components().nth(1).unwrap();
                let module = Path::new(segment.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
                found.push(Source { path: relative.to_owned(), module, code: code.join("\n") });
            }
        }
    }
    assert!(!found.is_empty(), "there are sources in {folder}");
    found
}

/// The names that follow `prefix` in the code, those of `prefix{a, b::c}` included.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices(prefix) {
        if code[..start].ends_with(|before: char| is_word(before) || before == ':') {
            continue;
        }
        let rest = &code[start + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(Some(word(rest)).filter(|name| !name.is_empty())),
        }
    }
    names
}

/// The first segments of the paths in a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut item) = (Vec::new(), 0_i32, String::new());
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut item)),
            other if depth == 0 => item.push(other),
            _ => {}
        }
    }
    heads.push(item);
    heads.into_iter().map(|item| word(item.trim())).filter(|name| !name.is_empty()).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        if OUTERMOST.contains(&source.module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(module, _)| *module == source.module) else {
            wrong.push(format!("{}: give its module a place among the arrows", source.path.display()));
            continue;
        };
        let imported = named_after(&source.code, "crate::").into_iter().chain(named_after(&source.code, "fenlei::"));
        for name in imported.filter(|name| *name != source.module && !allowed.contains(&name.as_str())) {
            wrong.push(format!("{} imports crate::{name}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let mut wrong = Vec::new();
    for source in sources("src/domain") {
        let path = source.path.display();
        for impure in IMPURE.iter().filter(|impure| source.code.contains(**impure)) {
            wrong.push(format!("{path} uses {impure}: time, files and networks are arguments"));
        }
        for import in named_after(&source.code, "use ") {
            let local = import.starts_with(char::is_uppercase);
            if !local && !DOMAIN_CRATES.contains(&import.as_str()) {
                wrong.push(format!("{path} uses the crate {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_devices_share_needs_no_operating_system_and_no_backend() {
    for package in ["firmware/wire", "firmware/logic"] {
        let lib = std::fs::read_to_string(root().join(package).join("src/lib.rs")).unwrap();
        assert!(lib.lines().any(|line| line.trim() == "#![no_std]"), "{package} is no_std");
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            assert!(dependencies.is_none_or(|table| !table.contains_key("fenlei")), "{package} depends on the backend");
        }
        for source in sources(&format!("{package}/src")) {
            let path = source.path.display();
            assert!(named_after(&source.code, "fenlei::").is_empty(), "{path} imports the backend");
            assert!(!source.code.contains("extern crate std"), "{path} asks for std");
        }
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let long: Vec<_> = ["src", "tests", "firmware"]
        .into_iter()
        .flat_map(sources)
        .map(|source| (source.code.lines().count(), source.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "split what is over {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn every_metric_says_what_it_means() {
    const RECORDED: [&str; 3] = ["counter!(", "gauge!(", "histogram!("];
    let (mut recorded, mut described) = (BTreeSet::new(), BTreeSet::new());
    for source in sources("src") {
        for (macro_name, describes) in
            RECORDED.iter().flat_map(|name| [(format!("::{name}"), false), (format!("describe_{name}"), true)])
        {
            for (at, found) in source.code.match_indices(&macro_name) {
                let after = source.code[at + found.len()..].trim_start();
                let Some(name) = after.strip_prefix('"').and_then(|name| name.split('"').next()) else { continue };
                (if describes { &mut described } else { &mut recorded }).insert(name.to_owned());
            }
        }
    }
    assert!(recorded.len() > 20, "{recorded:?}");
    let silent: Vec<_> = recorded.difference(&described).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_reader_of_imports_sees_what_it_must() {
    let code = "use crate::domain::a;\nuse crate::{store::b, web::{c, d}, jobs};\nfn f() { crate::ingest::g(); mycrate::x(); }";
    let names: Vec<_> = named_after(code, "crate::").into_iter().collect();
    assert_eq!(names, ["domain", "ingest", "jobs", "store", "web"]);
}

/// Two types of one name would be one schema of the OpenAPI document, and one of them would be described wrongly.
#[test]
fn no_two_types_share_a_name_in_the_document() {
    let mut named = std::collections::BTreeMap::<String, Vec<String>>::new();
    for source in sources("src") {
        let mut lines = source.code.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if !(line.starts_with("#[derive(") && line.contains("ToSchema")) {
                continue;
            }
            let mut name = None;
            for line in lines.by_ref() {
                if let Some((_, given)) = line.split_once("schema(as = ") {
                    name = Some(word(given));
                }
                let declared = ["struct ", "enum "].iter().find_map(|kind| line.split_once(kind));
                if let Some((_, declared)) = declared.filter(|_| !line.starts_with("//") && !line.starts_with('#')) {
                    named
                        .entry(name.unwrap_or_else(|| word(declared)))
                        .or_default()
                        .push(source.path.display().to_string());
                    break;
                }
            }
        }
    }
    assert!(named.len() > 40, "{} types", named.len());
    let shared: Vec<_> = named.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(shared.is_empty(), "{shared:?}");
}
