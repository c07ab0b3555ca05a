//! Levels of a Medusa shop. Pure.
//!
//! A variant's stock is not its own: it hangs on inventory items, usually one, which is first called like the variant and
//! is not renamed with it. A kit hangs on several, or takes several units of one:
//!
//! ```text
//! variant MUG-PAIR ── 2 × item MUG ── main: 29 there, 4 reserved  → 12 pairs
//!                                     outlet: 9 there, 0 reserved → 4 pairs
//! ```

use super::map::{bad, read};
use super::wire;
use lockstep_model::{BadRecord, ItemId, Level, Named, RemoteId, Sku};
use rust_decimal::Decimal;
use std::fmt;

/// What `Level::version` says of a level that is there. Nothing to compare with: it tells "update" from "create".
pub(super) const THERE: &str = "there";

/// What is written for a level: the item, and how many of its units make one of the variant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub item: String,
    pub units_each: Decimal,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.units_each == Decimal::ONE {
            f.write_str(&self.item)
        } else {
            write!(f, "{} {}", self.units_each.normalize(), self.item)
        }
    }
}

impl Part {
    /// How many of the variant's units these of the item hold. What is left over holds one more: it cannot be sold.
    fn held(&self, of_item: Decimal) -> Decimal {
        if self.units_each == Decimal::ONE {
            return of_item;
        }
        of_item
            .checked_div(self.units_each)
            .unwrap_or_default()
            .ceil()
    }

    pub fn parse(id: &RemoteId) -> Option<Self> {
        let (units_each, item) = match id.as_str().split_once(' ') {
            Some((units, item)) => (units.parse().ok()?, item),
            None => (Decimal::ONE, id.as_str()),
        };
        Some(Self {
            item: item.to_owned(),
            units_each,
        })
    }
}

/// The levels of a variant in each of the shop's locations. Where one is missing it is told as one of 0 that can be made,
/// for any of them may stand for a stock of ours.
pub(super) fn levels(raw: &str, stocks: &[Named]) -> Result<Vec<Level>, BadRecord> {
    let variant = read::<wire::Stocked>(raw).map_err(|reason| bad(raw, reason))?;
    // Of a variant without a SKU nothing can be said; its product is told as a bad record.
    let Some(sku) = variant.sku.as_deref().filter(|sku| !sku.trim().is_empty()) else {
        return Ok(Vec::new());
    };
    // What is not counted is always there.
    if !variant.manage_inventory {
        return Ok(Vec::new());
    }
    let of = Of {
        variant: Some(RemoteId(variant.id.clone())),
        sku: Sku::from(sku),
    };
    let of = &of;
    let links = variant.inventory_items.iter();
    let parts: Option<Vec<(Decimal, &wire::InventoryItem)>> = links
        .map(|link| {
            let units = link.required_quantity;
            let item = link.inventory.as_ref()?;
            (units > Decimal::ZERO).then_some((units, item))
        })
        .collect();
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return Ok(Vec::new());
    };
    let levels = match parts.as_slice() {
        [(units, item)] if item.variants.len() <= 1 => {
            let part = Part {
                item: item.id.clone(),
                units_each: *units,
            };
            let there = item.location_levels.iter();
            let there = there.map(|level| Level {
                set_aside: part.held(level.reserved_quantity)
                    - part.held(level.reserved_quantity - item.by_hand(&level.location_id)),
                ..level_of(of, &part, level)
            });
            let missing = stocks.iter().filter(|stock| {
                let mut there = item.location_levels.iter();
                there.all(|level| level.location_id != stock.id.0)
            });
            let missing = missing.map(|stock| Level {
                inventory: Some(RemoteId(part.to_string())),
                ..empty(of, stock.id.as_str())
            });
            there.chain(missing).collect()
        }
        _ => kit(of, &parts, stocks),
    };
    Ok(levels)
}

/// What a level is of.
pub(super) struct Of {
    variant: Option<RemoteId>,
    sku: Sku,
}

impl From<&Level> for Of {
    fn from(level: &Level) -> Self {
        Self {
            variant: level.variant.clone(),
            sku: level.sku.clone(),
        }
    }
}

fn empty(of: &Of, stock: &str) -> Level {
    Level {
        item: ItemId::default(),
        sku: of.sku.clone(),
        stock: stock.into(),
        variant: of.variant.clone(),
        inventory: None,
        on_hand: Decimal::ZERO,
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: None,
        location: None,
        modified_at: None,
    }
}

pub(super) fn level_of(of: &Of, part: &Part, level: &wire::LocationLevel) -> Level {
    let (stocked, reserved) = (level.stocked_quantity, level.reserved_quantity);
    let held = part.held(reserved);
    let on_hand = if part.units_each == Decimal::ONE {
        stocked
    } else {
        let left = (stocked - reserved).checked_div(part.units_each);
        left.unwrap_or_default().floor() + held
    };
    Level {
        inventory: Some(RemoteId(part.to_string())),
        on_hand,
        reserved: held,
        version: Some(THERE.into()),
        modified_at: level.updated_at,
        ..empty(of, &level.location_id)
    }
}

/// As many as its scarcest part allows. It cannot be written: the parts are others' too.
fn kit(of: &Of, parts: &[(Decimal, &wire::InventoryItem)], stocks: &[Named]) -> Vec<Level> {
    let at = |stock: &Named| {
        let left = parts.iter().map(|(units, item)| {
            let mut levels = item.location_levels.iter();
            let level = levels.find(|level| level.location_id == stock.id.0);
            let left = level.map_or(Decimal::ZERO, |level| {
                level.stocked_quantity - level.reserved_quantity
            });
            left.checked_div(*units).unwrap_or_default().floor()
        });
        Level {
            on_hand: left.min().unwrap_or_default(),
            version: Some(THERE.into()),
            ..empty(of, stock.id.as_str())
        }
    };
    stocks.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn item(id: &str, at: &[(&str, i64, i64)], variants: usize) -> Value {
        let levels: Vec<Value> = at
            .iter()
            .map(|(stock, there, reserved)| {
                json!({ "location_id": stock, "stocked_quantity": there, "reserved_quantity": reserved })
            })
            .collect();
        let variants: Vec<Value> = (0..variants)
            .map(|nth| json!({ "id": nth.to_string() }))
            .collect();
        json!({ "id": id, "sku": "old name", "location_levels": levels, "variants": variants })
    }

    fn shown(items: Value) -> Vec<String> {
        let row =
            json!({ "id": "v", "sku": "NEW", "manage_inventory": true, "inventory_items": items });
        let stocks = ["main", "outlet"].map(|id| Named {
            id: id.into(),
            name: id.to_owned(),
        });
        let levels = levels(&row.to_string(), &stocks).unwrap();
        let levels = levels.iter().map(|level| {
            let item = level
                .inventory
                .as_ref()
                .map_or("not to be written", RemoteId::as_str);
            let there = level.version.as_deref().unwrap_or("missing");
            let (sku, stock, held, left) =
                (&level.sku, &level.stock, level.reserved, level.available());
            format!("{sku} {stock}: {left} + {held} held, {there}, {item}")
        });
        levels.collect()
    }

    /// The item keeps its name when the variant is renamed.
    #[test]
    fn m5_a_level_is_that_of_the_variant_s_item_whatever_it_is_called() {
        let one =
            json!([{ "required_quantity": 1, "inventory": item("i1", &[("outlet", 36, 1)], 1) }]);
        assert_eq!(
            shown(one),
            [
                "NEW outlet: 35 + 1 held, there, i1",
                "NEW main: 0 + 0 held, missing, i1"
            ]
        );
    }

    #[test]
    fn m5_a_kit_has_as_many_as_its_scarcest_part_allows() {
        let own = json!([{ "required_quantity": 2, "inventory": item("i1", &[("main", 41, 3), ("outlet", 5, 1)], 1) }]);
        assert_eq!(
            shown(own),
            [
                "NEW main: 19 + 2 held, there, 2 i1",
                "NEW outlet: 2 + 1 held, there, 2 i1"
            ]
        );
        let others = json!([
            { "required_quantity": 2, "inventory": item("i1", &[("main", 41, 3)], 2) },
            { "required_quantity": 1, "inventory": item("i2", &[("main", 7, 0)], 1) },
        ]);
        assert_eq!(
            shown(others),
            [
                "NEW main: 7 + 0 held, there, not to be written",
                "NEW outlet: 0 + 0 held, there, not to be written"
            ]
        );
    }

    /// Two for a buyer and three for a fair: an order's are told by the order, the others by nobody else.
    #[test]
    fn m13_what_no_order_line_holds_is_told_as_set_aside() {
        let mut mug = item("i1", &[("main", 20, 5), ("outlet", 9, 1)], 1);
        mug["reservation_items"] = json!([
            { "location_id": "main", "quantity": 2, "line_item_id": "line" },
            { "location_id": "main", "quantity": 3, "line_item_id": null },
            { "location_id": "outlet", "quantity": 1 },
        ]);
        let stocks = ["main", "outlet"].map(|id| Named {
            id: id.into(),
            name: id.to_owned(),
        });
        for (units, expected) in [(1, [(5, 3), (1, 1)]), (2, [(3, 2), (1, 1)])] {
            let row = json!({ "id": "v", "sku": "MUG", "manage_inventory": true,
                "inventory_items": [{ "required_quantity": units, "inventory": mug }] });
            let levels = levels(&row.to_string(), &stocks).unwrap();
            let told: Vec<_> = levels
                .iter()
                .map(|level| (level.reserved, level.set_aside))
                .collect();
            assert_eq!(
                told,
                expected.map(|(held, by_hand)| (held.into(), by_hand.into()))
            );
        }
    }

    #[test]
    fn what_is_written_survives_its_name() {
        for (item, units_each) in [("i1", 1), ("i1", 2)] {
            let part = Part {
                item: item.into(),
                units_each: units_each.into(),
            };
            assert_eq!(Part::parse(&RemoteId(part.to_string())), Some(part.clone()));
        }
    }
}
