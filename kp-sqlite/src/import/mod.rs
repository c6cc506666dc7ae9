//! Imports the older tables `keypackages` of a server and of a client.

mod client;
mod server;
mod table;

pub use client::import_client_table;
pub use table::{BadRow, ImportError, Imported, RowError};
