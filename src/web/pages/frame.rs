//! What every page has around it: head, navigation, language, and what holds for its answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::form::form;
use super::visitor::Visitor;
use super::words;
use crate::domain::registry::Role;
use crate::faults::Part;
use crate::web::access::{ADMINS, OPERATORS, READERS, SITE_READERS};
use crate::web::assets;
use crate::web::language::Language;

/// Scripts and styles of our own files, data from our own paths, and forms to ourselves: nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
    worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The parts of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Sites,
    Projectors,
    Visits,
    Alarms,
    Fleet,
    Definitions,
    Admin,
    /// In none of them: one's own account, and what went wrong.
    None,
}

impl Section {
    /// Where each leads, how it is called, and who may go there.
    const ALL: [(Self, &'static str, [&'static str; 2], &'static [Role]); 8] = [
        (Self::Overview, "/", ["概览", "Overview"], READERS),
        (Self::Sites, "/sites", ["箱房", "Sites"], SITE_READERS),
        (Self::Projectors, "/projectors", ["投影", "Projectors"], SITE_READERS),
        (Self::Visits, "/visits", ["入户", "Visits"], READERS),
        (Self::Alarms, "/alarms", ["告警", "Alarms"], READERS),
        (Self::Fleet, "/fleet", ["设备", "Devices"], READERS),
        (Self::Definitions, "/definitions", ["指标说明", "Definitions"], READERS),
        (Self::Admin, "/admin", ["管理", "Administration"], ADMINS),
    ];
}

/// A page for somebody who signed in.
pub(super) struct Page<'a> {
    visitor: &'a Visitor,
    section: Section,
    title: String,
    scripts: Vec<&'static str>,
    status: StatusCode,
}

impl<'a> Page<'a> {
    pub(super) fn new(visitor: &'a Visitor, section: Section, title: impl Into<String>) -> Self {
        Self { visitor, section, title: title.into(), scripts: Vec::new(), status: StatusCode::OK }
    }

    /// With a script of `/assets` that makes it better; it must do without.
    pub(super) fn script(mut self, name: &'static str) -> Self {
        self.scripts.push(name);
        self
    }

    /// With another status than 200: a form that was not accepted is shown again with 422.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The answer, with `body` below the heading.
    pub(super) fn show(self, body: &Markup) -> Response {
        let (visitor, lang) = (self.visitor, self.visitor.lang);
        let sections = Section::ALL.into_iter().filter(|(_, _, _, roles)| visitor.access.is_one_of(roles));
        let header = html! {
            a.skip href="#main" { (lang.t("跳到正文", "Skip to content")) }
            header.top {
                a.brand href="/" { "Fenlei " span { "分类" } }
                nav aria-label=(lang.t("主导航", "Main")) {
                    ul {
                        @for (section, path, [zh, en], _) in sections {
                            li { a href=(path) aria-current=[(section == self.section).then_some("page")] { (lang.t(zh, en)) } }
                        }
                    }
                }
                div.who {
                    (switch(lang, &visitor.here))
                    a href="/account" { (visitor.name()) }
                    (form(visitor, "/sign-out", &html! { button.plain type="submit" { (lang.t("退出", "Sign out")) } }))
                }
            }
        };
        let main = html! { (faults(visitor)) h1 { (self.title) } (body) };
        answer(self.status, document(lang, &self.title, &self.scripts, Some(&visitor.csrf), &header, &main))
    }
}

/// A page for anybody: signing in, or what went wrong.
pub(super) fn outside(lang: Language, status: StatusCode, title: &str, here: &str, main: &Markup) -> Response {
    let header =
        html! { header.top { a.brand href="/" { "Fenlei " span { "分类" } } div.who { (switch(lang, here)) } } };
    let main = html! { h1 { (title) } (main) };
    answer(status, document(lang, title, &[], None, &header, &main))
}

/// What whoever is signed in should know while something does not work; gone with the next page once it does.
fn faults(visitor: &Visitor) -> Markup {
    let told = |part: &&Part| match part {
        Part::Store | Part::Mqtt => true,
        // Of no concern to whoever runs nothing.
        Part::Clock | Part::Export => visitor.access.is_one_of(OPERATORS),
    };
    html! {
        @for part in visitor.faults.iter().filter(told) {
            div.warn role="status" { p { (words::fault(visitor.lang, *part)) } }
        }
    }
}

/// The other language at a click, and back to the same page.
fn switch(lang: Language, here: &str) -> Markup {
    let other = lang.other();
    let back: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    html! { a href={ "/language/" (other.parameter()) "?back=" (back) } lang=(other.tag()) hreflang=(other.tag()) { (other.name()) } }
}

fn document(
    lang: Language,
    title: &str,
    scripts: &[&str],
    csrf: Option<&str>,
    header: &Markup,
    main: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // What a script sends must show the same token as a form.
                @if let Some(csrf) = csrf { meta name="csrf" content=(csrf); }
                title { (title) " · Fenlei" }
                link rel="stylesheet" href=(assets::address("fenlei.css"));
                link rel="icon" href="data:,";
                @for script in scripts { script src=(assets::address(script)) defer {} }
            }
            body { (header) main #main { (main) } }
        }
    }
}

fn answer(status: StatusCode, document: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, document.into_string()).into_response()
}

/// Elsewhere, after something was done: a page that is loaded again does it no second time.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
