//! A table that can be exported, as a page shows it: the same cells, so that none differs from its file.

use maud::{Markup, html};

use crate::sheets::{Cell, Table};
use crate::web::language::Language;

/// The table with its title as caption. Rows that begin with two dates tell of a span, which is told in one cell.
pub(super) fn show(lang: Language, table: &Table) -> Markup {
    let spans = table.rows.first().is_some_and(|row| matches!(row.as_slice(), [Cell::Date(_), Cell::Date(_), ..]));
    let skipped = usize::from(spans);
    let heading = |at: usize, heading: &str| {
        if spans && at == 0 { lang.t("期间", "Period").to_owned() } else { heading.to_owned() }
    };
    let cells = |cells: &[Cell], first: usize| {
        html! { @for (cell, at) in cells.iter().zip(first..) { td.num[is_number(table, at)] { (written(lang, cell)) } } }
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table.told {
                caption { (table.title) }
                thead {
                    tr {
                        @for (at, column) in table.columns.iter().skip(skipped).enumerate() {
                            th.num[at > 0 && is_number(table, at + skipped)] scope="col" { (heading(at, column)) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @match row.as_slice() {
                                [Cell::Date(from), Cell::Date(to), rest @ ..] => {
                                    th scope="row" { (lang.span(crate::domain::period::Span { from: *from, to: *to })) }
                                    (cells(rest, 2))
                                }
                                [first, rest @ ..] => { th scope="row" { (written(lang, first)) } (cells(rest, 1)) }
                                [] => {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn number(cell: &Cell) -> bool {
    matches!(cell, Cell::Integer(_) | Cell::Percent(_) | Cell::Decimal(_))
}

/// Whether a column holds numbers.
fn is_number(table: &Table, column: usize) -> bool {
    table.rows.iter().filter_map(|row| row.get(column)).any(number)
}

fn written(lang: Language, cell: &Cell) -> String {
    match cell {
        Cell::Empty => "—".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Date(date) => lang.date(*date),
        Cell::Integer(number) => number.to_string(),
        Cell::Percent(percent) => format!("{percent:.1}%"),
        Cell::Decimal(number) => format!("{number:.1}"),
        Cell::Instant(instant) => format!("{} {}", lang.date(instant.date_naive()), lang.time(instant.time())),
    }
}
