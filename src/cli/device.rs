//! `fenlei device export`: the password and ACL files of an external broker, from the registry.
//!
//! A device gets its own topics by name and nothing else. The files hold hashes, never secrets, and appear
//! whole: a broker that reads them again meanwhile sees the old ones or the new ones.

use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;

use super::{Usage, answer, open_existing_store, remark};
use crate::config::Config;
use crate::credentials;
use crate::domain::registry::Registry;
use crate::draft::Draft;
use crate::store::registry;

/// The user as whom Fenlei itself logs in.
const BACKEND: &str = "fenlei";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the files that let every registered device, and Fenlei itself, in to an external broker.
    Export {
        /// Whose files to write: mosquitto writes `passwd` and `acl`.
        #[arg(long)]
        format: Format,
        /// A file with the password of the broker's user `fenlei`; without it one is made and printed, alone, on
        /// standard output: it belongs into `mqtt.url`.
        #[arg(long, value_name = "FILE")]
        backend_password_file: Option<PathBuf>,
        /// The folder for the files, made if it is not there; files of an earlier export are replaced.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Mosquitto,
}

pub fn run(args: &Args, config: &Config) -> Result<()> {
    let Command::Export { format: Format::Mosquitto, backend_password_file, folder } = &args.command;
    let store = open_existing_store(config)?;
    let registry = registry::load(&store)?;
    // The user of the backend, and the client ids of its two connections: a device of that name would end them.
    let client_id = &config.mqtt.client_id;
    for reserved in [BACKEND, client_id.as_str(), &format!("{client_id}-out")] {
        if registry.devices.contains_key(reserved) {
            bail!("the device {reserved} has a name under which Fenlei itself logs in: register it under another one");
        }
    }
    let (made, hash) = match backend_password_file {
        Some(file) => (None, credentials::hash(&password(file)?)?),
        None => {
            let (password, hash) = credentials::generate()?;
            (Some(password), hash)
        }
    };
    let failed = || format!("cannot write into {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    for (name, content) in [("passwd", passwd(&registry, &hash)), ("acl", acl(&registry))] {
        Draft::beside(&folder.join(name))
            .and_then(|draft| draft.write(&content))
            .and_then(Draft::replace)
            .with_context(failed)?;
    }
    remark(format_args!("{} devices written to {}", registry.devices.len(), folder.display()));
    made.map_or(Ok(()), answer)
}

fn password(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains(char::is_control) {
        return Err(Usage(format!("{} must hold one line, the password", file.display())).into());
    }
    Ok(password.to_owned())
}

fn passwd(registry: &Registry, backend: &str) -> String {
    let mut lines = format!("{BACKEND}:{backend}\n");
    for device in registry.devices.values() {
        let _ = writeln!(lines, "{}:{}", device.id, device.password);
    }
    lines
}

fn acl(registry: &Registry) -> String {
    let mut lines = format!("user {BACKEND}\ntopic readwrite fenlei/v1/#\n");
    for device in registry.devices.values() {
        let _ = writeln!(lines, "\nuser {}", device.id);
        for (access, channel) in [
            ("write", Channel::Event),
            ("write", Channel::State),
            ("read", Channel::Command),
            ("read", Channel::Config),
            ("read", Channel::Receipt),
        ] {
            let topic = Topic { site: &device.site, kind: device.kind, device: &device.id, channel };
            let _ = writeln!(lines, "topic {access} {topic}");
        }
    }
    lines
}
