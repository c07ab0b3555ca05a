//! Builds requests to a practice shop. Pure.

use crate::exchange::{self, credential, encode};
use http::Method;
use lockstep_connector::{Account, Body, Request};
use lockstep_model::{Fault, Kind, RemoteId};
use serde_json::{Value, json};

pub(super) struct Api<'a> {
    pub account: &'a Account,
}

type Built = Result<Request, Fault>;

/// Where a list is read from.
pub(super) enum From<'a> {
    Beginning,
    Page(&'a str),
    ModifiedSince(&'a str),
}

pub(super) fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Category => "categories",
        Kind::Product => "products",
        Kind::Level => "stock",
        Kind::Order => "orders",
    }
}

impl Api<'_> {
    fn build(&self, method: Method, path: &str, body: Option<Value>) -> Built {
        let token = credential(self.account, "token");
        let body = body.map(|body| ("application/json", Body::Bytes(body.to_string().into())));
        exchange::request(
            self.account,
            method,
            &format!("/api/v1/{path}"),
            &format!("Bearer {token}"),
            body,
        )
    }

    fn get(&self, path: &str) -> Built {
        self.build(Method::GET, path, None)
    }

    pub fn shop(&self) -> Built {
        self.get("shop")
    }

    pub fn list(&self, kind: Kind, from: From<'_>, limit: u32) -> Built {
        let from = match from {
            From::Beginning => String::new(),
            From::Page(cursor) => format!("&cursor={}", encode(cursor)),
            From::ModifiedSince(time) => format!("&modified_since={}", encode(time)),
        };
        self.get(&format!("{}?limit={limit}{from}", collection(kind)))
    }

    /// What is not there is not in the answer.
    pub fn look_up(&self, kind: Kind, ids: &[RemoteId]) -> Built {
        let query = match kind {
            Kind::Level => {
                let skus = ids
                    .iter()
                    .map(|sku| format!("sku={}", encode(sku.as_str())));
                skus.collect::<Vec<_>>().join("&")
            }
            Kind::Category | Kind::Product | Kind::Order => {
                let ids = ids.iter().map(|id| encode(id.as_str()).to_string());
                format!("ids={}", ids.collect::<Vec<_>>().join(","))
            }
        };
        let limit = ids.len().max(1);
        self.get(&format!("{}?limit={limit}&{query}", collection(kind)))
    }

    pub fn find(&self, kind: Kind, name: &str, value: &str) -> Built {
        let path = collection(kind);
        self.get(&format!("{path}?{name}={}", encode(value)))
    }

    pub fn batch(&self, kind: Kind, members: Vec<Value>) -> Built {
        let path = format!("{}/batch", collection(kind));
        self.build(Method::POST, &path, Some(json!({ "items": members })))
    }

    pub fn remove_variant(&self, product: &RemoteId, variant: &RemoteId) -> Built {
        let (product, variant) = (encode(product.as_str()), encode(variant.as_str()));
        let path = format!("products/{product}/variants/{variant}");
        self.build(Method::DELETE, &path, None)
    }

    pub fn add_picture(
        &self,
        product: &RemoteId,
        alt: &str,
        position: u32,
        content_type: &str,
        body: Body,
    ) -> Built {
        let (product, alt) = (encode(product.as_str()), encode(alt));
        let path = format!("/api/v1/products/{product}/pictures?alt={alt}&position={position}");
        let token = credential(self.account, "token");
        exchange::request(
            self.account,
            Method::POST,
            &path,
            &format!("Bearer {token}"),
            Some((content_type, body)),
        )
    }

    pub fn place_picture(&self, product: &RemoteId, picture: &RemoteId, position: usize) -> Built {
        let path = self.picture_path(product, picture);
        self.build(Method::PATCH, &path, Some(json!({ "position": position })))
    }

    pub fn remove_picture(&self, product: &RemoteId, picture: &RemoteId) -> Built {
        self.build(Method::DELETE, &self.picture_path(product, picture), None)
    }

    fn picture_path(&self, product: &RemoteId, picture: &RemoteId) -> String {
        let (product, picture) = (encode(product.as_str()), encode(picture.as_str()));
        format!("products/{product}/pictures/{picture}")
    }

    /// Public, by content. The path is taken from the shop's own record, its host from the account: a record
    /// must not be able to send us elsewhere.
    pub fn picture(&self, url: &str) -> Built {
        let digest = url.rsplit('/').next().unwrap_or_default();
        let token = credential(self.account, "token");
        exchange::request(
            self.account,
            Method::GET,
            &format!("/pictures/{}", encode(digest)),
            &format!("Bearer {token}"),
            None,
        )
    }

    pub fn hooks(&self) -> Built {
        self.get("hooks")
    }

    pub fn add_hook(&self, url: &str, topics: &[&str], secret: &str) -> Built {
        let body = json!({ "url": url, "topics": topics, "secret": secret });
        self.build(Method::POST, "hooks", Some(body))
    }

    pub fn set_hook(&self, id: &str, topics: &[&str], secret: &str) -> Built {
        let body = json!({ "topics": topics, "secret": secret, "enabled": true });
        self.build(Method::PUT, &format!("hooks/{}", encode(id)), Some(body))
    }

    pub fn ping_hook(&self, id: &str) -> Built {
        let path = format!("hooks/{}/ping", encode(id));
        self.build(Method::POST, &path, Some(json!({})))
    }

    pub fn remove_hook(&self, id: &str) -> Built {
        self.build(Method::DELETE, &format!("hooks/{}", encode(id)), None)
    }
}
