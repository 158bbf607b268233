//! A file of settings and variables of the environment. In the file stands, wherever the first bytes say, a line with a
//! secret: no mistake of the rest makes it shown.

#![no_main]

use std::ffi::OsString;

use fenlei::config::Config;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zq7Xk2Vw";

/// A line with a secret as it should be written, and as people write it.
const LINES: [&str; 8] = [
    "token = \"Zq7Xk2Vw\"",
    "influx.token = 'Zq7Xk2Vw'",
    "token = Zq7Xk2Vw",
    "token: Zq7Xk2Vw",
    "token \"Zq7Xk2Vw",
    "url = \"mqtt://fenlei:Zq7Xk2Vw@broker\"",
    "url = \"postgres://fenlei:Zq7Xk2Vw@db/city\"",
    "url = \"https://fenlei:Zq7Xk2Vw@influx/\"",
];

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let mut characters = text.chars();
    let mut number = || characters.next().map_or(0, |character| character as usize);
    let (line, place) = (LINES[number() % LINES.len()], number());
    // Behind a line without anything are the variables, a line each.
    let (file, variables) = characters.as_str().split_once("\n\n\n").unwrap_or((characters.as_str(), ""));
    let mut lines: Vec<_> = file.split('\n').collect();
    lines.insert(place % (lines.len() + 1), line);
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let plain = |name: &str| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    // A variable that names a file would have it read.
    let variables = variables.filter(|(name, _)| plain(name) && !name.to_ascii_uppercase().ends_with("_FILE"));
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));

    let path = std::env::temp_dir().join(format!("fenlei-fuzz-{}.toml", std::process::id()));
    std::fs::write(&path, lines.join("\n")).expect("the file is written");
    match Config::from_layers(Some(&path), variables) {
        // What stands in a text of many lines is no secret.
        Ok(_) if file.contains("'''") || file.contains("\"\"\"") => {}
        Ok(config) => {
            let shown = format!("{:?} {:?} {:?}", config.store.url, config.mqtt.url, config.influx);
            assert!(!shown.contains(SECRET), "{shown}");
        }
        Err(mistakes) => {
            let shown = mistakes.to_string();
            assert!(!shown.contains(SECRET), "{shown}");
            for mistake in shown.split('\n') {
                let (origin, what) = mistake.split_once(": ").expect("a mistake has a place");
                let known = path.to_str().is_some_and(|path| origin.starts_with(path));
                let variable = origin.strip_prefix("environment variable ");
                // A variable that is near one's name is told of, with the name that is read.
                let near = variable.is_some() && what.starts_with("is not read: write FENLEI__");
                assert!(known || near || variable.is_some_and(|name| name.starts_with("FENLEI__")), "{mistake}");
                assert!(near || what.starts_with('`') || what.starts_with("is not TOML here: "), "{mistake}");
            }
        }
    }
});
