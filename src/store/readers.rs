//! A bounded pool of reading connections. A question waits for a place rather than for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{StoreError, connection};

#[derive(Clone, Debug)]
pub struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub fn new(path: PathBuf, places: usize) -> Self {
        Self { path: Arc::new(path), idle: Arc::default(), places: Arc::new(Semaphore::new(places.max(1))) }
    }

    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle = this.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => connection::open_reader(&this.path)?,
            };
            // One transaction, so that what one answer is put together from is of one moment.
            let transaction = connection.unchecked_transaction()?;
            let result = work(&transaction);
            drop(transaction);
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        task.await.map_err(|_| StoreError::Closed)?
    }
}
