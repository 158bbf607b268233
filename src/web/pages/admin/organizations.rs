//! `/admin/organizations`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use maud::Markup;
use serde::Deserialize;

use super::registered::{Registered, named};
use crate::domain::registry::OrganizationKind;
use crate::web::App;
use crate::web::access::Access;
use crate::web::etag::{IfMatch, tag_of};
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::organizations::{OrganizationFields, OrganizationView, delete_organization, put_organization};
use crate::web::pages::fields::{Field, Input, Wrong};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

pub(in crate::web::pages) struct Organizations;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct Form {
    name: String,
    kind: String,
}

pub(super) fn kind(lang: Language, kind: OrganizationKind) -> &'static str {
    match kind {
        OrganizationKind::Committee => lang.t("居委会", "residents' committee"),
        OrganizationKind::SocialOrganization => lang.t("社会组织", "social organization"),
        OrganizationKind::VolunteerGroup => lang.t("志愿者团队", "volunteer group"),
        OrganizationKind::Operator => lang.t("运营方", "operator"),
    }
}

fn kinds(lang: Language) -> Vec<(String, String)> {
    OrganizationKind::ALL.map(|one| (one.as_str().to_owned(), kind(lang, one).to_owned())).into()
}

impl Registered for Organizations {
    const PATH: &'static str = "organizations";
    const MANY: [&'static str; 2] = ["组织", "Organizations"];
    const ONE: [&'static str; 2] = ["组织", "organization"];
    type Form = Form;

    fn list(access: &Access, lang: Language) -> Vec<(String, Vec<String>)> {
        let all = access.registry.organizations.values().filter(|one| access.sees_organization(&one.id));
        all.map(|one| (one.id.clone(), vec![one.name.clone(), kind(lang, one.kind).to_owned()])).collect()
    }

    fn columns(lang: Language) -> Vec<&'static str> {
        vec![lang.t("名称", "Name"), lang.t("类型", "Kind")]
    }

    fn find(access: &Access, id: &str) -> Option<(Form, String)> {
        let one = access.registry.organizations.get(id).filter(|_| access.sees_organization(id))?;
        let view = OrganizationView { id: one.id.clone(), name: one.name.clone(), kind: one.kind };
        Some((Form { name: one.name.clone(), kind: one.kind.as_str().to_owned() }, tag_of(&view)))
    }

    fn fields<'a>(_: &'a Access, lang: Language, form: &'a Form) -> Vec<Field<'a>> {
        vec![
            Field::new("name", lang.t("名称", "Name"), Input::Text { value: &form.name, max: 200 }),
            Field::new("kind", lang.t("类型", "Kind"), Input::Select { value: &form.kind, options: kinds(lang) }),
        ]
    }

    fn check(_: &Access, lang: Language, form: &Form) -> Result<(), Wrong> {
        named(lang, &form.name)?;
        super::registered::chosen(lang, "kind", &form.kind, &kinds(lang))
    }

    async fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Form,
    ) -> Result<Option<Markup>, Problem> {
        let kind = OrganizationKind::parse(&form.kind).ok_or_else(|| Problem::bad_request("`kind` is unknown"))?;
        let fields = OrganizationFields { name: form.name, kind };
        put_organization(State(app), visitor.access.clone(), Id(id), if_match, Json(fields)).await?;
        Ok(None)
    }

    async fn delete(app: Arc<App>, access: Access, id: String, if_match: IfMatch) -> Result<StatusCode, Problem> {
        delete_organization(State(app), access, Id(id), if_match).await
    }
}
