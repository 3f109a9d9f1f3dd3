//! The rules of custody from the outside: commands in, answers, refusals, rows and records out.
//!
//! Every command of every test goes through [`fixture::Cluster::apply`], which also checks what holds of all of
//! them: a refusal changes no row, and what is done or refused leaves its one record.

mod fixture;

mod cases;
mod chains;
mod corrections;
mod determinism;
mod disposals;
mod draws;
mod golden;
mod holds;
mod inspections;
mod items;
mod keeping;
mod lives;
mod model;
mod outages;
mod profiles;
mod proposals;
mod registers;
mod removals;
mod requests;
mod retained;
mod roles;
mod samples;
mod sessions;
mod uploads;

mod approvals;
mod articles;
mod asking;
mod assents;
mod mandates;
mod viewlists;

mod activities;
mod deadlines;
mod devices;
mod interruptions;

mod leaves;
mod transfers;
mod units;

mod voters;
