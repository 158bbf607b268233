//! A device across its starts: what it was ordered and sent still holds, and what it was given is not done again.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_logic::role::{Report, Role};
use fenlei_logic::screen::Picture;
use fenlei_logic::seen::{MAX_SEEN, SeenCommand, SeenCommands};
use fenlei_logic::stored::{read_role, read_seen, write_role, write_seen};
use fenlei_wire::command::Command;
use fenlei_wire::config::Config;
use fenlei_wire::json;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{DeviceKind, DisplayStatus, DoorBy, ExecutedStatus};
use proptest::prelude::*;

const NOON: UnixMillis = UnixMillis(1_795_147_200_000);

fn command(body: &str) -> Command {
    let text = format!(r#"{{"id":"c-1","expires":"2026-11-20T20:00:00Z",{body}}}"#);
    json::from_slice(text.as_bytes()).unwrap()
}

fn later(seconds: i64) -> Option<UnixMillis> {
    Some(UnixMillis(NOON.0 + seconds * 1000))
}

fn open_all_day() -> Config {
    let config = r#"{"version":1,"zone":[{"from":0,"offset":480}],"schedule":{"weekly":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"open":"00:00","close":"24:00"}]},"evening":{"text":"垃圾分类","start":"00:00","seconds":86400}}"#;
    json::from_slice(config.as_bytes()).unwrap()
}

fn again(role: &Role, kind: DeviceKind) -> Role {
    read_role(kind, &write_role(role))
}

#[test]
fn a_bin_is_under_its_order_after_a_reset() {
    let config = open_all_day();
    let mut bin = Role::new(DeviceKind::Bin);
    assert_eq!(bin.keep(Some(&config), Some(NOON)), None);
    let told = bin.obey(&command(r#""type":"lock","seconds":60"#), Some(&config), Some(NOON));
    assert_eq!(told, [Report::Executed("c-1".try_into().unwrap(), ExecutedStatus::Done)]);
    assert_eq!(bin.keep(Some(&config), Some(NOON)), Some(Report::Door { open: false, by: DoorBy::Staff }));
    let mut bin = again(&bin, DeviceKind::Bin);
    assert_eq!(bin.keep(Some(&config), later(59)), Some(Report::Door { open: false, by: DoorBy::Staff }));
    assert_eq!(bin.keep(Some(&config), later(60)), Some(Report::Door { open: true, by: DoorBy::Schedule }));
    assert_eq!(write_role(&bin), [], "an order that is over is not stored");
    bin.obey(&command(r#""type":"lock""#), None, Some(NOON));
    assert_eq!(
        again(&bin, DeviceKind::Bin).keep(None, later(9_999_999)),
        Some(Report::Door { open: false, by: DoorBy::Staff })
    );
}

#[test]
fn a_projector_shows_on_what_it_was_sent_and_then_its_evening() {
    let config = open_all_day();
    let mut beam = Role::new(DeviceKind::Projector);
    let told = beam.obey(&command(r#""type":"display","text":"谢谢","seconds":60"#), Some(&config), Some(NOON));
    let id = || "c-1".try_into().unwrap();
    let steps = [DisplayStatus::Accepted, DisplayStatus::Displayed].map(|status| Report::Display(id(), status));
    assert_eq!(told, steps);
    assert_eq!(beam.keep(Some(&config), Some(NOON)), None);
    let mut beam = again(&beam, DeviceKind::Projector);
    let Role::Projector { screen, .. } = &mut beam else { unreachable!() };
    assert_eq!(screen.picture(Some(&config), later(59)), Picture::Sent("谢谢"));
    let evening = Report::Display("evening".try_into().unwrap(), DisplayStatus::Displayed);
    assert_eq!(beam.keep(Some(&config), later(60)), Some(evening));
    assert_eq!(beam.keep(Some(&config), later(61)), None, "told once");
}

#[test]
fn what_is_not_for_it_or_cannot_be_timed_is_answered() {
    let status = |kind, body: &str, now| match Role::new(kind).obey(&command(body), None, now).as_slice() {
        [Report::Executed(_, status)] => status.as_str(),
        [Report::Display(_, status)] => status.as_str(),
        [] => "",
        _ => "done",
    };
    assert_eq!(status(DeviceKind::Bin, r#""type":"clear""#, Some(NOON)), "refused");
    assert_eq!(status(DeviceKind::Bin, r#""type":"lock""#, None), "failed");
    assert_eq!(status(DeviceKind::Projector, r#""type":"lock""#, Some(NOON)), "refused");
    assert_eq!(status(DeviceKind::Projector, r#""type":"clear""#, None), "failed");
    assert_eq!(status(DeviceKind::Camera, r#""type":"lock""#, Some(NOON)), "");
}

proptest! {
    #[test]
    fn commands_seen_are_read_as_they_were_written(
        ids in prop::collection::vec(("[ -~]{1,48}", any::<i64>()), 0..MAX_SEEN),
        cut in 0..2000_usize,
    ) {
        let mut seen = SeenCommands::new();
        for (id, expires) in &ids {
            seen.remember(SeenCommand { id: id.as_str().try_into().unwrap(), expires: UnixMillis(*expires) });
        }
        let written = write_seen(&seen);
        prop_assert_eq!(&read_seen(&written), &seen);
        // Anything else does no harm.
        let _ = read_seen(&written[..cut.min(written.len())]);
        for kind in DeviceKind::ALL {
            let _ = read_role(*kind, &written[..cut.min(written.len())]);
        }
    }
}
