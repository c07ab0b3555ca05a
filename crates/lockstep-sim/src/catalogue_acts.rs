//! What people do to the catalogue: products of their own that nobody buys, so that what becomes of them is told by the
//! catalogue alone.

use crate::dice::Dice;
use crate::scenario::ERP;
use crate::sim::Sim;
use crate::topics::{Topic, Topics};
use crate::world::World;
use jiff::Timestamp;
use lockstep_model::{Category, Flow, Product, RemoteId, Sku, Status, Variant};
use rust_decimal::Decimal;

const PRODUCTS: u32 = 3;
const PRODUCTS_MAX: usize = 6;
/// The attribute by which a shop's assortment is picked.
pub const PICKED: (&str, &str) = ("web", "yes");

pub fn is_shown_only(sku: &Sku) -> bool {
    sku.0.starts_with("CA-")
}

/// What the owner begins with.
pub fn begin(sim: &mut Sim, world: &mut World, now: Timestamp) {
    if !world.topics.has_any(&Topic::OF_THE_CATALOGUE) {
        return;
    }
    let topics = world.topics;
    let Some(erp) = sim.shops.get_mut(&ERP) else {
        return;
    };
    if topics.has(Topic::Trees) {
        for name in ["Coffee", "Tea"] {
            let category = Category {
                name: name.into(),
                ..Category::default()
            };
            let parent = Some(erp.add_category(category));
            let name = "Whole".into();
            erp.add_category(Category {
                name,
                parent,
                ..Category::default()
            });
        }
    }
    for _ in 0..PRODUCTS {
        let product = product(world, topics);
        erp.add_product(product, world.more.between(1, 9), now);
    }
}

fn product(world: &mut World, topics: Topics) -> Product {
    world.named += 1;
    let number = world.named;
    let dice = &mut world.more;
    let mut product = Product {
        title: format!("Ware {number}"),
        status: Status::Active,
        variants: vec![variant(format!("CA-{number}"), dice)],
        categories: topics.has(Topic::Trees).then(Vec::new),
        pictures: topics.has(Topic::Pictures).then(Vec::new),
        ..Product::default()
    };
    if topics.has(Topic::Assortments) && dice.chance(60) {
        let (name, value) = PICKED;
        product.attributes.insert(name.into(), value.into());
    }
    product
}

fn variant(sku: String, dice: &mut Dice) -> Variant {
    Variant {
        sku: Sku(sku),
        prices: [("EUR".into(), Decimal::new(dice.between(500, 2_000), 2))].into(),
        ..Variant::default()
    }
}

/// One of the owner's products that nobody buys, and how many variants it has.
fn any(sim: &Sim, dice: &mut Dice) -> Option<(RemoteId, usize)> {
    let products = sim.shops[&ERP].products.iter();
    let shown: Vec<(RemoteId, usize)> = products
        .filter(|(_, product)| product.variants.iter().any(|v| is_shown_only(&v.sku)))
        .map(|(id, product)| (id.clone(), product.variants.len()))
        .collect();
    dice.pick(&shown).cloned()
}

pub fn act(sim: &mut Sim, world: &mut World) {
    if !world.topics.has_any(&Topic::OF_THE_CATALOGUE) {
        return;
    }
    let mut dice = world.more.clone();
    let now = sim.now;
    let topics = world.topics;
    let choices: Vec<Topic> = Topic::OF_THE_CATALOGUE
        .into_iter()
        .filter(|topic| topics.has(*topic))
        .collect();
    let topic = dice.pick(&choices).copied();
    if let (Some(topic), Some((id, variants))) = (topic, any(sim, &mut dice)) {
        let told = change(sim, world, &mut dice, topic, &id, variants, now);
        if let Some(told) = told {
            sim.tell(|| format!("{topic:?}: {told} ({id})"));
            let flow = if topic == Topic::Trees {
                Flow::Categories
            } else {
                Flow::Products
            };
            sim.wake(ERP, flow);
        }
    }
    // What follows is drawn anew: an act here draws as many as it needs.
    world.more = dice;
}

fn change(
    sim: &mut Sim,
    world: &mut World,
    dice: &mut Dice,
    topic: Topic,
    id: &RemoteId,
    variants: usize,
    now: Timestamp,
) -> Option<String> {
    world.named += 1;
    let number = world.named;
    let known = sim.shops[&ERP].products.get(id)?.clone();
    let first = known.variants.first()?.sku.clone();
    let erp = sim.shops.get_mut(&ERP)?;
    match topic {
        Topic::Statuses => {
            let statuses = [Status::Active, Status::Draft, Status::Archived];
            let status = dice.pick(&statuses).copied()?;
            erp.edit_product(id, |product| product.status = status);
            Some(format!("it is {status:?}"))
        }
        Topic::Texts => match dice.below(4) {
            0 => {
                erp.edit_product(id, |product| {
                    product.description = Some(format!("<p>Text {number}</p>"));
                });
                Some("another description".into())
            }
            1 => {
                let text = format!("Vara {number}");
                erp.edit_product(id, |product| {
                    let texts = product.texts.entry("sv".into()).or_default();
                    texts.insert("title".into(), text);
                });
                Some("another text".into())
            }
            2 => {
                erp.edit_product(id, |product| product.texts.clear());
                Some("no texts any more".into())
            }
            _ => {
                let price = Decimal::new(dice.between(100, 500), 2);
                let is_on = dice.chance(60);
                erp.edit_product(id, |product| {
                    for variant in &mut product.variants {
                        variant.sale_prices.clear();
                        if is_on {
                            variant.sale_prices.insert("EUR".into(), price);
                        }
                    }
                });
                Some(format!("on sale {is_on}"))
            }
        },
        Topic::Variants if variants < 3 && dice.chance(60) => {
            let new = variant(format!("CA-{number}"), dice);
            let sku = new.sku.clone();
            erp.edit_product(id, |product| product.variants.push(new));
            erp.move_on_hand(&sku, dice.between(1, 9));
            Some(format!("new variant {sku}"))
        }
        Topic::Variants if variants > 1 => {
            erp.edit_product(id, |product| {
                product.variants.pop();
            });
            Some("one variant less".into())
        }
        Topic::Deletes => {
            let products = erp.products.values();
            let shown = products.filter(|p| p.variants.iter().any(|v| is_shown_only(&v.sku)));
            if shown.count() > 1 {
                erp.delete_product(id);
                return Some("deleted".into());
            }
            let topics = world.topics;
            let product = product(world, topics);
            sim.shops.get_mut(&ERP)?.add_product(product, 3, now);
            Some("another one is made".into())
        }
        Topic::MadeAgain => {
            erp.delete_product(id);
            let units = dice.between(1, 9);
            let new = erp.add_product(known, units, now);
            Some(format!("deleted and made again as {new}"))
        }
        Topic::RenamedSkus => {
            let to = Sku(format!("CA-{number}"));
            erp.rename_sku(id, &first, &to);
            Some(format!("{first} is {to}"))
        }
        Topic::SwappedSkus => {
            let other = erp.products.iter().find(|(other, product)| {
                let [variant] = product.variants.as_slice() else {
                    return false;
                };
                *other != id && is_shown_only(&variant.sku)
            });
            let other = other.map(|(other, _)| other.clone())?;
            (variants == 1).then(|| {
                erp.swap_skus(id, &other);
                format!("SKUs changed with {other}")
            })
        }
        Topic::Trees => tree(sim, dice, id, number),
        Topic::Pictures | Topic::ReencodedPictures => {
            let pictures = known.pictures.as_deref()?;
            match pictures.first() {
                Some(first) if pictures.len() > 2 || dice.chance(30) => {
                    erp.remove_picture(id, &first.id);
                    Some("a picture less".into())
                }
                Some(_) if pictures.len() > 1 && dice.chance(40) => {
                    erp.edit_product(id, |product| {
                        product.pictures.get_or_insert_default().rotate_left(1);
                    });
                    Some("its pictures in another order".into())
                }
                _ => {
                    erp.add_picture(id, &format!("d{number}"), "as it looks");
                    Some("a picture more".into())
                }
            }
        }
        Topic::Assortments => {
            let (name, value) = PICKED;
            let is_in = known.attributes.contains_key(name);
            erp.edit_product(id, |product| {
                if !is_in {
                    product.attributes.insert(name.into(), value.into());
                }
            });
            (!is_in).then(|| "picked".into())
        }
        _ if erp.products.len() < PRODUCTS_MAX => {
            erp.move_on_hand(&first, 1);
            *world.counted.entry((ERP, first)).or_default() += 1;
            None
        }
        _ => None,
    }
}

fn tree(sim: &mut Sim, dice: &mut Dice, id: &RemoteId, number: u32) -> Option<String> {
    let erp = sim.shops.get_mut(&ERP)?;
    let ids: Vec<RemoteId> = erp.categories.keys().cloned().collect();
    let one = dice.pick(&ids)?.clone();
    match dice.below(5) {
        0 if ids.len() < 8 => {
            let parent = dice.chance(60).then_some(one);
            let name = format!("Kind {number}");
            let category = Category {
                name: name.clone(),
                parent,
                ..Category::default()
            };
            let new = erp.add_category(category);
            // And at once something is in it.
            erp.edit_product(id, |product| {
                product.categories.get_or_insert_default().push(new);
            });
            Some(format!("new category {name}"))
        }
        1 => {
            let name = format!("Kind {number}");
            erp.edit_category(&one, |category| category.name = name);
            Some(format!("category {one} has another name"))
        }
        _ => {
            erp.edit_product(id, |product| {
                let categories = product.categories.get_or_insert_default();
                if categories.contains(&one) {
                    categories.retain(|known| *known != one);
                } else {
                    categories.push(one.clone());
                }
            });
            sim.wake(ERP, Flow::Products);
            Some(format!("in or out of category {one}"))
        }
    }
}
