//! `fenlei serve`: the whole backend, until it is told to stop.

use anyhow::{Result, bail};

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
    let ended = tokio::select! {
        () = told_to_stop(None) => None,
        part = running.ended() => Some(part),
    };
    tracing::info!("stopping");
    running.stop().await;
    match ended {
        None => Ok(()),
        // The rest would go on without it: whoever supervises this starts it anew.
        Some(part) => {
            bail!("a part of the backend ended by itself ({part}), which is a mistake of ours: the log has more")
        }
    }
}
