//! What an address is, and names that stand for addresses: a worker must not be made to call what is private in its
//! network by whoever can edit a shop's address or answer for its name.

use super::reach::{AddressRefused, Reach};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// IPv4 in IPv6's clothes is IPv4.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
    }
}

/// Mapped (`::ffff:a.b.c.d`), translated (`64:ff9b::/96`) and 6to4 (`2002::/16`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |s: [u16; 8]| Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    let s = address.segments();
    match s {
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last(s)),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            // 2000::/3 is what is routed; 2001:db8::/32 in it is for examples, 2001::/32 for tunnels.
            first & 0xe000 == 0x2000 && !(first == 0x2001 && matches!(v6.segments()[1], 0x0db8 | 0))
        }
    }
}

/// Whether a URL's host is this machine, as it is written.
pub fn names_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || literal(host).is_some_and(|address| canonical(address).is_loopback())
}

/// A host that is an address itself; IPv6 with or without brackets.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// Looks names up and leaves out what is not allowed, so that what was checked is what is called.
pub struct GuardedNames(pub Arc<Reach>);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let mut refused: Option<AddressRefused> = None;
            let mut good: Vec<SocketAddr> = Vec::new();
            for address in found {
                match reach.check(&host, address.ip()) {
                    Ok(()) => good.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if good.is_empty() => Err(why.into()),
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(address: &str) -> bool {
        Reach::default().has(address.parse().unwrap())
    }

    #[test]
    fn what_is_private_is_not_called() {
        for address in [
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_called(address), "{address}");
        }
    }

    #[test]
    fn what_is_public_is_called() {
        for address in ["1.1.1.1", "193.166.3.2", "2a00:1450::1", "::ffff:1.1.1.1"] {
            assert!(is_called(address), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_stands_for() {
        let resolve = |reach| GuardedNames(Arc::new(reach)).resolve("localhost".parse().unwrap());
        let refused = resolve(Reach::default()).await.map(|_| ()).unwrap_err();
        assert!(
            refused.downcast_ref::<AddressRefused>().is_some(),
            "{refused}"
        );
        assert!(!refused.to_string().contains("127.0.0.1"), "{refused}");
        assert!(
            resolve(Reach::loopback())
                .await
                .unwrap()
                .all(|at| at.ip().is_loopback())
        );
    }

    #[test]
    fn a_host_is_known_for_this_machine_in_each_of_its_spellings() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "example.com"] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
