//! Whatever a point holds is one line, and reads back as that point. Needs nothing of the other tests: a fuzz target
//! includes this file.

use fenlei::domain::line::{Point, Value};

/// A line as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, Field)>,
    /// Unix nanoseconds.
    pub time: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Integer(i64),
    Float(f64),
    Text(String),
}

/// Reads lines as strictly as any server may. Refused is all that servers read in different ways: a backslash that escapes
/// nothing, a control character, a quote in a name.
pub fn read(lines: &str) -> Result<Vec<Read>, String> {
    let lines = lines.strip_suffix('\n').ok_or("no line break at the end")?;
    lines.split('\n').map(|line| Reader(line).line().map_err(|what| format!("{what}: {line:?}"))).collect()
}

/// What is left of a line.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn line(&mut self) -> Result<Read, String> {
        if self.0.contains(char::is_control) || self.0.starts_with('#') {
            return Err("a control character, or a comment".to_owned());
        }
        let (measurement, mut end) = self.name(&[',', ' '])?;
        let (mut tags, mut fields) = (Vec::new(), Vec::new());
        while end == ',' {
            let (key, _) = self.name(&['='])?;
            let (value, next) = self.name(&[',', ' '])?;
            tags.push((key, value));
            end = next;
        }
        loop {
            let (key, _) = self.name(&['='])?;
            fields.push((key, self.value()?));
            match self.next() {
                Some(',') => {}
                Some(' ') => break,
                other => return Err(format!("{other:?} after a field")),
            }
        }
        let time = self.0.parse().map_err(|_| "no time at the end")?;
        Ok(Read { measurement, tags, fields, time })
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let next = characters.next();
        self.0 = characters.as_str();
        next
    }

    /// A name that is not empty, and which of the characters ended it.
    fn name(&mut self, ends: &[char]) -> Result<(String, char), String> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some('\\') => match self.next() {
                    Some(escaped @ (',' | '=' | ' ')) => name.push(escaped),
                    other => return Err(format!("\\ before {other:?} in a name")),
                },
                Some('"') => return Err("a quote in a name".to_owned()),
                Some(end) if ends.contains(&end) && !name.is_empty() => return Ok((name, end)),
                Some(bare @ (',' | ' ')) => return Err(format!("{bare:?} in a name, or an empty one")),
                Some(character) => name.push(character),
                None => return Err("the line ends in a name".to_owned()),
            }
        }
    }

    fn value(&mut self) -> Result<Field, String> {
        if let Some(text) = self.0.strip_prefix('"') {
            self.0 = text;
            let mut text = String::new();
            loop {
                match self.next() {
                    Some('"') => return Ok(Field::Text(text)),
                    Some('\\') => match self.next() {
                        Some(escaped @ ('"' | '\\')) => text.push(escaped),
                        other => return Err(format!("\\ before {other:?} in a text")),
                    },
                    Some(character) => text.push(character),
                    None => return Err("the line ends in a text".to_owned()),
                }
            }
        }
        let end = self.0.find([',', ' ']).ok_or("the line ends in a number")?;
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        let read = match number.strip_suffix('i') {
            Some(integer) => integer.parse().ok().map(Field::Integer),
            None => number.parse().ok().filter(|float: &f64| float.is_finite()).map(Field::Float),
        };
        read.ok_or_else(|| format!("{number:?} is no number"))
    }
}

/// Makes a point of any bytes, writes it, and reads it back.
pub fn holds(bytes: &[u8]) {
    let (numbers, texts) = bytes.split_at(bytes.len().min(16));
    let number = |at: usize| numbers.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(i64::from_le_bytes);
    let (time, number) = (number(0).unwrap_or(0), number(8).unwrap_or(-1));
    let mut texts = texts.split(|byte| *byte == 0xff).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut next = || texts.next().unwrap_or_default();
    let measurement = next();
    let tags: Vec<_> = (0..3).map(|_| (next(), next())).collect();
    let texts: Vec<_> = (0..2).map(|_| (next(), next())).collect();
    let float = f64::from_bits(number.cast_unsigned());
    let mut fields: Vec<_> = texts.iter().map(|(key, text)| (key.as_str(), Value::Text(text.into()))).collect();
    fields.extend([("integer", Value::Integer(number)), ("float", Value::Float(float))]);
    let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let point = Point { measurement: &measurement, tags, fields, time };
    let mut lines = String::new();
    assert!(point.write(&mut lines));
    assert_eq!(read(&lines), Ok(vec![carried(&point)]), "{lines:?}");
}

/// The point as it can be carried.
fn carried(point: &Point<'_>) -> Read {
    let value = |value: &Value<'_>| match value {
        Value::Integer(number) => Some(Field::Integer(*number)),
        Value::Float(number) => number.is_finite().then_some(Field::Float(*number)),
        Value::Text(text) => {
            Some(Field::Text(text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()))
        }
    };
    Read {
        measurement: name(point.measurement),
        tags: point.tags.iter().map(|(key, value)| (name(key), name(value))).collect(),
        fields: point.fields.iter().filter_map(|(key, field)| Some((name(key), value(field)?))).collect(),
        time: point.time,
    }
}

fn name(text: &str) -> String {
    let carried = |(at, one): (usize, char)| match one {
        '\\' | '"' => '_',
        '#' if at == 0 => '_',
        one if one.is_control() => '_',
        one => one,
    };
    if text.is_empty() { "_".to_owned() } else { text.chars().enumerate().map(carried).collect() }
}
