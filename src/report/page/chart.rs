//! Charts as SVG. Colours come from the page, so that they fit light and dark.

use std::fmt::Write;

/// A value with its interval, in a row of its own.
pub(super) struct Bar {
    pub name: String,
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub words: String,
}

/// A dot.
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

const WIDTH: f64 = 460.0;
const ROW: f64 = 26.0;
/// Where the axis begins and ends.
const LEFT: f64 = 140.0;
const RIGHT: f64 = 370.0;

/// Draws intervals on an axis from `low` to `high`, with a line at `middle`.
pub(super) fn bars(bars: &[Bar], (low, high): (f64, f64), middle: Option<f64>) -> String {
    let height = ROW * bars.len() as f64 + 28.0;
    let place = |value: f64| LEFT + (RIGHT - LEFT) * ((value - low) / (high - low)).clamp(0.0, 1.0);
    let mut svg = begin(height, "values, with intervals where they have one");
    let bottom = height - 20.0;
    if let Some(middle) = middle {
        let x = place(middle);
        let _ = write!(
            svg,
            r#"<line x1="{x:.1}" y1="0" x2="{x:.1}" y2="{bottom:.1}" stroke="var(--soft)" stroke-dasharray="3 3"/>"#
        );
    }
    for (at, bar) in bars.iter().enumerate() {
        let y = ROW * at as f64 + ROW / 2.0;
        let (from, to) = bar.interval.unwrap_or((bar.value, bar.value));
        let (from, to, x) = (place(from), place(to), place(bar.value));
        let (name, words) = (escaped(&clip(&bar.name)), escaped(&bar.words));
        let text = y + 4.0;
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{text:.1}" text-anchor="end">{name}</text><line x1="{from:.1}" y1="{y:.1}" x2="{to:.1}" y2="{y:.1}" stroke="var(--a)" stroke-width="3"/><circle cx="{x:.1}" cy="{y:.1}" r="5" fill="var(--a)"/><text x="{:.1}" y="{text:.1}" class="soft">{words}</text>"#,
            LEFT - 10.0,
            RIGHT + 10.0,
        );
    }
    axis(&mut svg, bottom, [low, f64::midpoint(low, high), high].map(|value| (place(value), value)));
    svg + "</svg>"
}

/// Draws dots; `names` are those of the axes, x first.
pub(super) fn scatter(points: &[Point], names: (&str, &str)) -> String {
    const HEIGHT: f64 = 260.0;
    const TOP: f64 = 20.0;
    const BOTTOM: f64 = 220.0;
    if points.is_empty() {
        return String::new();
    }
    let range = |value: &dyn Fn(&Point) -> f64| {
        let ends = points
            .iter()
            .map(value)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if ends.1 - ends.0 < 1e-9 { (ends.0 - 0.5, ends.1 + 0.5) } else { ends }
    };
    let (xs, ys) = (range(&|point| point.x), range(&|point| point.y));
    let place =
        |value: f64, (low, high): (f64, f64), (from, to): (f64, f64)| from + (to - from) * (value - low) / (high - low);
    let mut svg = begin(HEIGHT, &format!("{} against {}", names.1, names.0));
    for point in points {
        let (x, y) = (place(point.x, xs, (LEFT, RIGHT)), place(point.y, ys, (BOTTOM, TOP)));
        let _ = write!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="var(--a)" fill-opacity="0.45"/>"#);
    }
    axis(&mut svg, BOTTOM + 10.0, [(LEFT, xs.0), (RIGHT, xs.1)]);
    for (value, y) in [(ys.0, BOTTOM), (ys.1, TOP)] {
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end" class="soft">{}</text>"#,
            LEFT - 10.0,
            y + 4.0,
            tick(value)
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let _ = write!(
        svg,
        r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle" class="soft">{}</text>"#,
        HEIGHT - 4.0,
        escaped(names.0)
    );
    let _ =
        write!(svg, r#"<text x="10" y="{:.1}" class="soft">{}</text>"#, f64::midpoint(TOP, BOTTOM), escaped(names.1));
    svg + "</svg>"
}

fn begin(height: f64, words: &str) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH:.0} {height:.0}" role="img" aria-label="{}">"#, escaped(words))
}

fn axis<const TICKS: usize>(svg: &mut String, y: f64, ticks: [(f64, f64); TICKS]) {
    let _ = write!(svg, r#"<line x1="{LEFT}" y1="{y:.1}" x2="{RIGHT}" y2="{y:.1}" stroke="var(--line)"/>"#);
    for (x, value) in ticks {
        let _ = write!(
            svg,
            r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle" class="soft">{}</text>"#,
            y + 15.0,
            tick(value)
        );
    }
}

fn tick(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}").trim_end_matches('0').to_owned()
    }
}

/// Returns a name that fits beside the axis.
fn clip(name: &str) -> String {
    const LETTERS_MAX: usize = 19;
    match name.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
