//! What needs attention now, each with the way to it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::alarms::gravity;
use super::standing::Standing;
use crate::domain::alarms::Severity;
use crate::store::sql::Connection;
use crate::store::{StoreError, alarms, fleet};
use crate::web::access::Access;
use crate::web::language::Language;

#[derive(Default)]
pub(super) struct Attention {
    /// Open alarms, the gravest first.
    alarms: Vec<(Severity, u64)>,
    devices: usize,
    offline: usize,
    incomplete: usize,
}

impl Attention {
    pub(super) fn read(connection: &Connection, access: &Access) -> Result<Self, StoreError> {
        let registry = &access.registry;
        let keys: Vec<i64> =
            registry.sites.values().filter(|site| access.sees_site(&site.id)).map(|site| site.key).collect();
        let mut open: BTreeMap<Severity, u64> = BTreeMap::new();
        for (site, kind, count) in alarms::open_at(connection)? {
            if keys.contains(&site) {
                *open.entry(kind.severity()).or_default() += count;
            }
        }
        let (present, incomplete) = (fleet::present(connection)?, fleet::incomplete(connection)?);
        let seen = || registry.devices.values().filter(|device| access.sees_device(&device.id));
        Ok(Self {
            alarms: open.into_iter().rev().collect(),
            devices: seen().count(),
            offline: seen().filter(|device| !present.contains(&device.key)).count(),
            incomplete: seen().filter(|device| incomplete.contains(&(device.id.clone(), device.incarnation))).count(),
        })
    }

    pub(super) fn show(&self, lang: Language, communities: &[Standing]) -> Markup {
        let below: Vec<_> = communities.iter().filter(|one| one.is_below()).collect();
        let unsurveyed: Vec<_> = communities.iter().filter(|one| one.is_unsurveyed()).collect();
        let nothing =
            self.alarms.is_empty() && self.offline + self.incomplete == 0 && below.is_empty() && unsurveyed.is_empty();
        html! {
            section #attention data-live aria-labelledby="attention-heading" {
                h2 #attention-heading { (lang.t("需要处理", "Needs attention")) }
                @if nothing {
                    p.done { (lang.t("目前没有需要处理的事项。", "Nothing needs attention now.")) }
                } @else {
                    ul.attention {
                        @for (severity, count) in &self.alarms {
                            li { a href="/alarms" { (alarms_told(lang, *severity, *count)) } }
                        }
                        @if self.offline > 0 { li { a href="/fleet" { (self.offline_told(lang)) } } }
                        @if self.incomplete > 0 { li { a href="/fleet" { (self.incomplete_told(lang)) } } }
                        @if !below.is_empty() {
                            li {
                                (lang.t("上周参与率低于目标:", "Participation below its target last week: "))
                                (links(lang, &below, ""))
                            }
                        }
                        @if !unsurveyed.is_empty() {
                            li {
                                (lang.t("还没有知晓率问卷:", "No awareness survey yet: "))
                                (links(lang, &unsurveyed, "/visits"))
                            }
                        }
                    }
                }
            }
        }
    }

    fn offline_told(&self, lang: Language) -> String {
        match lang {
            Language::Zh => format!("{} 台设备中 {} 台离线", self.devices, self.offline),
            Language::En => format!("{} of {} devices offline", self.offline, self.devices),
        }
    }

    fn incomplete_told(&self, lang: Language) -> String {
        match lang {
            Language::Zh => format!("{} 台设备有数据缺失", self.incomplete),
            Language::En => format!("{} with missing events", devices(self.incomplete)),
        }
    }
}

fn devices(count: usize) -> String {
    format!("{count} {}", if count == 1 { "device" } else { "devices" })
}

fn alarms_told(lang: Language, severity: Severity, count: u64) -> String {
    let severity = gravity(lang, severity);
    match lang {
        Language::Zh => format!("{count} 条未解除的告警({severity})"),
        Language::En => format!("{count} open {} ({severity})", if count == 1 { "alarm" } else { "alarms" }),
    }
}

/// The communities by name, each a link.
fn links(lang: Language, communities: &[&Standing], below: &str) -> Markup {
    html! {
        @for (at, community) in communities.iter().enumerate() {
            @if at > 0 { (lang.t("、", ", ")) }
            a href={ "/communities/" (community.id) (below) } { bdi { (community.name) } }
        }
    }
}
