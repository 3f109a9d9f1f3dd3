//! Free ports on loopback, below those that the system gives to outgoing connections: a node that is down for a while
//! must find its port free when it comes back.

use std::net::{Ipv4Addr, TcpListener};

use strongroom_engine::System;

use crate::failure::Failure;

const LOWEST: u16 = 10_240;
const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// So many different ports that nobody listens on now.
pub(crate) fn free(count: usize, system: &System) -> Result<Vec<u16>, Failure> {
    let above = std::fs::read_to_string(RANGE_FILE).ok().and_then(|text| lowest_outgoing(&text)).unwrap_or(32_768);
    let above = above.max(LOWEST + 1000);
    let span = above - LOWEST;
    // Where two clusters are made at once, they begin at different places.
    let start = u16::from_be_bytes(system.draw()) % span;
    let mut listening = Vec::new();
    for step in 0..span {
        if listening.len() == count {
            break;
        }
        let port = LOWEST + u16::try_from((u32::from(start) + u32::from(step)) % u32::from(span)).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            listening.push((port, listener));
        }
    }
    if listening.len() < count {
        return Err(Failure::failed(format!("found only {} of {count} free ports on 127.0.0.1", listening.len())));
    }
    Ok(listening.into_iter().map(|(port, _)| port).collect())
}

fn lowest_outgoing(range: &str) -> Option<u16> {
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_listened_on() {
        let ports = free(9, &crate::clock::system().expect("a system")).expect("nine ports");
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((ports.len(), distinct.len()), (9, 9));
    }

    #[test]
    fn the_range_of_outgoing_connections_is_read() {
        assert_eq!(lowest_outgoing("32768\t60999\n"), Some(32_768));
        assert_eq!(lowest_outgoing(""), None);
    }
}
