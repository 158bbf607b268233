//! What a device had the broker say for it when it is gone.

use std::time::Duration;

use mqtt5_protocol::packet::connect::ConnectPacket;
use tokio::sync::OwnedMutexGuard;

use super::sessions::Tenure;
use super::{Engine, refused};
use crate::mqtt::authority;

pub(super) struct Will {
    topic: String,
    payload: Vec<u8>,
    /// How long the device may be gone before it is.
    delay: Duration,
}

impl Will {
    pub(super) fn of(connect: &mut ConnectPacket) -> Option<Self> {
        let will = connect.will.take()?;
        let delay = Duration::from_secs(will.properties.will_delay_interval.unwrap_or(0).into());
        Some(Self { topic: will.topic, payload: will.payload, delay })
    }

    /// Hands it over while nobody else has the `turn`: the first word of the device's next connection is newer. One that may
    /// wait is not said if there is such a connection before. The session of `id` is kept for so long.
    pub(super) async fn publish(
        self,
        engine: &Engine,
        id: &str,
        tenure: &Tenure,
        turn: OwnedMutexGuard<()>,
        kept: Duration,
    ) {
        let Self { topic, payload, delay } = self;
        let delay = delay.min(kept);
        let turn = if delay.is_zero() {
            turn
        } else {
            drop(turn);
            tokio::select! {
                () = tenure.over() => return,
                () = tokio::time::sleep(delay) => {}
                // Where the broker stops, the device is as good as gone.
                () = engine.stop.cancelled() => {}
            }
            let turn = tenure.device.turn().await;
            if tenure.is_over() {
                return;
            }
            turn
        };
        if !authority::may_publish(&(engine.registry)(), Some(id), &topic) {
            return refused("publish");
        }
        let attempt = engine.sink.deliver(&topic, &payload).await;
        drop(turn);
        // A device that is back says itself how it is.
        engine.stored(tenure, attempt, &topic, &payload).await;
    }
}
