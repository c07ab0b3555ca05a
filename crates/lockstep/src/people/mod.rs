//! What people do from a terminal, over the people's API: one command, one answer, human or JSON.

mod api;
mod asides;
mod buyers;
mod conflicts;
mod credentials;
mod customers;
mod history;
mod login;
mod logins;
mod matches;
mod orders;
mod plan;
mod records;
mod runs;
mod standing;
mod sync;
mod undo;
mod workers;

pub use api::Api;
pub use asides::asides;
pub use buyers::buyers;
pub use conflicts::{conflicts, decide};
pub use customers::customers;
pub use history::history;
pub use login::login;
pub use logins::{logins, tokens};
pub use matches::matches;
pub use orders::{answer, map, orders};
pub use plan::{apply, plan};
pub use records::{explain, record};
pub use runs::runs;
pub use standing::standing;
pub use sync::sync;
pub use undo::undo;
pub use workers::workers;
