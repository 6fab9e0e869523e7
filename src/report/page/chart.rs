//! Charts as HTML: names wrap and are never cut, and letters stay as large as those of the page on every screen. A mark means
//! the same in all of them: a disc is a mean, a line through it its 95 % interval, a block a count, a small square a single
//! answer. Colours come from the page, so that they fit light and dark.

use std::fmt::Write;

use crate::report::Histogram;

/// A mean with its interval, in a row of its own.
pub(super) struct Mean {
    pub name: String,
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub words: String,
}

/// A count in a row of its own.
pub(super) struct Count {
    pub name: String,
    pub total: u64,
    /// A part of it, drawn darker.
    pub part: Option<u64>,
    pub words: String,
}

/// A single answer or duel.
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

/// Where an axis begins and ends.
pub(super) type Range = (f64, f64);

/// Draws means on an axis, with a line at `middle`.
pub(super) fn means(means: &[Mean], range: Range, middle: Option<f64>) -> String {
    if means.is_empty() {
        return String::new();
    }
    let mut html = String::from(r#"<div class="chart">"#);
    for mean in means {
        let mut marks = middle
            .map_or(String::new(), |middle| format!(r#"<i class="middle" style="left:{}"></i>"#, place(middle, range)));
        if let Some((from, to)) = mean.interval {
            let (left, width) = (share(from, range), share(to, range) - share(from, range));
            let _ = write!(marks, r#"<i class="interval" style="left:{left:.2}%;width:{width:.2}%"></i>"#);
        }
        let _ = write!(marks, r#"<i class="mean" style="left:{}"></i>"#, place(mean.value, range));
        row(&mut html, &mean.name, &marks, &mean.words);
    }
    let ticks = [range.0, f64::midpoint(range.0, range.1), range.1];
    axis(&mut html, &ticks, range);
    let drawn = if means.iter().any(|mean| mean.interval.is_some()) {
        "disc: mean; line: its 95 % interval"
    } else {
        "disc: mean"
    };
    let middle = middle.map_or(String::new(), |middle| format!("; dashed: {}", tick(middle)));
    legend(&mut html, &format!("{drawn}{middle}"));
    html + "</div>"
}

/// Draws counts as blocks from zero; `part` names what the darker part of a block is.
pub(super) fn counts(counts: &[Count], part: Option<&str>) -> String {
    let most = counts.iter().map(|count| count.total).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let range = (0.0, most as f64);
    let mut html = String::from(r#"<div class="chart">"#);
    for count in counts {
        let mut marks = format!(r#"<i class="count" style="width:{}"></i>"#, place(count.total as f64, range));
        if let Some(part) = count.part {
            let _ = write!(marks, r#"<i class="part" style="width:{}"></i>"#, place(part as f64, range));
        }
        row(&mut html, &count.name, &marks, &count.words);
    }
    axis(&mut html, &[0.0, most as f64], range);
    legend(&mut html, &part.map_or("block: count".to_owned(), |part| format!("block: count; darker: {part}")));
    html + "</div>"
}

/// Draws single answers; `names` are those of the axes, x first.
pub(super) fn scatter(points: &[Point], xs: Range, ys: Range, names: (&str, &str)) -> String {
    if points.is_empty() {
        return String::new();
    }
    let mut squares = String::new();
    for point in points {
        let (x, y) = (share(point.x, xs), 100.0 - share(point.y, ys));
        let _ = write!(squares, "M{x:.2} {y:.2}h0");
    }
    let (x_name, y_name) = (escaped(names.0), escaped(names.1));
    let mut html = format!(
        r#"<div class="chart"><div class="plot"><div class="above">{y_name}</div><div class="ends"><span>{}</span><span>{}</span></div><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{y_name} against {x_name}">"#,
        tick(ys.1),
        tick(ys.0),
    );
    if xs.0 < 0.0 && xs.1 > 0.0 {
        let x = share(0.0, xs);
        let _ = write!(
            html,
            r#"<path d="M{x:.2} 0V100" stroke="var(--soft)" stroke-dasharray="3 3" vector-effect="non-scaling-stroke"/>"#
        );
    }
    let _ = write!(
        html,
        r#"<path d="{squares}" stroke="var(--a)" stroke-opacity="0.5" stroke-width="5" stroke-linecap="square" vector-effect="non-scaling-stroke" fill="none"/></svg><div></div>"#
    );
    let ticks = if xs.0 < 0.0 && xs.1 > 0.0 { vec![xs.0, 0.0, xs.1] } else { vec![xs.0, xs.1] };
    html.push_str(&ticks_of(&ticks, xs));
    let _ = write!(html, r#"<div class="name">{x_name}</div></div>"#);
    legend(&mut html, "square: a single answer or duel");
    html + "</div>"
}

/// Draws how values are spread: a column for each step, darker from the threshold on, which is a dashed line.
pub(super) fn histogram(histogram: &Histogram) -> String {
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let steps = histogram.counts.len();
    let width = 100.0 / steps as f64;
    let mut columns = String::new();
    for (at, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // A single answer beside thousands is still seen.
        let height = (100.0 * *count as f64 / most as f64).max(1.5);
        let color = if at >= histogram.threshold_step() { "var(--a)" } else { "var(--b)" };
        let (x, y) = (width * at as f64, 100.0 - height);
        let _ = write!(
            columns,
            r#"<rect x="{x:.2}" y="{y:.2}" width="{:.2}" height="{height:.2}" fill="{color}"/>"#,
            width * 0.9
        );
    }
    let x = width * histogram.threshold_step() as f64;
    let mut html = format!(
        r#"<div class="chart"><div class="plot"><div class="ends"><span>{most}</span><span>0</span></div><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="answers by value" style="height:6rem">{columns}<path d="M{x:.2} 0V100" stroke="var(--soft)" stroke-dasharray="3 3" vector-effect="non-scaling-stroke"/></svg><div></div>"#
    );
    // The last step holds all larger values, so the axis ends where it begins.
    let end = histogram.step * (steps - 1) as f64;
    let axis_end = histogram.step * steps as f64;
    let ticks = if histogram.threshold > 0.0 { vec![0.0, histogram.threshold, end] } else { vec![0.0, end] };
    html.push_str(&ticks_of(&ticks, (0.0, axis_end)));
    html.push_str("</div>");
    legend(&mut html, "column: answers with a value up to there, the last one also all larger ones; dashed: threshold");
    html + "</div>"
}

/// Returns an axis that begins at zero and ends at the largest value, or reaches as far to both sides where values are below
/// zero.
pub(super) fn from_zero(values: impl Iterator<Item = f64> + Clone) -> Range {
    let reach = values.clone().map(f64::abs).fold(1.0, f64::max).ceil();
    if values.into_iter().any(|value| value < 0.0) { (-reach, reach) } else { (0.0, reach) }
}

fn share(value: f64, (low, high): Range) -> f64 {
    100.0 * ((value - low) / (high - low)).clamp(0.0, 1.0)
}

fn place(value: f64, range: Range) -> String {
    format!("{:.2}%", share(value, range))
}

fn row(html: &mut String, name: &str, marks: &str, words: &str) {
    let (name, words) = (escaped(name), escaped(words));
    let _ = write!(
        html,
        r#"<div class="row"><div class="name">{name}</div><div class="track">{marks}</div><div class="words">{words}</div></div>"#
    );
}

fn axis(html: &mut String, ticks: &[f64], range: Range) {
    let _ = write!(html, r#"<div class="row"><div></div>{}<div></div></div>"#, ticks_of(ticks, range));
}

fn ticks_of(ticks: &[f64], range: Range) -> String {
    let mut html = String::from(r#"<div class="axis">"#);
    for value in ticks {
        let _ = write!(html, r#"<span style="left:{}">{}</span>"#, place(*value, range), tick(*value));
    }
    html + "</div>"
}

fn legend(html: &mut String, words: &str) {
    let _ = write!(html, r#"<div class="legend">{}</div>"#, escaped(words));
}

fn tick(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        let places = if value.abs() < 0.01 { 4 } else { 2 };
        format!("{value:.places$}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_axes_begin_where_they_should() {
        let name = "a very long name of a rule, <of> which nothing is cut";
        let mean = Mean { name: name.to_owned(), value: 50.0, interval: Some((40.0, 60.0)), words: String::new() };
        let drawn = means(&[mean], (0.0, 100.0), Some(50.0));
        assert!(drawn.contains("a very long name of a rule, &lt;of&gt; which nothing is cut"), "{drawn}");
        assert!(drawn.contains("left:40.00%;width:20.00%") && drawn.contains("left:50.00%"), "{drawn}");
        let count = |count: u64| Count { name: "x".to_owned(), total: count, part: None, words: String::new() };
        let drawn = counts(&[count(0), count(200), count(100)], None);
        assert!(drawn.contains("width:0.00%") && drawn.contains("width:50.00%") && drawn.contains(">0<"), "{drawn}");
        assert_eq!(from_zero([3.0, 90.5].into_iter()), (0.0, 91.0));
        assert_eq!(from_zero([-3.0, 20.0].into_iter()), (-20.0, 20.0));
        assert_eq!(counts(&[count(0)], None), "");
    }
}
