//! What each step of an order does to the level of a line's SKU, and how much of the level that line takes.
//! Pure arithmetic over one line: no SQL, no clock, no money.
//!
//! The law, held by a property below: no event of an order changes `available + Σ taken`. Only writes of stock do.
//!
//! ```text
//!             placement   payment          reserve            shipment    never
//! place       out += n    –                reserved += n      –           –
//! pay         –           out += open      –                  –           –
//! ship        –           out += n if      reserved −= n      out += n    –
//!                         not paid yet     out += n
//! put back    what the units held is given back
//! not put back  what they held stays gone; a reservation is written off (reserved −= n, out += n)
//! ```

use serde::{Deserialize, Serialize};

/// When an order lowers stock: for the shop's own checkout and for orders made by the API alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// As soon as it is placed.
    Placement,
    /// When it is paid (or shipped unpaid).
    Payment,
    /// Reserved when placed; reservation and units both go at shipment.
    Reserve,
    /// When it is shipped.
    Shipment,
    /// Never: somebody else keeps the stock.
    Never,
}

impl std::str::FromStr for Takes {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "placement" => Ok(Self::Placement),
            "payment" => Ok(Self::Payment),
            "reserve" => Ok(Self::Reserve),
            "shipment" => Ok(Self::Shipment),
            "never" => Ok(Self::Never),
            other => Err(format!(
                "“{other}” is no time to take stock; say placement, payment, reserve, shipment or never"
            )),
        }
    }
}

impl std::fmt::Display for Takes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Placement => "placement",
            Self::Payment => "payment",
            Self::Reserve => "reserve",
            Self::Shipment => "shipment",
            Self::Never => "never",
        })
    }
}

/// The units of one order line. Every field is ≥ 0, and `shipped + cancelled ≤ quantity`, `returned ≤ shipped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    pub quantity: i64,
    pub shipped: i64,
    pub cancelled: i64,
    pub returned: i64,
    /// Units by which the line has lowered `on_hand` and not given back.
    pub out: i64,
    /// Units by which the line raises `reserved` now.
    pub reserved: i64,
}

impl Units {
    /// The units by which this line lowers `available` now.
    pub fn taken(&self) -> i64 {
        self.out + self.reserved
    }

    /// Neither shipped nor cancelled yet.
    pub fn open(&self) -> i64 {
        self.quantity - self.shipped - self.cancelled
    }

    /// Shipped and not come back.
    pub fn away(&self) -> i64 {
        self.shipped - self.returned
    }
}

/// One step of one line. `paid` is whether the order is paid before the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The line comes into being, or grows, by `n` units.
    Place { n: i64 },
    /// The order is paid.
    Pay,
    /// `n` open units leave.
    Ship { n: i64 },
    /// `n` open units will not be delivered.
    Cancel { n: i64, restock: bool },
    /// The line shrinks by `n` open units, as if they had never been ordered.
    Shrink { n: i64 },
    /// `n` shipped units come back.
    Return { n: i64, restock: bool },
}

/// What the level of the line's SKU and stock is moved by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Movement {
    pub on_hand: i64,
    pub reserved: i64,
}

/// Why an event cannot happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Units must be more than nothing.
    NotPositive,
    /// Only so many units are in the state that the event starts from.
    TooMany { at_most: i64 },
}

/// Where the open units of a line stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Out,
    Reserved,
    Nowhere,
}

fn held_while_open(takes: Takes, paid: bool) -> Held {
    match takes {
        Takes::Placement => Held::Out,
        Takes::Payment if paid => Held::Out,
        Takes::Reserve => Held::Reserved,
        Takes::Payment | Takes::Shipment | Takes::Never => Held::Nowhere,
    }
}

/// The one table: (when stock is taken, was it paid, the line, what happens) → (the line after, what the level moves by).
pub fn step(
    takes: Takes,
    paid: bool,
    before: Units,
    event: Event,
) -> Result<(Units, Movement), Refused> {
    let mut after = before;
    let held = held_while_open(takes, paid);
    match event {
        Event::Place { n } => {
            within(n, i64::MAX)?;
            after.quantity += n;
            hold(&mut after, held, n);
        }
        Event::Pay => {
            if !paid && takes == Takes::Payment {
                after.out += before.open();
            }
        }
        Event::Ship { n } => {
            within(n, before.open())?;
            after.shipped += n;
            if held == Held::Reserved {
                after.reserved -= n;
            }
            if held != Held::Out && takes != Takes::Never {
                after.out += n;
            }
        }
        Event::Cancel { n, restock } => {
            within(n, before.open())?;
            after.cancelled += n;
            if restock {
                hold(&mut after, held, -n);
            } else if held == Held::Reserved {
                after.reserved -= n;
                after.out += n;
            }
        }
        Event::Shrink { n } => {
            within(n, before.open())?;
            after.quantity -= n;
            hold(&mut after, held, -n);
        }
        Event::Return { n, restock } => {
            within(n, before.away())?;
            after.returned += n;
            if restock && takes != Takes::Never {
                after.out -= n;
            }
        }
    }
    let movement = Movement {
        on_hand: before.out - after.out,
        reserved: after.reserved - before.reserved,
    };
    Ok((after, movement))
}

fn within(n: i64, at_most: i64) -> Result<(), Refused> {
    if n <= 0 {
        Err(Refused::NotPositive)
    } else if n > at_most {
        Err(Refused::TooMany { at_most })
    } else {
        Ok(())
    }
}

fn hold(units: &mut Units, held: Held, n: i64) {
    match held {
        Held::Out => units.out += n,
        Held::Reserved => units.reserved += n,
        Held::Nowhere => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Takes; 5] = [
        Takes::Placement,
        Takes::Payment,
        Takes::Reserve,
        Takes::Shipment,
        Takes::Never,
    ];

    /// Plays events on a level of 10 and says `on_hand/reserved/taken` after each.
    fn story(takes: Takes, events: &[Event]) -> String {
        let (mut units, mut paid) = (Units::default(), false);
        let (mut on_hand, mut reserved) = (10, 0);
        let mut told = Vec::new();
        for event in events {
            let (after, movement) = step(takes, paid, units, *event).unwrap();
            units = after;
            paid |= *event == Event::Pay;
            on_hand += movement.on_hand;
            reserved += movement.reserved;
            told.push(format!("{on_hand}/{reserved}/{}", units.taken()));
        }
        told.join(" ")
    }

    #[test]
    fn a_sale_that_is_paid_shipped_and_returned_moves_the_level_at_its_step() {
        let events = [
            Event::Place { n: 3 },
            Event::Pay,
            Event::Ship { n: 2 },
            Event::Return {
                n: 1,
                restock: true,
            },
            Event::Cancel {
                n: 1,
                restock: true,
            },
        ];
        let told: Vec<String> = ALL.iter().map(|takes| story(*takes, &events)).collect();
        assert_eq!(
            told,
            [
                "7/0/3 7/0/3 7/0/3 8/0/2 9/0/1",
                "10/0/0 7/0/3 7/0/3 8/0/2 9/0/1",
                "10/3/3 10/3/3 8/1/3 9/1/2 9/0/1",
                "10/0/0 10/0/0 8/0/2 9/0/1 9/0/1",
                "10/0/0 10/0/0 10/0/0 10/0/0 10/0/0",
            ]
        );
    }

    #[test]
    fn an_unpaid_shipment_takes_at_shipment_and_its_payment_takes_only_the_rest() {
        let events = [Event::Place { n: 3 }, Event::Ship { n: 2 }, Event::Pay];
        assert_eq!(story(Takes::Payment, &events), "10/0/0 8/0/2 7/0/3");
    }

    #[test]
    fn units_that_are_not_put_back_stay_taken() {
        let events = [
            Event::Place { n: 3 },
            Event::Pay,
            Event::Cancel {
                n: 1,
                restock: false,
            },
            Event::Ship { n: 2 },
            Event::Return {
                n: 2,
                restock: false,
            },
        ];
        assert_eq!(
            story(Takes::Placement, &events),
            "7/0/3 7/0/3 7/0/3 7/0/3 7/0/3"
        );
        assert_eq!(
            story(Takes::Payment, &events),
            "10/0/0 7/0/3 7/0/3 7/0/3 7/0/3"
        );
        assert_eq!(
            story(Takes::Reserve, &events),
            "10/3/3 10/3/3 9/2/3 7/0/3 7/0/3"
        );
        assert_eq!(
            story(Takes::Shipment, &events),
            "10/0/0 10/0/0 10/0/0 8/0/2 8/0/2"
        );
    }

    #[test]
    fn an_edited_line_holds_what_it_now_says() {
        let events = [
            Event::Place { n: 1 },
            Event::Place { n: 2 },
            Event::Shrink { n: 1 },
        ];
        assert_eq!(story(Takes::Placement, &events), "9/0/1 7/0/3 8/0/2");
        assert_eq!(story(Takes::Reserve, &events), "10/1/1 10/3/3 10/2/2");
        assert_eq!(story(Takes::Payment, &events), "10/0/0 10/0/0 10/0/0");
    }

    #[test]
    fn more_units_than_there_are_cannot_be_shipped_cancelled_or_returned() {
        let (placed, _) = step(
            Takes::Placement,
            false,
            Units::default(),
            Event::Place { n: 2 },
        )
        .unwrap();
        for event in [
            Event::Ship { n: 3 },
            Event::Cancel {
                n: 3,
                restock: true,
            },
            Event::Shrink { n: 3 },
        ] {
            assert_eq!(
                step(Takes::Placement, false, placed, event),
                Err(Refused::TooMany { at_most: 2 })
            );
        }
        assert_eq!(
            step(
                Takes::Placement,
                false,
                placed,
                Event::Return {
                    n: 1,
                    restock: true
                }
            ),
            Err(Refused::TooMany { at_most: 0 })
        );
        assert_eq!(
            step(Takes::Placement, false, placed, Event::Ship { n: 0 }),
            Err(Refused::NotPositive)
        );
    }

    fn any_event() -> impl Strategy<Value = (usize, Event)> {
        let event = prop_oneof![
            (1i64..5).prop_map(|n| Event::Place { n }),
            Just(Event::Pay),
            (1i64..5).prop_map(|n| Event::Ship { n }),
            (1i64..5, any::<bool>()).prop_map(|(n, restock)| Event::Cancel { n, restock }),
            (1i64..5).prop_map(|n| Event::Shrink { n }),
            (1i64..5, any::<bool>()).prop_map(|(n, restock)| Event::Return { n, restock }),
        ];
        (0usize..4, event)
    }

    proptest! {
        /// Receipts and orders in any order: what can be sold plus what the lines take is what was put in.
        #[test]
        fn available_and_taken_add_up_to_opening_and_receipts(
            takes in prop::sample::select(ALL.to_vec()),
            opening in 0i64..50,
            steps in prop::collection::vec((any_event(), 0i64..4), 0..60),
        ) {
            let mut lines = [(Units::default(), false); 4];
            let (mut on_hand, mut reserved, mut put_in) = (opening, 0i64, opening);
            for ((index, event), receipt) in steps {
                on_hand += receipt;
                put_in += receipt;
                let (units, paid) = lines[index];
                if let Ok((after, movement)) = step(takes, paid, units, event) {
                    lines[index] = (after, paid || event == Event::Pay);
                    on_hand += movement.on_hand;
                    reserved += movement.reserved;
                }
                let taken: i64 = lines.iter().map(|(units, _)| units.taken()).sum();
                prop_assert_eq!(on_hand - reserved + taken, put_in);
                prop_assert_eq!(reserved, lines.iter().map(|(units, _)| units.reserved).sum::<i64>());
                for (units, _) in lines {
                    prop_assert!(units.out >= 0 && units.reserved >= 0 && units.open() >= 0 && units.away() >= 0);
                    prop_assert!(units.taken() <= units.quantity);
                }
            }
        }

        /// When all that was ordered is cancelled or comes back and is put back, the order takes nothing.
        #[test]
        fn an_order_that_is_undone_takes_nothing(
            takes in prop::sample::select(ALL.to_vec()),
            n in 1i64..20, shipped in 0i64..20, paid in any::<bool>(),
        ) {
            let shipped = shipped.min(n);
            let mut events = vec![Event::Place { n }];
            if paid { events.push(Event::Pay); }
            if shipped > 0 { events.push(Event::Ship { n: shipped }); }
            if n > shipped { events.push(Event::Cancel { n: n - shipped, restock: true }); }
            if shipped > 0 { events.push(Event::Return { n: shipped, restock: true }); }
            let (mut units, mut is_paid, mut level) = (Units::default(), false, 0);
            for event in events {
                let (after, movement) = step(takes, is_paid, units, event).unwrap();
                units = after;
                is_paid |= event == Event::Pay;
                level += movement.on_hand - movement.reserved;
            }
            prop_assert_eq!((units.taken(), level), (0, 0));
        }
    }
}
