//! `fenlei check-config`: every mistake at once, before a restart finds the first one.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Usage, answer};
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file; without it (and without --config) the environment alone is checked.
    file: Option<PathBuf>,
}

pub fn run(args: &Args, config: Option<&Path>) -> Result<()> {
    let file = match (args.file.as_deref(), config) {
        (Some(_), Some(_)) => return Err(Usage("name the file once: FILE or --config FILE".to_owned()).into()),
        (file, config) => file.or(config),
    };
    Config::load(file)?;
    match file {
        Some(file) => answer(format_args!("{}: good", file.display())),
        None => answer("environment: good"),
    }
}
