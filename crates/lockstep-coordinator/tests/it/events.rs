//! Server-sent events.

use crate::{worker::TestWorker, world::World};
use lockstep_protocol::paths::people;

#[tokio::test]
async fn an_open_page_hears_of_a_worker_that_waits() {
    let world = World::new().await;
    let mut stream = world
        .client
        .get(format!("{}?topics=workers", world.url(people::EVENTS)))
        .bearer_auth(&world.login.api_token)
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    TestWorker::unknown(&world, "one").auth(None).await;
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        let chunk = stream.chunk().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(
        heard.contains("event: workers") && heard.contains("\"topic\":\"workers\""),
        "{heard}"
    );
    let refused = world
        .client
        .get(world.url(people::EVENTS))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
}
