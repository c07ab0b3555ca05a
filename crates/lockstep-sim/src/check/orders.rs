//! No order lost, none doubled, both sides in the same state.

use super::Waiting;
use crate::coordinator::later;
use crate::scenario::ERP;
use crate::shop::{Line, Placed};
use crate::sim::Sim;
use crate::topics::Topic;
use crate::world::{Life, World, key_of};
use lockstep_model::RemoteId;

/// From the reading that shows an order to its copy, with slow pages, suspended machines and cuts between.
const ON_ITS_WAY_MS: i64 = 180_000;

/// At any time.
pub fn never_doubled(lives: &[Life<'_>]) -> Vec<String> {
    lives
        .iter()
        .filter(|life| life.copies.len() > 1)
        .map(|life| {
            format!(
                "order {} of shop {} has {} copies",
                life.id,
                life.shop,
                life.copies.len()
            )
        })
        .collect()
}

pub fn states(lives: &[Life<'_>], sim: &Sim, world: &World, waiting: &Waiting) -> Vec<String> {
    let mut found = Vec::new();
    for (shop, state) in &sim.shops {
        for (id, order) in &state.orders {
            match &order.key {
                None if !world.bought.contains(&(*shop, id.clone())) => {
                    found.push(format!("nobody bought order {id} in shop {shop}"));
                }
                Some(_) if *shop != ERP => {
                    found.push(format!("a copy was made in shop {shop}, which gets none"));
                }
                _ => {}
            }
        }
    }
    let known: Vec<String> = lives
        .iter()
        .map(|life| key_of(life.shop, life.id))
        .collect();
    for (id, copy) in &sim.shops[&ERP].orders {
        if let Some(key) = &copy.key
            && !known.contains(key)
        {
            found.push(format!(
                "copy {id} in the ERP is of order {key}, which nobody placed"
            ));
        }
    }
    for life in lives.iter().filter(|life| life.shop != ERP) {
        let name = format!("order {} of shop {}", life.id, life.shop);
        let (origin, key) = (life.origin, key_of(life.shop, life.id));
        let crosses = world.terms.opens_for(life.shop, origin)
            && !world.terms.is_before_opening(life.shop, origin);
        // Cancelled, it may or may not have crossed before; in doubt where nobody can tell, a person has to say.
        // Nor does one of which all money was given back before anything had left.
        let is_paid_back = !origin.any_shipped() && origin.refunded() >= origin.total;
        let may_be_missing = origin.cancelled || is_paid_back || waiting.doubtful.contains(&key);
        if crosses && life.copies.is_empty() && !may_be_missing {
            found.push(format!(
                "{name} crosses ({:?}) and has no copy in the ERP",
                origin.payment
            ));
        }
        if life.is_contradictory() {
            continue;
        }
        for copy in &life.copies {
            let sides = [
                ("cancelled", origin.cancelled, copy.cancelled),
                ("paid", origin.is_paid(), copy.is_paid()),
            ];
            // Nobody pays for what both have cancelled.
            let over = origin.cancelled && copy.cancelled;
            for (what, there, here) in sides {
                if there != here && !over {
                    found.push(format!("{name}: {what} {there} there, {here} in the ERP"));
                }
            }
            let asked = waiting.asked.contains(&key);
            let is_open = !origin.any_shipped() && !copy.any_shipped();
            let is_carried = is_open && sim.shops[&ERP].traits.readdresses;
            if origin.address != copy.address
                && !origin.cancelled
                && sim.keys_lost_at < origin.placed_at
                && (is_carried || !waiting.asked_where.contains(&key))
            {
                let (there, here) = (origin.address, copy.address);
                found.push(format!(
                    "{name}: goes to {there} there, to {here} in the ERP"
                ));
            }
            let every_parcel = world.topics.has(Topic::Parcels);
            let gives_back = [life.shop, ERP].map(|shop| sim.shops[&shop].traits.gives_back);
            let gives_back = gives_back == [true, true] && !life.is_taken_back_twice(world);
            found.extend(
                differences(origin, copy, asked, every_parcel, gives_back)
                    .into_iter()
                    .map(|what| format!("{name}: {what} in the ERP")),
            );
        }
    }
    found
}

/// An order that has no business in the ERP. At any time: what opens its gate is never taken back.
pub fn crossed_too_early(lives: &[Life<'_>], world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for life in lives {
        let name = format!("order {} of shop {}", life.id, life.shop);
        if life.copies.is_empty() {
            continue;
        }
        if world.terms.is_before_opening(life.shop, life.origin) {
            found.push(format!(
                "{name} is older than the date it crosses from, and has a copy"
            ));
        }
        let paid_back = world.paid_back.get(&(life.shop, life.id.clone()));
        if let Some(at) = paid_back.filter(|_| !life.origin.any_shipped()) {
            let made = life.copies.iter().map(|copy| copy.placed_at);
            if made.max() > Some(later(*at, ON_ITS_WAY_MS)) {
                found.push(format!(
                    "{name} has a copy that was made after all its money was given back"
                ));
            }
        }
        if !world.terms.opens_for(life.shop, life.origin) {
            let (state, gate) = (life.origin.payment, world.terms.gates.get(&life.shop));
            found.push(format!(
                "{name} has a copy, is {state:?} and crosses when {gate:?}"
            ));
        }
    }
    found
}

/// What the copy has otherwise than its origin: lines and their units, parcels, sums. `asked`: somebody was asked about
/// the units, and until they have answered one side may be unable to do what the other did.
fn differences(
    origin: &Placed,
    copy: &Placed,
    asked: bool,
    every_parcel: bool,
    gives_back: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for line in &origin.lines {
        let name = match &line.sku {
            Some(sku) => format!("line {} ({sku})", line.id),
            None => format!("line {} (no item)", line.id),
        };
        let Some(twin) = Life::line_of(copy, line) else {
            found.push(format!("{name} is not"));
            continue;
        };
        if twin.sku != line.sku || twin.unit_price != line.unit_price {
            let (sku, price) = (&twin.sku, twin.unit_price);
            found.push(format!(
                "{name} at {} is {sku:?} at {price}",
                line.unit_price
            ));
        }
        let counts = [
            (
                "ordered",
                line.quantity - line.cancelled,
                twin.quantity - twin.cancelled,
            ),
            ("shipped", line.shipped, twin.shipped),
            ("returned", line.returned, twin.returned),
            ("not put back", line.broken, twin.broken),
        ];
        for (what, there, here) in counts {
            // A shop that puts nothing back does not say what was broken.
            let is_told = gives_back || what != "not put back";
            if there != here && !origin.cancelled && !asked && is_told {
                found.push(format!("{name}: {there} {what} there, {here}"));
            }
        }
    }
    let lines = |order: &Placed, id: &dyn Fn(&Line) -> RemoteId| -> Vec<String> {
        let mut parcels: Vec<String> = order
            .parcels
            .iter()
            .map(|parcel| {
                let mut units: Vec<String> = order
                    .lines
                    .iter()
                    .filter_map(|line| Some((line, parcel.lines.get(&line.id)?)))
                    .map(|(line, units)| format!("{units} of {}", id(line)))
                    .collect();
                units.sort();
                let carrier = parcel.carrier.as_deref().unwrap_or_default();
                let tracking = parcel.tracking.as_deref().unwrap_or_default();
                format!("{carrier} {tracking}: {}", units.join(", "))
            })
            .collect();
        parcels.sort();
        parcels
    };
    let there = lines(origin, &|line| line.id.clone());
    let here = lines(copy, &|line| line.origin.clone().unwrap_or_default());
    // Packed by people of both sides at once, it has left twice as far as anybody can know.
    let packed = |order: &Placed| {
        order
            .parcels
            .iter()
            .filter(|parcel| parcel.of.is_none())
            .count()
    };
    let (packed_there, packed_here) = (packed(origin), packed(copy));
    let is_plain = packed_there + packed_here < 2 || every_parcel;
    if there != here && is_plain && !asked && (packed_there == 0 || packed_here == 0) {
        found.push(format!("parcels {there:?} there, {here:?}"));
    }
    let (there, here) = (origin.refunded(), copy.refunded());
    if there != here && !asked {
        found.push(format!("{there} given back there, {here}"));
    }
    if copy.total != origin.total {
        found.push(format!("{} in all there, {}", origin.total, copy.total));
    }
    let (there, here) = (origin.tax_by_rate(), copy.tax_by_rate());
    if there != here {
        found.push(format!("tax {there:?} there, {here:?}"));
    }
    found
}
