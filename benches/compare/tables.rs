use comfy_table::{CellAlignment, Table, presets};

use crate::figures::{duration, grouped};
use crate::measure::inputs::PAYLOADS;
use crate::measure::ratio::table::table as ratios;
use crate::measure::work::Work;
use crate::report::Report;

/// What the terminal shows.
pub(crate) fn all(report: &Report) -> String {
    let facts = report.machine.0.iter().map(|(name, value)| format!("{name}: {value}"));
    let missing = report.missing.iter();
    let missing = missing.map(|backend| format!("{backend}: not measured, there is no server on this machine"));
    let mut parts: Vec<_> = facts.chain(missing).collect();
    parts.push(calls(report).to_string());
    parts.push(ratios(&report.ratios).to_string());
    parts.push(sizes(report).to_string());
    parts.push(instead(report));
    parts.join("\n")
}

/// A row for each call and number of callers, a column for each backend.
fn calls(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let backends: Vec<_> = report.footprint.iter().map(|(backend, _)| *backend).collect();
    let heading = [
        "a second; half of the answers within, 99 % within".to_owned(),
        "callers".to_owned(),
    ];
    table.set_header(heading.into_iter().chain(backends.iter().map(ToString::to_string)));
    for work in Work::ALL {
        for callers in [1, 64] {
            let figures = report
                .calls
                .iter()
                .filter(|figure| figure.work == work && figure.callers == callers);
            let cells: Vec<_> = figures
                .map(|figure| {
                    let (p50, p99) = (duration(figure.p50), duration(figure.p99));
                    format!("{}\n{p50}, {p99}", grouped(figure.per_second))
                })
                .collect();
            if !cells.is_empty() {
                table.add_row([work.to_string(), callers.to_string()].into_iter().chain(cells));
            }
        }
    }
    align(&mut table);
    table
}

/// A row for each size of packages, a column for each backend.
fn sizes(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let heading = "bytes of a package: reserve and spend of 64 callers, a second; bytes needed".to_owned();
    let backends = report.footprint.iter().map(|(backend, _)| backend.to_string());
    table.set_header([heading].into_iter().chain(backends));
    for payload in PAYLOADS {
        let cells = report
            .of_size(payload)
            .map(|(figure, bytes)| format!("{}\n{bytes:.0}", grouped(figure.per_second)));
        table.add_row([payload.to_string()].into_iter().chain(cells));
    }
    align(&mut table);
    table
}

/// Against what a server would use instead, and what that gets wrong.
fn instead(report: &Report) -> String {
    let all = report.instead.iter().map(|(instead, lines)| {
        let wrong = instead.flaws().iter().map(|flaw| format!("\n  - {}", flaw.says));
        format!("{}\n{instead} gets wrong:{}", ratios(lines), wrong.collect::<String>())
    });
    all.collect::<Vec<_>>().join("\n")
}

fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
