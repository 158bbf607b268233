//! Connections whose handler tries to store something and reads nothing meanwhile, so that it does not see that its device
//! is gone. While nothing can be stored a device connects anew again and again: without this every one of its connections
//! would be kept, with a place at the entrance and a publish in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

tokio::task_local! {
    /// Told when the connection that runs here is to end.
    static OVER: Arc<Notify>;
}

/// By the ids of their devices.
#[derive(Default)]
pub(super) struct Busy(Mutex<HashMap<String, Arc<Notify>>>);

impl Busy {
    /// Runs a connection, of which `over` is told when it is to end.
    pub(super) fn until<T>(over: Arc<Notify>, connection: impl Future<Output = T>) -> impl Future<Output = T> {
        OVER.scope(over, connection)
    }

    /// This connection is busy with what `device` sent.
    pub(super) fn enter(&self, device: &str) {
        // A will is stored when its connection is over already.
        if let Ok(over) = OVER.try_with(Arc::clone) {
            self.known().insert(device.to_owned(), over);
        }
    }

    pub(super) fn leave(&self, device: &str) {
        let own = OVER.try_with(Arc::clone).ok();
        let mut known = self.known();
        if known.get(device).zip(own).is_some_and(|(known, own)| Arc::ptr_eq(known, &own)) {
            known.remove(device);
        }
    }

    /// The device has another connection: what the one before is still to store it sends again by this.
    pub(super) fn connects_anew(&self, device: &str) {
        if let Some(over) = self.known().remove(device) {
            over.notify_one();
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
