use std::fmt::Write;

use super::{ChangeReport, DifferenceReport, DifferenceVerdict, PassReport, TutoringReport};
use crate::report::comparison::CONVERSATIONS_MIN;
use crate::report::words::{counted, list, number, p_value};

impl PassReport {
    /// Returns its name among the passes.
    pub fn name(&self) -> String {
        format!("round {}, {}", self.round, self.history)
    }

    /// Returns how grades and verdicts were read.
    pub(in crate::report) fn replies(&self) -> impl Iterator<Item = (&'static str, String)> {
        let name = |role: &str| if role == "grader" { "grades" } else { "verdicts" };
        self.replies.iter().map(move |(role, replies)| (name(role), replies.words()))
    }

    /// Returns the table for people.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} history, {}", self.name(), counted(self.conversations, "conversation"))];
        let mut row = |name: &str, text: String| {
            if !text.is_empty() {
                lines.push(format!("  {name:<11}{text}"));
            }
        };
        // Later turns may be those of fewer conversations.
        let first = self.curve.first().map(|point| point.score.marks);
        let by_turn = self.curve.iter().filter_map(|point| {
            let mean = point.score.mean?;
            let marks = point.score.marks;
            Some(if Some(marks) == first { format!("{mean:.2}") } else { format!("{mean:.2} [{}]", number(marks)) })
        });
        let by_turn = by_turn.collect::<Vec<_>>().join(", ");
        if self.student.mean.is_some() {
            row("student", format!("{} of 10; by turn {by_turn}", self.student.words(1.0, 2)));
        }
        if self.teacher.mean.is_some() {
            row("corrected", format!("{} of 10", self.teacher.words(1.0, 2)));
        }
        row("remedies", list(&self.remedies));
        row("errors", list(&self.errors));
        if self.errors_dropped > 0 {
            row("left out", format!("{} whose quote is not in the answer", counted(self.errors_dropped, "error")));
        }
        row("rejected", list(&self.faults));
        let margin = self.margin_mean.map_or(String::new(), |margin| format!("; accepted by {margin:.2} on average"));
        if !self.pairs.is_empty() {
            row("pairs", format!("{}{margin}", list(&self.pairs)));
            let conversations = counted(self.hard_conversations, "conversation");
            row("hard", format!("{} in {conversations}", counted(self.hard, "turn")));
        }
        row("ended", list(&self.reasons));
        for (role, replies) in self.replies() {
            row(role, replies);
        }
        let roles = self.roles.iter().filter(|(_, cost)| cost.answers > 0);
        lines.extend(roles.map(|(role, cost)| format!("  {role:<11}{}", cost.words())));
        lines
    }
}

impl TutoringReport {
    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.incomplete.iter().map(|reason| format!("INCOMPLETE: {reason}")).collect();
        lines.extend(self.passes.iter().flat_map(PassReport::lines));
        lines.extend(self.outcomes());
        lines.extend(self.cautions.iter().map(|caution| format!("caution: {caution}")));
        lines
    }

    /// Returns the results of comparing passes.
    pub(in crate::report) fn outcomes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.exposure.iter().map(|exposure| {
            format!(
                "exposure bias, round {}: forced minus student, from turn 2 on: {}",
                exposure.round,
                exposure.gap.words()
            )
        }));
        for change in &self.changes {
            let ChangeReport { from, to, history, all, same_prompt } = change;
            lines.push(format!("round {from} to {to}, {history} history: {}", all.words()));
            let same = counted(same_prompt.score.marks, "turn");
            lines.push(format!("  after the same history ({same}): {}", same_prompt.words()));
        }
        lines
    }
}

impl DifferenceReport {
    /// Returns it in words: `+0.42 (0.10 to 0.74), p = 0.0120: higher`.
    pub fn words(&self) -> String {
        let Some(mean) = self.score.mean else { return "nothing to compare".to_owned() };
        if self.score.conversations < CONVERSATIONS_MIN {
            return format!("{mean:+.2}; {} are too few to say", counted(self.score.conversations, "conversation"));
        }
        let mut words = format!("{mean:+.2}");
        if let Some(interval) = self.score.interval {
            let _ = write!(words, " ({:+.2} to {:+.2})", interval.low, interval.high);
        }
        let _ = write!(words, ", {}: {}", p_value(self.p), self.verdict.name());
        if let Some(detectable) =
            self.detectable.filter(|detectable| self.verdict == DifferenceVerdict::Inconclusive && *detectable > 0.0)
        {
            let _ = write!(words, "; smallest detectable difference: {detectable:.2}");
        }
        words
    }
}
