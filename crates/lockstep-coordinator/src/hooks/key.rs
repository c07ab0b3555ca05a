//! The address that a shop is told to call. Its last part follows from the shop's hook secret: it cannot
//! be guessed, and who changes the secret closes the old address.

use data_encoding::BASE64URL_NOPAD;
use lockstep_model::{CustomerId, ShopId, settings::Secret};
use lockstep_protocol::paths::{fill, hooks::HOOK};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub fn hook_key(customer: CustomerId, shop: ShopId, secret: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lockstep hook key 1\n");
    hash.update(customer.0.to_be_bytes());
    hash.update(shop.0.to_be_bytes());
    hash.update(secret.reveal().as_bytes());
    let digest = hash.finalize();
    BASE64URL_NOPAD.encode(digest.get(..18).unwrap_or_default())
}

pub fn is_key(shown: &str, customer: CustomerId, shop: ShopId, secret: &Secret) -> bool {
    hook_key(customer, shop, secret)
        .as_bytes()
        .ct_eq(shown.as_bytes())
        .into()
}

pub fn hook_url(public_url: &str, customer: CustomerId, shop: ShopId, secret: &Secret) -> String {
    let path = fill(HOOK, &[&customer, &shop, &hook_key(customer, shop, secret)]);
    format!("{public_url}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_from_customer_shop_and_secret() {
        let secret = Secret::new("s");
        let key = hook_key(CustomerId(1), ShopId(2), &secret);
        assert!(is_key(&key, CustomerId(1), ShopId(2), &secret));
        assert!(!is_key(&key, CustomerId(1), ShopId(3), &secret));
        assert!(!is_key(&key, CustomerId(1), ShopId(2), &Secret::new("t")));
        assert!(!is_key("", CustomerId(1), ShopId(2), &secret));
        let url = hook_url("http://127.0.0.1:1", CustomerId(1), ShopId(2), &secret);
        assert_eq!(url, format!("http://127.0.0.1:1/hooks/v1/1/2/{key}"));
    }
}
