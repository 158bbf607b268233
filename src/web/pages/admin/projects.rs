//! `/admin/projects`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use maud::Markup;
use serde::Deserialize;

use super::registered::{Registered, chosen, communities, organizations};
use crate::domain::period::parse_date;
use crate::domain::registry::Targets;
use crate::web::App;
use crate::web::access::Access;
use crate::web::etag::{IfMatch, tag_of};
use crate::web::extract::{Date, Id, Json};
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;
use crate::web::projects::{ProjectFields, ProjectView, delete_project, put_project};

pub(in crate::web::pages) struct Projects;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct Form {
    community: String,
    organization: String,
    starts: String,
    /// In percent.
    participation: String,
    awareness: String,
}

/// A field for a target in percent, as a rate; empty: none.
fn target(lang: Language, field: &'static str, text: &str) -> Result<Option<f64>, Wrong> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let percent = text.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let wrong = || (field, lang.t("请填写 0 到 100 之间的数。", "Give a number from 0 to 100.").to_owned());
    percent.map(|percent| Some(percent / 100.0)).ok_or_else(wrong)
}

fn percent(rate: Option<f64>) -> String {
    // A tenth of a percent is as fine as a target gets; dividing by 100 left more digits than that.
    rate.map_or_else(String::new, |rate| ((rate * 1000.0).round() / 10.0).to_string())
}

impl Registered for Projects {
    const PATH: &'static str = "projects";
    const MANY: [&'static str; 2] = ["项目", "Projects"];
    const ONE: [&'static str; 2] = ["项目", "project"];
    type Form = Form;

    fn list(access: &Access, lang: Language) -> Vec<(String, Vec<String>)> {
        let registry = &access.registry;
        let all = registry.projects.values().filter(|one| access.sees_project(&one.id));
        let cells = |one: &crate::domain::registry::Project| {
            let targets = one.targets;
            vec![
                registry.community_name(&one.community).to_owned(),
                registry.organization_name(&one.organization).to_owned(),
                lang.date(one.starts),
                lang.percent(targets.participation),
                lang.percent(targets.awareness),
            ]
        };
        all.map(|one| (one.id.clone(), cells(one))).collect()
    }

    fn columns(lang: Language) -> Vec<&'static str> {
        vec![
            lang.t("小区", "Community"),
            lang.t("组织", "Organization"),
            lang.t("开始", "Starts"),
            lang.t("参与率目标", "Target: participation"),
            lang.t("知晓率目标", "Target: awareness"),
        ]
    }

    fn find(access: &Access, id: &str) -> Option<(Form, String)> {
        let one = access.registry.projects.get(id).filter(|_| access.sees_project(id))?.clone();
        let form = Form {
            community: one.community.clone(),
            organization: one.organization.clone(),
            starts: one.starts.to_string(),
            participation: percent(one.targets.participation),
            awareness: percent(one.targets.awareness),
        };
        let (community, organization) = (one.community, one.organization);
        let view = ProjectView { id: one.id, community, organization, starts: one.starts, targets: one.targets };
        Some((form, tag_of(&view)))
    }

    fn fields<'a>(access: &'a Access, lang: Language, form: &'a Form) -> Vec<Field<'a>> {
        let community = Input::Select { value: &form.community, options: communities(access) };
        let organization = Input::Select { value: &form.organization, options: organizations(access) };
        let target = |value| Input::Number { value, min: "0", max: "100", step: "0.1" };
        vec![
            Field::new("community", lang.t("小区", "Community"), community),
            Field::new("organization", lang.t("组织", "Organization"), organization)
                .hint(lang.t("这个组织将能看到小区的数据。", "It will see the community's figures.")),
            Field::new("starts", lang.t("开始日期", "First day"), Input::Date(&form.starts)),
            Field::new(
                "participation",
                lang.t("参与率目标(%)", "Target for participation (%)"),
                target(&form.participation),
            )
            .optional(),
            Field::new("awareness", lang.t("知晓率目标(%)", "Target for awareness (%)"), target(&form.awareness))
                .optional(),
        ]
    }

    fn check(access: &Access, lang: Language, form: &Form) -> Result<(), Wrong> {
        chosen(lang, "community", &form.community, &communities(access))?;
        chosen(lang, "organization", &form.organization, &organizations(access))?;
        if parse_date(&form.starts).is_none() {
            return Err(("starts", lang.t("请选择日期。", "Choose a date.").to_owned()));
        }
        target(lang, "participation", &form.participation)?;
        target(lang, "awareness", &form.awareness).map(drop)
    }

    async fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Form,
    ) -> Result<Option<Markup>, Problem> {
        let read =
            |field, text: &str| target(visitor.lang, field, text).map_err(|(_, wrong)| Problem::bad_request(wrong));
        let starts = parse_date(&form.starts).ok_or_else(|| Problem::bad_request("`starts` must be a date"))?;
        let participation = read("participation", &form.participation)?;
        let targets = Targets { participation, awareness: read("awareness", &form.awareness)? };
        let (community, organization) = (form.community, form.organization);
        let fields = ProjectFields { community, organization, starts: Date(starts), targets };
        put_project(State(app), visitor.access.clone(), Id(id), if_match, Json(fields)).await?;
        Ok(None)
    }

    async fn delete(app: Arc<App>, access: Access, id: String, if_match: IfMatch) -> Result<StatusCode, Problem> {
        delete_project(State(app), access, Id(id), if_match).await
    }
}
