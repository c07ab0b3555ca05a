//! What a practice shop's hook says: its signature checked over the raw bytes, then what to look at. Pure.

use super::wire;
use hmac::{Hmac, KeyInit, Mac};
use lockstep_connector::{Hint, HookDelivery};
use lockstep_model::Flow;
use sha2::Sha256;

const SIGNATURE: &str = "x-practice-signature";
const SCHEME: &str = "sha256=";

pub(super) fn hint(delivery: HookDelivery<'_>) -> Hint {
    if !is_signed(&delivery) {
        return Hint::Refused;
    }
    // The topic in the header is not signed; the one in the body is.
    let Ok(body) = serde_json::from_slice::<wire::Delivery>(delivery.body) else {
        return Hint::Refused;
    };
    match body.topic.split_once('.') {
        None if body.topic == "ping" => Hint::Ping,
        Some(("product", _)) => Hint::Look(vec![Flow::Products, Flow::Pictures]),
        Some(("category", _)) => Hint::Look(vec![Flow::Categories]),
        Some(("stock", _)) => Hint::Look(vec![Flow::Stock]),
        // An order lowers what can be sold.
        Some(("order", _)) => Hint::Look(vec![Flow::Orders, Flow::Stock]),
        // Signed by the shop, of a topic that we know nothing of: nothing to look at.
        Some(_) | None => Hint::Look(Vec::new()),
    }
}

fn is_signed(delivery: &HookDelivery<'_>) -> bool {
    // An empty secret would make a signature that anybody can make.
    if delivery.secret.is_empty() {
        return false;
    }
    let given = delivery.headers.get(SIGNATURE);
    let given = given.and_then(|value| value.strip_prefix(SCHEME));
    let given = given.and_then(|hex| {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(hex.as_bytes())
            .ok()
    });
    let (Some(given), Ok(mut mac)) = (
        given,
        Hmac::<Sha256>::new_from_slice(delivery.secret.as_bytes()),
    ) else {
        return false;
    };
    mac.update(delivery.body);
    // In constant time.
    mac.verify_slice(&given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const SECRET: &str = "0123456789abcdef";

    fn sign(body: &[u8], secret: &str) -> BTreeMap<String, String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let hex = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        [(SIGNATURE.to_owned(), format!("sha256={hex}"))].into()
    }

    fn told(body: &[u8], headers: &BTreeMap<String, String>, secret: &str) -> Hint {
        hint(HookDelivery {
            headers,
            body,
            secret,
        })
    }

    #[test]
    fn a_signed_hook_says_what_to_look_at() {
        let body = br#"{"delivery":"1","topic":"stock.changed","id":"A","sku":"A"}"#;
        let headers = sign(body, SECRET);
        assert_eq!(told(body, &headers, SECRET), Hint::Look(vec![Flow::Stock]));
        let body = br#"{"topic":"ping"}"#;
        assert_eq!(told(body, &sign(body, SECRET), SECRET), Hint::Ping);
    }

    #[test]
    fn one_changed_byte_refuses_a_hook() {
        let body = br#"{"topic":"stock.changed"}"#;
        let headers = sign(body, SECRET);
        let changed = br#"{"topic":"stock.changed" }"#;
        assert_eq!(told(changed, &headers, SECRET), Hint::Refused);
        assert_eq!(told(body, &headers, "another secret!!"), Hint::Refused);
        assert_eq!(told(body, &BTreeMap::new(), SECRET), Hint::Refused);
        let short = [(SIGNATURE.to_owned(), "sha256=".to_owned())].into();
        assert_eq!(told(body, &short, SECRET), Hint::Refused);
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let body = br#"{"topic":"ping"}"#;
        assert_eq!(told(body, &sign(body, ""), ""), Hint::Refused);
    }
}
