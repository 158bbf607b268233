//! A bounded pool of reading connections. A question waits for a place rather than for the writer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::sql::Connection;
use super::url::StoreUrl;
use super::{StoreError, connection};

#[derive(Clone, Debug)]
pub struct Readers {
    url: Arc<StoreUrl>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub fn new(url: StoreUrl, places: usize) -> Self {
        Self { url: Arc::new(url), idle: Arc::default(), places: Arc::new(Semaphore::new(places.max(1))) }
    }

    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let connection = this.begun()?;
            let result = work(&connection);
            connection.abandon();
            if !connection.is_broken() {
                this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            result
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(StoreError::Panicked),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// A connection within one transaction, so that what one answer is put together from is of one moment. One that lay
    /// idle while its server went away is noticed by that and thrown away, with all that lie there.
    fn begun(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle.filter(|idle| !idle.is_broken()) {
            match connection.begin_reading() {
                Ok(()) => return Ok(connection),
                Err(error) if !connection.is_broken() => return Err(error.into()),
                Err(_) => self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|idle| !idle.is_broken()),
            }
        }
        let connection = connection::open_reader(&*self.url)?;
        connection.begin_reading()?;
        Ok(connection)
    }
}
