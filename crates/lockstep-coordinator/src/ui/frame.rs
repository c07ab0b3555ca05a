//! What surrounds every page: navigation with its counts, the customer's tabs, the message, the theme.

use super::{
    Ui, assets,
    session::{Flash, Theme, Visitor},
    urls,
};
use jiff::Timestamp;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    paths::people,
    people::{NeedKind, Overview, login::Me},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub struct Frame {
    pub title: String,
    pub me: Option<Me>,
    pub form_token: String,
    pub theme: Theme,
    pub flash: Option<Flash>,
    /// For "back to here".
    pub here: String,
    /// What the search box holds.
    pub query: String,
    pub section: &'static str,
    pub conflicts: u64,
    pub pending: u64,
    pub crumbs: Vec<Crumb>,
    pub tabs: Vec<Tab>,
    pub now: Timestamp,
}

pub struct Crumb {
    pub label: String,
    pub href: String,
}

pub struct Tab {
    pub label: &'static str,
    pub href: String,
    pub current: bool,
}

impl Frame {
    /// For pages without a login.
    pub fn outside(title: &str, theme: Theme, form_token: String) -> Self {
        Frame {
            title: title.into(),
            me: None,
            form_token,
            theme,
            flash: None,
            here: urls::OVERVIEW.into(),
            query: String::new(),
            section: "",
            conflicts: 0,
            pending: 0,
            crumbs: Vec::new(),
            tabs: Vec::new(),
            now: Timestamp::now(),
        }
    }

    /// `section`: which of the navigation's words is the current one.
    pub async fn of(ui: &Ui, visitor: &Visitor, title: &str, section: &'static str) -> Self {
        let pulse = ui.pulse.read(visitor).await;
        Frame {
            title: title.into(),
            me: Some(visitor.me.clone()),
            form_token: visitor.form_token.clone(),
            theme: visitor.theme,
            flash: visitor.flash.clone(),
            here: visitor.here.clone(),
            query: String::new(),
            section,
            conflicts: pulse.conflicts,
            pending: pulse.pending,
            crumbs: Vec::new(),
            tabs: Vec::new(),
            now: Timestamp::now(),
        }
    }

    /// A page under a customer: `page` is the tab's.
    pub fn within(mut self, customer: CustomerId, name: &str, page: &'static str) -> Self {
        self.crumb("Customers", urls::CUSTOMERS.into());
        self.crumb(name, urls::customer(customer));
        let tab = |label, at: &'static str| Tab {
            label,
            href: if at.is_empty() {
                urls::customer(customer)
            } else if at == "identifiers" {
                urls::identifiers(customer, "stocks")
            } else {
                urls::of_customer(customer, at)
            },
            current: at == page,
        };
        self.tabs = vec![
            tab("Overview", ""),
            tab("Records", "records"),
            tab("Orders", "orders"),
            tab("Runs", "runs"),
            tab("Plan", "plan"),
            tab("Conflicts", "conflicts"),
            tab("Shops", "shops"),
            tab("Settings", "settings"),
            tab("Identifiers", "identifiers"),
            tab("Policies", "policies"),
            tab("Schedules", "schedules"),
        ];
        self
    }

    pub fn crumb(&mut self, label: &str, href: String) {
        self.crumbs.push(Crumb {
            label: label.into(),
            href,
        });
    }

    pub fn css(&self) -> &'static str {
        assets::href("console.css")
    }

    pub fn js(&self) -> &'static str {
        assets::href("console.js")
    }

    pub fn icon(&self) -> &'static str {
        assets::href("mark.svg")
    }

    pub fn is(&self, section: &str) -> bool {
        self.section == section
    }
}

/// The counts beside the navigation's words. Every page shows them, so they are read once a second at the
/// most, and anew after anything was sent.
#[derive(Default)]
pub struct Pulse {
    read: Mutex<Vec<(String, Instant, Counted)>>,
}

#[derive(Clone, Copy, Default)]
pub struct Counted {
    pub conflicts: u64,
    pub pending: u64,
}

const PULSE_AGE_MAX: Duration = Duration::from_secs(1);
const PULSES_MAX: usize = 256;

impl Pulse {
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<(String, Instant, Counted)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, visitor: &Visitor) -> Counted {
        let fresh = |at: &Instant| at.elapsed() < PULSE_AGE_MAX;
        let name = &visitor.me.name;
        let found = self
            .known()
            .iter()
            .find(|(known, at, _)| known == name && fresh(at))
            .map(|(_, _, counted)| *counted);
        if let Some(counted) = found {
            return counted;
        }
        let counted = match visitor.caller.get::<Overview>(people::OVERVIEW).await {
            Ok(overview) => Counted::of(&overview),
            Err(problem) => {
                tracing::debug!(%problem, "the navigation shows no counts");
                Counted::default()
            }
        };
        let mut known = self.known();
        known.retain(|(other, at, _)| other != name && fresh(at));
        if known.len() < PULSES_MAX {
            known.push((name.clone(), Instant::now(), counted));
        }
        counted
    }
}

impl Counted {
    fn of(overview: &Overview) -> Self {
        let asks = |kind| matches!(kind, NeedKind::Conflict | NeedKind::OrderHeld);
        let conflicts = overview.needs_person.iter().filter(|need| asks(need.kind));
        Counted {
            conflicts: conflicts.count() as u64,
            pending: overview.workers_pending,
        }
    }
}
