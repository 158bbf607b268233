//! `fenlei account`: people who sign in to the pages. A password is read from standard input, never from the command
//! line, where every other process could see it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::token::{instant, role};
use super::{Usage, answer, open_existing_store, open_store};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::account::{check_name, check_password};
use crate::domain::registry::Role;
use crate::passwords;
use crate::store::sql::Connection;
use crate::store::{accounts, audit, registry};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account. Its password is the first line of standard input; on a terminal it is asked for.
    Add {
        /// The name to sign in with, as people write it.
        name: String,
        /// The organization whose communities the account sees; without it, it sees all.
        #[arg(long, value_name = "ORG")]
        organization: Option<String>,
        /// What the account may do; several may be given.
        #[arg(long = "role", value_name = "ROLE", required = true, num_args = 1.., value_parser = role())]
        roles: Vec<Role>,
    },
    /// List the accounts, the disabled ones too.
    List,
    /// Give an account a new password, read as for `add`, and sign it out everywhere.
    Password {
        /// The name of the account.
        name: String,
    },
    /// Let an account sign in no longer, and sign it out everywhere.
    Disable {
        /// The name of the account.
        name: String,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// The name of the account.
        name: String,
    },
}

pub fn run(args: &Args, config: &Config, clock: &dyn Clock) -> Result<()> {
    let now = clock.now().timestamp_millis();
    match &args.command {
        Command::Add { name, organization, roles } => add(config, name, organization.as_deref(), roles, now),
        Command::List => list(config),
        Command::Password { name } => {
            let password = hashed(name)?;
            change(config, name, now, "password", |store| accounts::set_password(store, name, &password))
        }
        Command::Disable { name } => {
            change(config, name, now, "disable", |store| accounts::set_disabled(store, name, Some(now)))
        }
        Command::Enable { name } => {
            change(config, name, now, "enable", |store| accounts::set_disabled(store, name, None))
        }
    }
}

fn add(config: &Config, name: &str, organization: Option<&str>, roles: &[Role], now: i64) -> Result<()> {
    check_name(name).map_err(|error| Usage(error.to_string()))?;
    let store = open_store(config)?;
    if let Some(organization) = organization
        && !registry::load(&store)?.organizations.contains_key(organization)
    {
        bail!("there is no organization {organization}: create it first (PUT /api/v1/organizations/{organization})");
    }
    let password = hashed(name)?;
    let roles = roles.iter().copied().collect::<BTreeSet<_>>();
    let transaction = store.transaction()?;
    if !accounts::add(&transaction, name, &password, organization, &roles, now)? {
        bail!("there is an account of this name already: `fenlei account password` gives it another password");
    }
    audit::note(&transaction, now, "command line", "account.add", name)?;
    transaction.commit()?;
    Ok(())
}

fn list(config: &Config) -> Result<()> {
    let store = open_existing_store(config)?;
    answer(format_args!("{:<24}  {:<24}  {:<24}  {:<20}  DISABLED", "NAME", "ORGANIZATION", "ROLES", "CREATED"))?;
    for account in accounts::list(&store)? {
        let organization = account.organization.as_deref().unwrap_or("(all)");
        let roles: Vec<_> = account.roles.iter().map(|role| role.as_str()).collect();
        let disabled = account.disabled.map_or_else(|| "-".to_owned(), instant);
        let (roles, created) = (roles.join(" "), instant(account.created));
        answer(format_args!("{:<24}  {organization:<24}  {roles:<24}  {created:<20}  {disabled}", account.name))?;
    }
    Ok(())
}

fn change(
    config: &Config,
    name: &str,
    now: i64,
    what: &str,
    change: impl FnOnce(&Connection) -> Result<bool, crate::store::StoreError>,
) -> Result<()> {
    let store = open_existing_store(config)?;
    let transaction = store.transaction()?;
    if !change(&transaction)? {
        bail!("there is no account of this name: `fenlei account list` shows them");
    }
    audit::note(&transaction, now, "command line", &format!("account.{what}"), name)?;
    transaction.commit()?;
    Ok(())
}

/// The hash of the password that is typed or sent.
fn hashed(name: &str) -> Result<String> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").context("no password could be read")?;
        if rpassword::prompt_password("Again: ").context("no password could be read")? != password {
            bail!("the two are not the same");
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("no password on standard input")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    check_password(name, &password)?;
    Ok(passwords::hash(&password)?)
}
