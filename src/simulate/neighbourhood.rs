//! The sample neighbourhood: who lives and works there and what stands where. Pure data, the same every time but for the
//! dates, which follow `today`, so that there is always a project in its fourth week to look at.

use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate};
use fenlei_wire::schedule::{DaySet, Minute};
use fenlei_wire::vocabulary::{DeviceKind, Stream};

use crate::domain::registry::{Organization, OrganizationKind, Project, Targets};
use crate::domain::roster::HouseholdRow;
use crate::domain::schedule::{DateWindows, DayWindow, Schedule, WeeklyWindow};
use crate::domain::timetable::Timetable;
use crate::domain::zone::{DEFAULT_ZONE, Tz};

/// The zone of every site in it.
pub const ZONE: Tz = DEFAULT_ZONE;
/// A bin that is registered but not simulated: kept for whoever wants to add a deposit by hand.
pub const BY_HAND: &str = "bin-by-hand";

const PROJECT_AGE_DAYS: u64 = 21;
const MAKEUP_AGE_DAYS: u64 = 13;

#[derive(Clone, Debug)]
pub struct Neighbourhood {
    pub organizations: Vec<Organization>,
    pub communities: Vec<Estate>,
    pub sites: Vec<Room>,
    pub devices: Vec<Equipment>,
    pub projects: Vec<Project>,
}

/// A community with its households.
#[derive(Clone, Debug)]
pub struct Estate {
    pub id: &'static str,
    pub name: &'static str,
    pub committee: &'static str,
    pub households: Vec<Home>,
}

/// A household and the site it brings its waste to.
#[derive(Clone, Debug)]
pub struct Home {
    pub row: HouseholdRow,
    pub card: Arc<str>,
    pub site: &'static str,
}

/// A site.
#[derive(Clone, Debug)]
pub struct Room {
    pub id: &'static str,
    pub community: &'static str,
    pub name: &'static str,
    pub latitude: f64,
    pub longitude: f64,
    /// `None`: the default hours.
    pub schedule: Option<Schedule>,
    pub timetable: Timetable,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Equipment {
    pub id: &'static str,
    pub site: &'static str,
    pub kind: DeviceKind,
    pub name: &'static str,
    pub stream: Option<Stream>,
}

impl Neighbourhood {
    pub fn sample(today: NaiveDate) -> Self {
        Self {
            organizations: organizations(),
            communities: vec![
                estate(today, "xinhua", "新华小区", "xinhua-juweihui", "xh", 20, &["xinhua-east", "xinhua-west"]),
                estate(today, "yangpu", "杨浦新村", "yangpu-juweihui", "yp", 6, &["yangpu-gate"]),
            ],
            sites: vec![
                room(
                    "xinhua-east",
                    "xinhua",
                    "新华小区东门垃圾箱房",
                    (31.2069, 121.4251),
                    Some(open_all_day(today, Schedule::default_hours())),
                ),
                room("xinhua-west", "xinhua", "新华小区西门垃圾箱房", (31.2063, 121.4217), Some(with_makeup(today))),
                room("yangpu-gate", "yangpu", "杨浦新村大门垃圾箱房", (31.2783, 121.5129), None),
            ],
            devices: devices(),
            projects: [("xinhua-sorting", "xinhua"), ("yangpu-sorting", "yangpu")]
                .map(|(id, community)| Project {
                    id: id.to_owned(),
                    community: community.to_owned(),
                    organization: "qingfeng".to_owned(),
                    starts: today - Days::new(PROJECT_AGE_DAYS),
                    targets: Targets { participation: Some(0.7), awareness: Some(1.0) },
                })
                .into(),
        }
    }

    pub fn site(&self, id: &str) -> Option<&Room> {
        self.sites.iter().find(|site| site.id == id)
    }

    /// The simulated devices of a site.
    pub fn devices_of<'a>(&'a self, site: &'a str) -> impl Iterator<Item = &'a Equipment> + 'a {
        self.simulated().filter(move |device| device.site == site)
    }

    /// The simulated bins of a site that take a stream.
    pub fn bins_of<'a>(&'a self, site: &'a str, stream: Stream) -> impl Iterator<Item = &'a Equipment> + 'a {
        self.devices_of(site).filter(move |device| device.stream == Some(stream))
    }

    /// Every device but the one that is kept for use by hand.
    pub fn simulated(&self) -> impl Iterator<Item = &Equipment> {
        self.devices.iter().filter(|device| device.id != BY_HAND)
    }

    /// The household that never takes part, so that somebody at the keyboard can take part for it.
    pub fn reserved(&self) -> Option<&Home> {
        self.communities.first()?.households.iter().rfind(|home| home.site == by_hand().site)
    }

    /// The households of a community that live their lives.
    pub fn active<'a>(&'a self, community: &'a Estate) -> impl Iterator<Item = &'a Home> + 'a {
        let reserved = self.reserved().map(|home| &home.card);
        community.households.iter().filter(move |home| Some(&home.card) != reserved)
    }
}

fn organizations() -> Vec<Organization> {
    use OrganizationKind::{Committee, SocialOrganization, VolunteerGroup};
    [
        ("xinhua-juweihui", "新华小区居民委员会", Committee),
        ("yangpu-juweihui", "杨浦新村居民委员会", Committee),
        ("qingfeng", "清风社区环保服务中心", SocialOrganization),
        ("xinhua-volunteers", "新华绿马甲志愿服务队", VolunteerGroup),
    ]
    .map(|(id, name, kind)| Organization { id: id.to_owned(), name: name.to_owned(), kind })
    .into()
}

const HOMES_A_BUILDING: u32 = 20;

fn estate(
    today: NaiveDate,
    id: &'static str,
    name: &'static str,
    committee: &'static str,
    prefix: &str,
    buildings: u32,
    sites: &[&'static str],
) -> Estate {
    // The first of January keeps the roster the same from one day to the next.
    let enrolled_from = NaiveDate::from_ymd_opt(today.year() - 1, 1, 1).unwrap_or(today);
    let count = buildings * HOMES_A_BUILDING;
    let households = (0..count).map(|number| {
        let building = number / HOMES_A_BUILDING;
        let card: Arc<str> = card(prefix, number).into();
        Home {
            row: HouseholdRow {
                household: format!("{prefix}-{:04}", number + 1),
                building: Some(format!("{}号楼", building + 1)),
                enrolled_from,
                enrolled_until: None,
                cards: vec![card.to_string()],
            },
            card,
            site: sites[building as usize * sites.len() / buildings as usize],
        }
    });
    Estate { id, name, committee, households: households.collect() }
}

/// A card's number as a reader reads it: seven bytes that tell nothing of the household.
fn card(prefix: &str, number: u32) -> String {
    let bytes = prefix.bytes().chain(number.to_be_bytes());
    // FNV-1a: cards only have to differ.
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("04{:012x}", hash & 0xffff_ffff_ffff)
}

fn room(
    id: &'static str,
    community: &'static str,
    name: &'static str,
    (latitude, longitude): (f64, f64),
    schedule: Option<Schedule>,
) -> Room {
    let timetable = Timetable::new(ZONE, &schedule);
    Room { id, community, name, latitude, longitude, schedule, timetable }
}

fn with_makeup(today: NaiveDate) -> Schedule {
    let window = DayWindow { open: hour(20), close: hour(21), streams: None, makeup: true };
    let mut schedule = Schedule::default_hours();
    schedule.weekly.push(WeeklyWindow { days: DaySet::ALL, window });
    Schedule {
        valid_from: today - Days::new(MAKEUP_AGE_DAYS),
        reason: Some("晚归住户较多，经业主代表会议同意，增设误时投放时段".to_owned()),
        ..open_all_day(today, schedule)
    }
}

/// From today on for a week late deposits are allowed at any hour: whenever somebody looks at the demonstration, there is
/// something to see. At the gate of the other community the lids keep to the hours.
fn open_all_day(today: NaiveDate, schedule: Schedule) -> Schedule {
    let late = DayWindow { open: hour(0), close: Minute::END_OF_DAY, streams: None, makeup: true };
    let windows: Vec<_> = schedule.weekly.iter().map(|weekly| weekly.window.clone()).chain([late]).collect();
    let dates = today.iter_days().take(7).map(|date| DateWindows { date, windows: windows.clone() }).collect();
    Schedule {
        valid_from: today,
        reason: Some("新设备启用周：全天可误时投放，方便居民熟悉".to_owned()),
        dates,
        ..schedule
    }
}

fn hour(hour: u16) -> Minute {
    Minute::new(hour * 60).unwrap_or(Minute::END_OF_DAY)
}

fn by_hand() -> Equipment {
    bin(BY_HAND, "xinhua-east", "厨余垃圾桶（手动）", Stream::Food)
}

fn bin(id: &'static str, site: &'static str, name: &'static str, stream: Stream) -> Equipment {
    Equipment { id, site, kind: DeviceKind::Bin, name, stream: Some(stream) }
}

fn devices() -> Vec<Equipment> {
    use Stream::{Food, Hazardous, Recyclable, Residual};
    let other = |id, site, name, kind| Equipment { id, site, kind, name, stream: None };
    let (camera, projector) = (DeviceKind::Camera, DeviceKind::Projector);
    vec![
        bin("xinhua-east-food-1", "xinhua-east", "厨余垃圾桶1", Food),
        bin("xinhua-east-food-2", "xinhua-east", "厨余垃圾桶2", Food),
        bin("xinhua-east-residual", "xinhua-east", "其他垃圾桶", Residual),
        bin("xinhua-east-recyclable", "xinhua-east", "可回收物箱", Recyclable),
        by_hand(),
        other("xinhua-east-camera", "xinhua-east", "东门摄像头", camera),
        other("xinhua-east-projector", "xinhua-east", "东门投影", projector),
        bin("xinhua-west-food-1", "xinhua-west", "厨余垃圾桶1", Food),
        bin("xinhua-west-food-2", "xinhua-west", "厨余垃圾桶2", Food),
        bin("xinhua-west-residual", "xinhua-west", "其他垃圾桶", Residual),
        bin("xinhua-west-hazardous", "xinhua-west", "有害垃圾箱", Hazardous),
        other("xinhua-west-camera", "xinhua-west", "西门摄像头", camera),
        other("xinhua-west-projector", "xinhua-west", "西门投影", projector),
        bin("yangpu-gate-food", "yangpu-gate", "厨余垃圾桶", Food),
        bin("yangpu-gate-residual", "yangpu-gate", "其他垃圾桶", Residual),
        bin("yangpu-gate-recyclable", "yangpu-gate", "可回收物箱", Recyclable),
        other("yangpu-gate-camera", "yangpu-gate", "大门摄像头", camera),
        other("yangpu-gate-projector", "yangpu-gate", "大门投影", projector),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::roster::check_rows;
    use crate::domain::rows::Rows;

    #[test]
    fn everything_is_registrable_and_hangs_together() {
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let organizations: BTreeSet<_> = sample.organizations.iter().map(|one| one.id.as_str()).collect();
        for community in &sample.communities {
            let rows: Vec<_> = community.households.iter().map(|home| home.row.clone()).collect();
            assert_eq!(check_rows(&Rows::from(rows).readable), []);
            assert!(organizations.contains(community.committee));
            assert!(community.households.iter().all(|home| sample.site(home.site).unwrap().community == community.id));
        }
        assert_eq!(sample.communities.iter().map(|one| one.households.len()).collect::<Vec<_>>(), [400, 120]);
        let active = sample.communities.iter().flat_map(|community| sample.active(community));
        let cards: BTreeSet<_> = active.map(|home| &home.card).collect();
        assert_eq!(cards.len(), 519, "cards differ, and the reserved household is not among the active");
        for site in &sample.sites {
            assert!(site.schedule.as_ref().is_none_or(|schedule| schedule.check().is_ok()));
            let kinds: BTreeSet<_> = sample.devices_of(site.id).map(|device| device.kind).collect();
            assert_eq!(kinds.len(), 3, "{} has bins, a camera and a projector", site.id);
            for stream in [Stream::Food, Stream::Residual] {
                assert!(sample.bins_of(site.id, stream).count() > 0);
            }
        }
        let ids = sample.devices.iter().map(|device| device.id).chain(sample.sites.iter().map(|site| site.id));
        assert!(ids.clone().all(fenlei_wire::limits::is_id));
        assert_eq!(ids.clone().collect::<BTreeSet<_>>().len(), ids.count());
        assert!(sample.projects.iter().all(|project| organizations.contains(project.organization.as_str())));
    }

    #[test]
    fn the_reserved_household_lives_at_the_site_of_the_bin_kept_for_use_by_hand() {
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let bin = sample.devices.iter().find(|device| device.id == BY_HAND).unwrap();
        assert_eq!(sample.reserved().unwrap().site, bin.site);
        assert!(sample.simulated().all(|device| device.id != BY_HAND));
    }
}
