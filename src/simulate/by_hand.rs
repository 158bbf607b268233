//! The deposit that a newcomer makes by hand: one line for a shell that any MQTT client could have sent, and that moves
//! the participation figure, because it is of a household that has not taken part and lies in the last open window.

use chrono::{DateTime, Days, SecondsFormat, Utc};
use fenlei_wire::vocabulary::Channel;

use super::fleet::{Broker, Credential};
use super::neighbourhood::{Home, Room, ZONE};
use crate::domain::zone::{closes_at, opens_at, today};

/// A time inside the last open window that has begun.
pub fn last_open(site: &Room, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = today(ZONE, now);
    let dates = (0..7).filter_map(|back| today.checked_sub_days(Days::new(back)));
    let windows = dates.flat_map(|date| {
        let openings = site.timetable.openings(date).into_iter().rev();
        openings.map(move |opening| (opens_at(ZONE, date, opening.open), closes_at(ZONE, date, opening.close)))
    });
    let (opens, closes) = windows.into_iter().find(|(opens, _)| *opens <= now)?;
    Some(opens + (closes.min(now) - opens) / 2)
}

/// The line, for bash and sh alike. The shell puts the seconds in as the boot, so that it can be sent again.
pub fn line(broker: &Broker, bin: &Credential, home: &Home, time: DateTime<Utc>) -> String {
    let host = broker.host.trim_matches(['[', ']']);
    let Credential { device, secret, .. } = bin;
    let (port, topic, card) = (broker.port, bin.topic(Channel::Event), &home.card);
    let time = time.with_timezone(&ZONE).to_rfc3339_opts(SecondsFormat::Secs, false);
    format!(
        "mosquitto_pub -h {host} -p {port} -V 5 -q 1 -i {device} -u {device} -P {secret} -t {topic} -m \
         '{{\"boot\":'$(date +%s)',\"seq\":1,\"time\":\"{time}\",\"type\":\"deposit\",\"stream\":\"food\",\"grams\":1200,\"card\":\"{card}\"}}'"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use fenlei_wire::vocabulary::{DeviceKind, Stream, Timing};

    use super::*;
    use crate::domain::card::CardKey;
    use crate::domain::decode::{Element, decode};
    use crate::domain::event::Body;
    use crate::simulate::neighbourhood::{BY_HAND, Neighbourhood};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_time_lies_in_the_last_window_that_has_opened() {
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let site = sample.site("xinhua-east").unwrap();
        for (now, expected) in [
            ("2026-11-23T07:59:59+08:00", "2026-11-22T17:30:00+08:00"),
            ("2026-11-23T08:00:00+08:00", "2026-11-23T08:00:00+08:00"),
            ("2026-11-23T08:10:00+08:00", "2026-11-23T08:05:00+08:00"),
            ("2026-11-23T12:00:00+08:00", "2026-11-23T08:30:00+08:00"),
            ("2026-11-23T23:59:00+08:00", "2026-11-23T17:30:00+08:00"),
        ] {
            let time = last_open(site, at(now)).unwrap();
            assert_eq!(time, at(expected), "{now}");
            assert_eq!(site.timetable.classify(time.timestamp_millis(), Stream::Food).timing, Timing::InWindow);
        }
    }

    #[test]
    fn a_shell_makes_an_event_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let stub = folder.path().join("mosquitto_pub");
        std::fs::write(&stub, "#!/bin/sh\nfor last; do :; done\nprintf %s \"$last\"\n").unwrap();
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let (site, secret) = ("xinhua-east".to_owned(), "-a_b-C".to_owned());
        let bin = Credential { device: BY_HAND.to_owned(), secret, site, kind: DeviceKind::Bin };
        let broker = Broker { host: "127.0.0.1".to_owned(), port: 1883 };
        let home = sample.reserved().unwrap();
        let time = at("2026-11-23T08:30:00+08:00");
        let line = line(&broker, &bin, home, time);
        assert!(line.contains(" -t fenlei/v1/xinhua-east/bin/bin-by-hand/event "), "{line}");
        let key = CardKey::new([7; 32]);
        for shell in ["sh", "bash"] {
            let sent = Command::new(shell).arg("-c").arg(&line).env("PATH", &path).output().unwrap();
            assert!(sent.status.success(), "{sent:?}");
            let decoded = decode(&sent.stdout, time.timestamp_millis(), &key);
            let [Element::Event(event)] = decoded.as_slice() else { panic!("{decoded:?}") };
            assert_eq!((event.seq, event.time), (1, time.timestamp_millis()));
            assert!(event.boot > 1_700_000_000);
            let Body::Deposit(deposit) = &event.body else { panic!("{event:?}") };
            assert_eq!(deposit.card, Some(key.hash(&home.card)));
        }
    }
}
