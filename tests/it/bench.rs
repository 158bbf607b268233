//! `fenlei bench` on a small size: its parts that start a backend of their own, through the real program.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fenlei")).arg("bench").args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The cells of each row, the head left out.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .skip(2)
        .filter(|line| line.starts_with('|'))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect()
}

/// The first number of a text, without its commas.
fn number(text: &str) -> f64 {
    let from = text.find(|letter: char| letter.is_ascii_digit()).unwrap();
    let digits = text[from..].split(|letter: char| !letter.is_ascii_digit() && letter != ',' && letter != '.').next();
    digits.unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn every_event_is_timed_until_the_stream_shows_it() {
    let table = bench(&["--only", "visible", "--seconds", "1"]);
    let [top, timed] = &rows(&table)[..] else { panic!("{table}") };
    assert!(number(top[2]) > 0.0, "{table}");
    let (events, rate) = timed[1].split_once(" at ").unwrap();
    let events = number(events.split_once(", ").unwrap().1);
    // In a second; as many of each of the 40 bins.
    assert!(events >= 40.0 && events % 40.0 == 0.0 && number(rate) > 0.0, "{table}");
    assert!(number(timed[2]) > 0.0 && number(timed[3]) > 0.0 && number(timed[4]) > 0.0, "{table}");
}

#[test]
fn devices_are_connected_to_both_brokers() {
    let table = bench(&["--only", "connections", "--devices", "20"]);
    let [memory, time] = &rows(&table)[..] else { panic!("{table}") };
    assert_eq!(memory[1], "memory of each of 20 devices connected at once");
    // So few find room in what either has anyway.
    assert!(memory[2].ends_with(" KiB") && memory[3].starts_with("Mosquitto: "), "{table}");
    assert!(time[2].ends_with(" s") && time[3].ends_with(" s"), "{table}");
}

#[test]
fn too_few_open_files_are_named_before_anything_is_measured() {
    let program =
        format!("ulimit -n 120 && exec {} bench --only connections --devices 50", env!("CARGO_BIN_EXE_fenlei"));
    let output = Command::new("sh").args(["-c", &program]).output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let told = "the system allows 120 open files, too few for 50 connections: raise `ulimit -Hn`, or lower `--devices`";
    assert!(said(&output).contains(told), "{}", said(&output));
}
