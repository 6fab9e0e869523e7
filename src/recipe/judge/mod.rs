//! The parts shared by every judging recipe: prompts, verdicts, and the one repair call for an invalid verdict.

mod prompt;
mod ruling;

pub use prompt::{Prompt, PromptError};
pub use ruling::{Ruling, Scale};

pub(super) use prompt::{Scene, fence_around, transcript};

use std::sync::Arc;

use super::Answered;
use super::object::follows_schema;
use crate::conversation::{
    Answer, DuelEnd, Finish, Lane, Message, Question, Reading, ReadingResult, Role, Slot, Target, Winner,
};
use crate::quality::RulesVersion;

/// A model that judges, and its prompt.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The model.
    pub target: Arc<Target>,
    /// Its prompt.
    pub prompt: Prompt,
    /// Repeats of each verdict, by sample index; at least 1.
    pub repeats: u32,
}

/// A judge's reply to one question.
pub(super) enum JudgeReply {
    /// It has not been asked, or must be asked once more.
    Open(Question),
    /// Its verdict.
    Done(Judgment),
}

/// A judge's verdict.
pub(super) struct Judgment {
    /// The verdict; `None` where it is invalid.
    pub ruling: Option<Ruling>,
    /// The judge's first words.
    pub words: Arc<Answer>,
    /// How they were read.
    pub reading: Reading,
}

/// A judge's verdicts on two answers, in both orders.
pub(super) struct BothOrders {
    /// The combined verdict.
    pub end: DuelEnd,
    /// Who is better: with the first answer in the first place, then with the second.
    pub orders: [Option<Winner>; 2],
    /// The judge's words.
    pub words: [Option<Arc<Answer>>; 2],
    /// How they were read.
    pub readings: [Option<Reading>; 2],
    /// The questions to ask first.
    pub open: Vec<Question>,
}

impl Judge {
    /// Reads the judge's replies to the call with this number and the next one; `prompt` shows two answers in the order
    /// with this number.
    pub(super) fn in_both_orders(
        &self,
        answered: &Answered,
        turn: u32,
        call: u32,
        sample: u32,
        prompt: impl Fn(u32) -> Arc<Message>,
    ) -> BothOrders {
        let mut both = BothOrders {
            end: DuelEnd::Unparsed,
            orders: [None; 2],
            words: [None, None],
            readings: [None; 2],
            open: Vec::new(),
        };
        for order in 0..2u32 {
            match self.read(answered, turn, call + order, sample, || prompt(order)) {
                JudgeReply::Open(question) => both.open.push(question),
                JudgeReply::Done(Judgment { ruling, words, reading }) => {
                    both.orders[order as usize] = match ruling {
                        Some(Ruling::Winner(winner)) if order == 0 => Some(winner),
                        Some(Ruling::Winner(winner)) => Some(winner.turned()),
                        Some(Ruling::Value(_)) | None => None,
                    };
                    both.words[order as usize] = Some(words);
                    both.readings[order as usize] = Some(reading);
                }
            }
        }
        both.end = match both.orders {
            _ if !both.open.is_empty() => DuelEnd::Open,
            [Some(one), Some(other)] if one == other => DuelEnd::Decided(one),
            [Some(_), Some(_)] => DuelEnd::Decided(Winner::Inconsistent),
            _ => DuelEnd::Unparsed,
        };
        both
    }

    /// Returns what its verdicts depend on, under the older rules where some are named.
    pub(super) fn setting(&self, rules: Option<RulesVersion>) -> String {
        let Self { target, prompt, .. } = self;
        let judge = format!("judge {} {} {}", target.model(), target.parameters(), prompt.digest_under(rules));
        match prompt.version_under(rules) {
            RulesVersion::First => judge,
            version @ RulesVersion::Second => format!("{judge} prompts {version}"),
        }
    }

    /// True for the slot of a call's first reply; the next slot is that of its repair.
    pub(super) fn is_first_reply(slot: Slot) -> bool {
        slot.lane == Lane::Judge && slot.attempt.is_multiple_of(2)
    }

    /// Reads the judge's reply to the call with this number, or returns the question to ask. Where the reply has no clear
    /// verdict, one more call asks for it alone.
    pub(super) fn read(
        &self,
        answered: &Answered,
        turn: u32,
        call: u32,
        sample: u32,
        prompt: impl Fn() -> Arc<Message>,
    ) -> JudgeReply {
        let slot = |attempt| Slot { lane: Lane::Judge, turn, attempt };
        let ask = |attempt, target, messages: Vec<Arc<Message>>| {
            JudgeReply::Open(Question { slot: slot(attempt), target, sample, messages: messages.into() })
        };
        let (first, repair) = (2 * call, 2 * call + 1);
        let Some(answer) = answered.get(slot(first)) else {
            return ask(first, self.target.with_schema(self.prompt.schema()), vec![prompt()]);
        };
        let done = |ruling, result| {
            let words = Arc::clone(answer);
            JudgeReply::Done(Judgment { ruling, reading: Reading::of(&words, result), words })
        };
        let version = self.prompt.version_under(answered.rules);
        let verdict_of = |answer| verdict_of(answer, self.prompt.scale(), version);
        if let Some(verdict) = verdict_of(answer) {
            return done(Some(verdict), ReadingResult::Valid);
        }
        // A server that withheld its verdict would do so again.
        if matches!(answer.finish, Finish::Filtered | Finish::Refused) {
            return done(None, ReadingResult::Invalid);
        }
        match answered.get(slot(repair)).map(|repaired| verdict_of(repaired)) {
            Some(Some(verdict)) => done(Some(verdict), ReadingResult::Repaired),
            Some(None) => done(None, ReadingResult::Invalid),
            None => {
                // A reply that does not follow the schema may be invalid because of it.
                let schema = self.prompt.schema_of_verdict().filter(|_| follows_schema(answer));
                ask(repair, self.target.with_schema(schema), self.asked_again(version, prompt(), answer))
            }
        }
    }

    /// Returns the messages that ask for the verdict alone, after this reply without one.
    fn asked_again(&self, version: RulesVersion, prompt: Arc<Message>, answer: &Answer) -> Vec<Arc<Message>> {
        let scale = self.prompt.scale();
        if version > RulesVersion::First {
            // A weak model repeats its own reply if it sees it.
            let again = format!(
                "An earlier reply to this had no verdict that could be read. Give the verdict alone, without a reason: {}.",
                scale.form_without_example()
            );
            return vec![Message::new(Role::User, format!("{}\n\n{again}", prompt.content()))];
        }
        let again = format!("Output only the verdict: {}.", scale.form());
        // Servers may refuse an empty message. Some gateways turn a schema into a tool, whose call has no reply.
        if matches!(answer.finish, Finish::Empty | Finish::Tools) {
            vec![Message::new(Role::User, format!("{}\n\n{again}", prompt.content()))]
        } else {
            vec![prompt, Arc::clone(&answer.message), Message::new(Role::User, again)]
        }
    }
}

fn verdict_of(answer: &Answer, scale: Scale, version: RulesVersion) -> Option<Ruling> {
    // A cut reply may have been about to change its verdict.
    if !answer.is_whole() {
        return None;
    }
    match version {
        RulesVersion::First => scale.read(answer.text()),
        RulesVersion::Second => scale.read(answer.text()).or_else(|| scale.read_leniently(answer.text())),
    }
}
