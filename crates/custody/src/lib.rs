//! The rules of custody: a [`Command`] comes in, a decision and [`Record`]s come out.
//!
//! [`apply()`] is the only way that custody state changes, on every replica alike. It is deterministic: time, ids
//! and identities come in with the command; it reads and writes only typed rows. A refused command changes no
//! row, and its refusal is a record like any other act. Nothing here knows of disks, networks or Raft.

pub mod access;
pub mod act;
pub mod apply;
pub mod approval;
pub mod assent;
pub mod case;
pub mod citation;
pub mod clock;
pub mod command;
mod confidentiality;
pub mod correction;
pub mod digest;
pub mod disposal;
pub mod draw;
pub mod erasure;
pub mod floors;
pub mod genesis;
pub mod hold;
pub mod inspection;
pub mod item;
pub mod keeping;
pub mod mandate;
pub mod naming;
pub mod outage;
pub mod profile;
pub mod proposal;
pub mod record;
pub mod register;
pub mod removal;
pub mod replay;
pub mod request;
pub mod retained;
pub mod retention;
pub mod session;
pub mod set_hash;
pub mod tables;
pub mod upload;
pub mod viewlist;

pub mod activity;
pub mod clearance;
pub mod deadline;
pub mod device;
pub mod exemption;
pub mod gaps;
pub mod interruption;
pub mod keeper;
pub mod notice;
pub mod report;
pub mod statement;

pub mod leave;
pub mod transfer;
pub mod unit;
pub mod unit_change;

pub mod voters;

pub use act::Act;
pub use apply::{Applied, Context, apply};
pub use command::{Answer, Command};
pub use record::{Actor, Fact, Record, Stamp, Value};
