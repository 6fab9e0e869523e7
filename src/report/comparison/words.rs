use super::{ComparisonReport, DuelReport};
use crate::report::controls::ControlsReport;
use crate::report::votes::ConversationScores;
use crate::report::words::{counted, number, p_value};

impl ComparisonReport {
    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.incomplete.iter().map(|reason| format!("INCOMPLETE: {reason}")).collect();
        lines.extend(self.cautions.iter().map(|caution| format!("caution: {caution}")));
        lines.extend(self.pairs.iter().flat_map(DuelReport::lines));
        if self.systems.len() > 2 {
            lines.push("ranking".to_owned());
            for system in &self.ranking {
                let elo = system.elo.map_or("-".to_owned(), |elo| format!("{elo:.0}"));
                lines.push(format!("  {:<24}{:>6.1} %  Elo {elo}", system.name, system.win_rate_adjusted * 100.0));
            }
        }
        let replies = self.judge.replies.words();
        if !replies.is_empty() {
            lines.push(format!("verdicts            {replies}"));
        }
        if let Some(calibration) = &self.calibration {
            let kappa = calibration.kappa.map_or("-".to_owned(), |kappa| format!("{kappa:.2}"));
            let share = calibration.agreement.unwrap_or(0.0) * 100.0;
            lines.push(format!(
                "people              {share:.0} % agreement over {} votes, kappa {kappa}",
                calibration.items
            ));
        }
        lines.extend(self.controls.iter().flat_map(ControlsReport::lines));
        lines
    }
}

impl DuelReport {
    /// Returns the verdict in words, with the reasons why the figures are not used.
    pub fn conclusion(&self) -> String {
        if self.withheld.is_empty() {
            self.verdict.clone()
        } else {
            format!("{}: {}", self.verdict, self.withheld.join("; "))
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} against {}: {}", self.a, self.b, self.conclusion())];
        let mut row = |name: &str, text: String| lines.push(format!("  {name:<18}{text}"));
        row("score", self.score.words());
        row("duels", self.ends());
        if self.missing() > 0 {
            row("missing", self.missing_words());
        }
        row("sign test", self.sign_test());
        if let Some(first) = self.position.first_wins {
            let inconsistent = self.position.inconsistent_share * 100.0;
            row("position", format!("the first wins {:.0} %, {inconsistent:.0} % inconsistent", first * 100.0));
        }
        if let Some(flips) = self.flip_share {
            row("flips", format!("{:.1} % of repeated verdicts differ from the first", flips * 100.0));
        }
        if let (Some(a), Some(b)) = (self.length.a_mean, self.length.b_mean) {
            let controlled = self.length.controlled;
            let controlled =
                controlled.map(|controlled| format!("; at equal length {:.1} %", controlled.score * 100.0));
            row("length", format!("{a:.0} and {b:.0} letters{}", controlled.unwrap_or_default()));
        }
        if self.turns.len() > 1 {
            for turn in &self.turns {
                let name = if turn.name == "whole" { turn.name.clone() } else { format!("turn {}", turn.name) };
                row(&name, turn.score.words());
            }
        }
        lines
    }

    fn ends(&self) -> String {
        format!(
            "{} won, {} lost, {} tied, {} inconsistent, {} unparsed",
            number(self.wins),
            number(self.losses),
            number(self.ties),
            number(self.inconsistent),
            number(self.unparsed)
        )
    }

    fn missing_words(&self) -> String {
        format!(
            "{} of {}, {} of {}, {} of both; counted as lost the score is {}",
            number(self.a_missing),
            self.a,
            number(self.b_missing),
            self.b,
            number(self.both_missing),
            self.intention_to_treat.words()
        )
    }

    fn sign_test(&self) -> String {
        let p = self.score.sign_test_p;
        let shown = self.detectable_effect.filter(|_| p >= 0.05);
        let detectable = shown.map(|effect| format!("; smallest detectable effect: {:.1} points", effect * 100.0));
        let conversations = counted(self.score.count, "conversation");
        format!("{} over {conversations}{}", p_value(p), detectable.unwrap_or_default())
    }
}

impl ConversationScores {
    /// Returns them in words: `61.2 % (55.0 to 67.4)`.
    pub fn words(&self) -> String {
        if self.count == 0 {
            return "no verdict".to_owned();
        }
        let interval = self.interval.map_or(String::new(), |interval| {
            format!(" ({:.1} to {:.1})", interval.low * 100.0, interval.high * 100.0)
        });
        format!("{:.1} %{interval}", self.score * 100.0)
    }
}
