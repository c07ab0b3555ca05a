//! Which addresses beyond the public internet a worker may call. It stands inside somebody's network: what is private
//! there is its operator's to open, never a merchant's, who edits the addresses of shops.

use super::address::{canonical, is_public};
use lockstep_protocol::{BadNetwork, Network};
use std::net::IpAddr;

/// What the worker's operator allows. Nothing beyond the public internet, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    networks: Vec<Network>,
    /// Shops over plain http, where their own option accepts it too.
    plain_http: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, nor \"loopback\" for this machine itself")]
pub struct BadReach(#[from] BadNetwork);

impl Reach {
    /// `loopback` stands for all of this machine's own addresses.
    pub fn to<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, BadReach> {
        let mut reach = Self::default();
        for text in networks {
            match text.trim() {
                "loopback" => reach.networks.extend(Network::LOOPBACK),
                other => reach.networks.push(other.parse()?),
            }
        }
        Ok(reach)
    }

    /// This machine itself: for a demo, or an ERP beside the worker.
    pub fn loopback() -> Self {
        Self {
            networks: Network::LOOPBACK.to_vec(),
            plain_http: false,
        }
    }

    pub fn with_plain_http(mut self, allowed: bool) -> Self {
        self.plain_http = allowed;
        self
    }

    pub(super) fn has_plain_http(&self) -> bool {
        self.plain_http
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        is_public(address) || self.networks.iter().any(|network| network.has(address))
    }

    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        if self.has(address) {
            return Ok(());
        }
        let host = host.to_owned();
        Err(AddressRefused { host })
    }
}

/// Why an address is not called. What a name stands for inside is not said to whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this worker does not call {host}: it is no address of the public internet. If the shop really stands there, the \
     worker's operator allows it: worker.allow_addresses in the worker's configuration"
)]
pub struct AddressRefused {
    pub host: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(reach: &Reach, address: &str) -> bool {
        reach
            .check("shop.example", address.parse().unwrap())
            .is_ok()
    }

    #[test]
    fn s2_nothing_inside_is_called_unless_the_operator_says_so() {
        for address in [
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:169.254.169.254",
        ] {
            assert!(!is_called(&Reach::default(), address), "{address}");
        }
        assert!(is_called(&Reach::default(), "1.1.1.1"));
    }

    #[test]
    fn s2_what_the_operator_opens_opens_nothing_beside_it() {
        let reach = Reach::to(["10.1.0.0/16", "192.168.1.7", "fd00:1::/32"]).unwrap();
        for address in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "192.168.1.7",
            "fd00:1:2::3",
            "1.1.1.1",
        ] {
            assert!(is_called(&reach, address), "{address}");
        }
        for address in [
            "10.2.0.1",
            "192.168.1.8",
            "127.0.0.1",
            "169.254.169.254",
            "fd00:2::1",
            "::1",
        ] {
            assert!(!is_called(&reach, address), "{address}");
        }
        let own = Reach::loopback();
        assert!(is_called(&own, "127.9.9.9") && is_called(&own, "::1"));
        assert!(!is_called(&own, "10.0.0.1"));
        assert_eq!(Reach::to(["loopback"]).unwrap(), own);
    }

    #[test]
    fn a_slip_in_the_configuration_is_named() {
        let refused = Reach::to(["erp.local"]).unwrap_err().to_string();
        assert!(
            refused.contains("erp.local") && refused.contains("loopback"),
            "{refused}"
        );
        assert!(is_called(&Reach::to(["0.0.0.0/0"]).unwrap(), "10.0.0.1"));
    }
}
