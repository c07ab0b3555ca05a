//! Lines 67 to 69: hooks.

use super::{Failure, Proof, ShopUnderTest, Told, ensure};
use crate::{Hint, Hook, HookDelivery, HookScheme};

const NONE: Proof = Proof::None("the platform sends no hooks");
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn topics(shop: &dyn ShopUnderTest) -> Option<&'static [&'static str]> {
    match shop.platform().manifest().hooks {
        HookScheme::Topics(topics) => Some(topics),
        HookScheme::None => None,
    }
}

pub async fn hooks_are_registered_listed_removed_and_enabled_again(
    shop: &dyn ShopUnderTest,
) -> Told {
    let Some(topics) = topics(shop) else {
        return Ok(NONE);
    };
    let connector = shop.connector();
    let address = |port: u16| {
        let shop = shop.account().shop;
        format!("http://127.0.0.1:{port}/hooks/v1/7/{shop}/key")
    };
    let wish = |port: u16| -> Vec<Hook> {
        let hooks = topics.iter().map(|topic| Hook {
            topic: (*topic).to_owned(),
            url: address(port),
            secret: SECRET.into(),
        });
        hooks.collect()
    };
    let ours = || async {
        let all = shop.registrations().await?;
        let all = all.ok_or_else(|| Failure("the shop lists no hooks".into()))?;
        let ours = all
            .into_iter()
            .filter(|(url, ..)| url.contains("/hooks/v1/7/"));
        Ok::<_, Failure>(ours.collect::<Vec<_>>())
    };
    for _ in 0..2 {
        let states = connector.hooks(&wish(9)).await?;
        ensure!(
            states.len() == topics.len() && states.iter().all(|state| state.active),
            "registered are {states:?}"
        );
        let there = ours().await?;
        ensure!(
            there.len() == 1,
            "asked for once, there are {}",
            there.len()
        );
        ensure!(
            there[0].1.len() == topics.len(),
            "the topics are {:?}",
            there[0].1
        );
    }
    let states = connector.look_at_hooks(&wish(9)).await?;
    ensure!(
        states.len() == topics.len() && states.iter().all(|state| state.active),
        "looked at, they are {states:?}"
    );
    shop.switch_hook_off(&address(9)).await?;
    let states = connector.look_at_hooks(&wish(9)).await?;
    ensure!(
        !states.iter().any(|state| state.active),
        "switched off, they are seen as {states:?}"
    );
    let there = ours().await?;
    ensure!(
        there.iter().all(|(.., active)| !active),
        "a look has changed them: {there:?}"
    );
    connector.hooks(&wish(9)).await?;
    let there = ours().await?;
    ensure!(
        there.iter().all(|(.., active)| *active),
        "it is not enabled again"
    );
    let states = connector.look_at_hooks(&wish(10)).await?;
    ensure!(states.is_empty(), "of another address are seen {states:?}");
    let states = connector.hooks(&[]).await?;
    ensure!(states.is_empty(), "left are {states:?}");
    let there = ours().await?;
    ensure!(there.is_empty(), "not removed: {there:?}");
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_signature_is_checked_on_the_raw_bytes(shop: &dyn ShopUnderTest) -> Told {
    let Some((headers, body)) = shop.delivery(SECRET) else {
        return Ok(NONE);
    };
    let platform = shop.platform();
    let told = |body: &[u8], secret: &str| {
        platform.hint(HookDelivery {
            headers: &headers,
            body,
            secret,
        })
    };
    ensure!(
        matches!(told(&body, SECRET), Hint::Look(flows) if !flows.is_empty()),
        "a good hook is told as {:?}",
        told(&body, SECRET)
    );
    let mut spaced = body.clone();
    spaced.push(b'\n');
    ensure!(
        told(&spaced, SECRET) == Hint::Refused,
        "one more byte is not seen"
    );
    ensure!(
        told(&body, "another secret, as long!") == Hint::Refused,
        "another secret is not seen"
    );
    ensure!(told(&body, "") == Hint::Refused, "no secret is not seen");
    let unsigned = Default::default();
    let bare = platform.hint(HookDelivery {
        headers: &unsigned,
        body: &body,
        secret: SECRET,
    });
    ensure!(
        bare == Hint::Refused,
        "an unsigned hook is told as {bare:?}"
    );
    Ok(Proof::Yes(shop.how()))
}

/// A hook only says where to look: the same twice, and in any order, says the same.
pub async fn duplicates_and_disorder_are_harmless(shop: &dyn ShopUnderTest) -> Told {
    let Some((headers, body)) = shop.delivery(SECRET) else {
        return Ok(NONE);
    };
    let platform = shop.platform();
    let hints: Vec<Hint> = (0..3)
        .map(|_| {
            platform.hint(HookDelivery {
                headers: &headers,
                body: &body,
                secret: SECRET,
            })
        })
        .collect();
    ensure!(
        hints.iter().all(|hint| *hint == hints[0]),
        "the same hook says {hints:?}"
    );
    Ok(Proof::Yes(shop.how()))
}
