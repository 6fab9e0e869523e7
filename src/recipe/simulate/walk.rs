use std::sync::Arc;

use super::super::Answered;
use super::super::answer_check::{ATTEMPTS_MAX, AnswerCheck};
use super::super::attempt::{Missing, questions};
use super::super::object::follows_schema;
use super::direction::seeded;
use super::simulated::{SimulatedDialogue, SimulatedEnd, UserTurn};
use super::{Goal, Move, Simulate, SimulatedPause, part};
use crate::conversation::{
    Answer, Dialogue, Digest, Lane, Message, Question, Reading, ReadingResult, Role, Seed, Slot, Spoken,
    after_reasoning,
};
use crate::quality::{UserTurnContext, is_thanks, user_turn_fault, user_words};

/// The maximum number of calls for the goal.
const CARDS_MAX: u32 = 2;

/// The reaction of a simulated user.
enum UserReply {
    Words(Arc<Message>),
    Nothing(SimulatedEnd),
}

impl Simulate {
    /// Walks through the turns as far as there are answers.
    pub(super) fn walk(&self, seed: &Seed, answered: &Answered) -> (SimulatedDialogue, SimulatedPause) {
        let mut state = SimulatedDialogue::default();
        let opening = seed.turns.first().map_or(&[][..], |turn| &turn.messages);
        state.dialogue.drawn = self.teacher.drawn_for(opening).drawn().clone();
        let pause = match self.turn_by_turn(seed, answered, &mut state) {
            Ok(()) => SimulatedPause::End(SimulatedEnd::MaxTurns),
            Err(pause) => pause,
        };
        if let SimulatedPause::End(end) = &pause {
            state.end = Some(*end);
        }
        (state, pause)
    }

    fn turn_by_turn(
        &self,
        seed: &Seed,
        answered: &Answered,
        state: &mut SimulatedDialogue,
    ) -> Result<(), SimulatedPause> {
        let source = seed.turns.len() as u32;
        let digest = seed.digest();
        for turn in 0..source.max(self.turns) {
            let heard = match seed.turns.get(turn as usize) {
                Some(said) => {
                    state.user_turns.push(UserTurn::default());
                    said.messages.clone()
                }
                None => {
                    let thrown = Move::thrown(&digest, self.user.sampling().seed, turn);
                    if thrown == Move::Stop {
                        state.user_turns.push(UserTurn { simulated: Some(thrown), rejected: Vec::new() });
                        return Err(SimulatedPause::End(SimulatedEnd::UserStop));
                    }
                    if turn == source {
                        self.prepare(seed, &digest, answered, state)?;
                    }
                    match self.speak(thrown, turn, seed, answered, state)? {
                        UserReply::Words(message) => vec![message],
                        UserReply::Nothing(end) => return Err(SimulatedPause::End(end)),
                    }
                }
            };
            self.answer(turn, heard, answered, state)?;
        }
        Ok(())
    }

    /// Has the teacher answer the user's message.
    fn answer(
        &self,
        turn: u32,
        heard: Vec<Arc<Message>>,
        answered: &Answered,
        state: &mut SimulatedDialogue,
    ) -> Result<(), SimulatedPause> {
        let dialogue = &mut state.dialogue;
        let good =
            match self.answer_check.attempt(&self.teacher, Slot::main(turn), &heard, dialogue, answered, &|_| None) {
                Ok(good) => good,
                Err(Missing::Answers(missing)) => {
                    let said = dialogue.spoken.iter().map(|spoken| &spoken.message).chain(&heard);
                    let messages: Vec<Arc<Message>> = said.cloned().collect();
                    return Err(SimulatedPause::Ask(questions(missing, 0, &messages)));
                }
                Err(Missing::Scores(questions)) => return Err(SimulatedPause::Ask(questions)),
                Err(Missing::GoodAnswer(rule)) => return Err(SimulatedPause::End(SimulatedEnd::TeacherRejected(rule))),
            };
        let answer = answered.get(good.slot).cloned();
        dialogue.spoken.extend(heard.into_iter().map(Spoken::of_source));
        if let Some(answer) = answer {
            let message = Arc::clone(&answer.message);
            dialogue.spoken.push(Spoken { message, answer: Some(answer), flags: good.flags, score: None });
        }
        Ok(())
    }

    /// Finds the user's persona and goal. Where no card can be read, the user has no goal.
    fn prepare(
        &self,
        seed: &Seed,
        digest: &Digest,
        answered: &Answered,
        state: &mut SimulatedDialogue,
    ) -> Result<(), SimulatedPause> {
        let who = seeded("persona", digest.0.to_vec(), self.user.sampling().seed).below(self.personas.len());
        // A persona of an earlier run is kept.
        let earlier = seed.columns.get("user_persona").and_then(serde_json::Value::as_str).map(str::to_owned);
        state.persona = earlier.or_else(|| self.personas.get(who).cloned());
        state.goal = seed.columns.get("user_goal").and_then(Goal::from_json);
        if state.goal.is_some() {
            return Ok(());
        }
        let said = seed.turns.iter().flat_map(|turn| &turn.messages).filter(|message| message.role() == Role::User);
        let said: Vec<&str> = said.map(|message| message.content()).collect();
        let (mut was_cut, mut first) = (None, None);
        for attempt in 0..CARDS_MAX {
            let slot = Slot { lane: Lane::User, turn: 0, attempt };
            let Some(answer) = answered.get(slot) else {
                // The schema may be why the first card could not be read.
                let schema = first.is_none_or(|first: &Arc<Answer>| follows_schema(first)).then(Goal::schema);
                let target = AnswerCheck::target(&self.user, attempt, was_cut).with_schema(schema);
                let messages = vec![Message::new(Role::User, Goal::request(&said))];
                return Err(SimulatedPause::Ask(vec![Question { slot, target, sample: attempt, messages }]));
            };
            state.user_answers.push(Arc::clone(answer));
            was_cut = AnswerCheck::cut_at(answer);
            state.goal = Goal::read(answer);
            let first = first.get_or_insert(answer);
            let result = match state.goal {
                None => ReadingResult::Invalid,
                Some(_) if attempt == 0 => ReadingResult::Valid,
                Some(_) => ReadingResult::Repaired,
            };
            state.card = Some(Reading::of(first, result));
            if state.goal.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Requests a message from the user until one is valid or the attempts are used up.
    fn speak(
        &self,
        thrown: Move,
        turn: u32,
        seed: &Seed,
        answered: &Answered,
        state: &mut SimulatedDialogue,
    ) -> Result<UserReply, SimulatedPause> {
        let mut user_turn = UserTurn { simulated: Some(thrown), rejected: Vec::new() };
        let mut was_cut = None;
        for attempt in 0..ATTEMPTS_MAX {
            let slot = Slot { lane: Lane::User, turn, attempt };
            let Some(said) = answered.examined(slot) else {
                let target = AnswerCheck::target(&self.user, attempt, was_cut);
                let number = turn - seed.turns.len() as u32;
                let messages = part::request(thrown, number, user_turn.rejected.last().copied(), state);
                return Err(SimulatedPause::Ask(vec![Question { slot, target, sample: attempt, messages }]));
            };
            let answer = &said.answer;
            state.user_answers.push(Arc::clone(answer));
            was_cut = AnswerCheck::cut_at(answer).or(was_cut);
            let (text, is_last) = part::without_stop(user_words(after_reasoning(answer.text())));
            if answer.is_whole() && is_last && (text.is_empty() || is_thanks(text)) {
                state.user_turns.push(user_turn);
                return Ok(UserReply::Nothing(SimulatedEnd::UserStop));
            }
            match *said.user_fault.get_or_init(|| answer.finish_fault().or_else(|| fault(text, seed, state))) {
                Some(fault) => user_turn.rejected.push(fault),
                None => {
                    let message = Message::new(Role::User, text);
                    state.user_turns.push(user_turn);
                    return Ok(UserReply::Words(message));
                }
            }
        }
        let fault = user_turn.rejected.last().copied().unwrap_or("empty");
        state.user_turns.push(user_turn);
        Ok(UserReply::Nothing(SimulatedEnd::UserInvalid(fault)))
    }
}

/// Returns the fault that makes a message invalid as the user's next one.
fn fault(text: &str, seed: &Seed, state: &SimulatedDialogue) -> Option<&'static str> {
    let users = users_words(&state.dialogue);
    let of_source = seed.turns.iter().flat_map(|turn| &turn.messages).filter(|message| message.role() == Role::User);
    let (source, simulated) = users.split_at(of_source.count().min(users.len()));
    let heard = state.dialogue.spoken.last().map_or("", |spoken| spoken.message.content());
    let goal = state.goal.as_ref().map_or("", |goal| &goal.intent);
    user_turn_fault(text, &UserTurnContext { source, simulated, goal, heard })
}

fn users_words(dialogue: &Dialogue) -> Vec<&str> {
    let messages = dialogue.spoken.iter().filter(|spoken| spoken.message.role() == Role::User);
    messages.map(|spoken| spoken.message.content()).collect()
}
