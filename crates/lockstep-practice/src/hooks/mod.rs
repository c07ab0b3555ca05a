//! Webhooks: who wants to hear (`registration`), what waits to be sent (`outbox`), and the sending (`deliver`).

pub mod deliver;
pub mod outbox;
pub mod registration;

/// What a hook can be told of.
pub const TOPICS: [&str; 10] = [
    "product.created",
    "product.updated",
    "product.deleted",
    "category.created",
    "category.updated",
    "category.deleted",
    "stock.changed",
    "order.created",
    "order.changed",
    "ping",
];

/// Whether a subscription such as `product.*`, `*` or a plain topic covers a topic. Pings go to everybody.
pub fn covers(subscription: &str, topic: &str) -> bool {
    subscription == "*"
        || subscription == topic
        || subscription
            .strip_suffix(".*")
            .is_some_and(|kind| topic.split('.').next() == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_covers_its_topics_and_no_others() {
        for (subscription, topic, is) in [
            ("*", "stock.changed", true),
            ("product.*", "product.updated", true),
            ("product.*", "stock.changed", false),
            ("prod.*", "product.updated", false),
            ("order.created", "order.created", true),
            ("order.created", "order.changed", false),
        ] {
            assert_eq!(covers(subscription, topic), is, "{subscription} {topic}");
        }
    }
}
