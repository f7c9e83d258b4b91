//! Addresses and networks, and the address that a request really comes from.
//!
//! In: what the operator listed, the peer of a connection and the headers of a request. Out: whether an address is listed;
//! the client's address. What a request says of its origin counts only as far as proxies that are listed vouch for it: who
//! connects from elsewhere is who connects, whatever he writes.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName};

/// Where proxies write down who asked them, each behind those before it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `10.0.0.0/8`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// With zeros behind the prefix; IPv4 within IPv6 is IPv4.
    address: IpAddr,
    prefix: u8,
}

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

/// Not an address and not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl Networks {
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether callers may come from there: an empty list is no limit, an unknown address is in no list.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.0.is_empty() || address.is_some_and(|address| self.contain(address))
    }
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                mask(u128::from(other.to_bits()) << 96, self.prefix) == u128::from(own.to_bits()) << 96
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => mask(other.to_bits(), self.prefix) == own.to_bits(),
            _ => false,
        }
    }
}

/// The first bits of a number, the others zero.
fn mask(bits: u128, prefix: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // `u8` would take "+8" and "08".
            Some(prefix) if !prefix.bytes().all(|byte| byte.is_ascii_digit()) => return Err(NoNetwork),
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
            None => longest,
        };
        if prefix > longest {
            return Err(NoNetwork);
        }
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(inner)) if prefix >= 96 => {
                let bits = mask(u128::from(inner.to_bits()) << 96, prefix - 96) >> 96;
                Ok(Network { address: IpAddr::V4((bits as u32).into()), prefix: prefix - 96 })
            }
            (IpAddr::V6(own), _) => {
                Ok(Network { address: IpAddr::V6(mask(own.to_bits(), prefix).into()), prefix })
            }
            (IpAddr::V4(own), _) => {
                let bits = mask(u128::from(own.to_bits()) << 96, prefix) >> 96;
                Ok(Network { address: IpAddr::V4((bits as u32).into()), prefix })
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whose request it is: the peer's, or of whom a listed proxy says that it came from. From the right, each entry was
/// written by the one behind it, so reading goes on while that one is listed. `None`: a listed proxy wrote something that
/// is no address.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> Option<IpAddr> {
    let mut address = peer.to_canonical();
    if proxies.0.is_empty() || !proxies.contain(address) {
        return Some(address);
    }
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        for entry in line.to_str().ok()?.rsplit(',') {
            address = entry_address(entry.trim())?.to_canonical();
            if !proxies.contain(address) {
                return Some(address);
            }
        }
    }
    Some(address)
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn entry_address(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse() {
        return Some(address);
    }
    if let Ok(socket) = entry.parse::<std::net::SocketAddr>() {
        return Some(socket.ip());
    }
    entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        Networks(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/8", "10.9.9.9", "9.255.255.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "fe80::1", "192.0.2.1"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
            ("::ffff:192.0.2.7", "192.0.2.7", "::192.0.2.7"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(ip(inside)), "{inside} in {network}");
            assert!(!network.contains(ip(outside)), "{outside} in {network}");
            if let IpAddr::V4(inner) = ip(inside) {
                assert!(network.contains(inner.to_ipv6_mapped().into()), "mapped {inside} in {network}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_not_read() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "a",
            "10.0.0.0/8/8",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        let proxies = networks(&["10.0.0.0/8", "fd00::/8"]);
        let address = |peer: &str, lines: &[&str], proxies: &Networks| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            client_address(ip(peer), &headers, proxies).map(|address| address.to_string())
        };
        let client = Some("192.0.2.1".to_owned());
        for (peer, lines) in [
            // Nobody vouches for what a stranger writes, or writes before his own address.
            ("192.0.2.1", &["10.0.0.9"][..]),
            ("192.0.2.1", &["203.0.113.5, 10.0.0.9"]),
            ("::ffff:192.0.2.1", &[]),
            ("10.0.0.1", &["192.0.2.1"]),
            ("10.0.0.1", &["10.0.0.7, 192.0.2.1"]),
            ("10.0.0.1", &["nonsense, 10.0.0.7, 192.0.2.1 , 10.0.0.2"]),
            ("10.0.0.1", &["10.0.0.7", "192.0.2.1", "10.0.0.3,10.0.0.2"]),
            ("::ffff:10.0.0.1", &["192.0.2.1:4711"]),
            ("fd00::1", &["::ffff:192.0.2.1"]),
            ("fd00::1", &["192.0.2.1, [fd00::2]:80, [fd00::3]"]),
        ] {
            assert_eq!(address(peer, lines, &proxies), client, "{peer} {lines:?}");
        }
        // A proxy that asks for itself, and clients among the proxies.
        assert_eq!(address("10.0.0.1", &[], &proxies).as_deref(), Some("10.0.0.1"));
        assert_eq!(address("10.0.0.1", &["10.0.0.7, 10.0.0.2"], &proxies).as_deref(), Some("10.0.0.7"));
        for broken in ["unknown", "", "10.0.0.7,", "192.0.2.1, _hidden"] {
            assert_eq!(address("10.0.0.1", &[broken], &proxies), None, "{broken}");
        }
        assert_eq!(address("10.0.0.1", &["192.0.2.1"], &Networks::default()).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn an_unknown_address_is_in_no_list() {
        assert!(networks(&[]).allow(None));
        assert!(!networks(&["0.0.0.0/0", "::/0"]).allow(None));
    }
}
