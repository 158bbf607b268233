//! Whatever a point holds is one line, and reads back as that point. Needs nothing of the other tests: a fuzz target
//! includes this file.

use fenlei::domain::line::{Point, Value};
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines, split_lines};

/// Makes a point of any bytes, writes it, and reads it back by InfluxData's own parser.
pub fn holds(bytes: &[u8]) {
    let (numbers, texts) = bytes.split_at(bytes.len().min(16));
    let number = |at: usize| numbers.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(i64::from_le_bytes);
    let (time, number) = (number(0).unwrap_or(0), number(8).unwrap_or(-1));
    let mut texts = texts.split(|byte| *byte == 0xff).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut next = || texts.next().unwrap_or_default();
    let measurement = next();
    // A key that is there twice is the caller's mistake, so each has a number.
    let tags: Vec<_> = (0..3).map(|at| (format!("{}{at}", next()), next())).collect();
    let texts: Vec<_> = (0..2).map(|at| (format!("{}{at}", next()), next())).collect();
    let float = f64::from_bits(number.cast_unsigned());
    let mut fields: Vec<_> = texts.iter().map(|(key, text)| (key.as_str(), Value::Text(text.into()))).collect();
    fields.extend([("integer", Value::Integer(number)), ("float", Value::Float(float))]);
    let point = Point {
        measurement: &measurement,
        tags: tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        fields,
        time,
    };
    let mut lines = String::new();
    assert!(point.write(&mut lines));
    unambiguous(&lines);
    assert_eq!(split_lines(&lines).filter(|line| !line.is_empty()).count(), 1, "{lines:?}");
    let read: Vec<_> =
        parse_lines(&lines).collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {lines:?}"));
    let [read] = &read[..] else { panic!("{} points: {lines:?}", read.len()) };
    same(&point, read, &lines);
}

/// No server reads the line otherwise than another one: outside quotes a backslash stands before what it escapes and
/// nowhere else, within them before a quote or a backslash, and there is no control character but the line break.
fn unambiguous(lines: &str) {
    let line = lines.strip_suffix('\n').unwrap();
    assert!(!line.contains(char::is_control), "{lines:?}");
    assert!(!line.starts_with('#'), "{lines:?}");
    let (mut quoted, mut characters) = (false, line.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next();
                let allowed: &[char] = if quoted { &['"', '\\'] } else { &[',', '=', ' '] };
                assert!(escaped.is_some_and(|escaped| allowed.contains(&escaped)), "{lines:?}");
            }
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    assert!(!quoted, "{lines:?}");
}

fn same(point: &Point<'_>, read: &ParsedLine<'_>, lines: &str) {
    assert_eq!(read.series.measurement.as_str(), name(point.measurement), "{lines:?}");
    let tags = read.series.tag_set.iter().flatten();
    let tags: Vec<_> = tags.map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let expected: Vec<_> = point.tags.iter().map(|(key, value)| (name(key), name(value))).collect();
    assert_eq!(tags, expected, "{lines:?}");
    let finite = |value: &Value<'_>| !matches!(value, Value::Float(float) if !float.is_finite());
    let expected: Vec<_> = point.fields.iter().filter(|(_, value)| finite(value)).collect();
    assert_eq!(read.field_set.len(), expected.len(), "{lines:?}");
    for ((key, value), (expected_key, expected)) in read.field_set.iter().zip(expected) {
        assert_eq!(key.as_str(), name(expected_key), "{lines:?}");
        let same = match (value, expected) {
            (FieldValue::I64(read), Value::Integer(written)) => read == written,
            (FieldValue::F64(read), Value::Float(written)) => read.to_bits() == written.to_bits(),
            (FieldValue::String(read), Value::Text(written)) => read.as_str() == blanked(written),
            _ => false,
        };
        assert!(same, "{value:?} {expected:?}: {lines:?}");
    }
    assert_eq!(read.timestamp, Some(point.time), "{lines:?}");
}

/// A name as it can be carried.
fn name(text: &str) -> String {
    let carried = |(at, one): (usize, char)| match one {
        '\\' | '"' => '_',
        '#' if at == 0 => '_',
        one if one.is_control() => '_',
        one => one,
    };
    if text.is_empty() { "_".to_owned() } else { text.chars().enumerate().map(carried).collect() }
}

/// A text as it can be carried.
fn blanked(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}
