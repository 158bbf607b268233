//! The board as a page: the two figures so large that they are read from four metres, the trend, and thanks.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::assets;
use super::super::language::Language;
use super::figures::{Figures, Week};
use crate::domain::published::Share;

/// A screen stands there for months: it looks again by itself, in seconds. With a script it does so without loading anew,
/// which would pull what is being read from under whoever reads it aloud.
const REFRESH: u32 = 300;

const STYLE: &str = include_str!("board.css");

fn document(lang: Language, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                script src=(assets::address("board.js")) defer {}
                noscript { meta http-equiv="refresh" content=(REFRESH); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

pub(super) fn unknown(lang: Language) -> Markup {
    document(lang, "404", &html! { main { p { (lang.unknown()) } } })
}

pub(super) fn board(figures: &Figures, lang: Language) -> Markup {
    let title = lang.title(&figures.community);
    let other = lang.other();
    let last = figures.weeks.last();
    let awareness = &figures.awareness;
    // What was shown at the door says more than what was said there.
    let (answer, told) = match (awareness.tested, awareness.claimed) {
        (Some(tested), _) => (Some(tested), lang.tested(tested)),
        (None, Some(claimed)) => (Some(claimed), lang.claimed(claimed)),
        (None, None) => (None, lang.withheld().to_owned()),
    };
    let participation = last.and_then(|week| week.participation);
    let part = participation.map_or_else(|| lang.withheld().to_owned(), |share| lang.households(share));
    let body = html! {
        header {
            h1 { (title) }
            a href={ "/board/" (figures.id) "?lang=" (other.parameter()) } lang=(other.tag()) hreflang=(other.tag()) { (other.name()) }
        }
        main {
            div.figures {
                (figure(lang.participation(), participation, &part, &last.map_or_else(String::new, |week| lang.span(week.span))))
                (figure(lang.awareness(), answer, &told, &lang.span(awareness.span)))
            }
            section.trend {
                h2 { (lang.trend()) }
                (trend(&figures.weeks, lang))
            }
            p.thanks { (lang.thanks()) }
        }
        footer { p { (lang.about(&figures.committee)) } }
    };
    document(lang, &title, &body)
}

fn figure(name: &str, share: Option<Share>, told: &str, span: &str) -> Markup {
    html! {
        section.figure {
            h2 { (name) }
            p.number { @match share { Some(share) => { (share.percent) span.unit { "%" } }, None => "—" } }
            p { (told) }
            p.span { (span) }
        }
    }
}

/// A table whose cells are drawn as columns: what is seen and what is read aloud are the same.
fn trend(weeks: &[Week], lang: Language) -> Markup {
    html! {
        table {
            thead {
                tr { th scope="col" { (lang.week()) } th scope="col" { (lang.participation()) } }
            }
            tbody {
                @for week in weeks {
                    tr {
                        th scope="row" title=(lang.span(week.span)) { (lang.short(week.span.from)) }
                        td {
                            @match week.participation {
                                Some(share) => {
                                    span.value { (share.percent) "%" }
                                    svg viewBox="0 0 10 100" preserveAspectRatio="none" aria-hidden="true" {
                                        rect x="0" width="10" y=(100 - share.percent) height=(share.percent) {}
                                    }
                                }
                                None => { span.value title=(lang.withheld()) { "—" } svg viewBox="0 0 10 100" aria-hidden="true" {} }
                            }
                        }
                    }
                }
            }
        }
    }
}
