use std::sync::Arc;

use super::Answered;
use crate::conversation::{
    CallFault, Columns, Lane, MatchedCall, Message, Question, Role, Seed, Slot, Spoken, Target, ToolCall, ToolMatch,
    Turn,
};

/// How results follow a teacher's calls to tools.
#[derive(Clone, Debug, Default)]
pub struct CallRules {
    /// When a result of the source row follows.
    pub matching: ToolMatch,
    /// Who answers calls instead of the source row: one call to each question. The seeds must have no calls then. Default:
    /// the source row's results follow.
    pub answered_by: Option<Arc<Target>>,
}

/// What a conversation hears next.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// A turn of the source.
    Source { turn: u32 },
    /// The results of the calls before.
    Results(Heard),
    /// The results of these calls, for which somebody is asked.
    Asked { calls: Vec<ToolCall>, place: Place },
}

/// Most answers with calls between two messages of the user, where calls are answered by somebody else than the source.
const STEPS_MAX: u32 = 16;

/// The messages of a turn before the answer.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub messages: Vec<Arc<Message>>,
    pub flag: Option<&'static str>,
    pub place: Place,
}

/// Where a conversation stands in its source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The source's turn.
    pub source: u32,
    /// How many answers to it were calls so far.
    pub steps: u32,
}

impl Next {
    /// True where nothing is heard any more.
    pub fn is_end(&self, seed: &Seed) -> bool {
        matches!(self, Self::Source { turn } if *turn as usize >= seed.turns.len())
    }
}

impl CallRules {
    /// Returns what answers depend on, as settings of a recipe.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let matching = (self.matching != ToolMatch::Exact).then(|| ("tool-match", self.matching.name().to_owned()));
        let by = self.answered_by.as_ref().map(|target| ("tool-results", target.model().to_owned()));
        matching.into_iter().chain(by)
    }

    /// Returns what follows an answer with these calls to what was `heard`. Fails where no result can follow, or where
    /// the source has calls and the answer has none.
    pub(super) fn after(&self, seed: &Seed, heard: Place, calls: &[ToolCall]) -> Result<Next, CallFault> {
        let next = heard.source + 1;
        let results = seed.turns.get(next as usize).filter(|turn| !turn.follows.is_empty());
        if let Some(fault) = seed.tools.as_ref().and_then(|tools| CallFault::in_calls(calls, tools)) {
            return Err(fault);
        }
        if self.answered_by.is_some() {
            return match (calls.is_empty(), heard.steps < STEPS_MAX) {
                (true, _) => Ok(Next::Source { turn: next }),
                (false, true) => {
                    let place = Place { steps: heard.steps + 1, ..heard };
                    Ok(Next::Asked { calls: calls.to_vec(), place })
                }
                (false, false) => Err(CallFault::TooManyCalls),
            };
        }
        if seed.turns.get(heard.source as usize).is_some_and(|turn| turn.ends_in_calls) {
            // The source ends with calls: no result is to follow, whatever is called.
            return Ok(Next::Source { turn: next });
        }
        let source = results.map_or(&[][..], |turn| &turn.follows);
        let matched = MatchedCall::all(calls, source, self.matching)?;
        let Some(results) = results else { return Ok(Next::Source { turn: next }) };
        let messages = results_of(calls, &matched, results).ok_or(CallFault::OtherCall)?;
        let is_other = matched.iter().any(|call| !call.is_same);
        let flag = is_other.then_some(Spoken::RESULT_OF_OTHER_ARGUMENTS);
        Ok(Next::Results(Heard { messages, flag, place: Place { source: next, steps: 0 } }))
    }

    /// Returns the results of calls that were made in `turn`, or the questions to ask first.
    pub(super) fn results(
        &self,
        calls: &[ToolCall],
        turn: u32,
        answered: &Answered,
    ) -> Result<Vec<Arc<Message>>, Vec<Question>> {
        let (mut results, mut open) = (Vec::new(), Vec::new());
        for (attempt, call) in (0..).zip(calls) {
            let slot = Slot { lane: Lane::Tool, turn, attempt };
            match (answered.get(slot), &self.answered_by) {
                (Some(answer), _) => {
                    let fields = Columns::from_iter([(CALL_ID.to_owned(), call.id.as_str().into())]);
                    results.push(Message::with_fields(Role::Tool, answer.text(), fields));
                }
                (None, Some(target)) => {
                    let (target, messages) = (Arc::clone(target), vec![call.question()].into());
                    open.push(Question { slot, target, sample: 0, messages });
                }
                (None, None) => {}
            }
        }
        if open.is_empty() { Ok(results) } else { Err(open) }
    }
}

/// The field of a result that names its call.
const CALL_ID: &str = "tool_call_id";

/// Returns the messages of a turn with the results of a model's calls, in the order of these calls and with their ids. `None`
/// where a call has no result.
fn results_of(calls: &[ToolCall], matched: &[MatchedCall], turn: &Turn) -> Option<Vec<Arc<Message>>> {
    let is_result_of = |message: &Message, id: &str| {
        let of = message.fields().and_then(|fields| fields.get(CALL_ID));
        message.role() == Role::Tool && of.and_then(serde_json::Value::as_str) == Some(id)
    };
    let result = |(call, matched): (&ToolCall, &MatchedCall)| {
        let id = &turn.follows[matched.source].id;
        turn.messages.iter().find(|message| is_result_of(message, id)).map(|message| with_call_id(message, &call.id))
    };
    let results: Option<Vec<Arc<Message>>> = calls.iter().zip(matched).map(result).collect();
    let others = turn.messages.iter().filter(|message| message.role() != Role::Tool).cloned();
    Some(results?.into_iter().chain(others).collect())
}

fn with_call_id(result: &Arc<Message>, id: &str) -> Arc<Message> {
    let mut fields: Columns = result.fields().cloned().unwrap_or_default();
    if fields.get(CALL_ID).and_then(serde_json::Value::as_str) == Some(id) {
        return Arc::clone(result);
    }
    fields.insert(CALL_ID.to_owned(), id.into());
    Message::with_fields(Role::Tool, result.content(), fields)
}
