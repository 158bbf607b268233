//! Subscriptions that come and go: to what is received here only while it is this backend's turn.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Subscribe, Unsubscribe};
use tokio::sync::watch;

use super::line::Outgoing;

/// What is subscribed to while it is wished, and anew when it is wished anew.
pub(super) struct Followed {
    pub(super) filter: &'static str,
    pub(super) wish: watch::Receiver<Option<u64>>,
    pub(super) asked: Option<u64>,
}

/// Comes back when something else is wished.
pub(super) async fn changed([states, configs]: &mut [Followed; 2]) {
    tokio::select! {
        Ok(()) = states.wish.changed() => {}
        Ok(()) = configs.wish.changed() => {}
        // The backend is going away.
        else => std::future::pending().await,
    }
}

/// Asks for what is wished. One that is alone has the states by its first subscription, and wishes nothing.
pub(super) async fn follow(
    followed: &mut [Followed; 2],
    named: &mut u16,
    outgoing: &mut Outgoing,
    alone: bool,
) -> Result<(), String> {
    for followed in followed.iter_mut().filter(|_| !alone) {
        let wished = *followed.wish.borrow_and_update();
        if wished == followed.asked {
            continue;
        }
        followed.asked = wished;
        // Never the name of what may still be unanswered; zero is none.
        *named = named.checked_add(1).unwrap_or(1);
        let pkid = *named;
        outgoing
            .put(match wished {
                Some(_) => {
                    let filters = vec![Filter::new(followed.filter, QoS::AtLeastOnce)];
                    Packet::Subscribe(Subscribe { pkid, filters, properties: None })
                }
                None => {
                    let filters = vec![followed.filter.to_owned()];
                    Packet::Unsubscribe(Unsubscribe { pkid, filters, properties: None })
                }
            })
            .await?;
    }
    outgoing.flush().await
}
