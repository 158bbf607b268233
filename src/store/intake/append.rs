//! An event that is taken in: its row, what it counts as, and the verdict that it brings or that waits for it.

use fenlei_wire::vocabulary::DeviceKind;

use super::Intake;
use super::admission::Placed;
use crate::domain::event::{Body, Event, Judged, Judgement};
use crate::domain::registry::{Community, Site};
use crate::domain::zone::local;
use crate::store::StoreError;
use crate::store::appender::NewRow;
use crate::store::boots::{BootName, Slot};
use crate::store::deposit_times::Deposited;
use crate::store::matching::{self, Judge};
use crate::store::rollups::Counted;

impl Intake<'_> {
    pub(in crate::store) fn append(
        &mut self,
        placed: Placed<'_>,
        slot: Slot,
        event: &Event,
        received: i64,
    ) -> Result<i64, StoreError> {
        let Placed { device, site, community } = placed;
        let mut row = NewRow { boot: self.boots.id(slot), event, received, card: None, timing: None };
        let at = if let Body::Deposit(deposit) = &event.body {
            let classified = site.timetable.classify(event.time, deposit.stream);
            row.card = deposit.card.map(|hash| self.cards.number(self.connection, hash)).transpose()?;
            row.timing = Some(classified.timing);
            let counts = Counted {
                community: community.key,
                site: site.key,
                stream: deposit.stream,
                grams: deposit.grams,
                card: row.card,
                verdict: deposit.verdict,
            };
            self.rollups.deposit(&counts, &classified, 1);
            classified.at
        } else {
            local(site.zone, event.time)
        };
        let id = self.ledger.append(&row)?;
        self.boots.put_row(self.connection, slot, event.seq, id)?;
        self.rollups.ledger_row(site.key, id, event.time);
        if device.kind == DeviceKind::Bin {
            self.rollups.presence(site.key, at);
        }
        *self.tally.accepted.entry(event.body.event_type()).or_default() += 1;
        if let Body::Deposit(deposit) = &event.body {
            let deposited = Deposited { row: id, time: event.time, stream: deposit.stream };
            self.waiting.deposits.add(device.key, deposited);
            if let Some(judgement) =
                self.waiting.claim(self.connection, device.key, (event.boot, event.seq), event.time)?
            {
                self.apply(site, community, judgement, id)?;
            }
        }
        if let Body::Judgement(judgement) = &event.body
            && device.kind == DeviceKind::Camera
        {
            self.judge(placed, id, event.time, judgement)?;
        }
        Ok(id)
    }

    /// Gives a deposit a verdict; see [`matching::apply`].
    pub(in crate::store) fn apply(
        &mut self,
        site: &Site,
        community: &Community,
        judgement: matching::Judgement,
        row: i64,
    ) -> Result<bool, StoreError> {
        matching::apply(&mut self.ledger, self.rollups, site, community, judgement, row)
    }

    fn judge(&mut self, placed: Placed<'_>, id: i64, time: i64, judgement: &Judgement) -> Result<(), StoreError> {
        let Some(bin) = self.registry.devices.get(judgement.judged.device()) else { return Ok(()) };
        let waiting = matching::Judgement { id, by: Judge::Camera, verdict: judgement.verdict };
        match &judgement.judged {
            Judged::Deposit(deposit) => {
                let name = BootName { device: &bin.id, incarnation: bin.incarnation, boot: deposit.boot };
                match self.boots.find(self.connection, name, deposit.seq)? {
                    Some(row) => {
                        self.apply(placed.site, placed.community, waiting, row)?;
                    }
                    // It may yet come, or be taken in from quarantine.
                    None => {
                        self.waiting.wait(self.connection, waiting, bin.key, time, Some((deposit.boot, deposit.seq)))?
                    }
                }
            }
            Judged::Bin(_) => {
                for candidate in self.waiting.in_reach(self.connection, bin.key, time)? {
                    let Placed { site, community, .. } = placed;
                    if self.apply(site, community, waiting, candidate.row)? {
                        return Ok(());
                    }
                }
                self.waiting.wait(self.connection, waiting, bin.key, time, None)?;
            }
        }
        Ok(())
    }
}
