use std::sync::Arc;

use crate::conversation::{Answer, Dialogue, Finish, Message, Role, Sampling, Target, calls_tool_in_text};
use crate::quality::{Candidate, Gate, GateVerdict, RulesVersion};

/// Checks that an answer must pass before it becomes history.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerCheck {
    pub gate: Option<Gate>,
}

/// Attempts at a turn, where a gate judges them.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// The temperature increase of each further attempt.
const TEMPERATURE_STEP: f64 = 0.2;
/// The base where no temperature is set: servers' defaults lie between 0.6 and 1.
const TEMPERATURE_UNNAMED: f64 = 0.8;

impl AnswerCheck {
    /// Has a gate alone.
    pub fn by(gate: Option<Gate>) -> Self {
        Self { gate }
    }

    /// Returns the gate of a version of the rules, as a recipe's setting.
    pub fn gate_setting_under(&self, version: RulesVersion) -> String {
        self.gate.as_ref().map_or("off".to_owned(), |gate| gate.under(version).to_string())
    }

    /// False where the gate has no rules of this version, so that no conversation was begun under it.
    pub fn may_have_begun_under(&self, version: RulesVersion) -> bool {
        let has = |gate: &Gate| gate.version() == version || gate.older_versions().any(|older| older == version);
        self.gate.as_ref().is_none_or(has)
    }

    /// Judges an answer to `heard`, given the dialogue so far, by the gate's own rules or by older ones.
    pub fn judge(
        &self,
        answer: &Answer,
        heard: &[Arc<Message>],
        dialogue: &Dialogue,
        target: &Target,
        rules: Option<RulesVersion>,
    ) -> GateVerdict {
        // Rules judge words, and a result decides about a call.
        if answer.finish == Finish::Tools && target.keeps_calls() && answer.message.is_tool_use() {
            return GateVerdict::default();
        }
        let calls_in_text = target.tools().is_some() && calls_tool_in_text(answer.text());
        let by_finish = || answer.finish_fault().or(calls_in_text.then_some(Answer::TOOL_USE));
        let Some(gate) = self.gate.as_ref().filter(|_| is_the_models_own(answer.finish)) else {
            return GateVerdict { rejected_by: by_finish(), ..GateVerdict::default() };
        };
        let said = dialogue.spoken.iter().map(|spoken| &spoken.message).chain(heard);
        let of_role = |role: Role| said.clone().filter(move |message| message.role() == role);
        let user = of_role(Role::User).next_back().map_or("", |message| message.content());
        let mut candidate = Candidate::new(user, answer.text());
        candidate.system = of_role(Role::System).next().map(|message| message.content());
        candidate.earlier = {
            let in_words = dialogue.spoken.iter().filter(|spoken| !spoken.message.is_tool_use());
            in_words.filter_map(|spoken| spoken.answer.as_deref().map(Answer::text)).collect()
        };
        candidate.finish = Some(answer.finish);
        candidate.tokens = answer.usage.completion_tokens.zip(target.sampling().max_tokens.map(u64::from));
        let verdict = gate.judge_under(rules, &candidate);
        // An incomplete answer never becomes context, whatever the rules say.
        GateVerdict { rejected_by: verdict.rejected_by.or_else(by_finish), ..verdict }
    }

    /// True where another attempt may help. It does not where the server's own filter withheld the answer.
    pub fn may_retry(&self, answer: &Answer, attempt: u32) -> bool {
        self.gate.is_some() && attempt + 1 < ATTEMPTS_MAX && is_the_models_own(answer.finish)
    }

    /// Returns the number of tokens of an answer that the limit cut.
    pub fn cut_at(answer: &Answer) -> Option<u32> {
        let tokens = answer.usage.completion_tokens.filter(|_| answer.finish == Finish::Length)?;
        u32::try_from(tokens).ok()
    }

    /// Returns the token limit after a cut at `cut_at` tokens: twice the earlier limit.
    pub fn room_after(sampling: &Sampling, cut_at: u32) -> u32 {
        sampling.max_tokens.unwrap_or(cut_at).saturating_mul(2)
    }

    /// Returns the target of a further attempt: a higher temperature each time, and after a cut twice the tokens.
    pub fn target(target: &Arc<Target>, attempt: u32, was_cut: Option<u32>) -> Arc<Target> {
        if attempt == 0 {
            return Arc::clone(target);
        }
        let sampling = target.sampling();
        let max_tokens = match was_cut {
            Some(tokens) => Some(Self::room_after(sampling, tokens)),
            None => sampling.max_tokens,
        };
        target.warmer(TEMPERATURE_STEP * f64::from(attempt), TEMPERATURE_UNNAMED, max_tokens)
    }
}

/// False for ends that the server decided: its filter, its refusal, a call to a tool.
fn is_the_models_own(finish: Finish) -> bool {
    match finish {
        Finish::Complete | Finish::Length | Finish::Empty | Finish::Loop => true,
        Finish::Filtered | Finish::Refused | Finish::Tools => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Strictness;

    fn target(temperature: Option<f64>, max_tokens: Option<u32>) -> Arc<Target> {
        Target::new("m", "openai", Sampling { temperature, max_tokens, seed: Some(5), ..Sampling::default() })
    }

    #[test]
    fn a_further_attempt_is_warmer_and_has_more_room_after_a_cut() {
        let warmth = |temperature, attempt| {
            let target = AnswerCheck::target(&target(temperature, None), attempt, None);
            target.sampling().temperature
        };
        assert_eq!([0, 1, 2].map(|attempt| warmth(None, attempt)), [None, Some(1.0), Some(1.2)]);
        assert_eq!([1, 2].map(|attempt| warmth(Some(0.7), attempt)), [Some(0.9), Some(1.1)]);
        assert_eq!((warmth(Some(1.9), 1), warmth(Some(1.9), 0)), (Some(2.0), Some(1.9)));
        let room = |max_tokens, cut| AnswerCheck::target(&target(None, max_tokens), 1, cut).sampling().clone();
        assert_eq!((room(Some(100), None).max_tokens, room(None, None).max_tokens), (Some(100), None));
        assert_eq!((room(Some(100), Some(90)).max_tokens, room(None, Some(90)).max_tokens), (Some(200), Some(180)));
        assert_eq!(room(Some(u32::MAX), Some(90)).max_tokens, Some(u32::MAX));
        assert_eq!(room(None, None).seed, Some(5));
        assert!(AnswerCheck::target(&target(None, None), 1, None).raised_from().is_some());
    }

    #[test]
    fn no_rule_judges_a_call_that_is_kept() {
        use crate::conversation::{ToolCall, ToolSet};
        let tools = ToolSet::new(vec![serde_json::json!({"function": {"name": "f"}})]);
        let call = ToolCall { id: "1".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() };
        let message = Message::with_fields(Role::Assistant, "", ToolCall::fields(&[call]));
        let called = Answer { message, finish: Finish::Tools, ..Answer::complete("m", "") };
        let bare = Answer { finish: Finish::Tools, ..Answer::complete("m", "") };
        let (kept, offered) =
            (target(None, None).keeping_calls(Some(&tools)), target(None, None).offering(Some(&tools)));
        for gate in [None, Some(Gate::new(Strictness::Strict, "").unwrap())] {
            let check = AnswerCheck::by(gate);
            let rule = |answer: &Answer, target: &Target| {
                let heard = [Message::new(Role::User, "hi")];
                check.judge(answer, &heard, &Dialogue::default(), target, None).rejected_by
            };
            assert_eq!(rule(&called, &kept), None);
            assert_eq!(rule(&called, &offered), Some(Answer::TOOL_USE));
            assert_eq!(rule(&bare, &kept), Some(Answer::TOOL_USE), "the call could not be read");
            let cut = Answer { finish: Finish::Length, ..called.clone() };
            assert!(rule(&cut, &kept).is_some(), "it may be half of a call");
        }
    }

    #[test]
    fn another_attempt_is_made_where_the_model_may_do_better() {
        let ended = |finish| Answer { finish, ..Answer::complete("m", "text") };
        let may_retry = |finish, attempt| {
            AnswerCheck::by(Some(Gate::new(Strictness::Standard, "").unwrap())).may_retry(&ended(finish), attempt)
        };
        for finish in [Finish::Complete, Finish::Length, Finish::Empty, Finish::Loop] {
            assert!(may_retry(finish, 0) && may_retry(finish, 1) && !may_retry(finish, 2), "{finish:?}");
        }
        for finish in [Finish::Filtered, Finish::Refused, Finish::Tools] {
            assert!(!may_retry(finish, 0), "{finish:?}");
        }
        assert!(!AnswerCheck::default().may_retry(&ended(Finish::Complete), 0), "nothing judges it");
        let mut cut = ended(Finish::Length);
        cut.usage.completion_tokens = Some(90);
        assert_eq!((AnswerCheck::cut_at(&cut), AnswerCheck::cut_at(&ended(Finish::Length))), (Some(90), None));
        assert_eq!(AnswerCheck::cut_at(&Answer { finish: Finish::Complete, ..cut }), None);
        assert_eq!(AnswerCheck::default().gate_setting_under(RulesVersion::NEWEST), "off");
    }
}
