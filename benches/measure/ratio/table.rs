use comfy_table::{CellAlignment, Table, presets};

use super::Ratio;

/// For a terminal.
pub(crate) fn table(ratios: &[Ratio]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "ours; theirs",
        "bytes",
        "ours/s",
        "theirs/s",
        "ratio",
        "aim",
        "p50 µs",
        "p99 µs",
        "p99/p50",
    ]);
    for ratio in ratios {
        let mut cells = vec![
            ratio.what.clone(),
            ratio.payload.to_string(),
            format!("{:.0}", ratio.ours()),
            format!("{:.0}", ratio.theirs()),
            format!("{:.2}", ratio.ratio()),
            ratio.aim.map_or_else(String::new, |aim| aim.to_string()),
        ];
        if let Some([p50, p99]) = ratio.percentiles() {
            cells.extend([format!("{p50:.0}"), format!("{p99:.0}"), format!("{:.1}", p99 / p50)]);
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
