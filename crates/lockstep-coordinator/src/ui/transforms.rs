//! What a shop is given in place of what the owner holds: a part of the shop's form.

use super::form::{Choice, Field, Form, place, put};
use super::policies::group_of;
use lockstep_model::settings::{CustomerHasService, FieldGroup};
use serde_json::{Value, json};

/// Rules beyond those that stand.
const NEW_RULES: usize = 1;

/// `at`: the link's place on the wire.
pub fn add_to(form: &mut Form, at: &str, link: Option<&CustomerHasService>) {
    let rules = link.map_or(0, |link| link.transform.prices.len());
    let mut fields = Vec::new();
    for nth in 0..rules + NEW_RULES {
        let path = format!("{at}.transform.prices[{nth}]");
        let which = if nth < rules {
            "Price rule"
        } else {
            "New price rule"
        };
        let label = |part: &str| format!("{which}: {part}");
        fields.extend([
            Field::line(format!("{path}.from"), &label("from"), "The currency of the owner's price, as in EUR. Empty takes the rule away."),
            Field::line(format!("{path}.to"), &label("to"), "The currency that this shop sells in; the same one to change the price alone."),
            Field::units(format!("{path}.factor"), &label("factor"), "1.1 is ten percent more; between currencies, the rate. Empty: 1."),
            Field::tax(format!("{path}.tax"), &label("tax, %"), "25.5 is added to net prices; −25.5 is taken out of gross ones. Empty: as they are."),
            Field::units(format!("{path}.round.step"), &label("rounded to"), "0.05, 1, 10 … Empty: not rounded."),
            Field::choice(format!("{path}.round.way"), &label("rounded"), "", vec![
                Choice::new("nearest", "to the nearest"),
                Choice::new("up", "up"),
                Choice::new("down", "down"),
            ]),
            Field::units(format!("{path}.round.less"), &label("less"), "0.01 makes 12.99 of 13."),
        ]);
    }
    form.group("Its prices", "A rule makes this shop's prices of the owner's. What was rounded is not turned back: a change made here is written over.", fields);
    let groups = FieldGroup::ALL.into_iter().map(|group| {
        let (key, label, _) = group_of(group);
        Choice::new(key, label)
    });
    form.group("Its texts, and what it keeps", "", vec![
        Field::maybe(format!("{at}.transform.language"), "Language of its texts", "Two letters, as in fi: its titles and descriptions are the owner's texts in this language, where there are any. Empty: the owner's first language."),
        Field::several(format!("{at}.transform.keeps"), "Keeps its own", "Given when a record is made here; neither written nor listened to afterwards.", groups.collect()),
    ]);
}

/// Empty rules are taken away, and so is a rounding without a step.
pub fn tidy(settings: &mut Value, at: &str) {
    let path = format!("{at}.transform.prices");
    let Some(Value::Array(rules)) = place(settings, &path) else {
        return;
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let rules: Vec<Value> = rules
        .iter()
        .filter(|rule| !text(rule.get("from")).is_empty())
        .cloned()
        .map(|mut rule| {
            let has_step = rule
                .pointer("/round/step")
                .is_some_and(|step| !step.is_null());
            if !has_step && let Some(rule) = rule.as_object_mut() {
                rule.insert("round".into(), Value::Null);
            }
            rule
        })
        .collect();
    put(settings, &path, json!(rules));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_rule_is_no_rule_and_without_a_step_nothing_is_rounded() {
        let mut settings = json!({"links": [{"transform": {"prices": [
            {"from": "EUR", "to": "SEK", "factor": "11", "round": {"way": "nearest"}},
            {"from": "EUR", "to": "DKK", "round": {"step": "1", "way": "up"}},
            {"from": "", "to": "", "round": {"way": "nearest"}},
        ]}}]});
        tidy(&mut settings, "links[0]");
        assert_eq!(
            settings["links"][0]["transform"]["prices"],
            json!([
                {"from": "EUR", "to": "SEK", "factor": "11", "round": null},
                {"from": "EUR", "to": "DKK", "round": {"step": "1", "way": "up"}},
            ])
        );
    }
}
