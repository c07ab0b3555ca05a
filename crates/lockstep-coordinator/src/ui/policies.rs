//! Whose word counts, and how often each flow looks: two forms of a customer's settings.

use super::{
    Shared,
    customer_form::{Edit, saved_or_shown},
    failure::Failure,
    form::{Choice, Field, Form, place, put},
    session::{Posted, Values, Visitor},
};
use axum::{
    extract::{self, Path},
    response::Response,
};
use lockstep_model::{
    CustomerId, Flow,
    settings::{CustomerSettings, FieldGroup},
};
use serde_json::{Value, json};

const ABOUT: &str = "For each group of fields: whose word counts when shops differ. What the others change is written over, and shown in the record's history.";

/// Gates beyond those that stand.
const NEW_GATES: usize = 1;

fn shop_choices(settings: &CustomerSettings) -> Vec<(u64, String)> {
    let linked = settings.customer_has_services.iter();
    linked
        .filter_map(|link| settings.service(link.service_id))
        .map(|shop| (shop.id.0, shop.name.clone()))
        .collect()
}

pub fn group_of(group: FieldGroup) -> (&'static str, &'static str, &'static str) {
    match group {
        FieldGroup::Texts => (
            "texts",
            "Texts",
            "Titles, descriptions, texts in further languages.",
        ),
        FieldGroup::Prices => ("prices", "Prices", "Prices and sale prices, per currency."),
        FieldGroup::Status => ("status", "Visibility", "Whether a product is on sale."),
        FieldGroup::Categories => (
            "categories",
            "Categories",
            "The tree, and which product is in which.",
        ),
        FieldGroup::Pictures => ("pictures", "Pictures", "Which pictures, in which order."),
        FieldGroup::Variants => (
            "variants",
            "Variants",
            "Which variants there are, and along which options they differ.",
        ),
        FieldGroup::Attributes => ("attributes", "Attributes", "Further fields of a product."),
        FieldGroup::Identifiers => ("identifiers", "Identifiers", "GTIN, weight, handle."),
    }
}

fn form(settings: &CustomerSettings) -> Form {
    let shops = shop_choices(settings);
    let owners = |prefix: &str, label: &str| -> Vec<Choice> {
        let of = shops.iter();
        of.map(|(id, name)| Choice::new(format!("{prefix}:{id}"), format!("{label}{name}")))
            .collect()
    };
    let mut deciders = owners("owner", "");
    deciders.extend([
        Choice::new("newest", "the newest change"),
        Choice::new("firstNotEmpty", "the first shop that has a value"),
        Choice::new("ask", "a person decides"),
    ]);
    let mut modes = owners("owned", "owned by ");
    modes.push(Choice::new("pooled", "pooled: every shop's count"));
    let mut into = vec![Choice::new("", "orders do not cross")];
    into.extend(shops.iter().map(|(id, name)| Choice::new(id, name)));
    let mut form = Form::default();
    form.group(
        "Who decides",
        "",
        FieldGroup::ALL
            .into_iter()
            .map(|group| {
                let (key, label, help) = group_of(group);
                Field::policy(format!("policies.{key}"), label, help, deciders.clone())
            })
            .collect(),
    );
    let mut ranked = vec![Choice::new("", "—")];
    ranked.extend(shops.iter().map(|(id, name)| Choice::new(id, name)));
    let ranks = (0..shops.len()).map(|place| {
        let label = format!("{}.", place + 1);
        Field::id(
            format!("policies.rank[{place}]"),
            &label,
            "",
            ranked.clone(),
        )
    });
    form.group("Whose word comes first", "Where \"the newest change\" cannot tell which of two is newer, and for \"the first shop that has a value\". A shop without a place comes after those with one; where none of them has one, a person is asked.", ranks.collect());
    let mut stock = vec![Field::stock_mode(
        "policies.stock.mode",
        "Stock",
        "Owned: only the owner's changes that no order explains move the stock; receipts, counts, the till. Orders count from everywhere either way.",
        modes,
    )];
    stock.extend(shops.iter().map(|(id, name)| {
        Field::units(
            format!("policies.stock.buffer.{id}"),
            &format!("Buffer at {name}"),
            "",
        )
    }));
    stock.push(Field::number(
        "policies.stock.closeAfterDays",
        "Days until orders are closed",
        "So long after an order is final everywhere it leaves the sums: what it was counted for is taken off the base, and no shop's number moves.",
    ));
    form.group("Stock", "A buffer is units that a shop is not told of: it shows that much less than there is, never below zero.", stock);
    form.group("Orders", "", vec![
        Field::id("policies.orders.into", "Orders go into", "Every other shop's orders are copied into this one, and their states carried back.", into),
        Field::several("policies.orders.states", "They cross when they are", "The state in which an order may cross, where no gate below says otherwise.", states()),
        Field::flag("policies.orders.collectiveBuyer", "One collective buyer a shop", "In the receiving shop all orders of a shop belong to one buyer, in place of one per person."),
        Field::number("policies.orders.buyersKeptDays", "Days that buyers are kept", "So long after an order is final its buyer's data is forgotten here; sums and lines remain."),
        Field::flag("policies.orders.captureOnShipment", "Capture on shipment", "The payment is captured in the origin when the order is shipped; once."),
    ]);
    let mut gate_shops = vec![Choice::new("", "any shop")];
    gate_shops.extend(shops.iter().map(|(id, name)| Choice::new(id, name)));
    let gates = settings.policies.orders.gates.len() + NEW_GATES;
    let rows = (0..gates).flat_map(|at| {
        let path = format!("policies.orders.gates[{at}]");
        let new = at + NEW_GATES >= gates;
        let which = if new { "New gate" } else { "Gate" };
        [
            Field::id(
                format!("{path}.shop"),
                &format!("{which}: shop"),
                "",
                gate_shops.clone(),
            ),
            Field::maybe(
                format!("{path}.paymentMethod"),
                &format!("{which}: payment method"),
                "The shop's own id of it. Empty: any.",
            ),
            Field::several(
                format!("{path}.states"),
                &format!("{which}: crosses when"),
                "Tick none to take the gate away.",
                states(),
            ),
        ]
    });
    form.group(
        "Gates",
        "For one shop or one way to pay another state may count. The gate that says most is taken.",
        rows.collect(),
    );
    form.group(
        "Tax rates",
        "An order whose tax rate the receiving shop lacks is held until one of its rates stands for it. The amounts stay as the buyer paid them.",
        rate_fields(settings, &gate_shops),
    );
    form.group(
        "Countries",
        "An order that goes to a country which the receiving shop does not list is held until one of its countries stands for it in the copy's addresses.",
        country_fields(settings, &gate_shops),
    );
    form.group("Limits", "An automatic run stops before it applies a plan beyond these, and asks.", vec![
        Field::number("policies.limits.archivePercentMax", "Archived at once, %", "Of a shop's records, in one plan; and of all stock levels that a source empties within an hour."),
        Field::number("policies.limits.priceMovePercentMax", "Price moved, %", "One price in one step. A price in cents where euros were meant is a hundred times off."),
    ]);
    form
}

fn rate_fields(settings: &CustomerSettings, shops: &[Choice]) -> Vec<Field> {
    let count = settings.policies.orders.tax_rates.len() + 1;
    let rows = (0..count).flat_map(|at| {
        let path = format!("policies.orders.taxRates[{at}]");
        let which = if at + 1 == count { "New rate" } else { "Rate" };
        [
            Field::id(
                format!("{path}.shop"),
                &format!("{which}: orders of"),
                "",
                shops.to_vec(),
            ),
            Field::rate(
                format!("{path}.rate"),
                &format!("{which}, %"),
                "As the order bears it. Empty to take the line away.",
            ),
            Field::rate(
                format!("{path}.into"),
                &format!("{which}: stands for it there, %"),
                "",
            ),
        ]
    });
    rows.collect()
}

fn country_fields(settings: &CustomerSettings, shops: &[Choice]) -> Vec<Field> {
    let count = settings.policies.orders.countries.len() + 1;
    let rows = (0..count).flat_map(|at| {
        let path = format!("policies.orders.countries[{at}]");
        let which = if at + 1 == count {
            "New country"
        } else {
            "Country"
        };
        [
            Field::id(
                format!("{path}.shop"),
                &format!("{which}: orders of"),
                "",
                shops.to_vec(),
            ),
            Field::maybe(
                format!("{path}.country"),
                &format!("{which}, two letters"),
                "Where the order goes. Empty to take the line away.",
            ),
            Field::maybe(
                format!("{path}.into"),
                &format!("{which}: stands for it there"),
                "",
            ),
        ]
    });
    rows.collect()
}

fn states() -> Vec<Choice> {
    [
        ("placed", "placed"),
        ("accepted", "accepted (invoice, cash on delivery)"),
        ("paid", "paid"),
        ("shipped", "shipped"),
    ]
    .into_iter()
    .map(|(value, label)| Choice::new(value, label))
    .collect()
}

/// States that the platform's own people made are kept: the form shows only ours.
fn keep_foreign_states(settings: &mut Value, before: &CustomerSettings) {
    let ours = ["placed", "accepted", "paid", "shipped"];
    let foreign = |states: &std::collections::BTreeSet<String>| -> Vec<Value> {
        let others = states
            .iter()
            .filter(|state| !ours.contains(&state.as_str()));
        others.map(|state| json!(state)).collect()
    };
    let orders = &before.policies.orders;
    let mut places = vec![(
        String::from("/policies/orders/states"),
        foreign(&orders.states),
    )];
    for (at, gate) in orders.gates.iter().enumerate() {
        places.push((
            format!("/policies/orders/gates/{at}/states"),
            foreign(&gate.states),
        ));
    }
    for (place, others) in places {
        if let Some(Value::Array(states)) = settings.pointer_mut(&place) {
            states.extend(others);
        }
    }
}

/// A place that nobody was given.
fn drop_empty_ranks(settings: &mut Value) {
    if let Some(Value::Array(rank)) = settings.pointer_mut("/policies/rank") {
        rank.retain(|shop| !shop.is_null());
    }
}

/// A line without a rate, or without a country, says nothing.
fn drop_empty_lines(settings: &mut Value) {
    for (list, of) in [("taxRates", "rate"), ("countries", "country")] {
        let list = format!("/policies/orders/{list}");
        if let Some(Value::Array(rows)) = settings.pointer_mut(&list) {
            rows.retain(|row| row.get(of).is_some_and(|value| !value.is_null()));
        }
    }
}

/// Half a line cannot be kept.
fn ask_for_missing(form: &mut Form, settings: &Value) {
    let is_empty = |path: &str| place(settings, path).is_none_or(Value::is_null);
    for field in form.fields_mut() {
        let Some(row) = field.name.strip_suffix(".into") else {
            continue;
        };
        let mut first = ["rate", "country"].iter();
        if is_empty(&field.name) && first.any(|first| !is_empty(&format!("{row}.{first}"))) {
            field.problem = Some("say which of its own stands for it there".into());
        }
    }
}

/// A gate without states says nothing.
fn drop_empty_gates(settings: &mut Value) {
    if let Some(Value::Array(gates)) = settings.pointer_mut("/policies/orders/gates") {
        gates.retain(|gate| {
            gate.get("states")
                .and_then(Value::as_array)
                .is_some_and(|states| !states.is_empty())
        });
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let edit = Edit::load(visitor, customer).await?;
    let form = edit.shown(form(edit.settings()));
    Ok(edit
        .page(&ui, "Policies", ABOUT, "policies", form, None)
        .await)
}

pub async fn save(
    extract::State(ui): extract::State<Shared>,
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (mut edit, typed) = Edit::posted(posted, customer).await?;
    let mut form = form(edit.settings());
    form.put(&typed, &mut edit.json);
    let before = edit.settings().clone();
    keep_foreign_states(&mut edit.json, &before);
    drop_empty_gates(&mut edit.json);
    ask_for_missing(&mut form, &edit.json);
    drop_empty_lines(&mut edit.json);
    drop_empty_ranks(&mut edit.json);
    saved_or_shown(&ui, edit, form, &typed, "Policies", ABOUT, "policies").await
}

const ABOUT_SCHEDULES: &str = "How often each flow looks by itself, in seconds. Webhooks and people wake it sooner. 0 means only when woken, or never.";

fn schedules_form() -> Form {
    let mut form = Form::default();
    for (flow, headline) in [
        (Flow::Products, "Products"),
        (Flow::Categories, "Categories"),
        (Flow::Pictures, "Pictures"),
        (Flow::Stock, "Stock"),
        (Flow::Orders, "Orders"),
    ] {
        let path = format!("schedules.{}", flow.as_str());
        form.group(headline, "", vec![
            Field::number(format!("{path}.pollSeconds"), "Look for changes every", "Seconds between two readings of what changed."),
            Field::number(format!("{path}.reconcileSeconds"), "Read everything every", "Seconds between two readings of everything, which find deletions and changes that a shop did not report. 86400 is a day."),
        ]);
    }
    form
}

pub async fn show_schedules(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let edit = Edit::load(visitor, customer).await?;
    let form = edit.shown(schedules_form());
    Ok(edit
        .page(&ui, "Schedules", ABOUT_SCHEDULES, "schedules", form, None)
        .await)
}

pub async fn save_schedules(
    extract::State(ui): extract::State<Shared>,
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (mut edit, typed): (Edit, Values) = Edit::posted(posted, customer).await?;
    let mut form = schedules_form();
    form.put(&typed, &mut edit.json);
    saved_or_shown(
        &ui,
        edit,
        form,
        &typed,
        "Schedules",
        ABOUT_SCHEDULES,
        "schedules",
    )
    .await
}

/// A shop's first policies: the ERP's word counts for everything, unless somebody has decided otherwise.
pub fn owned_by(settings: &mut Value, shop: u64) {
    let untouched = FieldGroup::ALL.into_iter().all(|group| {
        let (key, ..) = group_of(group);
        let policy = settings.pointer(&format!("/policies/{key}"));
        policy.is_none_or(|policy| policy == "ask")
    });
    if !untouched {
        return;
    }
    for group in FieldGroup::ALL {
        let (key, ..) = group_of(group);
        put(settings, &format!("policies.{key}"), json!({"owner": shop}));
    }
    put(
        settings,
        "policies.stock.mode",
        json!({"owned": {"owner": shop}}),
    );
    put(settings, "policies.orders.into", json!(shop));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::settings::{Customer, Policies, RateInto};

    #[test]
    fn the_first_erp_owns_everything_and_a_decision_is_not_overturned() {
        let blank = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        let mut settings = serde_json::to_value(&blank).unwrap();
        owned_by(&mut settings, 3);
        let policies: Policies = serde_json::from_value(settings["policies"].clone()).unwrap();
        assert_eq!(policies, Policies::owned_by(lockstep_model::ShopId(3)));
        owned_by(&mut settings, 4);
        assert_eq!(settings["policies"]["texts"], json!({"owner": 3}));
    }

    #[test]
    fn a_line_without_a_rate_is_taken_away_and_half_a_line_is_asked_for() {
        let mut blank = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        blank.policies.orders.tax_rates.push(RateInto {
            shop: None,
            rate: 24.into(),
            into: 25.into(),
        });
        let mut form = form(&blank);
        let mut settings = json!({"policies": {"orders": {"taxRates": [
            {"rate": null, "into": null}, {"rate": "24", "into": null},
        ]}}});
        ask_for_missing(&mut form, &settings);
        let wrong: Vec<&str> = form
            .groups
            .iter()
            .flat_map(|group| &group.fields)
            .filter(|field| field.problem.is_some())
            .map(|field| field.name.as_str())
            .collect();
        assert_eq!(wrong, ["policies.orders.taxRates[1].into"]);
        drop_empty_lines(&mut settings);
        assert_eq!(
            settings["policies"]["orders"]["taxRates"],
            json!([{"rate": "24", "into": null}])
        );
    }

    #[test]
    fn a_gate_without_states_is_taken_away_and_foreign_states_are_kept() {
        let mut before = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        before.policies.orders.states.insert("odotushylly".into());
        let mut settings = json!({"policies": {"orders": {
            "states": ["paid"],
            "gates": [{"states": []}, {"states": ["placed"]}],
        }}});
        keep_foreign_states(&mut settings, &before);
        drop_empty_gates(&mut settings);
        assert_eq!(
            settings["policies"]["orders"]["states"],
            json!(["paid", "odotushylly"])
        );
        assert_eq!(
            settings["policies"]["orders"]["gates"],
            json!([{"states": ["placed"]}])
        );
    }
}
