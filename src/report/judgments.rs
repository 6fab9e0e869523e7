//! Existing judgments, of a judge, of people, or of both.

use serde_json::{Map, Value, json};

use super::agreement::{AgreementReport, AlphaReport, GroupAgreement, SideReport};
use super::scores::ScoresReport;
use super::win_rates::WinRateReport;
use crate::conversation::{Preference, Rating, Vote};
use crate::statistics::LengthBaseline;

/// The judgments of one side.
#[derive(Clone, Debug, Default)]
pub struct Judgments {
    /// Which of two answers is better; preferences count among them.
    pub votes: Vec<Vote>,
    /// How good one answer is.
    pub ratings: Vec<Rating>,
    /// How much better one answer is than a baseline's.
    pub preferences: Vec<Preference>,
    /// Rows in which the judge gave no verdict.
    pub unparsed: u64,
}

/// The report of `agreement`.
#[derive(Clone, Debug)]
pub struct JudgmentsReport {
    /// Votes, where there are some.
    pub votes: VotesReport,
    /// Scores.
    pub scores: ScoresReport,
    /// Win rates as `AlpacaEval` counts them, of the judge's preferences and of people's.
    pub win_rates: Vec<WinRateReport>,
    /// Rows without a verdict, of the judge and of people.
    pub unparsed: [u64; 2],
}

/// The votes of one side or of both.
#[derive(Clone, Debug)]
pub enum VotesReport {
    /// Neither side has votes.
    None,
    /// The judge's alone.
    Judge(SideReport),
    /// People's alone: their votes, shares of equal votes, and Krippendorff's alpha.
    Human(SideReport, Vec<GroupAgreement>, AlphaReport),
    /// The judge's beside people's.
    Both(Box<AgreementReport>),
}

impl JudgmentsReport {
    /// Reports on both sides; either may be empty.
    pub fn of(judge: &Judgments, human: &Judgments, baseline: Option<&LengthBaseline>) -> Self {
        let votes = match (&judge.votes[..], &human.votes[..]) {
            ([], []) => VotesReport::None,
            (votes, []) => VotesReport::Judge(SideReport::of(votes)),
            ([], votes) => {
                VotesReport::Human(SideReport::of(votes), GroupAgreement::among(votes), AlphaReport::of(votes))
            }
            (judge, human) => VotesReport::Both(Box::new(AgreementReport::of(judge, human))),
        };
        let mut win_rates = WinRateReport::of(&judge.preferences, baseline);
        win_rates.extend(WinRateReport::of(&human.preferences, baseline));
        Self {
            votes,
            scores: ScoresReport::of(&judge.ratings, &human.ratings),
            win_rates,
            unparsed: [judge.unparsed, human.unparsed],
        }
    }

    /// Returns how many items both sides have judged in the same way.
    pub fn common_count(&self) -> u64 {
        let votes = if let VotesReport::Both(report) = &self.votes { report.majority.items } else { 0 };
        votes + self.scores.common_count()
    }

    /// Returns the report as JSON. Of one side alone there is no agreement.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut insert = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        match &self.votes {
            VotesReport::None => {}
            VotesReport::Judge(side) => insert("judge", json!(side)),
            VotesReport::Human(side, agreement, alpha) => {
                insert("human", json!(side));
                insert("agreement", json!(agreement));
                insert("human_alpha", json!(alpha));
            }
            VotesReport::Both(report) => {
                if let Value::Object(all) = json!(report) {
                    all.into_iter().for_each(|(name, value)| insert(&name, value));
                }
            }
        }
        if !self.scores.is_empty() {
            insert("scores", json!(self.scores));
        }
        if !self.win_rates.is_empty() {
            insert("win_rates", json!(self.win_rates));
        }
        insert("unparsed", json!({"judge": self.unparsed[0], "human": self.unparsed[1]}));
        Value::Object(fields)
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let votes = match &self.votes {
            VotesReport::None => Vec::new(),
            VotesReport::Judge(side) => side.lines("judge's votes"),
            VotesReport::Human(side, agreement, alpha) => {
                let mut lines = side.lines("people's votes");
                lines.push(String::new());
                lines.extend(GroupAgreement::lines(agreement));
                lines.push(String::new());
                lines.push(alpha.line());
                lines
            }
            VotesReport::Both(report) => report.lines(),
        };
        let scores = if self.scores.is_empty() { Vec::new() } else { self.scores.lines() };
        let win_rates = if self.win_rates.is_empty() { Vec::new() } else { WinRateReport::lines(&self.win_rates) };
        let mut lines: Vec<String> = Vec::new();
        for part in [votes, scores, win_rates].into_iter().filter(|part| !part.is_empty()) {
            lines.extend((!lines.is_empty()).then(String::new));
            lines.extend(part);
        }
        let unparsed = ["judge", "people"].into_iter().zip(self.unparsed).filter(|(_, rows)| *rows > 0);
        lines.extend(unparsed.map(|(who, rows)| format!("without a verdict of the {who}: {rows}")));
        lines
    }
}
