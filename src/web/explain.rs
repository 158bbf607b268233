//! A parser's complaint in words that say what to change. The value itself is never repeated: it may be a card.

/// `path` is where in the document the parser stood; `message` is serde's.
pub(super) fn explain(path: &str, message: &str) -> String {
    let at = |field: &str| match path {
        "." | "" | "?" => format!("`{field}`"),
        path => format!("`{path}.{field}`"),
    };
    let here = match path {
        "." | "" | "?" => "the body".to_owned(),
        path => format!("`{path}`"),
    };
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return format!("{} is missing", at(field));
    }
    if let Some(field) = message.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
        return format!("{} is given twice", at(field));
    }
    if message.starts_with("unknown field `") {
        let known = message.rsplit_once("expected ").map_or("", |(_, known)| known);
        return format!("an unknown name is given: known are {}", known.trim_start_matches("one of "));
    }
    match message.rsplit_once("expected ") {
        // A type of ours, which the asker cannot know.
        Some((_, expected)) if expected.starts_with("struct ") => format!("{here} must be a JSON object"),
        Some((_, expected)) => format!("{here} must be {expected}"),
        None if is_a_date_complaint(message) => format!("{here} must be a date as YYYY-MM-DD"),
        None => format!("{here} has a value that cannot be used"),
    }
}

/// What chrono says of a text that is no date.
fn is_a_date_complaint(message: &str) -> bool {
    let complaints =
        ["input contains invalid characters", "premature end of input", "input is out of range", "trailing input"];
    complaints.contains(&message)
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn says_what_is_expected_and_never_what_was_given() {
        let said = |path, message| explain(path, message);
        assert_eq!(said(".", "missing field `name` at line 1 column 2"), "`name` is missing");
        assert_eq!(said("weekly[0]", "missing field `open`"), "`weekly[0].open` is missing");
        assert_eq!(
            said("kind", "unknown variant `x, expected y`, expected one of `bin`, `camera`"),
            "`kind` must be one of `bin`, `camera`"
        );
        assert_eq!(
            said("starts", "premature end of input at line 3 column 1"),
            "`starts` must be a date as YYYY-MM-DD"
        );
        assert_eq!(said("x", "made of 04a1"), "`x` has a value that cannot be used");
    }
}
