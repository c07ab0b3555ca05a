//! How customers and their shops are: by the last calls, the last runs, who works for them, and what the journal says is
//! not in step. Settings only say what is switched off. What a person has to see to is gathered here, each cause once.

use super::{Person, customers::stored, said};
use crate::{
    AppState,
    archive::{Shops, Summary},
    extract::{Json, Path},
    refusal::Answer,
};
use axum::extract::State;
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, FaultKind, ShopId,
    settings::{CustomerSettings, Service},
};
use lockstep_protocol::{
    people::{
        Need, NeedKind,
        customers::ShopView,
        login::Role,
        standing::{Health, Mood, Standing},
    },
    status::{ShopFailing, ShopReport},
};
use lockstep_storage::Alert;

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
) -> Answer<Json<Standing>> {
    person.may(Role::Viewer, customer)?;
    let settings = stored(&app, customer).await?.settings;
    // Fresh: whoever asks wants to know how it is after what was just done.
    let shops = Shops::of(&settings);
    let read = app
        .replicas
        .read(customer, move |journal| Summary::read(journal, &shops))
        .await?;
    let summary = read.value;
    let names = said::Names::with(&app, settings).await?;
    let mut needs = of_summary(&names, &summary);
    let alerts = app.storage.alerts().await?.into_iter();
    needs.extend(
        alerts
            .filter(|alert| alert.customer == Some(customer))
            .map(need),
    );
    let about = &names.settings.customer;
    Ok(Json(Standing {
        customer_id: customer,
        totals: summary.totals,
        health: health(&app, customer, about.enable_syncing, about.locked, &summary),
        needs,
        after_run: summary.after_run,
        as_of: read.as_of,
    }))
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn need_of(customer: CustomerId, kind: NeedKind, page: &str, action: &str) -> Need {
    Need {
        kind,
        title: String::new(),
        detail: String::new(),
        href: format!("/customers/{customer}/{page}"),
        since: None,
        action: action.into(),
        times: 0,
        again: None,
    }
}

/// What the journal of one customer says that a person has to see to.
pub fn of_summary(names: &said::Names, summary: &Summary) -> Vec<Need> {
    let (customer, name) = (names.settings.id(), &names.settings.customer.name);
    let mut needs = Vec::new();
    if summary.totals.questions > 0 {
        needs.push(Need {
            title: format!(
                "{} at {name}",
                counted(summary.totals.questions, "open question")
            ),
            detail: "A person has to decide; the rest goes on.".into(),
            since: summary.oldest_conflict,
            ..need_of(customer, NeedKind::Conflict, "conflicts", "Decide")
        });
    }
    let mut others = summary.totals.held;
    for (origin, hold, count) in &summary.held {
        others = others.saturating_sub(*count);
        let (title, detail) = said::held(names, *origin, hold, *count);
        needs.push(Need {
            title: format!("{title}, at {name}"),
            detail,
            ..need_of(
                customer,
                NeedKind::OrderHeld,
                "orders?state=held",
                "Let it go",
            )
        });
    }
    if others > 0 {
        needs.push(Need {
            title: format!("{} held at {name}", counted(others, "more order")),
            detail: "Each says what it waits for.".into(),
            ..need_of(
                customer,
                NeedKind::OrderHeld,
                "orders?state=held",
                "Let it go",
            )
        });
    }
    if summary.asides > 0 {
        needs.push(Need {
            title: format!("{} set aside at {name}", counted(summary.asides, "record")),
            detail: "A shop refused them or they cannot be read; the others go on.".into(),
            ..need_of(customer, NeedKind::Aside, "asides", "See why")
        });
    }
    needs
}

/// What was found to be wrong and is not right again yet.
pub fn need(alert: Alert) -> Need {
    Need {
        kind: match alert.kind.as_str() {
            "settings" => NeedKind::SettingsFailed,
            "shop" | "hooks" => NeedKind::ShopFailed,
            "limit" => NeedKind::Limit,
            _ => NeedKind::Alert,
        },
        title: alert.title,
        detail: alert.detail,
        href: alert.href,
        since: Some(alert.raised_at),
        action: match alert.action.is_empty() {
            true => "Look at it".into(),
            false => alert.action,
        },
        times: alert.times,
        again: alert.customer.zip(alert.shop),
    }
}

/// Who works for a customer now.
enum Served {
    NoWorker,
    /// Its worker is not connected; when it was last heard of.
    Away(Option<Timestamp>),
    Here,
}

fn served(app: &AppState, customer: CustomerId) -> Served {
    let known = app.view.customer(customer);
    let Some(worker) = known.and_then(|known| known.ownership.worker) else {
        return Served::NoWorker;
    };
    match app.view.worker(worker) {
        Some(slot) if slot.is_live() => Served::Here,
        Some(slot) => {
            let seen = i64::try_from(slot.seen_ms()).ok().filter(|ms| *ms > 0);
            Served::Away(seen.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
        }
        None => Served::Away(None),
    }
}

/// How a customer is, in one word: what keeps most from going on comes first.
pub fn health(
    app: &AppState,
    customer: CustomerId,
    enabled: bool,
    locked: bool,
    summary: &Summary,
) -> Health {
    if locked {
        return Health::new(Mood::Attention, "locked")
            .because("An operator works on it: no run starts.");
    }
    if !enabled {
        return Health::new(Mood::Idle, "switched off");
    }
    match served(app, customer) {
        Served::NoWorker => {
            return Health::new(Mood::Failed, "no worker")
                .because("No worker has it, so nothing is read and nothing is written.");
        }
        Served::Away(since) => {
            return Health::new(Mood::Failed, "worker away")
                .because("Its worker is not connected: what is shown is as it was then.")
                .since(since);
        }
        Served::Here => {}
    }
    if let Some(error) = app.reports.settings_error(customer) {
        return Health::new(Mood::Failed, "settings not applied").because(error);
    }
    let reports = app.reports.shops(customer);
    let failing: Vec<&ShopFailing> = reports
        .iter()
        .filter_map(|report| report.failing.as_ref())
        .collect();
    if let Some(worst) = failing.iter().min_by_key(|failing| failing.since) {
        let word = match failing.len() {
            1 => "a shop fails".to_owned(),
            many => format!("{many} shops fail"),
        };
        return Health::new(Mood::Failed, word)
            .because(worst.message.clone())
            .since(Some(worst.since));
    }
    standing(app, customer, summary)
}

/// Of one whose shops answer: what its runs and its journal say.
fn standing(app: &AppState, customer: CustomerId, summary: &Summary) -> Health {
    let totals = &summary.totals;
    let wants = totals.questions + totals.held + summary.asides;
    let live = app.progress.live(Some(customer));
    if wants > 0 {
        return Health::new(Mood::Attention, "needs a person").because(totals.sentence());
    }
    let behind = percent(summary);
    if let Some(run) = live.first() {
        let word = match behind {
            Some(percent) => format!("{percent} % in step"),
            None => "running".into(),
        };
        return Health::new(Mood::Idle, word)
            .because(format!("Run {} goes on.", run.progress.run))
            .since(Some(run.progress.started_at));
    }
    if let Some(percent) = behind {
        return Health::new(Mood::Attention, format!("{percent} % in step"))
            .because(totals.sentence());
    }
    if totals.waits() > 0 {
        return Health::new(Mood::Attention, "not all written").because(totals.sentence());
    }
    if summary.after_run.is_none() {
        return Health::new(Mood::Idle, "not run yet");
    }
    Health::new(Mood::Good, "in step").because(totals.sentence())
}

/// Rounded down; `None`: all of it is.
fn percent(summary: &Summary) -> Option<u64> {
    let (all, apart) = (summary.records, summary.apart.min(summary.records));
    (apart > 0 && all > 0).then(|| (all - apart) * 100 / all)
}

/// Of each shop of a customer, in the settings' order.
pub fn shops(app: &AppState, settings: &CustomerSettings) -> Vec<ShopView> {
    let customer = settings.id();
    let reports = app.reports.shops(customer);
    let served = served(app, customer);
    let views = settings.services.iter().map(|service| {
        let report = reports.iter().find(|report| report.shop == service.id);
        let is_linked = settings.link(service.id).is_some();
        ShopView {
            shop: service.id,
            health: shop(service, is_linked, &served, report),
            answered_at: report.and_then(|report| report.answered_at),
        }
    });
    views.collect()
}

fn shop(
    service: &Service,
    is_linked: bool,
    served: &Served,
    report: Option<&ShopReport>,
) -> Health {
    if !service.active {
        return Health::new(Mood::Idle, "switched off");
    }
    if !is_linked {
        return Health::new(Mood::Idle, "not linked");
    }
    match served {
        Served::NoWorker => {
            return Health::new(Mood::Attention, "not looked at").because("No worker has it.");
        }
        Served::Away(since) => {
            return Health::new(Mood::Attention, "not looked at")
                .because("Its worker is not connected.")
                .since(*since);
        }
        Served::Here => {}
    }
    let Some(report) = report else {
        return Health::new(Mood::Idle, "not called yet");
    };
    if let Some(failing) = &report.failing {
        return Health::new(Mood::Failed, failing_word(failing))
            .because(failing.message.clone())
            .since(Some(failing.since));
    }
    let word = match service.read_only {
        true => "answers, read-only",
        false => "answers",
    };
    Health::new(Mood::Good, word).since(report.answered_at)
}

/// What a shop does that fails, in two or three words.
pub fn failing_word(failing: &ShopFailing) -> &'static str {
    match (&failing.kind, failing.writes_only) {
        (FaultKind::Auth, _) => "refuses our key",
        (FaultKind::Forbidden, true) => "takes no changes",
        (FaultKind::Forbidden, false) => "forbids it to our key",
        (FaultKind::Unavailable | FaultKind::Timeout | FaultKind::RateLimited { .. }, _) => {
            "does not answer"
        }
        (FaultKind::UnknownOutcome, _) => "breaks off its answers",
        (
            FaultKind::Protocol
            | FaultKind::NotFound
            | FaultKind::Conflict
            | FaultKind::Invalid { .. }
            | FaultKind::Duplicate { .. },
            _,
        ) => "is not understood",
    }
}

/// What cures it, and where.
pub fn failing_cure(failing: &ShopFailing) -> &'static str {
    match failing.kind {
        FaultKind::Auth => "Replace the key",
        FaultKind::Forbidden => "Widen the key's rights",
        _ => "Check the address",
    }
}

/// Whether a shop's trouble is one for people already: what only they can mend at once, else once it has lasted.
pub fn is_for_people(failing: &ShopFailing) -> bool {
    matches!(failing.kind, FaultKind::Auth | FaultKind::Forbidden) || failing.times > 1
}

/// Where a shop's settings are.
pub fn shop_page(customer: CustomerId, shop: ShopId) -> String {
    format!("/customers/{customer}/shops/{shop}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::settings::{Customer, CustomerHasService, RowId, ShopRole};
    use lockstep_protocol::people::standing::Totals;
    use std::collections::BTreeMap;

    fn report(failing: Option<FaultKind>) -> ShopReport {
        ShopReport {
            shop: ShopId(2),
            answered_at: Some(Timestamp::UNIX_EPOCH),
            failing: failing.map(|kind| ShopFailing {
                kind,
                message: "401 from Web".into(),
                since: Timestamp::UNIX_EPOCH,
                times: 3,
                writes_only: false,
            }),
        }
    }

    #[test]
    fn a_shop_is_as_its_last_call_says_and_not_as_its_settings_do() {
        let service = Service::new(ShopId(2), "Web", "practice", "http://127.0.0.1:1");
        let word = |served: &Served, report: Option<&ShopReport>| {
            let health = shop(&service, true, served, report);
            (health.mood, health.word)
        };
        let is = |mood, word: &str| (mood, word.to_owned());
        assert_eq!(
            word(&Served::Here, None),
            is(Mood::Idle, "not called yet"),
            "connected is what nobody has seen"
        );
        assert_eq!(
            word(&Served::Here, Some(&report(None))),
            is(Mood::Good, "answers")
        );
        for (kind, said) in [
            (FaultKind::Auth, "refuses our key"),
            (FaultKind::Unavailable, "does not answer"),
            (FaultKind::Timeout, "does not answer"),
        ] {
            let failing = report(Some(kind));
            assert_eq!(word(&Served::Here, Some(&failing)), is(Mood::Failed, said));
        }
        // What was heard before its worker went says nothing of now.
        for away in [Served::Away(None), Served::NoWorker] {
            assert_eq!(
                word(&away, Some(&report(None))),
                is(Mood::Attention, "not looked at")
            );
        }
    }

    #[test]
    fn each_cause_is_told_once_with_what_cures_it() {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(7), "Kahvila"));
        settings.services.push(Service::new(
            ShopId(2),
            "Web",
            "practice",
            "http://127.0.0.1:1",
        ));
        settings.customer_has_services.push(CustomerHasService::new(
            RowId(1),
            CustomerId(7),
            ShopId(2),
            ShopRole::Shop,
        ));
        let names = said::Names {
            settings,
            identities: BTreeMap::new(),
        };
        let summary = Summary {
            totals: Totals {
                questions: 5,
                held: 0,
                aside: 9,
                ..Totals::default()
            },
            asides: 2,
            ..Summary::default()
        };
        let needs = of_summary(&names, &summary);
        let told: Vec<(&str, &str)> = needs
            .iter()
            .map(|need| (need.title.as_str(), need.action.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("5 open questions at Kahvila", "Decide"),
                ("2 records set aside at Kahvila", "See why")
            ]
        );
        assert_eq!(of_summary(&names, &Summary::default()), []);
    }
}
