//! Buyers' data, which only the worker's own disk can read: shown, forgotten at a person's word, forgotten after its
//! time.

use super::driver::Driver;
use super::file::{File, FileError};
use super::shipper::Shipped;
use crate::clock;
use jiff::{SignedDuration, Timestamp};
use lockstep_journal::{Journal, JournalError};
use lockstep_model::{OrderKey, Person};
use lockstep_protocol::people::buyers::{BuyerSought, BuyerView, BuyersView, CopyAt};
use tokio::sync::watch;

/// Orders that are looked through at once.
const PAGE: usize = 200;
/// Orders of one buyer that are shown.
const SHOWN_MAX: usize = 500;
/// Between two looks through all for those whose time is over.
const LOOK_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How far the look for those whose time is over has come.
#[derive(Default)]
pub struct Retention {
    after: Option<OrderKey>,
    /// All were looked through at this time.
    looked: Option<Timestamp>,
}

/// What was forgotten, and the entry that the coordinator has to have.
pub struct Erasure {
    pub orders: u64,
    pub unreadable: u64,
    pub seq: u64,
    pub shipped: watch::Receiver<Shipped>,
}

const NOT_KNOWN: &str = "no shop has shown this order; nothing of a buyer is kept of it";

impl Driver {
    /// What is kept. The inner error is for people.
    pub async fn buyers(&self, of: BuyerSought) -> Result<Result<BuyersView, String>, FileError> {
        let Some(found) = found(&self.file, of).await? else {
            return Ok(Err(NOT_KNOWN.into()));
        };
        let cut = found.len() > SHOWN_MAX;
        let found: Vec<_> = found.into_iter().take(SHOWN_MAX).collect();
        self.file
            .with(move |journal| {
                let orders = found
                    .into_iter()
                    .filter_map(|(order, person)| Some((order, person?)))
                    .map(|(order, person)| view(journal, order, person));
                Ok::<_, JournalError>(Ok(BuyersView {
                    orders: orders.collect::<Result<_, _>>()?,
                    unreadable: journal.buyers_unreadable()?,
                    cut,
                }))
            })
            .await
    }

    /// Forgets them. The inner error is for people.
    pub async fn erase_buyers(
        &mut self,
        of: BuyerSought,
        by: String,
    ) -> Result<Result<Erasure, String>, FileError> {
        let Some(found) = found(&self.file, of).await? else {
            return Ok(Err(NOT_KNOWN.into()));
        };
        let orders: Vec<OrderKey> = found.into_iter().map(|(order, _)| order).collect();
        let count = orders.len() as u64;
        // Files of this customer that were set aside are read by nobody.
        if let Err(error) = self.tools.link.folder.forget_keys_aside(self.seat.customer) {
            return Ok(Err(format!(
                "an older file of this customer on the worker's disk cannot be cleared of buyers' keys ({error}); \
                 nothing was erased, and it is tried again"
            )));
        }
        let (seq, unreadable) = self
            .file
            .with(move |journal| {
                let seq = journal.erase_buyers(clock::now(), &orders, Some(&by))?;
                Ok::<_, JournalError>((seq, journal.buyers_unreadable()?))
            })
            .await?;
        tracing::info!(customer = %self.seat.customer, orders = count, "buyers' data was erased at a person's word");
        self.ship.notify_one();
        Ok(Ok(Erasure {
            orders: count,
            unreadable,
            seq,
            shipped: self.shipped.clone(),
        }))
    }

    /// In the ordinary course, a few at a time: those whose order has been final for as long as the settings say.
    pub async fn forget_past_buyers(&mut self) -> Result<(), FileError> {
        let now = clock::now();
        let days = self.seat.settings.policies.orders.buyers_kept_days;
        let rested = self
            .retention
            .looked
            .is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY);
        if self.retention.after.is_none() && !rested {
            return Ok(());
        }
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        let after = self.retention.after.take();
        let (next, erased) = self
            .file
            .with(move |journal| {
                let (past, next) = journal.buyers_past(before, after.as_ref(), PAGE)?;
                if !past.is_empty() {
                    journal.erase_buyers(now, &past, None)?;
                }
                Ok::<_, JournalError>((next, past.len()))
            })
            .await?;
        if erased > 0 {
            tracing::info!(customer = %self.seat.customer, orders = erased, days, "buyers' data was erased after its time");
            self.ship.notify_one();
        }
        if next.is_none() {
            self.retention.looked = Some(now);
        }
        self.retention.after = next;
        Ok(())
    }
}

/// The orders that are meant, with what can be read of their buyers. `None`: there is no such order.
async fn found(
    file: &File,
    of: BuyerSought,
) -> Result<Option<Vec<(OrderKey, Option<Person>)>>, FileError> {
    let email = match of {
        BuyerSought::Order(order) => {
            return file
                .with(move |journal| {
                    if !journal.knows_order(&order)? {
                        return Ok(None);
                    }
                    let person = journal.person(&order)?;
                    Ok::<_, JournalError>(Some(vec![(order, person)]))
                })
                .await;
        }
        BuyerSought::Email(email) => email.trim().to_lowercase(),
    };
    let mut found = Vec::new();
    let mut after: Option<OrderKey> = None;
    loop {
        let page = file
            .with(move |journal| journal.buyers(after.as_ref(), PAGE))
            .await?;
        let is_theirs = |person: &Person| {
            let known = person
                .email
                .as_deref()
                .map(|known| known.trim().to_lowercase());
            known.as_deref() == Some(email.as_str())
        };
        found.extend(
            page.buyers
                .into_iter()
                .filter(|(_, person)| is_theirs(person))
                .map(|(order, person)| (order, Some(person))),
        );
        after = page.next;
        if after.is_none() {
            return Ok(Some(found));
        }
    }
}

fn view(journal: &Journal, order: OrderKey, buyer: Person) -> Result<BuyerView, JournalError> {
    let row = journal.order_view(&order)?.map(|view| view.row);
    let (origin, copies) = match row {
        Some(row) => (row.origin, row.copies),
        None => Default::default(),
    };
    Ok(BuyerView {
        number: origin
            .as_ref()
            .map_or_else(|| order.id.to_string(), |origin| origin.number.clone()),
        placed_at: origin.as_ref().map(|origin| origin.placed_at),
        currency: origin
            .as_ref()
            .map(|origin| origin.currency.clone())
            .unwrap_or_default(),
        total: origin
            .as_ref()
            .map(|origin| origin.total)
            .unwrap_or_default(),
        lines: origin.map(|origin| origin.lines).unwrap_or_default(),
        order,
        copies: copies
            .into_iter()
            .map(|(shop, id)| CopyAt { shop, id })
            .collect(),
        buyer,
    })
}
