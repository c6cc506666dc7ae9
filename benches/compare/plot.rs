use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::measure::Fallible;
use crate::measure::backend::Backend;

const SIZE: (u32, u32) = (640, 400);
const TEXT: (&str, u32) = ("sans-serif", 15);

/// How figures of an axis are written.
pub(crate) type Write = fn(f64) -> String;

/// Curves over two logarithmic axes.
pub(crate) struct Curves {
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// From one mark of the x axis to the next.
    pub(crate) base: f64,
    pub(crate) write: (Write, Write),
    pub(crate) curves: Vec<Curve>,
}

pub(crate) struct Curve {
    pub(crate) backend: Backend,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A bar each, and a line that they are to be compared with.
pub(crate) struct Bars {
    pub(crate) y: &'static str,
    pub(crate) bars: Vec<(Backend, f64)>,
    pub(crate) line: f64,
}

/// A backend's colour: of those that the colour-blind can tell apart (Okabe and Ito).
pub(crate) fn colour(backend: Backend) -> RGBColor {
    match backend {
        Backend::Memory => RGBColor(0, 114, 178),
        Backend::Sqlite => RGBColor(213, 94, 0),
        Backend::RedisEverysec => RGBColor(0, 158, 115),
        Backend::RedisAlways => RGBColor(204, 121, 167),
        Backend::Postgres => RGBColor(86, 180, 233),
    }
}

impl Curves {
    pub(crate) fn svg(&self) -> Fallible<String> {
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter().copied());
        let x = bounds(points().map(|(x, _)| x), self.base);
        let y = bounds(points().map(|(_, y)| y), 10.0);
        draw(|area| {
            let mut chart = ChartBuilder::on(area)
                .margin(12)
                .margin_right(28)
                .x_label_area_size(48)
                .y_label_area_size(76)
                .build_cartesian_2d((x.0..x.1).log_scale().base(self.base), (y.0..y.1).log_scale())?;
            let (write_x, write_y) = self.write;
            chart
                .configure_mesh()
                .x_desc(self.x)
                .y_desc(self.y)
                .x_label_formatter(&|x| write_x(*x))
                .y_label_formatter(&|y| write_y(*y))
                .light_line_style(TRANSPARENT)
                .bold_line_style(BLACK.mix(0.12))
                .label_style(TEXT)
                .axis_desc_style(TEXT)
                .draw()?;
            for curve in &self.curves {
                let style = colour(curve.backend).stroke_width(2);
                let points = curve.points.iter().copied();
                if curve.dashed {
                    chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?;
                } else {
                    chart.draw_series(LineSeries::new(points.clone(), style))?;
                }
                let filled = colour(curve.backend).filled();
                chart.draw_series(points.map(|point| Circle::new(point, 4, filled)))?;
            }
            Ok(())
        })
    }
}

impl Bars {
    pub(crate) fn svg(&self) -> Fallible<String> {
        let most = self.bars.iter().map(|(_, figure)| *figure).fold(self.line, f64::max);
        let last = self.bars.len().saturating_sub(1);
        draw(|area| {
            let mut chart = ChartBuilder::on(area)
                .margin(12)
                .x_label_area_size(36)
                .y_label_area_size(76)
                .build_cartesian_2d((0..last).into_segmented(), 0.0..most * 1.15)?;
            let name = |place: &SegmentValue<usize>| match place {
                SegmentValue::CenterOf(place) => {
                    self.bars.get(*place).map_or_else(String::new, |bar| bar.0.to_string())
                }
                _ => String::new(),
            };
            chart
                .configure_mesh()
                .y_desc(self.y)
                .disable_x_mesh()
                .x_labels(self.bars.len())
                .x_label_formatter(&name)
                .y_label_formatter(&|y| format!("{y:.0}"))
                .light_line_style(TRANSPARENT)
                .bold_line_style(BLACK.mix(0.12))
                .label_style(TEXT)
                .axis_desc_style(TEXT)
                .draw()?;
            chart.draw_series(self.bars.iter().enumerate().map(|(place, (backend, figure))| {
                let corners = [
                    (SegmentValue::Exact(place), 0.0),
                    (SegmentValue::Exact(place + 1), *figure),
                ];
                let mut bar = Rectangle::new(corners, colour(*backend).filled());
                bar.set_margin(0, 0, 30, 30);
                bar
            }))?;
            chart.draw_series(self.bars.iter().enumerate().map(|(place, (_, figure))| {
                let style = TEXT.into_text_style(area).pos(Pos::new(HPos::Center, VPos::Bottom));
                let at = (SegmentValue::CenterOf(place), *figure + most * 0.01);
                Text::new(format!("{figure:.0}"), at, style)
            }))?;
            let ends = [(SegmentValue::Exact(0), self.line), (SegmentValue::Last, self.line)];
            chart.draw_series(DashedLineSeries::new(ends, 6, 4, BLACK.stroke_width(1)))?;
            Ok(())
        })
    }
}

fn draw(chart: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Fallible<()>) -> Fallible<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    chart(&area)?;
    area.present()?;
    drop(area);
    Ok(svg)
}

/// The powers of this base that hold all figures.
fn bounds(figures: impl Iterator<Item = f64>, base: f64) -> (f64, f64) {
    let logarithms: Vec<_> = figures.map(|figure| figure.log(base)).collect();
    // What is a power itself is not to be rounded past itself.
    let least = logarithms.iter().copied().fold(f64::INFINITY, f64::min);
    let least = (least + 1e-9).floor();
    let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let most = (most - 1e-9).ceil();
    (base.powf(least), base.powf(most.max(least + 1.0)))
}
