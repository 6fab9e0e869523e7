use super::Section;
use crate::report::{ControlReport, ControlsReport};

/// Returns what the judge made of answers that are known to be right or wrong.
pub(super) fn controls_section(controls: &ControlsReport) -> Section {
    let passes = |passes: bool| if passes { "yes" } else { "NO" }.to_owned();
    let row = |(name, control): (&str, &ControlReport)| {
        [name.to_owned(), control.outcome(), control.expected.clone(), passes(control.passes)]
    };
    let title = if controls.is_exempt { "Controls (a simulated judge is exempt)" } else { "Controls" };
    Section::table(title, ["", "outcome", "expected", "as expected"], controls.named().map(row).collect())
}
