//! InfluxDB's line protocol: one point is one line, whatever its texts hold.
//!
//! Servers differ in how they read a backslash in a name and a line break in a text: some would see a second line where
//! others see one. So what they do not all read alike is never written: in names `\`, `"`, control characters and a `#` in
//! front become `_`, in texts control characters become blanks. Everything else comes back as it was.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands for a character that no name can carry, and for a name that is empty.
const SUBSTITUTE: char = '_';

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Integer(i64),
    /// Left out where it is not finite: the protocol has no way to write that.
    Float(f64),
    Text(Cow<'a, str>),
}

/// A point of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    pub measurement: &'a str,
    /// With the measurement they name the series. No key twice.
    pub tags: Vec<(&'a str, &'a str)>,
    /// No key twice.
    pub fields: Vec<(&'a str, Value<'a>)>,
    /// Unix nanoseconds.
    pub time: i64,
}

impl Point<'_> {
    /// Appends the point as a line with its line break. Nothing is appended, and `false` answered, where no field can be
    /// written: the protocol has no point without.
    pub fn write(&self, lines: &mut String) -> bool {
        let begin = lines.len();
        push_name(lines, self.measurement, &[',', ' ']);
        for (key, value) in &self.tags {
            lines.push(',');
            push_key(lines, key);
            lines.push('=');
            push_key(lines, value);
        }
        let mut separator = ' ';
        for (key, value) in &self.fields {
            if matches!(value, Value::Float(number) if !number.is_finite()) {
                continue;
            }
            lines.push(separator);
            separator = ',';
            push_key(lines, key);
            lines.push('=');
            push_value(lines, value);
        }
        if separator == ' ' {
            lines.truncate(begin);
            return false;
        }
        push(lines, format_args!(" {}\n", self.time));
        true
    }
}

fn push_key(line: &mut String, text: &str) {
    push_name(line, text, &[',', ' ', '=']);
}

fn push_name(line: &mut String, text: &str, escaped: &[char]) {
    if text.is_empty() {
        line.push(SUBSTITUTE);
    }
    for (at, character) in text.char_indices() {
        match character {
            '\\' | '"' => line.push(SUBSTITUTE),
            // It would begin a comment.
            '#' if at == 0 => line.push(SUBSTITUTE),
            character if character.is_control() => line.push(SUBSTITUTE),
            character => {
                if escaped.contains(&character) {
                    line.push('\\');
                }
                line.push(character);
            }
        }
    }
}

fn push_value(line: &mut String, value: &Value<'_>) {
    match value {
        Value::Integer(number) => push(line, format_args!("{number}i")),
        Value::Float(number) => push(line, format_args!("{number}")),
        Value::Text(text) => {
            line.push('"');
            for character in text.chars() {
                match character {
                    '"' | '\\' => line.extend(['\\', character]),
                    character if character.is_control() => line.push(' '),
                    character => line.push(character),
                }
            }
            line.push('"');
        }
    }
}

fn push(line: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = line.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(measurement: &str, tag: (&str, &str), field: (&str, Value<'_>)) -> String {
        let mut lines = String::new();
        let point = Point { measurement, tags: vec![tag], fields: vec![field], time: -5 };
        assert!(point.write(&mut lines));
        lines
    }

    #[test]
    fn names_are_escaped() {
        let written = line("a b,c=d", ("k=1, 2", "v,=\u{20}"), ("f g", Value::Integer(-3)));
        assert_eq!(written, "a\\ b\\,c=d,k\\=1\\,\\ 2=v\\,\\=\\  f\\ g=-3i -5\n");
        assert_eq!(line("#x", ("", "a\\"), ("\"\n\r", Value::Float(0.1))), "_x,_=a_ ___=0.1 -5\n");
    }

    #[test]
    fn texts_are_quoted_and_hold_no_line_break() {
        let text = |text: &'static str| line("m", ("t", "v"), ("f", Value::Text(text.into())));
        assert_eq!(text("满了 \"1\", a=b\\"), "m,t=v f=\"满了 \\\"1\\\", a=b\\\\\" -5\n");
        assert_eq!(text("x\" 1\nforged,t=v f=1\r\n\0"), "m,t=v f=\"x\\\" 1 forged,t=v f=1   \" -5\n");
        assert_eq!(text(""), "m,t=v f=\"\" -5\n");
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let fields = vec![("a", Value::Float(f64::NAN)), ("b", Value::Float(1e21)), ("c", Value::Float(f64::INFINITY))];
        let mut lines = String::from("before\n");
        let mut point = Point { measurement: "m", tags: Vec::new(), fields, time: 1 };
        assert!(point.write(&mut lines));
        assert_eq!(lines, "before\nm b=1000000000000000000000 1\n");
        point.fields.remove(1);
        assert!(!point.write(&mut lines));
        assert_eq!(lines, "before\nm b=1000000000000000000000 1\n");
    }
}
