//! Where signer, loader, follower and live lane tell metrics: four ports in a row, or nowhere. (The responder tells its own
//! on the admin port.)

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

/// The first of the four, if they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Scrape {
    Off,
    From(SocketAddr),
}

/// Who tells, in the order of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    Signer,
    Loader,
    Follower,
    Lane,
}

impl Teller {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Signer, Self::Loader, Self::Follower, Self::Lane];
}

impl Scrape {
    /// Where this one tells.
    pub(crate) fn of(self, teller: Teller) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::From(first) => {
                let port = first.port() + teller as u16;
                Some(SocketAddr::new(first.ip(), port))
            }
        }
    }
}

impl Default for Scrape {
    fn default() -> Self {
        Self::From(SocketAddr::from((Ipv4Addr::LOCALHOST, 2564)))
    }
}

impl FromStr for Scrape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == OFF {
            return Ok(Self::Off);
        }
        let first: SocketAddr = text
            .parse()
            .map_err(|error| format!("{error}: neither an address with a port nor `{OFF}`"))?;
        if !(1..=u16::MAX - Teller::Lane as u16).contains(&first.port()) {
            return Err("four ports in a row are used, from this one on".to_owned());
        }
        Ok(Self::From(first))
    }
}

impl TryFrom<String> for Scrape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(OFF),
            Self::From(first) => first.fmt(f),
        }
    }
}

const OFF: &str = "off";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_ports_are_others_than_those_told() {
        for text in ["off", "127.0.0.1:2564", "[::1]:9000"] {
            assert_eq!(text.parse::<Scrape>().unwrap().to_string(), text);
        }
        let scrape: Scrape = "127.0.0.1:2564".parse().unwrap();
        assert_eq!(
            scrape.of(Teller::Lane),
            Some("127.0.0.1:2567".parse().unwrap())
        );
        assert_eq!(Scrape::Off.of(Teller::Signer), None);
    }

    #[test]
    fn last_of_the_ports_would_not_exist() {
        for text in ["127.0.0.1:65533", "127.0.0.1:0", "localhost", ""] {
            assert!(text.parse::<Scrape>().is_err(), "{text}");
        }
    }
}
