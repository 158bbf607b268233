//! What the registry's collections have in common: listing, reading, putting and deleting by id.

use axum::http::StatusCode;
use serde::Serialize;

use super::App;
use super::access::{ADMINS, Access};
use super::etag::IfMatch;
use super::extract::check_id;
use super::paging::{List, Page, PageQuery};
use super::problem::Problem;
use crate::domain::registry::{Registry, Role};
use crate::store::audit;
use crate::store::registry::{self, Kind};
use crate::store::writer::Session;

/// A collection of the registry.
pub(super) trait Resource {
    /// What an item shows and `If-Match` is held against.
    type View: Serialize + Send + 'static;
    const KIND: Kind;
    /// Who may see items at all.
    const READERS: &'static [Role];

    /// All ids, in their order.
    fn ids(registry: &Registry) -> impl Iterator<Item = &String>;
    /// Whether the item is there and within the caller's scope.
    fn seen(access: &Access, id: &str) -> bool;
    fn view(registry: &Registry, id: &str) -> Option<Self::View>;
}

pub(super) fn list<R: Resource>(access: &Access, query: &PageQuery) -> Result<List<R::View>, Problem> {
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let ids = ids::<R>(access, &page, |_| true)?;
    let views: Vec<_> = ids.filter_map(|id| Some((id, R::view(&access.registry, id)?))).collect();
    Ok(page.cut(views, |(id, _)| (*id).clone()).map(|(_, view)| view))
}

/// The ids of a page, and one more where there is a next page.
pub(super) fn ids<'a, R: Resource>(
    access: &'a Access,
    page: &'a Page,
    wanted: impl Fn(&str) -> bool + 'a,
) -> Result<impl Iterator<Item = &'a String>, Problem> {
    access.may_see(R::READERS)?;
    let after = page.after.as_deref();
    let ids = R::ids(&access.registry).filter(move |id| after.is_none_or(|after| id.as_str() > after));
    Ok(ids.filter(move |id| wanted(id) && R::seen(access, id)).take(page.probe()))
}

pub(super) fn get<R: Resource>(access: &Access, id: &str) -> Result<R::View, Problem> {
    access.may_see(R::READERS)?;
    R::view(&access.registry, id).filter(|_| R::seen(access, id)).ok_or_else(Problem::not_found)
}

/// Runs `work` in a transaction in which `If-Match` holds; 201 where it created the item.
pub(super) async fn put<R: Resource>(
    app: &App,
    access: &Access,
    id: &str,
    if_match: IfMatch,
    work: impl FnOnce(&mut Session<'_>) -> Result<(), Problem> + Send + 'static,
) -> Result<(StatusCode, R::View), Problem> {
    may_write::<R>(access, id)?;
    check_id(id)?;
    let (key, who, now) = (id.to_owned(), access.caller.who.clone(), app.clock.now().timestamp_millis());
    let created = app.store.write(move |session| {
        let present = R::view(&session.registry, &key);
        if_match.check(present.as_ref())?;
        work(session)?;
        let done = if present.is_none() { "create" } else { "change" };
        audit::note(session.connection, now, &who, &format!("{}.{done}", R::KIND.name()), &key)?;
        Ok::<_, Problem>(present.is_none())
    });
    let status = if created.await? { StatusCode::CREATED } else { StatusCode::OK };
    let view = R::view(&app.store.registry(), id).ok_or_else(Problem::not_found)?;
    Ok((status, view))
}

pub(super) async fn delete<R: Resource>(
    app: &App,
    access: &Access,
    id: &str,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    may_write::<R>(access, id)?;
    if !R::seen(access, id) {
        return Err(Problem::not_found());
    }
    let (key, who, now) = (id.to_owned(), access.caller.who.clone(), app.clock.now().timestamp_millis());
    let deleted = app.store.write(move |session| {
        if_match.check(R::view(&session.registry, &key).as_ref())?;
        audit::note(session.connection, now, &who, &format!("{}.delete", R::KIND.name()), &key)?;
        Ok::<_, Problem>(registry::delete(session.connection, R::KIND, &key)?)
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is there and out of sight stays so, even to somebody who would write.
fn may_write<R: Resource>(access: &Access, id: &str) -> Result<(), Problem> {
    access.may_see(R::READERS)?;
    if R::view(&access.registry, id).is_some() && !R::seen(access, id) {
        return Err(Problem::not_found());
    }
    access.may_do(ADMINS)
}
