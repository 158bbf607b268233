//! `/`: how the communities stand, and what needs attention now.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::attention::Attention;
use super::frame::{Page, Section, see_other};
use super::standing::Standing;
use super::visitor::Visitor;
use crate::domain::registry::Community;
use crate::web::App;
use crate::web::access::{READERS, SITE_READERS};
use crate::web::problem::Problem;

pub(super) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    let (access, lang) = (visitor.access.clone(), visitor.lang);
    let page = Page::new(&visitor, Section::Overview, lang.t("概览", "Overview"));
    if !access.is_one_of(READERS) {
        if access.is_one_of(SITE_READERS) {
            return Ok(see_other("/projectors"));
        }
        let body = html! {
            p { (lang.t("您的账号没有可以查看的页面。如需查看,请联系管理员。",
                        "There is no page that your account may see. Ask an administrator if you need one.")) }
        };
        return Ok(page.show(&body));
    }
    let now = app.clock.now();
    let read = app.store.read(move |connection| {
        let registry = &access.registry;
        let seen = registry.communities.values().filter(|community| access.sees_community(&community.id));
        let standings = seen.map(|community: &Community| Standing::read(connection, registry, community, now));
        Ok((Attention::read(connection, &access)?, standings.collect::<Result<Vec<_>, _>>()?))
    });
    let (attention, communities) = read.await?;
    let body = html! {
        (attention.show(lang, &communities))
        @if communities.is_empty() {
            p { (lang.t("还没有您可以查看的小区。", "There is no community yet that you may see.")) }
        }
        @for community in &communities {
            section.standing aria-labelledby={ "community-" (community.id) } {
                h2 id={ "community-" (community.id) } {
                    a href={ "/communities/" (community.id) } { bdi { (community.name) } }
                }
                (community.tiles(lang))
            }
        }
        p.note {
            (lang.t("每个数是怎么来的,见", "How each figure is made: "))
            a href="/definitions" { (lang.t("指标说明", "definitions")) }
            (lang.t("。", "."))
        }
    };
    Ok(page.script("live.js").show(&body))
}
