//! The text of a message for a projector: figures stand in it as placeholders, and it is checked when these are filled in.

use fenlei_wire::limits::MAX_TEXT_BYTES;

/// What may stand in braces in a text.
pub const PLACEHOLDERS: [&str; 7] =
    ["participation", "participating", "households", "accuracy", "community", "site", "date"];

/// Why a text cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("`text` must be 1 to {MAX_TEXT_BYTES} bytes in UTF-8, placeholders filled in")]
    Length,
    #[error(
        "`text` has {0:?} as its character {1}, which a projector cannot show: it shows letters, digits and punctuation"
    )]
    Character(char, usize),
    #[error("`text` has {{{0}}}: known are {{{known}}}", known = PLACEHOLDERS.join("}, {"))]
    Placeholder(String),
    #[error("`text` has a brace without its partner")]
    Brace,
}

/// Fills the placeholders of a text with what `value` gives for each.
pub fn fill(text: &str, value: impl Fn(&str) -> String) -> Result<String, TextError> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        let inside = brace.strip_prefix('{').ok_or(TextError::Brace)?;
        let (name, after) = inside.split_once('}').ok_or(TextError::Brace)?;
        if !PLACEHOLDERS.contains(&name) {
            return Err(TextError::Placeholder(name.chars().take(40).collect()));
        }
        filled.push_str(before);
        filled.push_str(&value(name));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether a projector can show this text, which is filled.
pub fn check_text(text: &str) -> Result<(), TextError> {
    if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(TextError::Length);
    }
    let bad = text.chars().enumerate().find(|(_, character)| !is_shown(*character));
    bad.map_or(Ok(()), |(at, character)| Err(TextError::Character(character, at + 1)))
}

/// Letters and digits of all scripts without those that only combine, and the punctuation of Chinese and Latin text.
fn is_shown(character: char) -> bool {
    let emoji_like = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let punctuation = matches!(character, ' '..='~' | '\u{a0}'..='\u{ff}' | '\u{2010}'..='\u{2044}' | '\u{2190}'..='\u{2193}')
        || matches!(character, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' | '℃' | '①'..='⑳');
    (character.is_alphanumeric() || punctuation) && !emoji_like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_people_write_them() {
        for good in ["垃圾分类,因为你", "本周参与率 70%，谢谢！", "Danke schön — 08:00–09:00", "①湿 ②干"]
        {
            assert_eq!(check_text(good), Ok(()), "{good}");
        }
        assert_eq!(check_text("好😀"), Err(TextError::Character('😀', 2)));
        for bad in ["a\nb", "\u{202e}abc", "\u{e000}", "a\u{200b}b"] {
            assert!(matches!(check_text(bad), Err(TextError::Character(..))), "{bad:?}");
        }
        assert_eq!(check_text(&"垃".repeat(86)), Err(TextError::Length));
        assert_eq!(fill("{site}: {participation}", |name| name.to_uppercase()), Ok("SITE: PARTICIPATION".into()));
        assert_eq!(fill("{awareness}", |_| String::new()), Err(TextError::Placeholder("awareness".into())));
        assert_eq!(fill("a } b", |_| String::new()), Err(TextError::Brace));
        assert_eq!(fill("a {site", |_| String::new()), Err(TextError::Brace));
    }
}
