//! Ids of commands that were handed out. The backend repeats a command until it expires; as long as its id is here, it is
//! not carried out again. A device must keep this over resets, and store it before it acts.

use fenlei_wire::limits::MAX_COMMAND_ID;
use fenlei_wire::time::UnixMillis;
use heapless::{String, Vec};

/// Most ids remembered at once.
pub const MAX_SEEN: usize = 32;

/// A command that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCommand {
    /// Its id.
    pub id: String<MAX_COMMAND_ID>,
    /// Until when it is remembered.
    pub expires: UnixMillis,
}

/// The commands that were handed out and have not expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenCommands {
    list: Vec<SeenCommand, MAX_SEEN>,
}

impl SeenCommands {
    /// Nothing remembered.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Whether a command with this id is remembered.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.list.iter().any(|seen| seen.id == id)
    }

    /// The commands remembered, to be stored.
    pub fn iter(&self) -> impl Iterator<Item = &SeenCommand> {
        self.list.iter()
    }

    /// Remembers a command; `false` if it was already, or if there is no room. What is refused for want of room comes
    /// again; what is forgotten too early would be done twice.
    pub fn remember(&mut self, command: SeenCommand) -> bool {
        !self.contains(&command.id) && self.list.push(command).is_ok()
    }

    /// Forgets what has expired.
    pub fn expire(&mut self, now: UnixMillis) {
        self.list.retain(|seen| seen.expires > now);
    }
}
