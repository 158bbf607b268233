//! What the API hands out to be sent back, and what others send of that kind: cursors, revisions, tags, waits.

#![no_main]

use fenlei::domain::notices::{back_off, retry_after};
use fenlei::domain::revision;
use fenlei::web::{Page, tags_of};
use libfuzzer_sys::fuzz_target;

/// The longest wait that a receiver may ask for: a day.
const LONGEST: i64 = 86_400_000;

fuzz_target!(|text: &str| {
    let page = |cursor: &str| Page::new(Some(cursor), None).ok();
    // What is taken is what would be handed out.
    if let Some(page) = page(text) {
        let after = page.after.clone().unwrap_or_default();
        assert_eq!(next(&after), text);
        if let Ok(row) = page.after_row() {
            assert_eq!(row.to_string(), after);
        }
    }
    if let Some(number) = revision::number(text) {
        assert_eq!(revision::name(number), text);
    }
    // What is handed out is taken.
    assert_eq!(page(&next(text)).and_then(|page| page.after).as_deref(), Some(text));
    let number = i64::from_le_bytes(std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or_default()));
    assert_eq!(page(&next(&number.to_string())).and_then(|page| page.after_row().ok()), Some(number));
    assert_eq!(revision::number(&revision::name(number)), Some(number).filter(|number| *number >= 0));

    let (strong, all) = (tags_of(text, false), tags_of(text, true));
    assert!(strong.iter().all(|tag| all.contains(tag)));
    let again: Vec<_> = all.iter().map(|tag| format!("W/\"{tag}\"")).collect();
    assert_eq!(tags_of(&again.join(", "), true), all);
    assert_eq!(tags_of(&again.join(","), false), [""; 0]);
    let of_ours = !text.contains(['"', ',']) && !text.is_empty();
    assert!(!of_ours || tags_of(&format!("\"a.b\" , \"{text}\""), false) == ["a.b", text]);

    // A wait of a failed call is never negative, and never without end.
    for attempts in [1, 2, u32::MAX] {
        let wait = back_off(attempts, 0.5, retry_after(text, number / 2));
        assert!((0..=LONGEST).contains(&wait), "{wait}");
    }
});

/// The cursor of the page behind the item of this key.
fn next(key: &str) -> String {
    let page = Page::new(None, Some(1)).expect("a page of one");
    page.cut(vec![(), ()], |()| key.to_owned()).into_parts().1.expect("there is another")
}
