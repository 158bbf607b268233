//! `/admin/communities`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::registered::{Registered, choices, chosen, named};
use crate::domain::registry::OrganizationKind;
use crate::domain::zone::Tz;
use crate::web::App;
use crate::web::access::Access;
use crate::web::communities::{CommunityFields, CommunityView, delete_community, put_community};
use crate::web::etag::{IfMatch, tag_of};
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

pub(in crate::web::pages) struct Communities;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct Form {
    name: String,
    committee: String,
    time_zone: String,
}

fn committees(access: &Access) -> Vec<(String, String)> {
    let committees = access.registry.organizations.values().filter(|one| one.kind == OrganizationKind::Committee);
    choices(committees.map(|one| (&one.id, &one.name)), |id| access.sees_organization(id))
}

/// Whether a field for a time zone names one.
pub(super) fn zoned(lang: Language, zone: &str) -> Result<(), Wrong> {
    if zone.is_empty() || zone.parse::<Tz>().is_ok() {
        return Ok(());
    }
    Err((
        "time_zone",
        lang.t("请填写 IANA 时区名,例如 Asia/Shanghai。", "Give an IANA name, such as Asia/Shanghai.").to_owned(),
    ))
}

impl Registered for Communities {
    const PATH: &'static str = "communities";
    const MANY: [&'static str; 2] = ["小区", "Communities"];
    const ONE: [&'static str; 2] = ["小区", "community"];
    type Form = Form;

    fn list(access: &Access, _: Language) -> Vec<(String, Vec<String>)> {
        let registry = &access.registry;
        let all = registry.communities.values().filter(|one| access.sees_community(&one.id));
        all.map(|one| {
            (
                one.id.clone(),
                vec![
                    one.name.clone(),
                    registry.organization_name(&one.committee).to_owned(),
                    one.zone.name().to_owned(),
                ],
            )
        })
        .collect()
    }

    fn columns(lang: Language) -> Vec<&'static str> {
        vec![lang.t("名称", "Name"), lang.t("居委会", "Committee"), lang.t("时区", "Time zone")]
    }

    fn find(access: &Access, id: &str) -> Option<(Form, String)> {
        let one = access.registry.communities.get(id).filter(|_| access.sees_community(id))?.clone();
        let time_zone = one.zone.name().to_owned();
        let form = Form { name: one.name.clone(), committee: one.committee.clone(), time_zone: time_zone.clone() };
        Some((form, tag_of(&CommunityView { id: one.id, name: one.name, committee: one.committee, time_zone })))
    }

    fn fields<'a>(access: &'a Access, lang: Language, form: &'a Form) -> Vec<Field<'a>> {
        let committee = Input::Select { value: &form.committee, options: committees(access) };
        vec![
            Field::new("name", lang.t("名称", "Name"), Input::Text { value: &form.name, max: 200 }),
            Field::new("committee", lang.t("居委会", "Residents' committee"), committee),
            Field::new("time_zone", lang.t("时区", "Time zone"), Input::Text { value: &form.time_zone, max: 64 })
                .hint(lang.t("不填就是 Asia/Shanghai。", "Asia/Shanghai where it is left empty."))
                .optional(),
        ]
    }

    fn check(access: &Access, lang: Language, form: &Form) -> Result<(), Wrong> {
        named(lang, &form.name)?;
        chosen(lang, "committee", &form.committee, &committees(access))?;
        zoned(lang, &form.time_zone)
    }

    async fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Form,
    ) -> Result<Option<Markup>, Problem> {
        let time_zone = Some(form.time_zone).filter(|zone| !zone.is_empty());
        let fields = CommunityFields { name: form.name, committee: form.committee, time_zone };
        put_community(State(app), visitor.access.clone(), Id(id), if_match, Json(fields)).await?;
        Ok(None)
    }

    async fn delete(app: Arc<App>, access: Access, id: String, if_match: IfMatch) -> Result<StatusCode, Problem> {
        delete_community(State(app), access, Id(id), if_match).await
    }

    fn more(visitor: &Visitor, id: &str) -> Markup {
        html! {
            p { a href={ "/admin/households?community=" (id) } { (visitor.lang.t("住户和卡", "Households and cards")) } }
        }
    }
}
