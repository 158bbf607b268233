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
    let running = serve::start(config, clock).await?;
    told_to_stop(None).await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}
