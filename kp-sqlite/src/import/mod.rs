//! Imports the tables of this project's origin.

mod client;
mod server;
mod table;

pub use client::import_client_table;
pub use table::{BadRow, ImportError, Imported, RowError};
