//! `fenlei token`: the bearer tokens of the API. A token is told once; the store keeps its digest.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use chrono::DateTime;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{answer, open_existing_store, open_store};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::registry::Role;
use crate::store::{audit, registry, tokens};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it, alone, on standard output: it is never shown again.
    Add {
        /// The organization whose communities the token sees; without it, it sees all.
        #[arg(long, value_name = "ORG")]
        organization: Option<String>,
        /// What the token may do; several may be given.
        #[arg(long = "role", value_name = "ROLE", required = true, num_args = 1.., value_parser = role())]
        roles: Vec<Role>,
    },
    /// List the tokens by their ids, the revoked ones too.
    List,
    /// Revoke a token; from then on it opens nothing.
    Revoke {
        /// The token's id, as `fenlei token list` shows it.
        id: String,
    },
}

pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| Role::parse(&name).ok_or("no such role"))
}

pub fn run(args: &Args, config: &Config, clock: &dyn Clock) -> Result<()> {
    let now = clock.now().timestamp_millis();
    match &args.command {
        Command::Add { organization, roles } => add(config, organization.as_deref(), roles, now),
        Command::List => list(config),
        Command::Revoke { id } => revoke(config, id, now),
    }
}

fn add(config: &Config, organization: Option<&str>, roles: &[Role], now: i64) -> Result<()> {
    let store = open_store(config)?;
    let transaction = store.transaction()?;
    if let Some(organization) = organization
        && !registry::load(&transaction)?.organizations.contains_key(organization)
    {
        bail!("there is no organization {organization}: create it first (PUT /api/v1/organizations/{organization})");
    }
    let roles = roles.iter().copied().collect::<BTreeSet<_>>();
    let token = tokens::add(&transaction, organization, &roles, now)?;
    let made = tokens::caller(&transaction, &token)?;
    audit::note(&transaction, now, "command line", "token.add", made.as_ref().map_or("", |made| &made.who))?;
    transaction.commit()?;
    answer(token)
}

fn list(config: &Config) -> Result<()> {
    let store = open_existing_store(config)?;
    answer(format_args!("{:<10}  {:<24}  {:<24}  {:<20}  REVOKED", "ID", "ORGANIZATION", "ROLES", "CREATED"))?;
    for token in tokens::list(&store)? {
        let organization = token.organization.as_deref().unwrap_or("(all)");
        let revoked = token.revoked.map_or_else(|| "-".to_owned(), instant);
        let created = instant(token.created);
        answer(format_args!("{:<10}  {organization:<24}  {:<24}  {created:<20}  {revoked}", token.id, token.roles))?;
    }
    Ok(())
}

fn revoke(config: &Config, id: &str, now: i64) -> Result<()> {
    let store = open_existing_store(config)?;
    let transaction = store.transaction()?;
    if !tokens::revoke(&transaction, id, now)? {
        bail!("there is no token {id}, or it is revoked already: `fenlei token list` shows them");
    }
    audit::note(&transaction, now, "command line", "token.revoke", id)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn instant(milliseconds: i64) -> String {
    let instant = DateTime::from_timestamp_millis(milliseconds).unwrap_or_default();
    instant.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
