//! Who asks, and what he may do.

use crate::auth::Bearer;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoginRequest {
    pub name: String,
    pub password: Bearer,
    /// What the token is for: "laptop of Maija".
    #[serde(default)]
    pub label: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoginReply {
    pub token: Bearer,
    pub me: Me,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    pub name: String,
    pub role: Role,
    /// The customer whose own people this login is for; none: all customers.
    #[serde(default)]
    pub customer_id: Option<lockstep_model::CustomerId>,
}

/// A login, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRow {
    #[serde(flatten)]
    pub me: Me,
    /// Nobody logs in by it, and what it had opened is closed.
    #[serde(default)]
    pub disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewLogin {
    pub name: String,
    pub role: Role,
    /// The customer whose own people it is for; none: all customers.
    #[serde(default)]
    pub customer_id: Option<lockstep_model::CustomerId>,
    /// None: one is made.
    #[serde(default)]
    pub password: Option<Bearer>,
}

/// The password that was made is shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeLogin {
    pub me: Me,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Bearer>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewPassword {
    /// None: one is made.
    pub password: Option<Bearer>,
    /// The one that it is in place of: whoever changes his own types it.
    pub old_password: Option<Bearer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    pub disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    pub id: u64,
    /// Whose it is.
    pub name: String,
    pub label: String,
    /// A console in a browser; else a token for the CLI or a script.
    pub browser: bool,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    pub label: String,
    /// How long it is good.
    pub days: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeToken {
    /// Shown once.
    pub token: Bearer,
    pub expires_at: Option<Timestamp>,
}

/// Each may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look. Buyers are masked.
    Viewer,
    /// Work on one customer or all of them.
    Editor,
    /// Workers, logins, locked customers.
    Operator,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Editor, Role::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role \"{0}\"; the roles are viewer, editor and operator")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
