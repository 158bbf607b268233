//! `fenlei serve`: the whole backend, until it is told to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::log_to_stderr;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::serve;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(Args {}: Args, config: &Config, clock: SharedClock) -> Result<()> {
    log_to_stderr(config);
    let running = serve::start(config, clock).await?;
    stopped().await?;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Comes back when somebody at the keyboard or the system's service manager wants an end.
pub(super) async fn stopped() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
