//! What it takes to speak a platform's API: the [`Connector`] trait, its [`Manifest`], the [`Http`] port through
//! which alone it reaches a shop, and the contract kit that every connector has to pass.
//!
//! A connector translates. It does not sleep, repeat, log secrets, keep state beyond a session token, or decide.

mod http_port;
pub mod kit;
mod manifest;
mod registry;

pub use http_port::{Body, BodyStream, Budget, Cost, Effect, Http, Reply, Request, json};
pub use manifest::{
    Credential, HookScheme, Manifest, OrderCreation, Paging, StockWrite, WriteBatch,
};
pub use registry::{Platform, Registry};

use async_trait::async_trait;
use lockstep_model::{
    Change, Fault, NaturalKey, Outcome, Page, PictureSource, PullRequest, Record, ShopId,
    ShopIdentity,
};
use std::collections::BTreeMap;

/// One shop's account on a platform, ready to be called.
///
/// Every call makes as few requests as the platform allows. Errors carry the kind that the engine's retry table
/// decides by, and a sentence for people; never a secret, never personal data.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Are the credentials good, and who answers? Tells wrong address (`Unavailable`, `Protocol`), wrong key
    /// (`Auth`) and missing right (`Forbidden`) apart.
    async fn check(&self) -> Result<ShopIdentity, Fault>;

    /// One page. A failed page is a fault, never an empty page; a bad record is one `Err` among good ones.
    async fn pull(&self, request: &PullRequest) -> Result<Page, Fault>;

    /// One batch: all of one sort, at most as many as the manifest says. One outcome for each change, in order.
    ///
    /// `Err` only if no byte was sent; afterwards what is not known is `Failed` with `UnknownOutcome`.
    async fn push(
        &self,
        changes: &[Change],
        pictures: &dyn Pictures,
    ) -> Result<Vec<Outcome>, Fault>;

    /// Looks one record up, after a lost reply or to match. Nothing found is an empty list; not knowing is a fault.
    async fn find(&self, key: &NaturalKey) -> Result<Vec<Record>, Fault>;

    /// The bytes of a picture that this shop holds.
    async fn picture(&self, picture: &PictureSource) -> Result<BodyStream, Fault>;

    /// What the shop has of these registrations now. Reads, and changes nothing.
    async fn look_at_hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault>;

    /// Makes this shop's registrations equal to the wish and says what they are now.
    async fn hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault>;
}

/// Where `push` gets a picture's bytes: another shop's connector, behind the driver.
#[async_trait]
pub trait Pictures: Send + Sync {
    async fn open(&self, source: &PictureSource) -> Result<BodyStream, Fault>;
}

/// For callers whose changes carry no pictures.
pub struct NoPictures;

#[async_trait]
impl Pictures for NoPictures {
    async fn open(&self, _: &PictureSource) -> Result<BodyStream, Fault> {
        Err(Fault::new(
            lockstep_model::FaultKind::Invalid { field: None },
            "this change needs a picture and none is at hand",
        ))
    }
}

/// The account to be called: the settings' `services` row, its secrets in clear.
#[derive(Clone)]
pub struct Account {
    pub shop: ShopId,
    pub name: String,
    /// Without a trailing slash.
    pub url: String,
    pub credentials: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("shop", &self.shop)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A registration that we want at a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The platform's own name of the event.
    pub topic: String,
    pub url: String,
    /// What the shop signs with.
    pub secret: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookState {
    pub topic: String,
    pub url: String,
    pub active: bool,
}

/// A hook as it arrived at the coordinator.
#[derive(Debug, Clone, Copy)]
pub struct HookDelivery<'a> {
    /// Lower-case names.
    pub headers: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
    pub secret: &'a str,
}

/// What a hook says changed. Only a hint: the truth is read from the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// The signature holds; look at these flows.
    Look(Vec<lockstep_model::Flow>),
    /// A platform's test call: answer 2xx, believe nothing.
    Ping,
    /// Unsigned or wrongly signed.
    Refused,
}
