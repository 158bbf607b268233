//! What the pages of everything registered have in common: a list, a form for a new one, a form to change one, and a
//! question before one is deleted. A form carries the tag of what it shows, so that two people do not undo each other.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fenlei_wire::limits::is_id;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::web::App;
use crate::web::access::{ADMINS, Access};
use crate::web::etag::IfMatch;
use crate::web::extract::Id;
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong, fields, summary};
use crate::web::pages::form::{Sent, SentBoth, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

/// A kind of thing that is registered.
pub(in crate::web::pages) trait Registered {
    /// In the path of its pages.
    const PATH: &'static str;
    /// What several are called, and one.
    const MANY: [&'static str; 2];
    const ONE: [&'static str; 2];
    /// What a form sends.
    type Form: DeserializeOwned + Default + Send + 'static;

    /// The ids that the caller sees, each with what the list says of it.
    fn list(access: &Access, lang: Language) -> Vec<(String, Vec<String>)>;
    /// What the columns beside the id are called.
    fn columns(lang: Language) -> Vec<&'static str>;
    /// One of them as its form shows it, and its tag.
    fn find(access: &Access, id: &str) -> Option<(Self::Form, String)>;
    fn fields<'a>(access: &'a Access, lang: Language, form: &'a Self::Form) -> Vec<Field<'a>>;
    /// What people get wrong, found before the API would.
    fn check(access: &Access, lang: Language, form: &Self::Form) -> Result<(), Wrong>;
    /// Puts it; `Some`: what must be seen now, because it will not be shown again.
    fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Self::Form,
    ) -> impl Future<Output = Result<Option<Markup>, Problem>> + Send;
    fn delete(
        app: Arc<App>,
        access: Access,
        id: String,
        if_match: IfMatch,
    ) -> impl Future<Output = Result<StatusCode, Problem>> + Send;
    /// What else can be done with one.
    fn more(visitor: &Visitor, id: &str) -> Markup {
        let _ = (visitor, id);
        html! {}
    }
}

/// What goes with each form: the id of a new one, the tag of what is changed.
#[derive(Deserialize)]
pub(in crate::web::pages) struct Beside {
    id: Option<String>,
    tag: Option<String>,
}

pub(in crate::web::pages) async fn list<R: Registered>(visitor: Visitor) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    Ok(listed::<R>(&visitor, "", &R::Form::default(), None))
}

fn listed<R: Registered>(visitor: &Visitor, id: &str, filled: &R::Form, wrong: Option<&Wrong>) -> Response {
    let lang = visitor.lang;
    let found = R::list(&visitor.access, lang);
    let [zh, en] = R::ONE;
    let id_field = Field::new("id", lang.t("编号", "Id"), Input::Text { value: id, max: 48 })
        .hint(lang.t("小写字母、数字、- 和 _,以后不能改。", "Lower-case letters, digits, - and _; it stays for ever."));
    let body = html! {
        (summary(lang, wrong))
        div.scroll tabindex="0" {
            table {
                thead { tr { th scope="col" { (lang.t("编号", "Id")) } @for column in R::columns(lang) { th scope="col" { (column) } } } }
                tbody {
                    @for (id, cells) in &found {
                        tr { th scope="row" { a href={ "/admin/" (R::PATH) "/" (id) } { (id) } } @for cell in cells { td { bdi { (cell) } } } }
                    }
                }
            }
        }
        @if found.is_empty() { p.note { (lang.t("还没有。", "None yet.")) } }
        section.narrow {
            h2 { (lang.t("新建", "New ")) (lang.t(zh, en)) }
            (form(visitor, &format!("/admin/{}", R::PATH), &html! {
                (fields(lang, &[id_field], wrong)) (fields(lang, &R::fields(&visitor.access, lang, filled), wrong))
                button type="submit" { (lang.t("新建", "Create")) }
            }))
        }
    };
    let [zh, en] = R::MANY;
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Admin, lang.t(zh, en)).status(status).show(&body)
}

pub(in crate::web::pages) async fn create<R: Registered>(
    State(app): State<Arc<App>>,
    SentBoth { visitor, form, beside: Beside { id, .. } }: SentBoth<R::Form, Beside>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (lang, id) = (visitor.lang, id.unwrap_or_default().trim().to_owned());
    let taken = R::find(&visitor.access, &id).is_some();
    let wrong = match R::check(&visitor.access, lang, &form) {
        _ if !is_id(&id) => Some((
            "id",
            lang.t(
                "编号只能用小写字母、数字、- 和 _,最多 48 个字符。",
                "An id has lower-case letters, digits, - and _, at most 48 of them.",
            )
            .to_owned(),
        )),
        _ if taken => Some(("id", lang.t("这个编号已经有了。", "There is one of this id already.").to_owned())),
        Err(wrong) => Some(wrong),
        Ok(()) => None,
    };
    if let Some(wrong) = wrong {
        return Ok(listed::<R>(&visitor, &id, &form, Some(&wrong)));
    }
    let seen = R::put(app, &visitor, id.clone(), IfMatch::of(None), form).await?;
    Ok(afterwards::<R>(&visitor, &id, seen))
}

/// Back to the one that was changed, unless something must be seen now.
fn afterwards<R: Registered>(visitor: &Visitor, id: &str, seen: Option<Markup>) -> Response {
    let back = format!("/admin/{}/{id}", R::PATH);
    match seen {
        None => see_other(&format!("{back}?saved=1")),
        Some(seen) => Page::new(visitor, Section::Admin, id).show(&html! {
            (seen) p { a href=(back) { (visitor.lang.t("我记下了,继续", "I have noted it, go on")) } }
        }),
    }
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Saved {
    saved: Option<String>,
}

pub(in crate::web::pages) async fn edit<R: Registered>(
    visitor: Visitor,
    Id(id): Id,
    axum::extract::Query(query): axum::extract::Query<Saved>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (form, tag) = R::find(&visitor.access, &id).ok_or_else(Problem::not_found)?;
    Ok(shown::<R>(&visitor, &id, &form, &tag, query.saved.is_some(), None))
}

fn shown<R: Registered>(
    visitor: &Visitor,
    id: &str,
    filled: &R::Form,
    tag: &str,
    saved: bool,
    wrong: Option<&Wrong>,
) -> Response {
    let (lang, path) = (visitor.lang, format!("/admin/{}/{id}", R::PATH));
    let body = html! {
        @if saved { div.done role="status" { p { (lang.t("已保存。", "Saved.")) } } }
        (summary(lang, wrong))
        section.narrow {
            (form(visitor, &path, &html! {
                input type="hidden" name="tag" value=(tag);
                (fields(lang, &R::fields(&visitor.access, lang, filled), wrong))
                button type="submit" { (lang.t("保存", "Save")) }
            }))
        }
        (R::more(visitor, id))
        p { a.button.danger href={ (path) "/delete" } { (lang.t("删除…", "Delete …")) } }
        p { a href={ "/admin/" (R::PATH) } { (lang.t("回到列表", "Back to the list")) } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let [zh, en] = R::ONE;
    let mut title = format!("{} {id}", lang.t(zh, en));
    // An English title begins with a capital.
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Page::new(visitor, Section::Admin, title).status(status).show(&body)
}

pub(in crate::web::pages) async fn save<R: Registered>(
    State(app): State<Arc<App>>,
    Id(id): Id,
    SentBoth { visitor, form, beside: Beside { tag, .. } }: SentBoth<R::Form, Beside>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let (_, present) = R::find(&visitor.access, &id).ok_or_else(Problem::not_found)?;
    let tag = tag.unwrap_or_default();
    if let Err(wrong) = R::check(&visitor.access, lang, &form) {
        return Ok(shown::<R>(&visitor, &id, &form, &tag, false, Some(&wrong)));
    }
    if tag != present {
        let first = R::fields(&visitor.access, lang, &form).first().map_or("id", |field| field.name);
        let words = lang.t(
            "在您填写期间,别人改过它。下面是您填的内容,再按一次“保存”就会盖过别人的修改。",
            "Somebody else changed it meanwhile. Below is what you typed: saving again replaces the other change.",
        );
        return Ok(shown::<R>(&visitor, &id, &form, &present, false, Some(&(first, words.to_owned()))));
    }
    let seen = R::put(app, &visitor, id.clone(), IfMatch::of(Some(tag)), form).await?;
    Ok(afterwards::<R>(&visitor, &id, seen))
}

pub(in crate::web::pages) async fn ask<R: Registered>(visitor: Visitor, Id(id): Id) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (_, tag) = R::find(&visitor.access, &id).ok_or_else(Problem::not_found)?;
    Ok(question::<R>(&visitor, &id, &tag, None))
}

fn question<R: Registered>(visitor: &Visitor, id: &str, tag: &str, refused: Option<&Problem>) -> Response {
    let (lang, path) = (visitor.lang, format!("/admin/{}/{id}", R::PATH));
    let body = html! {
        @if let Some(refused) = refused {
            div.error role="alert" {
                p { (lang.t("没有删除:还有别的东西依赖它,或它已有数据。", "It was not deleted: something depends on it, or it has data.")) }
                p lang="en" { (refused.detail) }
            }
        }
        p { (lang.t("删除以后不能恢复。已有数据的不会被删除。", "There is no way back. What has data is never deleted.")) }
        (form(visitor, &format!("{path}/delete"), &html! {
            input type="hidden" name="tag" value=(tag);
            button.danger type="submit" { (lang.t("确认删除", "Delete it")) }
        }))
        p { a href=(path) { (lang.t("不删除,返回", "Keep it")) } }
    };
    let [zh, en] = R::ONE;
    let title = format!("{} {} {id}", lang.t("删除", "Delete"), lang.t(zh, en));
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    Page::new(visitor, Section::Admin, title).status(status).show(&body)
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Tagged {
    tag: Option<String>,
}

pub(in crate::web::pages) async fn delete<R: Registered>(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Tagged { tag } }: Sent<Tagged>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (_, present) = R::find(&visitor.access, &id).ok_or_else(Problem::not_found)?;
    match R::delete(app, visitor.access.clone(), id.clone(), IfMatch::of(tag)).await {
        Ok(_) => Ok(see_other(&format!("/admin/{}", R::PATH))),
        Err(refused) if matches!(refused.status(), StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) => {
            Ok(question::<R>(&visitor, &id, &present, Some(&refused)))
        }
        Err(other) => Err(other),
    }
}

/// The things of a kind that a form may choose from, by id and name.
pub(super) fn choices<'a>(
    things: impl Iterator<Item = (&'a String, &'a String)>,
    seen: impl Fn(&str) -> bool,
) -> Vec<(String, String)> {
    things.filter(|(id, _)| seen(id)).map(|(id, name)| (id.clone(), format!("{name} ({id})"))).collect()
}

pub(super) fn communities(access: &Access) -> Vec<(String, String)> {
    let communities = access.registry.communities.values().map(|one| (&one.id, &one.name));
    choices(communities, |id| access.sees_community(id))
}

pub(super) fn organizations(access: &Access) -> Vec<(String, String)> {
    let organizations = access.registry.organizations.values().map(|one| (&one.id, &one.name));
    choices(organizations, |id| access.sees_organization(id))
}

/// Something was not chosen, or not from what there is.
pub(super) fn chosen(
    lang: Language,
    field: &'static str,
    value: &str,
    choices: &[(String, String)],
) -> Result<(), Wrong> {
    if choices.iter().any(|(id, _)| id == value) {
        return Ok(());
    }
    Err((field, lang.t("请选择一项。", "Choose one.").to_owned()))
}

/// A name as people write it.
pub(super) fn named(lang: Language, name: &str) -> Result<(), Wrong> {
    if !name.trim().is_empty() && name.len() <= 200 {
        return Ok(());
    }
    Err(("name", lang.t("请填写名称,最多 200 字节(约 66 个汉字)。", "Give a name of at most 200 bytes.").to_owned()))
}
