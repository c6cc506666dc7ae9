use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figures::{duration, grouped};
use crate::measure::Fallible;
use crate::measure::backend::Backend;
use crate::measure::inputs::{PAYLOAD, PAYLOADS};
use crate::measure::ratio::Ratio;
use crate::measure::work::Work;
use crate::plot::{Bars, Curve, Curves, colour};
use crate::report::{Figure, Report};

const STYLE: &str = include_str!("page.css");

/// The page, which needs nothing besides itself.
pub(crate) fn page(report: &Report) -> Fallible<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "KeyPackage stores side by side" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "KeyPackage stores side by side" }
                p { "Packages of " (PAYLOAD) " bytes in pools of 100, where nothing else is said. docs/performance.md explains how each figure is taken." }
                @for backend in &report.missing {
                    p { strong { (backend) ": not measured, there is no server on this machine." } }
                }
                (machine(report))
                (legend(report))
                div.plots { (plots(report)?) }
                h2 { "Every call" }
                (calls(report))
                h2 { "Larger packages" }
                (sizes(report))
                h2 { "Against the floors" }
                (ratios(&report.ratios))
                h2 { "Against what a server would use instead" }
                (instead(report))
            }
        }
    };
    Ok(page.into_string())
}

fn machine(report: &Report) -> Markup {
    html! {
        table.machine {
            @for (name, value) in &report.machine.0 {
                tr { th { (name) } td { (value) } }
            }
        }
    }
}

/// One for all plots.
fn legend(report: &Report) -> Markup {
    html! {
        p.legend {
            @for (backend, _) in &report.footprint {
                @let colour = colour(*backend);
                span {
                    i style={ "background: rgb(" (colour.0) "," (colour.1) "," (colour.2) ")" } {}
                    (backend)
                }
            }
        }
    }
}

fn plots(report: &Report) -> Fallible<Markup> {
    let callers = |figure: &Figure| figure.callers as f64;
    let throughput = Curves {
        x: "callers",
        y: "cycles a second",
        base: 4.0,
        write: (grouped, grouped),
        curves: curves(report, &report.callers, false, |figure| {
            (callers(figure), figure.per_second)
        }),
    };
    let mut percentiles = curves(report, &report.callers, false, |figure| (callers(figure), figure.p50));
    percentiles.extend(curves(report, &report.callers, true, |figure| {
        (callers(figure), figure.p99)
    }));
    let latency = Curves {
        x: "callers",
        y: "time to an answer",
        base: 4.0,
        write: (grouped, duration),
        curves: percentiles,
    };
    let growth = Curves {
        x: "packages stored",
        y: "time of 64 callers for a cycle",
        base: 10.0,
        write: (grouped, duration),
        curves: curves(report, &report.stored, false, |figure| {
            (f64::from(figure.stored), 1e6 / figure.per_second)
        }),
    };
    let bytes = Bars {
        y: "bytes a package",
        bars: report
            .footprint
            .iter()
            .map(|(backend, bytes)| (*backend, bytes[0]))
            .collect(),
        line: PAYLOAD as f64,
    };
    Ok(html! {
        (plot("Throughput", "Reserve and spend, by callers in flight; 10,000 packages stored.", &throughput.svg()?))
        (plot("Latency", "One answer, of a reserve or a spend: half come within the line, 99 % within the dashed one.",
            &latency.svg()?))
        (plot("Cost against stored packages", "Reserve and spend, 64 callers in flight: the inverse of throughput.",
            &growth.svg()?))
        (plot("Bytes a package", "100,000 packages in pools of 100, in memory or on disk; dashed: the bytes handed out.",
            &bytes.svg()?))
    })
}

fn plot(title: &str, what: &str, svg: &str) -> Markup {
    html! {
        figure {
            figcaption { strong { (title) } " " (what) }
            (PreEscaped(svg))
        }
    }
}

fn curves(report: &Report, figures: &[Figure], dashed: bool, point: impl Fn(&Figure) -> (f64, f64)) -> Vec<Curve> {
    let of = |backend: Backend| figures.iter().filter(move |figure| figure.backend == backend);
    let backends = report.footprint.iter().map(|(backend, _)| *backend);
    let curve = |backend| Curve {
        backend,
        dashed,
        points: of(backend).map(&point).collect(),
    };
    backends.map(curve).collect()
}

fn calls(report: &Report) -> Markup {
    html! {
        table {
            tr {
                th { "call" } th.figure { "callers" }
                @for (backend, _) in &report.footprint { th.figure { (backend) } }
            }
            @for work in Work::ALL {
                @for callers in [1, 64] {
                    @let figures: Vec<_> = report.calls.iter()
                        .filter(|figure| figure.work == work && figure.callers == callers).collect();
                    @if !figures.is_empty() {
                        tr {
                            td { (work) } td.figure { (callers) }
                            @for figure in figures {
                                td.figure {
                                    (grouped(figure.per_second)) "/s" br;
                                    small { "p50 " (duration(figure.p50)) ", p99 " (duration(figure.p99)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Packages of ciphersuite 1, and post-quantum ones.
fn sizes(report: &Report) -> Markup {
    html! {
        table {
            tr {
                th { "bytes of a package" }
                @for (backend, _) in &report.footprint { th.figure { (backend) } }
            }
            @for payload in PAYLOADS {
                tr {
                    td { (payload) }
                    @for (figure, bytes) in report.of_size(payload) {
                        td.figure {
                            (grouped(figure.per_second)) " cycles/s" br;
                            small { (grouped(bytes)) " bytes needed" }
                        }
                    }
                }
            }
        }
    }
}

/// Each with what it gets wrong: checks of the conformance suite that it fails.
fn instead(report: &Report) -> Markup {
    html! {
        @for (instead, lines) in &report.instead {
            (ratios(lines))
            p { (instead) " gets wrong:" }
            ul {
                @for flaw in instead.flaws() { li { (flaw.says) } }
            }
        }
    }
}

fn ratios(ratios: &[Ratio]) -> Markup {
    html! {
        table {
            tr {
                th { "what; against what" } th.figure { "bytes" }
                @for heading in ["a second", "that", "ratio", "hoped for", "p50", "p99", "p99/p50"] { th.figure { (heading) } }
            }
            @for ratio in ratios {
                tr {
                    td { (ratio.what) } td.figure { (ratio.payload) }
                    td.figure { (grouped(ratio.ours())) }
                    td.figure { (grouped(ratio.theirs())) }
                    td.figure { strong { (format!("{:.2}", ratio.ratio())) } }
                    td.figure { @if let Some(aim) = ratio.aim { (aim) } }
                    @if let Some([p50, p99]) = ratio.percentiles() {
                        td.figure { (duration(p50)) }
                        td.figure { (duration(p99)) }
                        td.figure { (format!("{:.1}", p99 / p50)) }
                    } @else {
                        td colspan="3" {}
                    }
                }
            }
        }
    }
}
