//! `/admin`: who and what is registered, who may do what, and who did it. For the role `admin` alone; an admin of one
//! organization administers what the API lets its token administer.

pub(super) mod accounts;
pub(super) mod audit;
mod communities;
pub(super) mod devices;
pub(super) mod households;
mod organizations;
mod projects;
pub(super) mod registered;
mod sites;
pub(super) mod tokens;

use axum::response::Response;
use maud::html;

pub(super) use communities::Communities;
pub(super) use devices::{Devices, rotate};
pub(super) use organizations::Organizations;
pub(super) use projects::Projects;
pub(super) use sites::Sites;

use super::frame::{Page, Section};
use super::visitor::Visitor;
use crate::domain::registry::Role;
use crate::web::access::ADMINS;
use crate::web::language::Language;
use crate::web::problem::Problem;

pub(super) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (lang, access) = (visitor.lang, &visitor.access);
    let registry = &access.registry;
    let count = |ids: usize| ids.to_string();
    let sees = |id: &String| access.sees_community(id);
    let places = [
        (
            "organizations",
            ["组织", "Organizations"],
            count(registry.organizations.keys().filter(|id| access.sees_organization(id)).count()),
        ),
        ("communities", ["小区", "Communities"], count(registry.communities.keys().filter(|id| sees(id)).count())),
        ("sites", ["箱房", "Sites"], count(registry.sites.keys().filter(|id| access.sees_site(id)).count())),
        ("devices", ["设备", "Devices"], count(registry.devices.keys().filter(|id| access.sees_device(id)).count())),
        (
            "projects",
            ["项目", "Projects"],
            count(registry.projects.keys().filter(|id| access.sees_project(id)).count()),
        ),
        ("households", ["住户", "Households"], String::new()),
        ("accounts", ["账号", "Accounts"], String::new()),
        ("tokens", ["接口令牌", "API tokens"], String::new()),
        ("audit", ["操作记录", "Audit log"], String::new()),
    ];
    let body = html! {
        ul.cards {
            @for (path, [zh, en], count) in places {
                li.card { h2 { a href={ "/admin/" (path) } { (lang.t(zh, en)) } } @if !count.is_empty() { p.number { (count) } } }
            }
        }
    };
    Ok(Page::new(&visitor, Section::Admin, lang.t("管理", "Administration")).show(&body))
}

/// What a role lets somebody do, in words.
pub(super) fn role(lang: Language, role: Role) -> &'static str {
    match role {
        Role::Admin => lang.t("管理员:可做一切", "admin: everything"),
        Role::Operator => lang.t("运维:箱房、设备、时段、告警", "operator: sites, devices, hours, alarms"),
        Role::Organization => lang.t("组织成员:看数据、记录入户", "organization: figures, visits"),
        Role::Scheduler => lang.t("投影排期", "scheduler: projector messages"),
        Role::Linkage => lang.t("联动平台接口", "linkage: the platform's feed"),
    }
}

fn roles(lang: Language) -> Vec<(String, String)> {
    Role::ALL.map(|one| (one.as_str().to_owned(), role(lang, one).to_owned())).into()
}
