//! Figures as people read them.

/// As people read it: 1,234,567.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

/// A time given in microseconds.
pub(crate) fn duration(microseconds: f64) -> String {
    let (figure, unit) = match microseconds {
        long if long >= 1e6 => (long / 1e6, "s"),
        long if long >= 1e3 => (long / 1e3, "ms"),
        short => (short, "µs"),
    };
    let tenths = (figure * 10.0).round() / 10.0;
    if tenths < 10.0 && tenths.fract() > 0.0 {
        format!("{tenths} {unit}")
    } else {
        format!("{figure:.0} {unit}")
    }
}
