//! Who calls, where a proxy stands between: its word is taken for it if the operator trusts the proxy, and nobody else's.

use axum::{
    extract::{ConnectInfo, Request},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use lockstep_protocol::Network;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Puts the client's address in the place of the proxy's, for everything behind.
pub async fn client(proxies: Arc<[Network]>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let client = client_of(peer.ip(), request.headers(), &proxies);
        let client = SocketAddr::new(client, peer.port());
        request.extensions_mut().insert(ConnectInfo(client));
    }
    next.run(request).await
}

/// From the last hop back: the first that is no proxy of ours. What stands before it anybody may have written.
fn client_of(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.has(address));
    if !is_proxy(peer) {
        return peer;
    }
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    let mut client = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = address(hop.trim()) else {
            break;
        };
        client = address;
        if !is_proxy(address) {
            break;
        }
    }
    client
}

/// With or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let proxies: Vec<Network> = ["10.0.0.0/8", "::1"]
            .map(|network| network.parse().unwrap())
            .into();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        client_of(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn s7_the_word_of_a_trusted_proxy_is_taken_and_nobody_elses() {
        assert_eq!(client("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(client("::1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(client("::1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(
            client("192.0.2.1", &["192.0.2.7"]),
            "192.0.2.1",
            "a stranger"
        );
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        // What the caller wrote himself stands before what the proxies added.
        assert_eq!(client("10.0.0.1", &["1.2.3.4, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4", "192.0.2.7, 10.0.0.2"]),
            "192.0.2.7"
        );
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4, nonsense, 10.0.0.2"]),
            "10.0.0.2"
        );
    }
}
