//! Prints what a command found: text for people in 80 columns, or one JSON value for scripts.

use std::fmt::Display;
use std::io::{self, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// How wide a table is at most.
const COLUMNS: u16 = 80;

/// What a command has to say.
pub(crate) trait Report: Serialize {
    fn text(&self) -> String;
}

/// Prints a report.
pub(crate) fn print(report: &impl Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(report).map_err(io::Error::from)?
    } else {
        report.text()
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(out.flush()?)
}

/// Lays out rows under a head: the first column to the left, the others to the right.
pub(crate) fn table<C: Display>(head: &[&str], rows: impl IntoIterator<Item = Vec<C>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(COLUMNS)
        .set_header(head);
    for row in rows {
        table.add_row(row.iter().map(ToString::to_string));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
