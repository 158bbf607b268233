//! `fenlei migrate-store`: from the SQLite file to a PostgreSQL database, once, with the backend stopped.

use anyhow::{Context, Result, bail};

use super::{Usage, answer, must_exist, recount, remark};
use crate::config::Config;
use crate::store::transfer::transfer;
use crate::store::{self, StoreUrl};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The database, as for `store.url`: postgres://user@host:port/database, with nothing in it. Its password is better
    /// given in the environment variable PGPASSWORD than here, where every other process can see it.
    #[arg(long, value_name = "URL")]
    to: String,
}

pub fn run(args: &Args, config: &Config) -> Result<()> {
    let to = target(&args.to, std::env::var("PGPASSWORD").ok())?;
    let from = &config.store.url;
    if from.file().is_none() {
        bail!("`store.url` is {from}: it must name the SQLite file that is to be moved");
    }
    must_exist(from)?;
    let (file, _alone) = store::open_alone(from).context("stop `fenlei serve` first")?;
    let (server, _) = store::open_alone(&to).with_context(|| format!("cannot open {to} (`--to`)"))?;
    let moved = transfer(&file, &server).with_context(|| format!("cannot move {from} to {to}"))?;
    for (table, rows) in &moved {
        answer(format_args!("{table:<24}  {rows:>12}"))?;
    }
    recount::tell(&store::recount::recount(&server)?).with_context(|| format!("{to} must not be used"))?;
    let rows: u64 = moved.values().sum();
    remark(format_args!(
        "{rows} rows of {} tables are in {to}; each was read back and compared, and everything counted again.",
        moved.len()
    ));
    remark(
        "Set `store.url` to it, keep the card key file where it is, and run `fenlei serve`. The SQLite file is as it was.",
    );
    Ok(())
}

fn target(url: &str, password: Option<String>) -> Result<StoreUrl> {
    match StoreUrl::parse(url) {
        Ok(StoreUrl::Postgres(mut server)) => {
            if let (None, Some(password)) = (server.config().get_password(), password) {
                server.set_password(&password);
            }
            Ok(StoreUrl::Postgres(server))
        }
        Ok(StoreUrl::Sqlite(_)) => bail!(Usage("`--to` must be a PostgreSQL database: postgres://…".to_owned())),
        Err(expected) => bail!(Usage(format!("`--to` must be {expected}"))),
    }
}
