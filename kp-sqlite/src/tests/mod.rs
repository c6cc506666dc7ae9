//! Tests that need more than the public API: a hook in the writer's connection, or the plans of the statements.

mod codes;
mod cost;
mod durability;
mod faults;
mod growth;
mod migrations;
mod packages;
mod place;
mod statements;
mod undone;
mod within;
