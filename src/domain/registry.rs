//! Who and what is registered: organizations, communities, sites, devices, projects.
//!
//! One reading of it is a [`Registry`], shared without locks and replaced as a whole when it changes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use fenlei_wire::vocabulary::{DeviceKind, Stream};
use serde::{Deserialize, Serialize};

use super::period::{MAX_DAYS, Span};
use super::schedule::Schedule;
use super::timetable::Timetable;
use super::zone::Tz;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    /// 居委会
    Committee,
    /// 社会组织
    SocialOrganization,
    VolunteerGroup,
    Operator,
}

impl OrganizationKind {
    pub const ALL: [Self; 4] = [Self::Committee, Self::SocialOrganization, Self::VolunteerGroup, Self::Operator];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committee => "committee",
            Self::SocialOrganization => "social_organization",
            Self::VolunteerGroup => "volunteer_group",
            Self::Operator => "operator",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// As whom volunteers are shown where an event has a device; no device may be called so.
pub const VOLUNTEERS: &str = "volunteers";

/// What a token or an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Operator,
    Organization,
    Scheduler,
    Linkage,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::Organization, Self::Scheduler, Self::Linkage];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Organization => "organization",
            Self::Scheduler => "scheduler",
            Self::Linkage => "linkage",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub kind: OrganizationKind,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Community {
    /// What the store keys its rows by.
    pub key: i64,
    pub id: String,
    pub name: String,
    /// The organization that is its residents' committee.
    pub committee: String,
    pub zone: Tz,
}

#[derive(Clone, Debug)]
pub struct Site {
    pub key: i64,
    pub id: String,
    pub community: String,
    pub name: String,
    pub zone: Tz,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    /// All versions, in the order in which they were stored.
    pub schedules: Vec<Schedule>,
    pub timetable: Timetable,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub key: i64,
    pub id: String,
    pub site: String,
    pub kind: DeviceKind,
    pub name: Option<String>,
    pub streams: Option<Vec<Stream>>,
    /// Grows when the hardware is replaced or wiped: its boots may then start again from 1.
    pub incarnation: u32,
    /// Its secret, as Mosquitto's `$7$` password hash.
    pub password: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Targets {
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participation: Option<f64>,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awareness: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    pub id: String,
    pub community: String,
    pub organization: String,
    pub starts: NaiveDate,
    pub targets: Targets,
}

/// Over how long awareness is told where no project says since when, in days.
pub const SURVEYED_DAYS: u64 = 365;

/// One reading of all that is registered.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Grows with every change, whoever made it.
    pub revision: i64,
    pub organizations: BTreeMap<String, Organization>,
    pub communities: BTreeMap<String, Community>,
    pub sites: BTreeMap<String, Site>,
    pub devices: BTreeMap<String, Device>,
    pub projects: BTreeMap<String, Project>,
}

impl Registry {
    /// A device together with its site and community.
    pub fn place(&self, device: &str) -> Option<(&Device, &Site, &Community)> {
        let device = self.devices.get(device)?;
        let site = self.sites.get(&device.site)?;
        Some((device, site, self.communities.get(&site.community)?))
    }

    pub fn sites_of<'a>(&'a self, community: &'a str) -> impl Iterator<Item = &'a Site> + 'a {
        self.sites.values().filter(move |site| site.community == community)
    }

    /// The projects of a community that have begun by a day.
    pub fn begun<'a>(&'a self, community: &'a str, by: NaiveDate) -> impl Iterator<Item = &'a Project> + 'a {
        self.projects.values().filter(move |project| project.community == community && project.starts <= by)
    }

    /// What people call an organization; its id where it is not there.
    pub fn organization_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.organizations.get(id).map_or(id, |one| one.name.as_str())
    }

    /// What people call a community; its id where it is not there.
    pub fn community_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.communities.get(id).map_or(id, |one| one.name.as_str())
    }

    /// What people call a site; its id where it is not there.
    pub fn site_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.sites.get(id).map_or(id, |one| one.name.as_str())
    }

    /// When the first project of a community began, of those that have begun by a day.
    pub fn first_start(&self, community: &str, by: NaiveDate) -> Option<NaiveDate> {
        self.begun(community, by).map(|project| project.starts).min()
    }

    /// The days over which awareness is told up to `last`: since the first project began, as far as
    /// figures are told at once; without one of the year before.
    pub fn surveyed(&self, community: &str, last: NaiveDate) -> Span {
        let before = |days| last.checked_sub_days(Days::new(days)).unwrap_or(last);
        let begun = self.first_start(community, last);
        Span { from: begun.map_or_else(|| before(SURVEYED_DAYS), |begun| begun.max(before(MAX_DAYS - 1))), to: last }
    }

    /// What a community aims at: of the projects that have begun by a day the highest target of each figure.
    pub fn targets(&self, community: &str, by: NaiveDate) -> Targets {
        let highest = |target: fn(&Targets) -> Option<f64>| {
            self.begun(community, by).filter_map(|project| target(&project.targets)).max_by(f64::total_cmp)
        };
        Targets {
            participation: highest(|targets| targets.participation),
            awareness: highest(|targets| targets.awareness),
        }
    }

    /// The communities of an organization: whose committee it is, or where it has a project.
    pub fn communities_of(&self, organization: &str) -> BTreeSet<&str> {
        let committee = self.communities.values().filter(|community| community.committee == organization);
        let projects = self.projects.values().filter(|project| project.organization == organization);
        committee
            .map(|community| community.id.as_str())
            .chain(projects.map(|project| project.community.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awareness_is_told_since_the_project_began_as_far_back_as_figures_are_told() {
        let last: NaiveDate = "2026-11-22".parse().unwrap();
        let since = |starts: &str| {
            let project = Project {
                id: "p".into(),
                community: "c".into(),
                organization: "o".into(),
                starts: starts.parse().unwrap(),
                targets: Targets::default(),
            };
            let registry = Registry { projects: [("p".into(), project)].into(), ..Registry::default() };
            registry.surveyed("c", last)
        };
        assert_eq!(since("2026-03-01").from.to_string(), "2026-03-01");
        let long_ago = since("1970-01-01");
        assert_eq!(Span::new(long_ago.from, long_ago.to), Ok(long_ago));
        assert_eq!(Registry::default().surveyed("c", last).from.to_string(), "2025-11-22");
    }
}
