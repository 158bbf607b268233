//! The deposits of a site judged by another schedule than the one that was in force.

use super::sql::Connection;
use super::{StoreError, deposit_times};
use crate::domain::period::Span;
use crate::domain::registry::Site;
use crate::domain::statistics::TimingCounts;
use crate::domain::timetable::Timetable;
use crate::domain::zone::{local, opens_at};

/// How `timetable`, in the zone of the site, would have timed the deposits of the span: by local hour, 24 rows.
pub fn timings(
    connection: &Connection,
    site: &Site,
    timetable: &Timetable,
    span: Span,
) -> Result<[TimingCounts; 24], StoreError> {
    let mut select =
        connection.prepare_cached("SELECT key FROM device WHERE site = ?1 AND kind IN ('bin', 'volunteers')")?;
    let bins = select.query_map([&site.id], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let after = span.to.succ_opt().unwrap_or(span.to);
    let instants = [span.from, after].map(|date| opens_at(site.zone, date, 0).timestamp_millis());
    let mut hours = [TimingCounts::default(); 24];
    deposit_times::for_each(connection, &bins, (instants[0], instants[1]), |deposited| {
        let hour = local(site.zone, deposited.time).minute / 60;
        if let Some(hour) = hours.get_mut(usize::from(hour)) {
            hour.count(timetable.classify(deposited.time, deposited.stream).timing);
        }
    })?;
    Ok(hours)
}
