//! Texts of every kind: case, spaces, four-byte characters and size.

use super::{kahvila, save};
use crate::place::{Place, noon};
use lockstep_model::{
    CustomerId, Epoch, Incarnation, WorkerId, settings::Stock, settings::StockId,
};
use lockstep_storage::{
    CustomerFilter, Hash, NewSegment, SearchRow, SegmentOutcome, ownership::Event,
};

fn row(record: u64, key: &str, title: &str) -> SearchRow {
    SearchRow {
        kind: "product".into(),
        record,
        key: key.into(),
        title: title.into(),
    }
}

pub async fn keys_compare_with_case_and_spaces(place: &Place) {
    let rows = [
        row(1, "kh-100", "small"),
        row(1, "KH-100", "large"),
        row(1, "KH-100 ", "spaced"),
    ];
    place
        .storage
        .put_search_rows(CustomerId(1), &rows)
        .await
        .unwrap();
    let hits = place
        .storage
        .search(Some(CustomerId(1)), "kh-100", 10)
        .await
        .unwrap();
    let mut titles: Vec<_> = hits.iter().map(|hit| hit.row.title.as_str()).collect();
    titles.sort_unstable();
    // MySQL's usual collations call all three one key, its binary one the last two.
    assert_eq!(titles, ["large", "small", "spaced"]);
}

pub async fn texts_beyond_64_kb_are_whole(place: &Place) {
    let mut settings = kahvila(0);
    settings.stocks = (1..=5_000)
        .map(|id| Stock {
            id: StockId(id),
            name: format!("Varasto numero {id} ÄÖ"),
        })
        .collect();
    settings.services[0]
        .options
        .insert("note".into(), "ä".repeat(100_000).into());
    let saved = save(&place.storage, settings.clone()).await;
    let stored = place
        .storage
        .customer(saved.id)
        .await
        .unwrap()
        .unwrap()
        .settings;
    assert_eq!(stored.stocks, settings.stocks);
    assert_eq!(stored.services[0].options, settings.services[0].options);
}

pub async fn bytes_beyond_64_kb_are_whole(place: &Place) {
    let storage = &place.storage;
    let customer = CustomerId(1);
    let worker = WorkerId(1);
    storage
        .move_customer(customer, Event::Assign { to: worker }, noon())
        .await
        .unwrap();
    let body: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    let new = NewSegment {
        customer,
        worker,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        sequence: 1,
        previous: Hash([0; 32]),
        hash: Hash([1; 32]),
        body: &body,
    };
    assert_eq!(
        storage.put_segment(&new, noon()).await.unwrap(),
        SegmentOutcome::Accepted
    );
    let read = storage.segments_after(customer, 0, 1 << 20).await.unwrap();
    assert_eq!(read[0].body, body);
}

pub async fn wildcards_in_a_search_are_letters(place: &Place) {
    let rows = [
        row(1, "100%", "percent"),
        row(2, "100x", "other"),
        row(3, "a_b!c", "under"),
    ];
    place
        .storage
        .put_search_rows(CustomerId(1), &rows)
        .await
        .unwrap();
    let keys = async |text: &str| {
        let hits = place.storage.search(None, text, 10).await.unwrap();
        hits.into_iter().map(|hit| hit.row.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("100%").await, ["100%"]);
    assert_eq!(keys("a_B!").await, ["a_b!c"]);
    assert_eq!(keys("%").await, Vec::<String>::new());
    assert_eq!(keys("").await, Vec::<String>::new());
}

pub async fn a_nul_and_an_emoji_do_no_harm(place: &Place) {
    let mut settings = kahvila(0);
    settings.customer.name = "Kahvila ☕️ 🥐\0".into();
    settings.services[0].name = "ERP\0🥐".into();
    let saved = save(&place.storage, settings).await;
    let stored = place
        .storage
        .customer(saved.id)
        .await
        .unwrap()
        .unwrap()
        .settings;
    assert_eq!(stored.customer.name, "Kahvila ☕️ 🥐\0");
    let filter = CustomerFilter {
        text: Some("🥐".into()),
        limit: 10,
        ..CustomerFilter::default()
    };
    assert_eq!(
        place.storage.list_customers(&filter).await.unwrap().len(),
        1
    );
}
