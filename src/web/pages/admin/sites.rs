//! `/admin/sites`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::communities::zoned;
use super::registered::{Registered, chosen, communities, named};
use crate::web::App;
use crate::web::access::Access;
use crate::web::etag::{IfMatch, tag_of};
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;
use crate::web::sites::{SiteFields, SiteView, delete_site, put_site};

pub(in crate::web::pages) struct Sites;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct Form {
    name: String,
    community: String,
    time_zone: String,
    latitude: String,
    longitude: String,
}

/// A field for degrees; empty: none.
fn degrees(lang: Language, field: &'static str, text: &str, most: f64) -> Result<Option<f64>, Wrong> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let degrees = text.trim().parse().ok().filter(|degrees| (-most..=most).contains(degrees));
    degrees.map(Some).ok_or_else(|| {
        let words = format!("{} −{most} {} {most}", lang.t("请填写", "Give a number from"), lang.t("到", "to"));
        (field, words)
    })
}

impl Registered for Sites {
    const PATH: &'static str = "sites";
    const MANY: [&'static str; 2] = ["箱房", "Sites"];
    const ONE: [&'static str; 2] = ["箱房", "site"];
    type Form = Form;

    fn list(access: &Access, _: Language) -> Vec<(String, Vec<String>)> {
        let registry = &access.registry;
        let all = registry.sites.values().filter(|one| access.sees_site(&one.id));
        all.map(|one| {
            (
                one.id.clone(),
                vec![one.name.clone(), registry.community_name(&one.community).to_owned(), one.zone.name().to_owned()],
            )
        })
        .collect()
    }

    fn columns(lang: Language) -> Vec<&'static str> {
        vec![lang.t("名称", "Name"), lang.t("小区", "Community"), lang.t("时区", "Time zone")]
    }

    fn find(access: &Access, id: &str) -> Option<(Form, String)> {
        let one = access.registry.sites.get(id).filter(|_| access.sees_site(id))?;
        let text = |degrees: Option<f64>| degrees.map_or_else(String::new, |degrees| degrees.to_string());
        let view = SiteView {
            id: one.id.clone(),
            community: one.community.clone(),
            name: one.name.clone(),
            time_zone: one.zone.name().to_owned(),
            latitude: one.latitude,
            longitude: one.longitude,
        };
        let form = Form {
            name: view.name.clone(),
            community: view.community.clone(),
            time_zone: view.time_zone.clone(),
            latitude: text(one.latitude),
            longitude: text(one.longitude),
        };
        Some((form, tag_of(&view)))
    }

    fn fields<'a>(access: &'a Access, lang: Language, form: &'a Form) -> Vec<Field<'a>> {
        let community = Input::Select { value: &form.community, options: communities(access) };
        let place = |value, most: &'static str, least| Input::Number { value, min: least, max: most, step: "any" };
        vec![
            Field::new("name", lang.t("名称", "Name"), Input::Text { value: &form.name, max: 200 }),
            Field::new("community", lang.t("小区", "Community"), community),
            Field::new("time_zone", lang.t("时区", "Time zone"), Input::Text { value: &form.time_zone, max: 64 })
                .hint(lang.t("不填就用小区的时区。", "The community's where it is left empty."))
                .optional(),
            Field::new("latitude", lang.t("纬度", "Latitude"), place(&form.latitude, "90", "-90"))
                .hint(lang.t("投影按日落排期时需要。", "Needed for messages that begin at sunset."))
                .optional(),
            Field::new("longitude", lang.t("经度", "Longitude"), place(&form.longitude, "180", "-180")).optional(),
        ]
    }

    fn check(access: &Access, lang: Language, form: &Form) -> Result<(), Wrong> {
        named(lang, &form.name)?;
        chosen(lang, "community", &form.community, &communities(access))?;
        zoned(lang, &form.time_zone)?;
        degrees(lang, "latitude", &form.latitude, 90.0)?;
        degrees(lang, "longitude", &form.longitude, 180.0).map(drop)
    }

    async fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Form,
    ) -> Result<Option<Markup>, Problem> {
        let read = |field, text: &str, most| {
            degrees(visitor.lang, field, text, most).map_err(|(_, wrong)| Problem::bad_request(wrong))
        };
        let fields = SiteFields {
            latitude: read("latitude", &form.latitude, 90.0)?,
            longitude: read("longitude", &form.longitude, 180.0)?,
            community: form.community,
            name: form.name,
            time_zone: Some(form.time_zone).filter(|zone| !zone.is_empty()),
        };
        put_site(State(app), visitor.access.clone(), Id(id), if_match, Json(fields)).await?;
        Ok(None)
    }

    async fn delete(app: Arc<App>, access: Access, id: String, if_match: IfMatch) -> Result<StatusCode, Problem> {
        delete_site(State(app), access, Id(id), if_match).await
    }

    fn more(visitor: &Visitor, id: &str) -> Markup {
        html! { p { a href={ "/sites/" (id) } { (visitor.lang.t("箱房页面和开放时段", "The site's page, and its hours")) } } }
    }
}
