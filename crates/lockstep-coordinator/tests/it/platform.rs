//! A platform that knows nothing but its hooks: a header says what a delivery is.

use async_trait::async_trait;
use lockstep_connector::{
    Account, BodyStream, Connector, Credential, Hint, Hook, HookDelivery, HookScheme, HookState,
    Http, Manifest, OrderCreation, Pictures, Platform, Registry, StockWrite,
};
use lockstep_model::{
    Change, Fault, FaultKind, Flow, NaturalKey, Outcome, Page, PictureSource, PullRequest, Record,
    ShopIdentity,
};
use std::{sync::Arc, time::Duration};

pub const SIGNATURE: &str = "x-test-signature";
pub const PING: &str = "x-test-ping";

static MANIFEST: Manifest = Manifest {
    platform: "practice",
    name: "Practice shop",
    credentials: &[Credential {
        name: "token",
        label: "API token",
        secret: true,
    }],
    paging: &[],
    batches: &[],
    stock_write: StockWrite::None,
    orders: OrderCreation::None,
    order_steps: &[],
    settles_after: Duration::ZERO,
    hooks: HookScheme::Topics(&["orders"]),
    holds: Manifest::holds_all,
    removes: Manifest::removes_all,
};

struct TestPlatform;

pub fn registry() -> Registry {
    Registry::new(vec![Arc::new(TestPlatform)])
}

impl Platform for TestPlatform {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn connect(&self, _: Account, _: Arc<dyn Http>) -> Box<dyn Connector> {
        Box::new(Unconnected)
    }

    fn hint(&self, delivery: HookDelivery<'_>) -> Hint {
        if delivery.headers.contains_key(PING) {
            return Hint::Ping;
        }
        match delivery.headers.get(SIGNATURE) {
            Some(signature) if signature == delivery.secret => {
                Hint::Look(vec![Flow::Orders, Flow::Stock])
            }
            _ => Hint::Refused,
        }
    }
}

/// The coordinator never connects to a shop.
struct Unconnected;

fn never<T>() -> Result<T, Fault> {
    Err(Fault::new(
        FaultKind::Unavailable,
        "the coordinator called a shop",
    ))
}

#[async_trait]
impl Connector for Unconnected {
    async fn check(&self) -> Result<ShopIdentity, Fault> {
        never()
    }

    async fn pull(&self, _: &PullRequest) -> Result<Page, Fault> {
        never()
    }

    async fn push(&self, _: &[Change], _: &dyn Pictures) -> Result<Vec<Outcome>, Fault> {
        never()
    }

    async fn find(&self, _: &NaturalKey) -> Result<Vec<Record>, Fault> {
        never()
    }

    async fn picture(&self, _: &PictureSource) -> Result<BodyStream, Fault> {
        never()
    }

    async fn look_at_hooks(&self, _: &[Hook]) -> Result<Vec<HookState>, Fault> {
        never()
    }

    async fn hooks(&self, _: &[Hook]) -> Result<Vec<HookState>, Fault> {
        never()
    }
}
