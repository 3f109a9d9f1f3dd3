//! Mutual TLS between clients and nodes and among nodes: certificates, acceptor, channels, shards of other nodes.
//!
//! Every connection is TLS 1.3 with a certificate on both sides. Two authorities stand apart: the client authority
//! signs what people, stations and the nodes' client ports show; the peer authority signs what nodes show each other.
//! A certificate says which key is talking and nothing more: who that is, what they may do and whether they were
//! revoked are rows, asked for each request by the node. This crate never decides on rights.

pub mod channel;
pub mod listen;
pub mod pki;
pub mod remote_shards;
pub mod tls;
pub mod tuning;
