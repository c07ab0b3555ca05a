//! Steps of orders in a Medusa shop: paid, shipped, cancelled. Each looks first and does what is missing, so that a
//! step that was cut off half way is finished and not doubled.

use super::amounts::shown;
use super::writes::Outcomes;
use super::{Shop, map, wire};
use lockstep_connector::Cost;
use lockstep_model::{Change, Fault, FaultKind, OrderStep, Record, RemoteId};
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;

impl Shop {
    pub(super) async fn step_orders(
        &self,
        changes: &[Change],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let steps: Vec<(usize, &RemoteId, &OrderStep)> = changes
            .iter()
            .enumerate()
            .filter_map(|(at, change)| match change {
                Change::StepOrder { id, step, .. } => Some((at, id, step)),
                _ => None,
            })
            .collect();
        let mut ids: Vec<RemoteId> = steps.iter().map(|(_, id, _)| (*id).clone()).collect();
        ids.sort();
        ids.dedup();
        let there = self.orders_there(&ids).await?;
        let mut done = Vec::new();
        for (at, id, step) in steps {
            let Some(order) = there.get(id) else {
                let what = "no longer has the order, or it cannot be read";
                outcomes.fail(at, self.exchange.fault(FaultKind::NotFound, what));
                continue;
            };
            match self.step(id, order, step).await {
                Ok(()) => {
                    outcomes.sent = true;
                    done.push((at, id));
                }
                Err(fault) => outcomes.call_failed(&[at], fault)?,
            }
        }
        let ids: Vec<RemoteId> = done.iter().map(|(_, id)| (*id).clone()).collect();
        let mut records: BTreeMap<RemoteId, Record> = BTreeMap::new();
        for (id, order) in self.orders_there(&ids).await.unwrap_or_default() {
            if let Ok(order) = map::order_of(order) {
                records.insert(id, Record::Order(Box::new(order)));
            }
        }
        for (at, id) in done {
            outcomes.done(at, id.clone(), records.get(id).cloned());
        }
        Ok(())
    }

    async fn step(
        &self,
        id: &RemoteId,
        order: &wire::Order,
        step: &OrderStep,
    ) -> Result<(), Fault> {
        match step {
            OrderStep::Pay => self.pay(id, order).await,
            OrderStep::Cancel => self.cancel(id, order).await,
            OrderStep::Ship {
                parcel,
                tracking,
                lines,
                ..
            } => {
                self.ship(id, order, parcel, tracking.as_deref(), lines)
                    .await
            }
            OrderStep::Edit { .. } | OrderStep::CancelUnits { .. } => Err(self.invalid(
                "lines",
                "takes no changes of an order's units from Lockstep: change them in the shop's own pages",
            )),
            OrderStep::Readdress => Err(self.invalid(
                "shipping_address",
                "takes no other address from Lockstep yet: enter it in the shop's own pages",
            )),
            OrderStep::Refund { .. } => Err(self.invalid(
                "refund",
                "takes no refunds and returns from Lockstep yet: enter it in the shop's own pages",
            )),
        }
    }

    async fn cancel(&self, id: &RemoteId, order: &wire::Order) -> Result<(), Fault> {
        if order.status == "canceled" {
            return Ok(());
        }
        let request = self.api().cancel_order(id);
        self.exchange.tell(request, Cost::repeatable()).await
    }

    async fn pay(&self, id: &RemoteId, order: &wire::Order) -> Result<(), Fault> {
        let collections = &order.payment_collections;
        let captured: Decimal = collections.iter().map(|c| c.captured_amount).sum();
        // What is due is told with every digit, what was paid to the cent.
        let currency = map::currency(&order.currency_code);
        let due = shown(order.total - captured, &currency);
        if due <= Decimal::ZERO {
            return Ok(());
        }
        // Money that is promised is taken; what nobody promised is marked as received.
        let promised = collections
            .iter()
            .flat_map(|collection| &collection.payments);
        let mut promised = promised.filter(|p| p.captured_at.is_none() && p.canceled_at.is_none());
        if let Some(payment) = promised.next() {
            let request = self.api().capture(&payment.id);
            return self.exchange.tell(request, Cost::once()).await;
        }
        let open = collections.iter().find(|collection| {
            collection.status == "not_paid" && shown(collection.amount, &currency) == due
        });
        let collection = match open {
            Some(collection) => collection.id.clone(),
            None => {
                let amount =
                    map::number("total", due).map_err(|why| self.unsayable("the payment", &why))?;
                let request = self.api().create_payment_collection(id, &amount);
                let made: wire::OnePaymentCollection =
                    self.exchange.call(request, Cost::once()).await?;
                made.payment_collection.id
            }
        };
        let request = self.api().mark_as_paid(&collection, id);
        self.exchange.tell(request, Cost::once()).await
    }

    async fn ship(
        &self,
        id: &RemoteId,
        order: &wire::Order,
        parcel: &RemoteId,
        tracking: Option<&str>,
        lines: &BTreeMap<RemoteId, Decimal>,
    ) -> Result<(), Fault> {
        let packed = order
            .fulfillments
            .iter()
            .find(|shipment| map::is_our_parcel(shipment, parcel));
        let (shipment, items) = match packed {
            Some(shipment) if shipment.shipped_at.is_some() => return Ok(()),
            Some(shipment) => {
                let items = shipment.items.iter().filter_map(|item| {
                    let units = map::number("quantity", item.quantity).ok()?;
                    Some(json!({ "id": item.line_item_id.as_ref()?, "quantity": units }))
                });
                (shipment.id.clone(), items.collect())
            }
            None => {
                let items = map::lines_to_ship(order, lines)
                    .map_err(|why| self.unsayable("the parcel", &why))?;
                if items.is_empty() {
                    return Ok(());
                }
                let shipment = self.pack(id, order, parcel, &items).await?;
                (shipment, items)
            }
        };
        let labels = tracking.map(|number| {
            // Where a parcel can be followed is not known here; the platform wants the fields all the same.
            json!({ "tracking_number": number, "tracking_url": "", "label_url": "" })
        });
        let body = json!({
            "items": items, "no_notification": true, "labels": labels.into_iter().collect::<Vec<_>>(),
        });
        let request = self.api().ship_fulfillment(id, &shipment, &body);
        self.exchange.tell(request, Cost::once()).await
    }

    async fn pack(
        &self,
        id: &RemoteId,
        order: &wire::Order,
        parcel: &RemoteId,
        items: &[serde_json::Value],
    ) -> Result<String, Fault> {
        let mut body = json!({
            "items": items, "no_notification": true, "metadata": { map::PARCEL: parcel },
        });
        // From where the units are reserved, which need not be the location that is kept in step.
        let location = match map::location_of(order, items) {
            Some(location) => Some(location),
            None => self.home().await?,
        };
        if let (Some(location), Some(body)) = (location, body.as_object_mut()) {
            body.insert("location_id".into(), json!(location));
        }
        let request = self.api().create_fulfillment(id, &body);
        let answer: wire::OrderShipments = self.exchange.call(request, Cost::once()).await?;
        let known: Vec<&str> = order.fulfillments.iter().map(|s| s.id.as_str()).collect();
        let mut new = answer.order.fulfillments.into_iter();
        let new = new.find(|shipment| !known.contains(&shipment.id.as_str()));
        new.map(|shipment| shipment.id).ok_or_else(|| {
            let what = "packed the parcel and did not say what it is called there";
            self.exchange.fault(FaultKind::UnknownOutcome, what)
        })
    }
}
