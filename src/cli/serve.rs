//! `fenlei serve`: the whole backend, until it is told to stop.

use anyhow::Result;

use super::demo::told_to_stop;
use super::log_to_stderr;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::serve;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(Args {}: Args, config: &Config, clock: SharedClock) -> Result<()> {
    log_to_stderr(config);
    let mut running = serve::start(config, clock).await?;
    let told = tokio::select! {
        () = told_to_stop(None) => true,
        () = running.ended() => false,
    };
    tracing::info!("stopping");
    running.stop().await;
    // The rest would go on without it: whoever supervises this starts it anew.
    anyhow::ensure!(told, "a part of the backend ended by itself; the log has why");
    Ok(())
}
