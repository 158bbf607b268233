//! Erasing a household: who it was goes, what was counted stays.
//!
//! Its row, its visits and its cards stay under random numbers that nothing shows, so that every figure up to today is
//! what it was; from tomorrow it is enrolled no longer. Its cards' hashes go from wherever they are kept: a card that is
//! read again is a new one. A card that another household holds at another time stays that household's; of the days of the
//! erased one it becomes a card of its own.
//!
//! The bytes go from the file with [`Store::scrub`](super::Store::scrub).

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use super::boots::{BootId, find_row};
use super::retime::{Days, for_each_deposit};
use super::sql::{Connection, OptionalExtension};
use super::writer::Session;
use super::{StoreError, card_counts, quarantine, scrub};
use crate::domain::card::CardHash;
use crate::domain::registry::{Community, Registry, VOLUNTEERS};
use crate::domain::roster::{CardId, Enrolment};
use crate::domain::zone::{Day, local, today};

/// A household to be erased.
struct Erased<'a> {
    connection: &'a Connection,
    registry: &'a Registry,
    community: &'a Community,
    key: i64,
    enrolment: Enrolment,
}

/// Whether `community` has a household of this id.
pub fn is_there(connection: &Connection, community: &Community, household: &str) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM household WHERE community = ?1 AND id = ?2 AND erased IS NULL)",
    )?;
    Ok(select.query_row((community.key, household), |row| row.get(0))?)
}

/// Erases a household of `community`. `false`: there is none of this id.
pub fn erase(
    session: &mut Session<'_>,
    community: &Community,
    household: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let (connection, registry) = (session.connection, std::sync::Arc::clone(&session.registry));
    let mut select = connection.prepare_cached(
        "SELECT key, enrolled_from, enrolled_until, own_card FROM household
         WHERE community = ?1 AND id = ?2 AND erased IS NULL",
    )?;
    let found = select
        .query_row((community.key, household), |row| {
            let until: Option<i32> = row.get(2)?;
            Ok((
                row.get(0)?,
                Enrolment { from: Day(row.get(1)?), until: until.map(Day) },
                row.get::<_, Option<i64>>(3)?,
            ))
        })
        .optional()?;
    let Some((key, enrolment, own_card)) = found else { return Ok(false) };
    let erased = Erased { connection, registry: &registry, community, key, enrolment };
    let mut cards = erased.cards()?;
    for card in &mut cards {
        *card = erased.erase_card(*card)?;
    }
    if let Some(own_card) = own_card {
        erased.make_random(CardId(own_card))?;
        cards.push(CardId(own_card));
    }
    erased.erase_texts(&cards)?;
    erased.erase_requests(&cards)?;
    // A row that no import can meet: ids begin with a letter or a digit.
    connection.execute(
        "UPDATE household SET id = '~' || lower(hex(randomblob(16))), building = NULL, erased = 1,
                enrolled_until = min(coalesce(enrolled_until, ?2), ?2) WHERE key = ?1",
        (key, Day::of(today(community.zone, now)).0),
    )?;
    scrub::wanted(connection)?;
    super::registry::changed(connection)?;
    session.forget_cards();
    Ok(true)
}

impl Erased<'_> {
    fn cards(&self) -> Result<Vec<CardId>, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT card FROM household_card WHERE household = ?1")?;
        let cards = select.query_map([self.key], |row| Ok(CardId(row.get(0)?)))?;
        Ok(cards.collect::<Result<_, _>>()?)
    }

    /// Takes the hash away from what the household brought with a card; gives the card that this is from now on.
    fn erase_card(&self, card: CardId) -> Result<CardId, StoreError> {
        let hash: [u8; 16] = self
            .connection
            .prepare_cached("SELECT hash FROM card WHERE id = ?1")?
            .query_row([card.0], |row| row.get(0))?;
        let others: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM household_card WHERE card = ?1 AND household <> ?2)")?
            .query_row((card.0, self.key), |row| row.get(0))?;
        quarantine::forget_card(self.connection, CardHash(hash), |item| !others || self.was_here(item))?;
        if others {
            return self.split_off(card);
        }
        self.make_random(card)?;
        Ok(card)
    }

    fn make_random(&self, card: CardId) -> Result<(), StoreError> {
        let mut update =
            self.connection.prepare_cached("UPDATE card SET hash = randomblob(16), erased = 1 WHERE id = ?1")?;
        update.execute([card.0])?;
        Ok(())
    }

    /// Gives the household's days with a card that others hold too a card of their own.
    fn split_off(&self, card: CardId) -> Result<CardId, StoreError> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO card (hash, erased) VALUES (randomblob(16), 1) RETURNING id")?;
        let own = CardId(insert.query_row([], |row| row.get(0))?);
        let Enrolment { from, until } = self.enrolment;
        card_counts::replace_card(self.connection, self.community.key, self.enrolment, (card, own))?;
        let mut update = self.connection.prepare_cached("UPDATE ledger SET card = ?2 WHERE id = ?1")?;
        // A day more at either end: near midnight the clock of a site may say what its calendar does not.
        let first = from.date().pred_opt().unwrap_or(NaiveDate::MIN);
        let before = until.map(|until| until.next().next().date());
        for site in self.registry.sites_of(&self.community.id) {
            for_each_deposit(self.connection, self.community, site, Days { from: first, before }, |found| {
                let day = local(site.zone, found.time).day;
                if found.counted.card == Some(card) && self.enrolment.covers(day) {
                    update.execute((found.row, own.0))?;
                }
                Ok(())
            })?;
        }
        let mut give =
            self.connection.prepare_cached("UPDATE household_card SET card = ?3 WHERE household = ?1 AND card = ?2")?;
        give.execute((self.key, card.0, own.0))?;
        Ok(own)
    }

    /// Whether a refused event came from the community on a day on which the household was enrolled.
    fn was_here(&self, item: &quarantine::Item) -> bool {
        let site = item.topic.split('/').nth(2).and_then(|site| self.registry.sites.get(site));
        let elsewhere = site.is_some_and(|site| site.community != self.community.id);
        let zone = site.map_or(self.community.zone, |site| site.zone);
        let time = item.fields.as_ref().and_then(stamped).unwrap_or(item.first);
        !elsewhere && self.enrolment.covers(local(zone, time).day)
    }

    /// Volunteers write what they like beside a deposit: of this household's nothing stays.
    fn erase_texts(&self, cards: &[CardId]) -> Result<(), StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT b.id, b.next FROM boot b JOIN device d ON d.id = b.device WHERE d.site = ?1 AND d.kind = ?2",
        )?;
        let mut update =
            self.connection.prepare_cached("UPDATE ledger SET detail = NULL WHERE id = ?1 AND card = ?2")?;
        for site in self.registry.sites_of(&self.community.id) {
            let boots = select.query_map((&site.id, VOLUNTEERS), |row| {
                Ok((BootId(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            for (boot, next) in boots.collect::<Result<Vec<_>, _>>()? {
                for seq in 1..next {
                    let Some(row) = find_row(self.connection, boot, seq)? else { continue };
                    for card in cards {
                        update.execute((row, card.0))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What was asked is kept as a keyed hash. Of a deposit the record stays, so that its request is refused and not stored
    /// a second time; of visits there is none to lose, since a repeated record replaces itself.
    fn erase_requests(&self, cards: &[CardId]) -> Result<(), StoreError> {
        let mut update = self.connection.prepare_cached(
            "UPDATE idempotency SET fingerprint = randomblob(16)
             WHERE EXISTS (SELECT 1 FROM ledger l WHERE l.id = idempotency.row AND l.card = ?1)",
        )?;
        for card in cards {
            update.execute([card.0])?;
        }
        self.connection.prepare_cached("DELETE FROM idempotency WHERE row IS NULL")?.execute([])?;
        Ok(())
    }
}

/// When a refused event says that it happened.
fn stamped(fields: &Map<String, Value>) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(fields.get("time")?.as_str()?).ok()?;
    Some(time.timestamp_millis())
}
