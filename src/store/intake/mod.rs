//! What happens to a publish inside the writer's transaction: is it who it says, is it new, where does it go. What an
//! event that is taken in counts as is in `append`.

mod admission;
mod append;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

pub(in crate::store) use self::admission::Placed;
use super::appender::Appender;
use super::boots::{BootName, Boots, Slot};
use super::cards::Cards;
use super::clock_doubts::ClockDoubts;
use super::ledger;
use super::matching::Waiting;
use super::quarantine;
use super::rollups::Rollups;
use super::sql::Connection;
use super::tally::Tally;
use super::{StoreError, boots, states};
use crate::domain::clock_doubt::Stamp;
use crate::domain::decode::{Element, Refused, content_of, said};
use crate::domain::event::{Body, Event, Lost};
use crate::domain::inbound::{Inbound, Sender, What};
use crate::domain::marks::Receipt;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::registry::Registry;

/// What a publish is answered with, once it is on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// Where the receipts go; `None` where nobody waits for one.
    pub from: Option<Sender>,
    pub receipts: Vec<Receipt>,
}

/// What became of an event that was tried again.
#[derive(Clone, Debug, PartialEq)]
pub enum Retried {
    Stored,
    /// An event of this name is in the ledger.
    Known,
    Refused(Refusal),
}

/// The incarnation in which a device begins. One that is not registered yet is in it too: what it sends is refused but
/// receipted, and the seqs are used up when it is registered.
pub const FIRST_INCARNATION: u32 = 1;

/// What the writer remembers between transactions; dropped whenever one fails.
#[derive(Default)]
pub struct Memory {
    pub boots: Boots,
    pub cards: Cards,
    pub waiting: Waiting,
    pub clocks: ClockDoubts,
}

/// One transaction's intake.
pub struct Intake<'a> {
    pub(in crate::store) connection: &'a Connection,
    pub(in crate::store) registry: &'a Registry,
    pub(in crate::store) rollups: &'a mut Rollups,
    pub(in crate::store) boots: &'a mut Boots,
    cards: &'a mut Cards,
    waiting: &'a mut Waiting,
    clocks: &'a mut ClockDoubts,
    ledger: Appender<'a>,
    /// The devices of this transaction, looked up once.
    places: HashMap<&'a str, Placed<'a>, RandomState>,
    quarantine_cap: u32,
    tally: Tally,
}

impl<'a> Intake<'a> {
    pub fn begin(
        connection: &'a Connection,
        registry: &'a Registry,
        rollups: &'a mut Rollups,
        memory: &'a mut Memory,
        quarantine_cap: u32,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            connection,
            registry,
            rollups,
            boots: &mut memory.boots,
            cards: &mut memory.cards,
            waiting: &mut memory.waiting,
            clocks: &mut memory.clocks,
            ledger: Appender::new(connection)?,
            places: HashMap::default(),
            quarantine_cap,
            tally: Tally::default(),
        })
    }

    /// Writes what was gathered. Nothing of it is in the file before.
    pub fn finish(mut self) -> Result<Tally, StoreError> {
        self.ledger.flush()?;
        self.boots.flush(self.connection)?;
        self.waiting.deposits.flush(self.connection)?;
        self.rollups.flush(self.connection)?;
        self.clocks.flush(self.connection)?;
        Ok(self.tally)
    }

    /// Reads what publishes are about to need, at once: each question to a server is a way there and back. A file answers
    /// as quickly one by one.
    pub fn foresee<'i>(&mut self, inbounds: impl Iterator<Item = &'i Inbound> + Clone) -> Result<(), StoreError> {
        self.ledger.foresee(inbounds.clone().map(Inbound::events).sum())?;
        if self.connection.sqlite().is_some() {
            return Ok(());
        }
        let (mut cards, mut events) = (BTreeSet::new(), BTreeSet::new());
        for inbound in inbounds {
            let What::Events { from, elements } = &inbound.what else { continue };
            let incarnation = self.incarnation(&from.device);
            for element in elements {
                let name = match element {
                    Element::Event(event) => Some((event.boot, event.seq)),
                    Element::Refused(refused) => refused.name,
                };
                events.extend(name.map(|(boot, seq)| (BootName { device: &from.device, incarnation, boot }, seq)));
                if let Element::Event(Event { body: Body::Deposit(deposit), .. }) = element {
                    cards.extend(deposit.card.map(|hash| hash.0));
                }
            }
        }
        self.boots.learn(self.connection, &events)?;
        self.cards.learn(self.connection, &cards)
    }

    pub fn take_in(&mut self, inbound: Inbound) -> Result<Committed, StoreError> {
        match inbound.what {
            What::Events { from, elements } => {
                let receipts = self.events(&from, &elements, inbound.received)?;
                Ok(Committed { from: Some(from), receipts })
            }
            What::State { from, state } => {
                match self.admit(&from) {
                    Ok(placed) => {
                        states::record(self.connection, placed.device, &state, inbound.received)?;
                    }
                    Err(refusal) => {
                        let fields = serde_json::json!({"online": state.online, "boot": state.boot});
                        let content = match fields {
                            serde_json::Value::Object(fields) => crate::domain::quarantine::Content::Fields(fields),
                            _ => crate::domain::quarantine::Content::Raw(Vec::new()),
                        };
                        let refused = Refused { refusal, name: None, content };
                        let topic = from.topic(fenlei_wire::vocabulary::Channel::State);
                        self.quarantine(&from.device, &topic, &refused, inbound.received)?;
                    }
                }
                Ok(Committed { from: None, receipts: Vec::new() })
            }
            What::Refused { device, topic, refused } => {
                self.quarantine(&device, &topic, &refused, inbound.received)?;
                Ok(Committed { from: None, receipts: Vec::new() })
            }
            What::Nothing => Ok(Committed { from: None, receipts: Vec::new() }),
        }
    }

    /// Takes an event in that was refused before.
    pub fn retry(&mut self, from: &Sender, event: &Event, received: i64) -> Result<Retried, StoreError> {
        let placed = match self.admit(from) {
            Ok(placed) => placed,
            Err(refusal) => return Ok(Retried::Refused(refusal)),
        };
        if let Err(refusal) = self.accept(placed, event) {
            return Ok(Retried::Refused(refusal));
        }
        let name = BootName { device: &from.device, incarnation: placed.device.incarnation, boot: event.boot };
        let slot = self.boots.open(self.connection, name)?;
        let boot = self.boots.id(slot);
        if self.boots.row(self.connection, boot, event.seq)?.is_some() {
            return Ok(Retried::Known);
        }
        // Used up when it was refused, unless the device's hardware was replaced since.
        self.boots.change(slot, received, |marks| marks.take(event.seq).unwrap_or_default());
        self.append(placed, slot, event, received)?;
        if let Body::Lost(lost) = &event.body {
            let of = self.boots.open(self.connection, BootName { boot: lost.of_boot, ..name })?;
            self.declare_lost(of, lost, received)?;
        }
        Ok(Retried::Stored)
    }

    fn events(&mut self, from: &Sender, elements: &[Element], received: i64) -> Result<Vec<Receipt>, StoreError> {
        let admitted = self.admit(from);
        // A known device on the wrong topic answers for itself.
        let incarnation = match &admitted {
            Ok(placed) => placed.device.incarnation,
            Err(_) => self.incarnation(&from.device),
        };
        let mut boots: Vec<(u32, Slot)> = Vec::new();
        for element in elements {
            let name = match element {
                Element::Event(event) => Some((event.boot, event.seq)),
                Element::Refused(refused) => refused.name,
            };
            let Some((boot, seq)) = name else {
                if let Element::Refused(refused) = element {
                    self.quarantine_event(from, refused, received)?;
                }
                continue;
            };
            let name = BootName { device: &from.device, incarnation, boot };
            let slot = self.boots.open(self.connection, name)?;
            if !boots.contains(&(boot, slot)) {
                boots.push((boot, slot));
            }
            if self.boots.marks(slot).has(seq) {
                self.repeated(name, slot, seq, element, received)?;
                self.boots.touch(slot, received);
                continue;
            }
            let accepted = match (element, &admitted) {
                (Element::Refused(refused), _) => Err(refused.clone()),
                (Element::Event(event), Err(refusal)) => Err(refused(event, refusal.clone())),
                (Element::Event(event), Ok(placed)) => match self.accept(*placed, event) {
                    Ok(()) => Ok((*placed, event)),
                    Err(refusal) => Err(refused(event, refusal)),
                },
            };
            self.boots.change(slot, received, |marks| marks.take(seq).unwrap_or_default());
            if let (Ok(placed), Some(stamp)) = (&admitted, stamp(&accepted, received)) {
                self.clocks.hear(self.connection, placed.device.key, stamp, received)?;
            }
            match accepted {
                Ok((placed, event)) => {
                    self.append(placed, slot, event, received)?;
                    if let Body::Lost(lost) = &event.body {
                        let of = self.boots.open(self.connection, BootName { boot: lost.of_boot, ..name })?;
                        self.declare_lost(of, lost, received)?;
                        if !boots.contains(&(lost.of_boot, of)) {
                            boots.push((lost.of_boot, of));
                        }
                    }
                }
                Err(refused) => self.quarantine_event(from, &refused, received)?,
            }
        }
        Ok(boots.into_iter().map(|(boot, slot)| self.boots.marks(slot).receipt(boot)).collect())
    }

    /// The same name again: nothing changes, but a different content is a conflict.
    fn repeated(
        &mut self,
        name: BootName<'_>,
        slot: Slot,
        seq: u64,
        element: &Element,
        received: i64,
    ) -> Result<(), StoreError> {
        let id = self.boots.id(slot);
        let same = match self.boots.row(self.connection, id, seq)? {
            Some(row) => {
                let again = match element {
                    Element::Event(event) => Some(Cow::Borrowed(event)),
                    Element::Refused(refused) => said(&refused.content).map(Cow::Owned),
                };
                self.ledger.settle(row)?;
                again.map_or(Ok(false), |again| ledger::says(self.connection, row, &again))?
            }
            None => {
                let content = match element {
                    Element::Event(event) => Cow::Owned(content_of(event)),
                    Element::Refused(refused) => Cow::Borrowed(&refused.content),
                };
                let again = quarantine::again(self.connection, name, seq, &content, received)?;
                // Declared lost, or beyond the quarantine's cap: there is nothing left to compare with.
                again.unwrap_or(true)
            }
        };
        self.tally.duplicates += 1;
        if !same {
            self.tally.conflicts += 1;
            let mut update =
                self.connection.prepare_cached("UPDATE boot SET conflicts = conflicts + 1 WHERE id = ?1")?;
            update.execute([id.0])?;
            // Counted, and an alarm: a device that does so for each of its events must not fill the log.
            tracing::debug!(device = %name.device, boot = name.boot, seq, "an event came again with different content");
        }
        Ok(())
    }

    fn declare_lost(&mut self, slot: Slot, lost: &Lost, received: i64) -> Result<(), StoreError> {
        let id = self.boots.id(slot);
        let missing = self.boots.marks(slot).missing_within(lost.from, lost.to);
        let mut insert =
            self.connection.prepare_cached("INSERT INTO lost VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?;
        for (first, last) in missing {
            insert.execute((id.0, boots::to_i64(first), boots::to_i64(last), received))?;
        }
        self.boots.change(slot, received, |marks| marks.close(lost.from, lost.to));
        Ok(())
    }

    fn quarantine_event(&mut self, from: &Sender, refused: &Refused, received: i64) -> Result<(), StoreError> {
        let topic = from.topic(fenlei_wire::vocabulary::Channel::Event);
        self.quarantine(&from.device, &topic, refused, received)
    }

    fn quarantine(&mut self, device: &str, topic: &str, refused: &Refused, received: i64) -> Result<(), StoreError> {
        *self.tally.refused.entry(refused.refusal.reason).or_default() += 1;
        let incarnation = self.incarnation(device);
        let kept =
            quarantine::put(self.connection, (device, incarnation), topic, refused, received, self.quarantine_cap)?;
        if !kept {
            self.tally.overflowed += 1;
        }
        Ok(())
    }
}

/// How an event was stamped; `None`: what was refused for something else tells nothing of the clock.
fn stamp(accepted: &Result<(Placed<'_>, &Event), Refused>, received: i64) -> Option<Stamp> {
    match accepted {
        Ok((_, event)) if event.unsynced => Some(Stamp::Unsynced),
        Ok((_, event)) => {
            let heartbeat = matches!(event.body, Body::Heartbeat(_));
            Some(Stamp::Lag { late: received - event.time, heartbeat })
        }
        Err(refused) => {
            let of_time = matches!(refused.refusal.reason, Reason::TimeAhead | Reason::TimeBehind);
            of_time.then_some(Stamp::Refused)
        }
    }
}

fn refused(event: &Event, refusal: Refusal) -> Refused {
    Refused { refusal, name: Some((event.boot, event.seq)), content: content_of(event) }
}
