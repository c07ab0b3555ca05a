//! A level as the wire has it, and what a write may do to it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::catalogue::product::said;
use crate::bounds;
use crate::catalogue::text::check_label;
use crate::problem::{Code, Problem};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    pub variant_id: String,
    pub sku: String,
    pub stock: String,
    /// Available: what can still be sold.
    pub quantity: i64,
    pub on_hand: i64,
    pub reserved: i64,
    pub location: Option<String>,
    pub rev: i64,
    pub modified_at: String,
    #[serde(skip)]
    pub row: i64,
    #[serde(skip)]
    pub backorder: bool,
}

/// A write of one level: absolute or relative, guarded or not.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelInput {
    pub sku: Option<String>,
    pub stock: Option<String>,
    pub on_hand: Option<i64>,
    pub delta: Option<i64>,
    pub if_rev: Option<i64>,
    #[serde(deserialize_with = "said")]
    pub location: Option<Option<String>>,
}

impl Level {
    /// What the level is after the write. Its revision and time are the caller's.
    pub fn written(&self, input: &LevelInput) -> Result<Self, Problem> {
        if let Some(rev) = input.if_rev
            && rev != self.rev
        {
            return Err(Problem::new(
                Code::Stale,
                format!(
                    "The level of “{}” in {} is at revision {}, not {rev}.",
                    self.sku, self.stock, self.rev
                ),
            )
            .with("current", json!(self)));
        }
        let on_hand = match (input.on_hand, input.delta) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("delta", "Say on_hand or delta, not both."));
            }
            (Some(on_hand), None) => on_hand,
            (None, Some(delta)) => self
                .on_hand
                .checked_add(delta)
                .ok_or_else(|| Problem::invalid("delta", "No shop holds so many units."))?,
            (None, None) if input.location.is_none() => {
                return Err(Problem::invalid(
                    "on_hand",
                    "Say on_hand, delta or location.",
                ));
            }
            (None, None) => self.on_hand,
        };
        if on_hand.abs() > bounds::QUANTITY_MAX {
            let field = if input.delta.is_some() {
                "delta"
            } else {
                "on_hand"
            };
            return Err(Problem::invalid(field, "No shop holds so many units."));
        }
        if on_hand < 0 && on_hand < self.on_hand && !self.backorder {
            return Err(Problem::new(
                Code::NegativeStock,
                format!(
                    "“{}” in {} would have {on_hand} units, and is not for back-order.",
                    self.sku, self.stock
                ),
            )
            .with("current", json!(self)));
        }
        let mut after = self.clone();
        after.on_hand = on_hand;
        after.quantity = on_hand - self.reserved;
        if let Some(location) = &input.location {
            if let Some(location) = location {
                check_label("location", location)?;
            }
            after.location = location.clone();
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(on_hand: i64, reserved: i64, backorder: bool) -> Level {
        Level {
            variant_id: "v1".into(),
            sku: "A".into(),
            stock: "main".into(),
            quantity: on_hand - reserved,
            on_hand,
            reserved,
            location: None,
            rev: 3,
            modified_at: String::new(),
            row: 1,
            backorder,
        }
    }

    fn write(level: &Level, body: serde_json::Value) -> Result<(i64, i64), &'static str> {
        level
            .written(&serde_json::from_value(body).unwrap())
            .map(|after| (after.on_hand, after.quantity))
            .map_err(|problem| problem.code.text())
    }

    #[test]
    fn a_level_is_written_by_the_three_ways() {
        let level = level(9, 2, false);
        for (body, after) in [
            (json!({"on_hand": 5}), Ok((5, 3))),
            (json!({"delta": -4}), Ok((5, 3))),
            (json!({"on_hand": 5, "if_rev": 3}), Ok((5, 3))),
            (json!({"on_hand": 5, "if_rev": 2}), Err("stale")),
            (json!({"delta": 1, "if_rev": 2}), Err("stale")),
            (json!({"on_hand": 1, "delta": 1}), Err("invalid")),
            (json!({}), Err("invalid")),
            (json!({"location": "A-1"}), Ok((9, 7))),
            (json!({"delta": -10}), Err("negative_stock")),
            (json!({"on_hand": -1}), Err("negative_stock")),
            (json!({"delta": i64::MAX}), Err("invalid")),
        ] {
            assert_eq!(write(&level, body.clone()), after, "{body}");
        }
    }

    #[test]
    fn only_back_order_goes_below_zero_by_a_write_and_an_oversold_level_may_recover() {
        assert_eq!(
            write(&level(1, 0, true), json!({"delta": -3})),
            Ok((-2, -2))
        );
        assert_eq!(
            write(&level(-3, 0, false), json!({"delta": 1})),
            Ok((-2, -2))
        );
        assert_eq!(
            write(&level(-3, 0, false), json!({"delta": -1})),
            Err("negative_stock")
        );
    }
}
