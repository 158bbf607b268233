//! Lists in pages: `{"items":[…],"next":…}`, where `next` is an opaque cursor, or null at the end.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::words;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The query of a list without filters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    pub cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub struct Page {
    /// The key of the last item of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

impl Page {
    pub fn new(cursor: Option<&str>, limit: Option<u32>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request("`limit` must be a whole number from 1 to 1000"));
        }
        let decode = |cursor: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            String::from_utf8(bytes).ok()
        };
        let after = cursor.map(|cursor| decode(cursor).ok_or_else(bad_cursor)).transpose()?;
        Ok(Self { after, limit: limit as usize })
    }

    /// The key of the last item as a number, 0 for the first page.
    pub fn after_row(&self) -> Result<i64, Problem> {
        let Some(after) = &self.after else { return Ok(0) };
        let row = after.parse().ok().filter(|row: &i64| row.to_string() == *after);
        row.ok_or_else(bad_cursor)
    }

    /// One item more than the page holds: whether there is one tells whether there is a next page.
    pub(super) fn probe(&self) -> usize {
        self.limit + 1
    }

    /// The page out of what `probe` found.
    pub fn cut<T>(&self, mut found: Vec<T>, key: impl Fn(&T) -> String) -> List<T> {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        List { items: found, next }
    }
}

fn bad_cursor() -> Problem {
    Problem::bad_request("`cursor` must be the `next` of an earlier page, or absent")
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    items: Vec<T>,
    /// The `cursor` of the next page, null at the end.
    #[schema(required = true)]
    next: Option<String>,
}

impl<T> List<T> {
    pub fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.items, self.next)
    }

    pub(super) fn map<U>(self, view: impl FnMut(T) -> U) -> List<U> {
        List { items: self.items.into_iter().map(view).collect(), next: self.next }
    }
}
