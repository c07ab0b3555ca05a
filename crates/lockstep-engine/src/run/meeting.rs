//! First meetings. A shop that is connected is read before anything is written to it: if it has products of its own, a
//! person looks at what would be written, and accepts; if it has none, it is written to at once.

use super::Run;
use crate::customer::{Effect, Shared};
use crate::rules::Rules;
use lockstep_model::cases::Also;
use lockstep_model::entry::{Again, Body, Conflict, Subject};
use lockstep_model::settings::FirstMeeting;
use lockstep_model::{Flow, Kind, ShopId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rules that a run goes by: no shop is written to that was not met, or not accepted. What is only planned shows what
/// would be written to every shop. With them the shops that are still to be met.
pub(crate) fn rules_of(
    rules: &Arc<Rules>,
    shared: &Shared,
    dry: bool,
) -> (Arc<Rules>, BTreeSet<ShopId>) {
    if dry {
        let mut shown = Arc::clone(rules);
        if rules.shops.values().any(|shop| shop.read_only) {
            for shop in Arc::make_mut(&mut shown).shops.values_mut() {
                shop.read_only = false;
            }
        }
        return (shown, BTreeSet::new());
    }
    let unmet: BTreeSet<ShopId> = rules
        .shops
        .iter()
        .filter(|(shop, each)| {
            let is_read = each.abilities.pages.contains_key(&Kind::Product)
                && rules.flow_is_on(Flow::Products);
            is_read
                && each.link.first_meeting == FirstMeeting::Ask
                && !each.read_only
                && rules.catalogue_owner() != Some(**shop)
                && !shared.cursors.contains_key(&(**shop, Kind::Product))
                && !shared.meetings.accepted.contains(shop)
        })
        .map(|(shop, _)| *shop)
        .collect();
    let mut closed: BTreeSet<ShopId> = unmet.union(&shared.meetings.waiting).copied().collect();
    let shops = rules.shops.keys();
    closed.extend(shops.filter(|shop| !rules.unchosen(**shop).is_empty()));
    let mut kept = Arc::clone(rules);
    if closed.iter().any(|shop| rules.shops.contains_key(shop)) {
        for shop in closed {
            if let Some(each) = Arc::make_mut(&mut kept).shops.get_mut(&shop) {
                each.read_only = true;
            }
        }
    }
    (kept, unmet)
}

/// What was decided while a shop was only read left out its levels and orders.
pub(crate) fn due_in_trade() -> [Body; 2] {
    [Again::Levels, Again::Orders].map(|what| Body::DueAgain { what })
}

impl Run {
    pub fn meets(&mut self, unmet: BTreeSet<ShopId>) {
        self.unmet = unmet;
    }

    /// Before anything is read: what has to be chosen first, in the settings of shops that would be written to.
    pub(crate) fn ask_for_choices(&mut self, shared: &mut Shared, out: &mut Vec<Effect>) {
        if self.dry {
            return;
        }
        let mut bodies = Vec::new();
        let rules = Arc::clone(&self.rules);
        for shop in rules.shops.keys() {
            let what = rules.unchosen(*shop).into_iter();
            let what: Vec<String> = what.map(|choice| choice.label.clone()).collect();
            let open = shared.meetings.unchosen.get(shop).copied();
            match open {
                None if !what.is_empty() => {
                    let conflict = shared.counters.conflict();
                    shared.meetings.unchosen.insert(*shop, conflict);
                    bodies.push(Body::ConflictOpened {
                        conflict,
                        subject: Subject::Shop(*shop),
                        about: Conflict::Unchosen { shop: *shop, what },
                    });
                }
                Some(conflict) if what.is_empty() => {
                    shared.meetings.unchosen.remove(shop);
                    shared.let_in = true;
                    bodies.push(Body::ConflictClosed {
                        conflict,
                        decision: "it was chosen in the shop's settings".into(),
                        by: None,
                        ours: Default::default(),
                    });
                    // What was decided until now left this shop out.
                    let shops = vec![*shop];
                    bodies.extend([Kind::Category, Kind::Product].map(|kind| Body::DueAgain {
                        what: Again::Records {
                            kind,
                            shops: shops.clone(),
                        },
                    }));
                    bodies.extend(due_in_trade());
                }
                Some(_) | None => {}
            }
        }
        self.count_conflicts(&bodies);
        self.append(bodies, Also::default(), out);
    }

    /// All shops were read: which of them are strangers?
    pub(super) fn meet(&mut self, shared: &mut Shared, out: &mut Vec<Effect>) {
        let mut bodies = Vec::new();
        for shop in std::mem::take(&mut self.unmet) {
            if !self.reads.has_ended(shop, Kind::Product)
                || self.failed.contains_key(&shop)
                || shared.meetings.waiting.contains(&shop)
            {
                continue;
            }
            match self.reads.products.get(&shop).copied().unwrap_or_default() {
                0 => {
                    // Durable before the first write: what is there later is ours.
                    shared.meetings.accepted.insert(shop);
                    shared.let_in = true;
                    bodies.push(Body::ShopMet { shop });
                    if let Some(each) = Arc::make_mut(&mut self.rules).shops.get_mut(&shop) {
                        each.read_only = false;
                    }
                }
                products => {
                    shared.meetings.waiting.insert(shop);
                    bodies.push(Body::ConflictOpened {
                        conflict: shared.counters.conflict(),
                        subject: Subject::Shop(shop),
                        about: Conflict::Meeting { shop, products },
                    });
                }
            }
        }
        if shared.let_in {
            bodies.extend(due_in_trade());
        }
        self.count_conflicts(&bodies);
        self.append(bodies, Also::default(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::{Customer, Event, Opened};
    use crate::fixture::{A, B, nothing_to_read, rules};
    use jiff::Timestamp;
    use lockstep_model::cases::{CatalogueChunk, Meetings};
    use lockstep_model::{Cursor, Next, Page, Product, Record, Takes, Variant};

    fn our_rules() -> Rules {
        rules(Takes::Placement, Takes::Payment, Takes::Reserve)
    }

    fn shared(meetings: Meetings, met: &[ShopId]) -> Shared {
        let cursors = met
            .iter()
            .map(|shop| ((*shop, Kind::Product), Cursor("1".into())));
        Customer::new(
            Opened {
                meetings,
                cursors: cursors.collect(),
                ..Opened::default()
            },
            our_rules(),
        )
        .into_shared()
    }

    fn closed(rules: &Rules) -> Vec<ShopId> {
        let shops = rules.shops.iter();
        shops
            .filter(|(_, shop)| shop.read_only)
            .map(|(shop, _)| *shop)
            .collect()
    }

    #[test]
    fn no_shop_is_written_to_before_it_was_met_but_the_owner_of_the_catalogue() {
        let all = Arc::new(our_rules());
        let (kept, unmet) = rules_of(&all, &shared(Meetings::default(), &[]), false);
        assert_eq!(closed(&kept), [A, B]);
        assert_eq!(unmet, [A, B].into());
        let met = shared(Meetings::default(), &[A, B]);
        assert_eq!(closed(&rules_of(&all, &met, false).0), []);
    }

    /// Two locations or two channels and none chosen: nothing is written before somebody has said which.
    #[test]
    fn m7_a_shop_of_which_something_is_to_be_chosen_is_only_read() {
        let row = |id: &str| lockstep_model::Named {
            id: id.into(),
            name: id.to_owned(),
        };
        let choice = |setting: &str, rows: &[&str]| lockstep_model::Choice {
            setting: setting.into(),
            label: setting.into(),
            rows: rows.iter().map(|id| row(id)).collect(),
            is_needed: true,
            is_of_stocks: setting == "location",
        };
        let with = |change: fn(&mut Rules)| {
            let mut all = our_rules();
            all.shops.get_mut(&B).unwrap().identity.choices = vec![
                choice("location", &["main", "outlet"]),
                choice("channel", &["web", "market"]),
                choice("only", &["one"]),
            ];
            change(&mut all);
            let unchosen: Vec<String> = all.unchosen(B).iter().map(|c| c.setting.clone()).collect();
            let met = shared(Meetings::default(), &[A, B]);
            (
                unchosen.join(" "),
                closed(&rules_of(&Arc::new(all), &met, false).0),
            )
        };
        let say = |all: &mut Rules, name: &str| {
            let settings = Arc::make_mut(&mut all.settings);
            let service = settings.services.iter_mut().find(|s| s.id == B).unwrap();
            service.options.insert(name.into(), "x".into());
        };
        assert_eq!(with(|_| ()), ("location channel".into(), vec![B]));
        let one = with(|all| {
            let settings = Arc::make_mut(&mut all.settings);
            settings.stock_service_identifiers = serde_json::from_value(serde_json::json!([
                { "id": 1, "stockId": 1, "serviceId": B, "identifier": "outlet" }
            ]))
            .unwrap();
        });
        assert_eq!(one, ("channel".into(), vec![B]));
        let mut all = our_rules();
        all.shops.get_mut(&B).unwrap().identity.choices = vec![
            choice("location", &["main", "outlet"]),
            choice("channel", &["web", "market"]),
        ];
        say(&mut all, "location");
        say(&mut all, "channel");
        assert!(all.unchosen(B).is_empty());
    }

    #[test]
    fn a_person_s_word_is_waited_for_and_remembered() {
        let all = Arc::new(our_rules());
        let waiting = Meetings {
            waiting: [A].into(),
            ..Meetings::default()
        };
        let waits = shared(waiting, &[A, B]);
        assert_eq!(closed(&rules_of(&all, &waits, false).0), [A]);
        let accepted = Meetings {
            accepted: [A].into(),
            ..Meetings::default()
        };
        // Accepted, and its feed was never read to its end since.
        let accepted = shared(accepted, &[B]);
        assert_eq!(closed(&rules_of(&all, &accepted, false).0), []);
    }

    #[test]
    fn where_the_settings_say_so_nobody_is_asked() {
        let mut all = our_rules();
        for shop in all.shops.values_mut() {
            shop.link.first_meeting = FirstMeeting::Go;
        }
        let stranger = shared(Meetings::default(), &[]);
        assert_eq!(closed(&rules_of(&Arc::new(all), &stranger, false).0), []);
    }

    #[test]
    fn what_is_only_planned_shows_shops_that_are_only_read_too() {
        let mut all = our_rules();
        all.shops.get_mut(&B).unwrap().read_only = true;
        let stranger = shared(Meetings::default(), &[]);
        assert_eq!(closed(&rules_of(&Arc::new(all), &stranger, true).0), []);
    }

    /// A first run of the catalogue in which only A has a product.
    fn first_run() -> Vec<Body> {
        let mut customer = Customer::new(Opened::default(), our_rules());
        let now = Timestamp::UNIX_EPOCH;
        let mut events = vec![Event::WritesUntil(None)];
        let product = Product {
            id: "p1".into(),
            variants: vec![Variant {
                sku: "KH-1".into(),
                ..Variant::default()
            }],
            ..Product::default()
        };
        let mut said = Vec::new();
        while let Some(event) = events.pop() {
            for effect in customer.on(event, now) {
                match effect {
                    Effect::Pull {
                        call,
                        shop,
                        request,
                    } => {
                        let is_there = shop == A && request.kind == Kind::Product;
                        let record = Record::Product(product.clone());
                        events.push(Event::Pulled {
                            call,
                            result: Ok(Page {
                                records: is_there.then_some(Ok(record)).into_iter().collect(),
                                next: Next::End(Some(Cursor("1".into()))),
                            }),
                        });
                    }
                    Effect::Stage { lane, shop, .. } => events.push(Event::Staged {
                        lane,
                        shop,
                        changed: 1,
                    }),
                    Effect::ReadAgainList {
                        lane, shop, kind, ..
                    } => events.push(nothing_to_read(lane, shop, kind)),
                    Effect::LoadCatalogue { .. } => {
                        events.push(Event::CatalogueLoaded(CatalogueChunk::default()));
                    }
                    Effect::Append { bodies, .. } => said.extend(bodies),
                    _ => {}
                }
            }
        }
        said
    }

    #[test]
    fn a_shop_with_products_of_its_own_is_asked_about_and_an_empty_one_is_not() {
        let said = first_run();
        let asked = said.iter().filter_map(|body| match body {
            Body::ConflictOpened { about, .. } => Some(about),
            _ => None,
        });
        let stranger = Conflict::Meeting {
            shop: A,
            products: 1,
        };
        assert_eq!(asked.collect::<Vec<_>>(), [&stranger]);
        assert!(said.contains(&Body::ShopMet { shop: B }));
    }
}
