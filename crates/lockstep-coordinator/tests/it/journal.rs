//! Segments: taken once, in order, from the owner; given to who takes over; read by people.

use crate::{
    worker::{TestWorker, acknowledge, header, opened, segment},
    world::{World, kahvila},
};
use jiff::Timestamp;
use lockstep_journal::{Journal, Segment};
use lockstep_model::{
    CustomerId, Epoch, Field, Kind, Lane, Level, Path, RecordId, RunId, ShopId, Value,
    entry::{Body, Cause, Delta, Merged, Movement, Seen},
    settings::StockId,
};
use lockstep_protocol::{
    Code,
    paths::{fill, people},
    people::{
        Page,
        records::{RecordRow, RecordView, StockExplained},
    },
    segment::{SegmentOutcome, read_frames},
};
use rust_decimal::Decimal;

const CUSTOMER: CustomerId = CustomerId(1);

async fn owner(world: &World) -> (TestWorker, Journal) {
    let mut worker = TestWorker::confirmed(world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    (worker, Journal::in_memory(CUSTOMER).unwrap())
}

#[tokio::test]
async fn segments_are_taken_once_and_in_order() {
    let world = World::new().await;
    let (worker, mut journal) = owner(&world).await;
    let epoch = worker.epoch(CUSTOMER);
    let first = segment(&mut journal, vec![opened(CUSTOMER, worker.id, epoch)]);
    assert_eq!(
        worker.send(&first).await.unwrap().outcome,
        SegmentOutcome::Accepted
    );
    assert_eq!(
        worker.send(&first).await.unwrap().outcome,
        SegmentOutcome::Same
    );
    acknowledge(&mut journal, &first);

    let second = segment(&mut journal, vec![started(1)]);
    acknowledge(&mut journal, &second);
    let third = segment(&mut journal, vec![started(2)]);
    let problem = worker.send(&third).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (409, Code::SegmentGap));
    assert_eq!(problem.head.unwrap(), header(&first).head());
    worker.send(&second).await.unwrap();

    // Another one at the same number.
    let mut other = Journal::in_memory(CUSTOMER).unwrap();
    let forked = segment(
        &mut other,
        vec![opened(CUSTOMER, worker.id, epoch), started(9)],
    );
    let problem = worker.send(&forked).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (409, Code::SegmentConflict));

    // One of an epoch that this database never granted: it was restored from a backup.
    let mut early = Journal::in_memory(CUSTOMER).unwrap();
    let early = segment(
        &mut early,
        vec![opened(CUSTOMER, worker.id, Epoch(epoch.0 + 1))],
    );
    let problem = worker.send(&early).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (410, Code::IncarnationChanged)
    );

    let given = worker.journal(CUSTOMER, 0).await.unwrap();
    let frames = read_frames(&given).unwrap();
    let sent = [&first, &second];
    assert_eq!(frames.len(), sent.len());
    for ((header_given, body), segment) in frames.iter().zip(sent) {
        assert_eq!(*header_given, header(segment));
        assert_eq!(Segment::decode(body).unwrap(), *segment);
    }
    assert!(worker.journal(CUSTOMER, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_or_mislabelled_segment_is_refused() {
    let world = World::new().await;
    let (worker, mut journal) = owner(&world).await;
    let epoch = worker.epoch(CUSTOMER);
    let mut good = segment(&mut journal, vec![opened(CUSTOMER, worker.id, epoch)]);
    let hash = good.hash;
    good.hash.0[0] ^= 1;
    let problem = worker.send(&good).await.unwrap_err();
    assert_eq!(problem.code, Code::BadRequest, "{problem}");
    good.hash = hash;
    assert!(worker.send(&good).await.is_ok());
}

#[tokio::test]
async fn nobody_but_the_owner_sends_or_reads() {
    let world = World::new().await;
    let (worker, mut journal) = owner(&world).await;
    let mut other = TestWorker::confirmed(&world, "two").await;
    other.news_or_nothing().await;
    let epoch = worker.epoch(CUSTOMER);
    let first = segment(&mut journal, vec![opened(CUSTOMER, worker.id, epoch)]);
    assert_eq!(other.send(&first).await.unwrap_err().code, Code::OldEpoch);
    assert_eq!(
        other.journal(CUSTOMER, 0).await.unwrap_err().code,
        Code::OldEpoch
    );
}

fn started(run: u64) -> Body {
    Body::RunStarted {
        run: RunId(run),
        lane: Lane::Catalogue,
        revision: lockstep_model::Revision(1),
        causes: vec![Cause::Schedule],
    }
}

fn coffee() -> Body {
    let title = [(Path::new(&Field::Title), Value::text("Coffee 500 g"))];
    let held = Delta {
        set: title.into(),
        unset: vec![],
    };
    let seen = Seen {
        id: "p1".into(),
        parts: None,
        held: held.clone(),
        anew: false,
        gone: false,
    };
    Body::Merged(Merged {
        run: RunId(1),
        record: RecordId(1),
        kind: Kind::Product,
        title: "Coffee 500 g".into(),
        keys: vec!["KH-100".into()],
        ours: held,
        seen: [(ShopId(1), seen)].into(),
        overruled: vec![],
        due: vec![],
        awaits: Default::default(),
    })
}

fn level() -> Vec<Body> {
    let level = Level {
        sku: "KH-100".into(),
        stock: "main".into(),
        item: "".into(),
        variant: None,
        inventory: None,
        on_hand: Decimal::from(12),
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: None,
        location: None,
        modified_at: None,
    };
    vec![
        Body::LevelSeen {
            run: RunId(1),
            shop: ShopId(1),
            stock: StockId(1),
            level,
            taken: Decimal::ZERO,
        },
        Body::BaseMoved {
            item: "KH-100".into(),
            stock: StockId(1),
            delta: Decimal::from(12),
            cause: Movement::Opening { shop: ShopId(1) },
        },
    ]
}

/// Asks until the page is there: it follows the acknowledgement within moments.
async fn page<T: serde::de::DeserializeOwned>(world: &World, path: &str) -> T {
    let begun = std::time::Instant::now();
    loop {
        match world.get(path).await {
            Ok(page) => return page,
            Err(problem) => {
                assert_eq!(problem.code, Code::NotFound, "{problem}");
                assert!(begun.elapsed().as_secs() < 20, "{problem}");
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_pages() {
    let world = World::new().await;
    let (worker, mut journal) = owner(&world).await;
    let epoch = worker.epoch(CUSTOMER);
    let mut bodies = vec![opened(CUSTOMER, worker.id, epoch), started(1), coffee()];
    bodies.extend(level());
    let first = segment(&mut journal, bodies);
    worker.send(&first).await.unwrap();

    let record: RecordView = page(&world, &fill(people::RECORD, &[&1, &"KH-100"])).await;
    assert_eq!(
        (record.row.record, record.row.title.as_str()),
        (RecordId(1), "Coffee 500 g")
    );
    assert_eq!(record.shops[0].id.as_deref(), Some("p1"));
    assert_eq!(record.fields[0].values[&ShopId(1)], "Coffee 500 g");
    assert!(!record.history.is_empty());
    assert!(record.as_of.is_none_or(|at| at <= Timestamp::now()));

    let explained: StockExplained = page(&world, &fill(people::EXPLAIN, &[&1, &"KH-100"])).await;
    let stock = &explained.stocks[0];
    assert_eq!(
        (stock.stock_name.as_str(), stock.pool),
        ("Main", Decimal::from(12))
    );
    assert_eq!(stock.levels[0].available, Decimal::from(12));
    assert_eq!(stock.levels[0].target, Decimal::from(12));
    assert_eq!(stock.movements[0].what, "opening");

    let path = format!("{}?query=coffee", fill(people::RECORDS, &[&1]));
    let found: Page<RecordRow> = world.get(&path).await.unwrap();
    assert_eq!(found.items[0].key, "KH-100");
}
