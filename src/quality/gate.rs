use std::fmt;
use std::ops::Range;

use super::action::Action;
use super::candidate::Candidate;
use super::finding::{Finding, joined};
use super::rules::{RULES, Rule};
use super::version::RulesVersion;

/// A preset action for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Rejects answers that are certainly broken and flags doubtful ones.
    Standard,
    /// Also rejects refusals, answers that name their vendor, and unclosed code fences.
    Strict,
}

impl Strictness {
    /// Returns the name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Strictness::Standard => "standard",
            Strictness::Strict => "strict",
        }
    }
}

/// The result of the rules for one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateVerdict {
    /// The rule that rejected the answer. Later rules were not evaluated.
    pub rejected_by: Option<&'static str>,
    /// Rules that flagged the answer.
    pub flags: Vec<&'static str>,
}

impl GateVerdict {
    /// Returns the verdict of rules that find a fault, in order; none is asked after the first that rejects.
    fn of(hits: impl Iterator<Item = (&'static str, Action)>) -> Self {
        let mut verdict = Self::default();
        for (rule, action) in hits {
            if action == Action::Reject {
                verdict.rejected_by = Some(rule);
                break;
            }
            verdict.flags.push(rule);
        }
        verdict
    }

    /// Returns the verdict that [`Gate::judge`] gives on an answer with these findings.
    pub fn of_findings(findings: &[Finding]) -> Self {
        let hits = findings.iter().filter(|finding| finding.hits);
        Self::of(hits.map(|finding| (finding.rule, finding.action)))
    }
}

/// Rules, each with its action and threshold. An answer is judged by the newest rules, or by those of an older version under
/// which its conversation was begun.
#[derive(Clone)]
pub struct Gate {
    profile: Strictness,
    /// The rules of each version that judges, newest first.
    versions: Vec<(RulesVersion, Vec<Applied>)>,
    changes: String,
}

#[derive(Clone)]
struct Applied {
    rule: &'static dyn Rule,
    action: Action,
    threshold: f64,
}

/// The text is not a list of changes to rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseGateError {
    /// The rule does not exist.
    #[error("there is no rule `{0}`; the rules are {names}", names = rule_names())]
    Rule(String),
    /// The rule is not followed by a valid action.
    #[error(
        "`{0}` does not say what the rule leads to; write RULE=off, RULE=flag, RULE=reject, or RULE=reject@THRESHOLD"
    )]
    Action(String),
    /// The rule has no threshold.
    #[error("the rule `{0}` has no threshold")]
    Threshold(&'static str),
}

fn rule_names() -> String {
    RULES.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
}

impl Gate {
    /// Creates a gate from a preset and changes to it: `refusal=reject,loop_char=reject@8,length=off`. It judges by the newest
    /// rules, and conversations that were begun under older ones by those.
    pub fn new(profile: Strictness, changes: &str) -> Result<Self, ParseGateError> {
        let mut gate = Self::of_version(RulesVersion::NEWEST, profile, changes)?;
        let older = RulesVersion::ALL.iter().filter(|version| **version != RulesVersion::NEWEST);
        // No conversation was begun under rules that lack one of these.
        gate.versions.extend(older.filter_map(|version| Some((*version, rules(*version, profile, changes).ok()?))));
        Ok(gate)
    }

    /// Creates a gate that judges by one version alone.
    pub fn of_version(version: RulesVersion, profile: Strictness, changes: &str) -> Result<Self, ParseGateError> {
        let versions = vec![(version, rules(version, profile, changes)?)];
        Ok(Self { profile, versions, changes: changes.split_whitespace().collect() })
    }

    /// Returns the version under which conversations begin.
    pub fn version(&self) -> RulesVersion {
        self.versions[0].0
    }

    /// Returns the older versions under which conversations may have been begun, newest first.
    pub fn older_versions(&self) -> impl Iterator<Item = RulesVersion> {
        self.versions.iter().skip(1).map(|(version, _)| *version)
    }

    /// Returns the gate of one version of its rules; of the newest where it does not have that version.
    #[must_use]
    pub fn under(&self, version: RulesVersion) -> Self {
        Self { versions: vec![self.set_of(Some(version)).clone()], ..self.clone() }
    }

    /// Returns the rules of a version with its number; the newest where none is named, or where it does not have that one.
    fn set_of(&self, version: Option<RulesVersion>) -> &(RulesVersion, Vec<Applied>) {
        let named = version.and_then(|version| self.versions.iter().find(|(other, _)| *other == version));
        named.unwrap_or(&self.versions[0])
    }

    /// Adds a rule of the calling program, after the others. Its name and action become part of what conversations are asked
    /// under: a rule that changes needs a new name.
    #[must_use]
    pub fn with_rule(mut self, rule: &'static dyn Rule, action: Action) -> Self {
        let separator = if self.changes.is_empty() { "" } else { "," };
        self.changes = format!("{}{separator}+{}={}", self.changes, rule.name(), action.name());
        let added = Applied { rule, action, threshold: rule.threshold().unwrap_or_default() };
        self.versions.iter_mut().for_each(|(_, rules)| rules.push(added.clone()));
        self
    }

    /// Judges an answer. The first rule that rejects it ends the evaluation.
    pub fn judge(&self, candidate: &Candidate<'_>) -> GateVerdict {
        self.judge_under(None, candidate)
    }

    /// Judges an answer of a conversation that was begun under an older version of the rules.
    pub fn judge_under(&self, version: Option<RulesVersion>, candidate: &Candidate<'_>) -> GateVerdict {
        let rules = self.set_of(version).1.iter();
        let hits = rules.filter(|applied| applied.rule.hits(candidate, applied.threshold));
        GateVerdict::of(hits.map(|applied| (applied.rule.name(), applied.action)))
    }

    /// Returns what every rule says of an answer, also after one that rejects it, in the order in which they are applied. It
    /// measures what [`judge`](Self::judge) need not know, and takes several times as long.
    pub fn findings(&self, candidate: &Candidate<'_>) -> Vec<Finding> {
        let finding = |applied: &Applied| {
            let hits = applied.rule.hits(candidate, applied.threshold);
            Finding {
                rule: applied.rule.name(),
                action: applied.action,
                value: applied.rule.value(candidate),
                threshold: applied.rule.threshold().map(|_| applied.threshold),
                hits,
                places: if hits { joined(applied.rule.places(candidate)) } else { Vec::new() },
            }
        };
        self.set_of(None).1.iter().map(finding).collect()
    }

    /// Returns where in an answer the rule of this name found its fault, in bytes.
    pub fn places(&self, rule: &str, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let applied = self.set_of(None).1.iter().find(|applied| applied.rule.name() == rule);
        applied.map(|applied| applied.rule.places(candidate)).unwrap_or_default()
    }

    /// Returns the rules that are applied, with their actions and thresholds.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, Action, Option<f64>)> {
        self.set_of(None)
            .1
            .iter()
            .map(|applied| (applied.rule.name(), applied.action, applied.rule.threshold().map(|_| applied.threshold)))
    }
}

/// Returns the rules of a version with a preset and changes to it.
fn rules(version: RulesVersion, profile: Strictness, changes: &str) -> Result<Vec<Applied>, ParseGateError> {
    let applied = |rule: &'static dyn Rule| Applied {
        rule,
        action: if profile == Strictness::Standard { rule.actions().0 } else { rule.actions().1 },
        threshold: rule.threshold().unwrap_or_default(),
    };
    let mut rules: Vec<Applied> = version.rules().iter().map(|rule| applied(*rule)).collect();
    for change in changes.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        let (name, action) = change.split_once('=').ok_or_else(|| ParseGateError::Action(change.to_owned()))?;
        let rule = rules.iter_mut().find(|applied| applied.rule.name() == name.trim());
        let rule = rule.ok_or_else(|| ParseGateError::Rule(name.to_owned()))?;
        let (action, threshold) =
            action.split_once('@').map_or((action, None), |(action, threshold)| (action, Some(threshold)));
        rule.action = action.trim().parse().map_err(|()| ParseGateError::Action(change.to_owned()))?;
        if let Some(threshold) = threshold {
            if rule.rule.threshold().is_none() {
                return Err(ParseGateError::Threshold(rule.rule.name()));
            }
            let number = threshold.trim().parse().ok().filter(|number: &f64| number.is_finite());
            rule.threshold = number.ok_or_else(|| ParseGateError::Action(change.to_owned()))?;
        }
    }
    rules.retain(|applied| applied.action != Action::Off);
    Ok(rules)
}

/// The preset with the version of its rules, and the changes to it. Gates with the same text judge alike. The first version has
/// no number, as stores of that time know it.
impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.profile.name())?;
        if self.version() > RulesVersion::First {
            write!(formatter, "@{}", self.version())?;
        }
        if self.changes.is_empty() { Ok(()) } else { write!(formatter, " {}", self.changes) }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Gate({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_a_profile_with_changes() {
        let gate = Gate::new(Strictness::Standard, "refusal=reject, loop_char=reject@8,length=off").unwrap();
        assert_eq!(gate.to_string(), "standard@2 refusal=reject,loop_char=reject@8,length=off");
        let older = gate.under(RulesVersion::First);
        assert_eq!(older.to_string(), "standard refusal=reject,loop_char=reject@8,length=off");
        assert_eq!((older.older_versions().count(), gate.older_versions().count()), (0, 1));
        let said: Vec<_> = gate.rules().collect();
        assert!(
            said.contains(&("refusal", Action::Reject, None))
                && said.contains(&("loop_char", Action::Reject, Some(8.0)))
        );
        assert!(!said.iter().any(|(name, ..)| *name == "length"));
        let fault = |changes: &str| Gate::new(Strictness::Strict, changes).unwrap_err().to_string();
        assert!(fault("refusals=off").contains("there is no rule `refusals`; the rules are empty"));
        assert!(fault("refusal").contains("does not say") && fault("refusal=eat").contains("does not say"));
        assert!(fault("empty=reject@2").contains("no threshold") && fault("echo=reject@x").contains("does not say"));
    }

    #[test]
    fn a_cut_answer_reports_the_rule_that_it_also_breaks() {
        use crate::conversation::Finish;
        let gate = Gate::new(Strictness::Strict, "").unwrap();
        let rejected = |answer: &str, version: RulesVersion| {
            let mut candidate = Candidate::new("Why is that so?", answer);
            candidate.finish = Some(Finish::Length);
            gate.judge_under(Some(version), &candidate).rejected_by
        };
        let looped = "It is so because it is. ".repeat(30);
        let leaked = "It is so.<|im_end|>\n<|im_start|>user\nAnd";
        assert_eq!(rejected(&looped, RulesVersion::Second), Some("loop_token"));
        assert_eq!(rejected(leaked, RulesVersion::Second), Some("template_leak"));
        let cut = "It is so because of this:\n```\nlet a =";
        assert_eq!(rejected(cut, RulesVersion::Second), Some("finish_length"), "the cut explains the open fence");
        assert_eq!(rejected(&looped, RulesVersion::First), Some("finish_length"));
    }

    #[test]
    fn every_rule_has_a_name_of_its_own_and_strict_is_no_laxer() {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
        let rank = |action: Action| action as u8;
        assert!(RULES.iter().all(|rule| rank(rule.actions().1) >= rank(rule.actions().0)));
    }
}
