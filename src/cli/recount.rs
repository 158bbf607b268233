//! `fenlei recount`: everything that is kept beside the ledger counted again from it, also beside a running backend.

use anyhow::{Context, Result, bail};

use super::{answer, must_exist, remark};
use crate::config::Config;
use crate::store;
use crate::store::recount::{Report, recount};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, config: &Config) -> Result<()> {
    let url = &config.store.url;
    must_exist(url)?;
    let store = store::open_to_read(url).with_context(|| format!("cannot open the store {url} (`store.url`)"))?;
    tell(&recount(&store)?)
}

/// Answers the table; an error where anything differs, after each difference was named.
pub(super) fn tell(report: &Report) -> Result<()> {
    answer(report)?;
    if report.differences() == 0 {
        return Ok(());
    }
    report.named().for_each(remark);
    bail!("the store differs from its own ledger in {} places, named above", report.differences())
}
