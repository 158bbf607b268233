//! From a broker to the store and back to the device: read, hand over, wait for the commit, receipt.

use std::future::Future;
use std::pin::Pin;

use crate::clock::SharedClock;
use crate::domain::card::CardKey;
use crate::domain::inbound::Inbound;
use crate::mqtt::receipts::Receipts;
use crate::mqtt::{Sink, Stored};
use crate::store::Store;

/// The one pipeline that every source delivers to.
#[derive(Clone, Debug)]
pub struct Ingest {
    pub store: Store,
    pub clock: SharedClock,
    pub card_key: CardKey,
    pub receipts: Receipts,
}

impl Sink for Ingest {
    #[expect(clippy::async_yields_async, reason = "handing over and being stored are two moments, waited for apart")]
    fn deliver<'a>(&'a self, topic: &'a str, payload: &'a [u8]) -> Pin<Box<dyn Future<Output = Stored> + Send + 'a>> {
        Box::pin(async move {
            let received = self.clock.now().timestamp_millis();
            let inbound = Inbound::read(topic, payload, received, &self.card_key);
            let submitted = self.store.submit(inbound).await;
            let receipts = self.receipts.clone();
            let stored: Stored = Box::pin(async move {
                let Ok(pending) = submitted else { return false };
                let Ok(Ok(committed)) = pending.await else { return false };
                if let Some(from) = committed.from {
                    receipts.put(&from, committed.receipts);
                }
                true
            });
            stored
        })
    }
}
