//! Addresses and networks, as configurations name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// `10.1.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a network, as in 192.168.1.0/24, nor an address")]
pub struct BadNetwork(String);

impl Network {
    /// All addresses of the machine itself.
    pub const LOOPBACK: [Network; 2] = [
        Network {
            address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            prefix: 8,
        },
        Network {
            address: IpAddr::V6(Ipv6Addr::LOCALHOST),
            prefix: 128,
        },
    ];

    /// IPv4 in IPv6's clothes counts as IPv4.
    pub fn has(self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, bits: u8| {
            let rest = u32::from(bits - self.prefix);
            one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let text = text.trim();
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let written: IpAddr = address.parse().map_err(|_| bad())?;
        let address = written.to_canonical();
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let prefix = match prefix {
            None => bits,
            // An IPv4 network in IPv6's clothes has no prefix that would mean the same.
            Some(_) if address != written => return Err(bad()),
            Some(prefix) => prefix.parse().map_err(|_| bad())?,
        };
        if prefix > bits {
            return Err(bad());
        }
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.has(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_its_own_addresses_alone() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.1", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.0.0/16", "::ffff:10.1.2.3", "fd00::1"),
            ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("fd00:1::/32", "fd00:1:2::3", "fd00:2::"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "2001::1", "1.1.1.1"),
        ] {
            assert!(has(network, inside), "{network} {inside}");
            assert!(!has(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn a_slip_is_named() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "::/129",
            "erp.local",
            "10/8",
            "::ffff:10.0.0.0/104",
        ] {
            let bad = text.parse::<Network>().unwrap_err();
            assert!(bad.to_string().contains(text), "{bad}");
        }
    }
}
