//! Receipts on their way to devices. A newer receipt of a boot says all that an older one said, so while the broker is slow,
//! or much is stored, only the newest of each waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fenlei_wire::vocabulary::Channel;
use tokio::sync::Notify;

use super::{Message, Publisher};
use crate::domain::inbound::Sender;
use crate::domain::marks::Receipt;

/// Between two rounds of receipts: of what is stored meanwhile the newest goes alone.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Default)]
pub struct Receipts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<BTreeMap<(Sender, u32), Receipt>>,
    wake: Notify,
}

impl Receipts {
    pub fn put(&self, to: &Sender, receipts: Vec<Receipt>) {
        if receipts.is_empty() {
            return;
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for receipt in receipts {
            waiting.insert((to.clone(), receipt.boot), receipt);
        }
        drop(waiting);
        self.0.wake.notify_one();
    }

    /// Publishes what waits, for ever.
    pub async fn run(self, publisher: Publisher) {
        loop {
            self.0.wake.notified().await;
            let ready = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            for ((to, _), receipt) in ready {
                match serde_json::to_vec(&receipt) {
                    Ok(payload) => {
                        let topic = to.topic(Channel::Receipt);
                        publisher.publish(Message { topic, payload, retain: false, lifetime: None }).await;
                        metrics::counter!("fenlei_receipts_total").increment(1);
                    }
                    Err(error) => tracing::error!(%error, "a receipt cannot be written as JSON"),
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
