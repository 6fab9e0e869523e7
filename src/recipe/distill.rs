use std::sync::Arc;

use super::answer_check::{ATTEMPTS_MAX, AnswerCheck};
use super::attempt::{Good, Missing, questions};
use super::begun::{OlderRules, older_rules};
use super::best::{BestOf, Ranker, Worth};
use super::calls::{CallRules, Heard, Next, Place};
use super::judge::Prompt;
use super::orphan::{OrphanCheck, Orphans};
use super::{Answered, Recipe, Step, Walked};
use crate::conversation::{
    Answer, CallFault, ConversationStop, Dialogue, Lane, Message, Messages, Outcome, Question, Rejected, Role, Seed,
    Settings, Slot, Spoken, Target, TokenDetail, ToolCall, Turn, TurnIndex,
};
use crate::quality::{Gate, OrphanLevel, RulesVersion};

/// The setting that names the judge of doubtful orphans.
const ORPHANS_JUDGE: &str = "orphans-judge";

/// Has a teacher regenerate every assistant turn, with its own earlier answers as history.
///
/// An answer that is not whole (cut, filtered, refused, empty), or that the gate rejects, never becomes context: it is
/// requested again where that may help; otherwise the conversation stops before that turn, with the reason.
pub struct Distill {
    target: Arc<Target>,
    settings: Settings,
    /// The history holds the reasoning before each answer.
    keeps_reasoning: bool,
    answer_check: AnswerCheck,
    orphans: Option<OrphanCheck>,
    best_of: Option<BestOf>,
    calls: Option<CallRules>,
    older: Vec<OlderRules>,
}

impl Distill {
    /// The setting that says that calls to tools are regenerated.
    pub const TOOLS: &'static str = "tools";

    /// Makes the recipe for a teacher. `system` is the text that replaces every row's own system
    /// message; the caller has put it into the seeds, here it belongs to the identity.
    pub fn new(target: Arc<Target>, system: Option<&str>) -> Self {
        let sampling = target.sampling();
        let or_server = |value: Option<String>| value.unwrap_or_else(|| "server default".to_owned());
        let settings = Settings::default()
            .with("recipe", "distill")
            .with("model", target.model())
            .with("dialect", target.dialect())
            .with("temperature", or_server(sampling.temperature.map(|value| value.to_string())))
            .with("top-p", or_server(sampling.top_p.map(|value| value.to_string())))
            .with("max-tokens", or_server(sampling.max_tokens.map(|value| value.to_string())))
            .with("seed", sampling.seed.map_or_else(|| "none".to_owned(), |value| value.to_string()))
            .with("system", system.unwrap_or("from the rows"));
        let extras = target.extras().named().into_iter();
        let mut settings = extras.fold(settings, |settings, (name, value)| settings.with(name, value));
        if target.folds_system() {
            settings = settings.with("fold-system", "true");
        }
        for (name, value) in target.detail().map(TokenDetail::named).unwrap_or_default() {
            settings = settings.with(name, value);
        }
        Self {
            target,
            settings,
            keeps_reasoning: false,
            answer_check: AnswerCheck::default(),
            orphans: None,
            best_of: None,
            calls: None,
            older: Vec::new(),
        }
    }

    /// Sends each answer's reasoning back in the history. The resulting dialogue does not hold it.
    #[must_use]
    pub fn with_reasoning_in_history(mut self) -> Self {
        self.settings = self.settings.with("history-reasoning", "true");
        self.keeps_reasoning = true;
        self.with_older()
    }

    /// Has the gate check each answer before the next turn builds on it.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.settings = self.settings.with("gate", &gate);
        self.answer_check.gate = Some(gate);
        self.with_older()
    }

    /// Requests several answers to each turn and keeps the best.
    #[must_use]
    pub fn with_best_of(mut self, best_of: BestOf) -> Self {
        self.settings = self.settings.with("samples", best_of.samples).with("best-by", best_of.ranker.setting(None));
        if let Some(score) = best_of.min_score {
            self.settings = self.settings.with("min-score", score);
        }
        self.best_of = Some(best_of);
        self.with_older()
    }

    /// Handles users' messages that refer to a replaced answer. The seeds must count replaced answers into their identity.
    #[must_use]
    pub fn with_orphans(mut self, orphans: impl Into<OrphanCheck>) -> Self {
        let orphans = orphans.into();
        self.settings = self.settings.with("orphans", orphans.setting(orphans.version_under(None)));
        if let Some(judge) = &orphans.judge {
            self.settings = self.settings.with(ORPHANS_JUDGE, judge.setting(None));
        }
        self.orphans = Some(orphans);
        self.with_older()
    }

    /// Keeps the teacher's calls to tools, and has a result follow each. The seeds must be split at calls too.
    #[must_use]
    pub fn with_calls(mut self, calls: CallRules) -> Self {
        self.settings = self.settings.with(Self::TOOLS, "regenerate");
        for (name, value) in calls.settings() {
            self.settings = self.settings.with(name, value);
        }
        self.calls = Some(calls);
        self.with_older()
    }

    /// Brings the settings of older rules up to date with these.
    fn with_older(mut self) -> Self {
        let ranker = self.best_of.as_ref().map(|best_of| &best_of.ranker);
        let prompt = ranker.and_then(Ranker::prompt);
        let gate = self.answer_check.gate.iter().flat_map(Gate::older_versions);
        let prompts = prompt.into_iter().flat_map(Prompt::older_versions);
        let orphans = self.orphans.iter().flat_map(OrphanCheck::older_versions);
        let mut versions: Vec<RulesVersion> = gate.chain(prompts).chain(orphans).collect();
        versions.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
        versions.dedup();
        versions.retain(|version| {
            let has = |prompt: &Prompt| prompt.older_versions().any(|older| older == *version);
            self.answer_check.may_have_begun_under(*version) && prompt.is_none_or(has)
        });
        let settings = |version| {
            let settings = self.settings.clone().changed("gate", self.answer_check.gate_setting_under(version));
            let settings =
                settings.changed("best-by", ranker.map_or(String::new(), |ranker| ranker.setting(Some(version))));
            let orphans = self.orphans.as_ref().map_or(String::new(), |orphans| orphans.setting(version));
            // No version before the second had a judge of orphans.
            settings.changed("orphans", orphans).without(ORPHANS_JUDGE)
        };
        self.older = older_rules(versions, settings);
        self
    }

    /// Begins a walk at the first turn.
    fn begin(&self, seed: &Seed) -> Walk {
        let opening = seed.turns.first().map_or(&[][..], |turn| &turn.messages);
        let drawn = self.target.drawn_for(opening).drawn().clone();
        Walk {
            target: match self.calls {
                Some(_) => self.target.keeping_calls(seed.tools.as_ref()),
                None => self.target.offering(seed.tools.as_ref()),
            },
            dialogue: Dialogue { drawn, ..Dialogue::default() },
            history: Messages::default(),
            last: Slot::main(0),
            turn: 0,
            next: Next::Source { turn: 0 },
            settled: Settled::default(),
        }
    }

    /// Walks through the turns as far as there are answers.
    fn walk(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> Stop {
        // What an earlier step has added in an open turn is found again.
        walk.history.truncate(walk.settled.heard);
        walk.dialogue.rejected.truncate(walk.settled.rejected);
        while !walk.next.is_end(seed) {
            if let Err(stop) = self.take_turn(seed, answered, walk) {
                return stop;
            }
            walk.settled = Settled { heard: walk.history.len(), rejected: walk.dialogue.rejected.len() };
        }
        Stop::Done
    }

    /// Takes the next turn, where its answer is there.
    fn take_turn(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> Result<(), Stop> {
        let turn = walk.turn;
        let heard = self.hear(seed, walk, answered)?;
        walk.history.extend(heard.messages.iter().cloned());
        let good = match self.accept(&walk.target, turn, &heard, &mut walk.dialogue, answered) {
            Ok(good) => good,
            Err(Missing::Answers(missing)) => return Err(Stop::Ask(questions(missing, 0, &walk.history))),
            Err(Missing::Scores(questions)) => return Err(Stop::Ask(questions)),
            Err(Missing::GoodAnswer(reason)) => return Err(Stop::At { turn, reason: reason.into() }),
        };
        let answer = answered.get(good.slot).expect("an accepted answer is there");
        walk.history.push(self.heard_again(answer));
        walk.last = good.slot;
        walk.turn += 1;
        let spoken = &mut walk.dialogue.spoken;
        spoken.extend(heard.messages.into_iter().map(Spoken::of_source));
        let (place, flags) = (heard.place, heard.flag.into_iter().chain(good.flags).collect());
        let (message, answer) = (Arc::clone(&answer.message), Some(Arc::clone(answer)));
        let calls = if self.calls.is_some() { ToolCall::of(&message) } else { Vec::new() };
        spoken.push(Spoken { message, answer, flags, score: good.score });
        walk.next = match &self.calls {
            Some(rules) => {
                rules.after(seed, place, &calls).map_err(|fault| walk.stop_at_call(turn, good.slot, fault))?
            }
            None => Next::Source { turn: place.source + 1 },
        };
        Ok(())
    }

    /// Returns the messages of a turn before the answer: results of the calls before it, or what the source has.
    fn hear(&self, seed: &Seed, walk: &Walk, answered: &Answered) -> Result<Heard, Stop> {
        match &walk.next {
            Next::Source { turn } => self.hear_source(seed, *turn, walk.last, &walk.dialogue, answered),
            Next::Results(heard) => Ok(heard.clone()),
            Next::Asked { calls, place } => {
                let results = |rules: &CallRules| rules.results(calls, walk.last.turn, answered);
                let messages = self.calls.as_ref().map_or(Ok(Vec::new()), results).map_err(Stop::Ask)?;
                Ok(Heard { messages, flag: None, place: *place })
            }
        }
    }

    /// Returns the source's messages of a turn, or these with the user's message rewritten.
    fn hear_source(
        &self,
        seed: &Seed,
        turn: u32,
        last: Slot,
        dialogue: &Dialogue,
        answered: &Answered,
    ) -> Result<Heard, Stop> {
        let said = &seed.turns[turn as usize];
        let heard = Heard { messages: said.messages.clone(), flag: None, place: Place { source: turn, steps: 0 } };
        let (Some(orphans), Some(before)) = (self.orphans.as_ref().filter(|_| turn > 0), answered.examined(last))
        else {
            return Ok(heard);
        };
        let level = orphans.level(seed, turn, before, dialogue, answered).map_err(|open| Stop::Ask(vec![open]))?;
        let stop = || Stop::At { turn, reason: ConversationStop::OrphanReference };
        match (level, orphans.action) {
            (None, _) => Ok(heard),
            (Some(level @ OrphanLevel::Weak), _) | (Some(level), Orphans::Keep) => {
                Ok(Heard { flag: Some(OrphanCheck::flag(level)), ..heard })
            }
            (Some(OrphanLevel::Strong), Orphans::Truncate) => Err(stop()),
            (Some(OrphanLevel::Strong), Orphans::Rewrite) => {
                let slot = Slot { lane: Lane::User, turn, attempt: 0 };
                let Some(rewritten) = answered.get(slot) else {
                    let messages = vec![OrphanCheck::rewriting(&seed.turns[turn as usize - 1], said, dialogue)].into();
                    // Nobody trains on the tokens of a user's message.
                    let target = self.target.without_detail();
                    return Err(Stop::Ask(vec![Question { slot, target, sample: 0, messages }]));
                };
                let text = OrphanCheck::rewritten(rewritten).ok_or_else(stop)?;
                Ok(Heard { messages: with_last_user(said, text), flag: Some(Spoken::USER_REWRITTEN), ..heard })
            }
        }
    }

    /// Returns the answer that a turn keeps: the first good one, or the best of several. The others are listed as rejected.
    fn accept(
        &self,
        target: &Arc<Target>,
        turn: u32,
        heard: &Heard,
        dialogue: &mut Dialogue,
        answered: &Answered,
    ) -> Result<Good, Missing> {
        let Some(best_of) = &self.best_of else { return self.attempt(target, turn, 0, heard, dialogue, answered) };
        let (mut good, mut missing, mut bad) = (Vec::new(), Vec::new(), None);
        for sample in 0..best_of.samples {
            match self.attempt(target, turn, sample * ATTEMPTS_MAX, heard, dialogue, answered) {
                Ok(one) => good.push(one),
                Err(Missing::Answers(more)) => missing.extend(more),
                Err(other) => bad = Some(other),
            }
        }
        if !missing.is_empty() {
            return Err(Missing::Answers(missing));
        }
        match (good.len(), bad) {
            (0, Some(bad)) => Err(bad),
            (1, _) if best_of.min_score.is_none() => Ok(good.remove(0)),
            _ => best_of.choose(turn, good, heard, dialogue, answered),
        }
    }

    fn attempt(
        &self,
        target: &Arc<Target>,
        turn: u32,
        first: u32,
        heard: &Heard,
        dialogue: &mut Dialogue,
        answered: &Answered,
    ) -> Result<Good, Missing> {
        let place = Slot { lane: Lane::Main, turn, attempt: first };
        self.answer_check.attempt(target, place, &heard.messages, dialogue, answered, &|_| None)
    }

    /// Returns an answer as the history holds it.
    fn heard_again(&self, answer: &Answer) -> Arc<Message> {
        match answer.reasoning.as_deref().filter(|_| self.keeps_reasoning) {
            Some(reasoning) => {
                let text = format!("<think>\n{reasoning}\n</think>\n\n{}", answer.text());
                Message::with_fields(Role::Assistant, text, answer.message.fields().cloned().unwrap_or_default())
            }
            None => Arc::clone(&answer.message),
        }
    }
}

/// How far a conversation has been walked: everything before `turn` is settled.
struct Walk {
    target: Arc<Target>,
    dialogue: Dialogue,
    history: Messages,
    /// The slot of the last answer that was kept.
    last: Slot,
    /// The number of answers that were kept.
    turn: u32,
    /// What is heard next.
    next: Next,
    settled: Settled,
}

impl Walk {
    /// Ends the conversation at the answer in `slot`, the last one, which no result can follow.
    fn stop_at_call(&mut self, turn: u32, slot: Slot, fault: CallFault) -> Stop {
        if let Some(answer) = self.dialogue.spoken.pop().and_then(|spoken| spoken.answer) {
            let turn = TurnIndex::from_index(turn);
            let rejected = Rejected { turn, attempt: slot.attempt, rule: fault.name(), answer, score: None };
            self.dialogue.rejected.push(rejected);
        }
        self.turn = turn;
        Stop::At { turn, reason: ConversationStop::Calls(fault) }
    }

    /// Returns the dialogue up to its last answer in words; the calls after it are listed as rejected.
    fn into_stopped(mut self) -> Dialogue {
        let cut = self.dialogue.end_with_words();
        let kept = self.dialogue.answer_count();
        let unfinished = (kept..).zip(cut).map(|(turn, answer)| Rejected {
            turn: TurnIndex::from_index(turn),
            attempt: 0,
            rule: Rejected::UNFINISHED_CALL,
            answer,
            score: None,
        });
        let unfinished: Vec<Rejected> = unfinished.collect();
        self.dialogue.rejected.extend(unfinished);
        self.dialogue.rejected.sort_by_key(|rejected| rejected.turn);
        self.dialogue
    }
}

/// How much of a walk belongs to settled turns.
#[derive(Default)]
struct Settled {
    heard: usize,
    rejected: usize,
}

impl BestOf {
    /// Returns the best of good answers, the first of equal ones, if it is good enough; lists the others as rejected.
    fn choose(
        &self,
        turn: u32,
        mut good: Vec<Good>,
        heard: &Heard,
        dialogue: &mut Dialogue,
        answered: &Answered,
    ) -> Result<Good, Missing> {
        let mut open = Vec::new();
        let said = dialogue.spoken.iter().map(|spoken| &spoken.message).chain(&heard.messages);
        let mut messages: Vec<Arc<Message>> = said.cloned().collect();
        for one in &mut good {
            let Some(answer) = answered.get(one.slot) else { continue };
            messages.push(Arc::clone(&answer.message));
            match self.ranker.worth(answered, turn, one.slot.attempt / ATTEMPTS_MAX, &messages) {
                Worth::Open(question) => open.push(question),
                Worth::Known(score) => one.score = score,
            }
            messages.pop();
        }
        if !open.is_empty() {
            return Err(Missing::Scores(open));
        }
        let worth = |one: &Good| one.score.unwrap_or(f64::NEG_INFINITY);
        let best = (1..good.len()).fold(0, |best, at| if worth(&good[at]) > worth(&good[best]) { at } else { best });
        let best = good.remove(best);
        let is_assumed = Ranker::is_assumed(answered, turn, best.slot.attempt / ATTEMPTS_MAX);
        let is_good = is_assumed || self.min_score.is_none_or(|least| worth(&best) >= least);
        let mut reject = |rule: &'static str, Good { slot, score, .. }: Good| {
            if let Some(answer) = answered.get(slot).cloned() {
                let (turn, attempt) = (TurnIndex::from_index(turn), slot.attempt);
                dialogue.rejected.push(Rejected { turn, attempt, rule, answer, score });
            }
        };
        for other in good {
            reject(Rejected::OUTSCORED, other);
        }
        if is_good {
            return Ok(best);
        }
        reject(Rejected::MIN_SCORE, best);
        Err(Missing::GoodAnswer(Rejected::MIN_SCORE))
    }
}

/// Where a walk ends.
enum Stop {
    Done,
    Ask(Vec<Question>),
    At { turn: u32, reason: ConversationStop },
}

impl Recipe for Distill {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn older(&self) -> &[OlderRules] {
        &self.older
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        seed.turns.len() as u32
    }

    /// The first answer to each turn: not further attempts and samples, scores, and rewritten user messages.
    fn is_counted(&self, slot: Slot) -> bool {
        slot.lane == Lane::Main && slot.attempt == 0
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        self.advance(seed, answered, &mut Walked::default())
    }

    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let mut walk = walked.take().unwrap_or_else(|| self.begin(seed));
        match self.walk(seed, answered, &mut walk) {
            Stop::Done => Step::Finish(Outcome::Complete(walk.dialogue)),
            Stop::Ask(questions) => {
                walked.keep(walk);
                Step::Ask(questions)
            }
            Stop::At { turn, reason } => {
                let turn = TurnIndex::from_index(turn);
                Step::Finish(Outcome::Stopped { dialogue: walk.into_stopped(), turn, reason })
            }
        }
    }

    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
        let mut walk = self.begin(seed);
        if let Stop::At { .. } = self.walk(seed, answered, &mut walk) {
            return walk.into_stopped();
        }
        // Calls without an answer in words are open.
        walk.dialogue.end_with_words();
        walk.dialogue
    }
}

fn with_last_user(turn: &Turn, text: &str) -> Vec<Arc<Message>> {
    let mut messages = turn.messages.clone();
    if let Some(user) = messages.iter_mut().rev().find(|message| message.role() == Role::User) {
        *user = Message::new(Role::User, text);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(words: &[(Role, &str)], replaced: &str) -> Turn {
        let messages = words.iter().map(|(role, text)| Message::new(*role, *text)).collect();
        Turn {
            messages,
            replaced: Some(replaced.to_owned()),
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        }
    }

    #[test]
    fn only_the_last_words_of_the_user_are_replaced() {
        let turn = turn(&[(Role::System, "s"), (Role::User, "one"), (Role::User, "two"), (Role::Tool, "t")], "");
        let words: Vec<String> = with_last_user(&turn, "new").iter().map(|said| said.content().to_owned()).collect();
        assert_eq!(words, ["s", "one", "new", "t"]);
    }
}
