//! Addresses

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::entry::null;
use crate::{Error, Result, Status};

/// An IP address. An IPv4 address that is mapped into IPv6 is the same as the IPv4 address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nsgate_address {
    /// 4 or 6; 0 in an output: no address.
    pub family: u32,
    /// In network order; of an IPv4 address the first four, the others 0.
    pub bytes: [u8; 16],
}

impl nsgate_address {
    pub(super) const NONE: nsgate_address = nsgate_address {
        family: 0,
        bytes: [0; 16],
    };

    /// # Safety
    /// `address` is NULL or can be read.
    #[inline]
    pub(super) unsafe fn read(address: *const nsgate_address) -> Result<IpAddr> {
        if address.is_null() {
            return Err(null("an address"));
        }
        // SAFETY: the caller's promise; unaligned, because nothing is said about that.
        unsafe { address.read_unaligned() }.value()
    }

    /// From two words and not byte by byte: look-ups come through here.
    #[inline]
    fn value(self) -> Result<IpAddr> {
        let bits = u128::from_be_bytes(self.bytes);
        match self.family {
            4 if bits << 32 == 0 => Ok(Ipv4Addr::from_bits((bits >> 96) as u32).into()),
            6 => Ok(Ipv6Addr::from_bits(bits).into()),
            family => Err(odd(family)),
        }
    }
}

#[cold]
fn odd(family: u32) -> Error {
    Error::new(
        Status::InvalidArgument,
        match family {
            4 => "an IPv4 address has four bytes, the others are 0".into(),
            family => format!("{family} is no family of addresses"),
        },
    )
}

impl From<IpAddr> for nsgate_address {
    fn from(address: IpAddr) -> nsgate_address {
        match address {
            IpAddr::V4(address) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&address.octets());
                nsgate_address { family: 4, bytes }
            }
            IpAddr::V6(address) => nsgate_address {
                family: 6,
                bytes: address.octets(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_both_ways_and_odd_ones_nowhere() {
        for text in ["10.0.0.7", "::", "fd00::1", "::ffff:10.0.0.7"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(nsgate_address::from(address).value().unwrap(), address);
        }
        let mut odd = nsgate_address::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        odd.bytes[15] = 1;
        assert!(odd.value().is_err());
        assert!(nsgate_address::NONE.value().is_err());
        let other = nsgate_address {
            family: 10,
            bytes: [0; 16],
        };
        assert!(other.value().is_err());
    }
}
