//! How a command went, as scripts see it.

use std::fmt;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    WrongUse = 2,
    /// Conflicts, a worker that waits for approval, a plan beyond a limit.
    NeedsPerson = 3,
    /// The coordinator, or a shop, could not be reached.
    OutOfReach = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug)]
pub struct Trouble {
    pub exit: Exit,
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub fn wrong_use(message: impl Into<String>) -> Self {
        Self::new(Exit::WrongUse, message)
    }
}

/// The exit code of an error: its own, or 1.
pub fn of(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<Trouble>()
        .map_or(Exit::Failed, |trouble| trouble.exit)
}
