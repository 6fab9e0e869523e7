use std::sync::Arc;

use super::super::Answered;
use super::super::answer_check::{ATTEMPTS_MAX, AnswerCheck};
use super::super::attempt::{Missing, questions};
use super::super::object::follows_schema;
use super::direction::seeded;
use super::part::Part;
use super::simulated::{SimulatedDialogue, SimulatedEnd, UserTurn};
use super::task_talk::is_about_task;
use super::{Goal, Move, Simulate, SimulatedPause, part};
use crate::conversation::{
    Answer, Dialogue, Digest, Lane, Message, Messages, Question, Reading, ReadingResult, Role, Seed, Slot, Spoken,
    after_reasoning,
};
use crate::quality::{RulesVersion, UserTurnContext, is_thanks, user_turn_fault, user_words};

/// The maximum number of calls for the goal.
const CARDS_MAX: u32 = 2;

/// The reaction of a simulated user.
enum UserReply {
    Words(Arc<Message>),
    Nothing(SimulatedEnd),
}

/// How far a conversation has been walked: everything before `turn` is settled.
pub(super) struct Walk {
    pub state: SimulatedDialogue,
    turn: u32,
    /// The seed's.
    digest: Digest,
    /// What the teacher sees.
    history: Messages,
    /// What the user's model sees, from its first question on.
    part: Option<Part>,
    settled: Settled,
}

/// How much of a walk belongs to settled turns.
#[derive(Default)]
struct Settled {
    heard: usize,
    user_turns: usize,
    user_answers: usize,
    rejected: usize,
}

impl Walk {
    fn settle(&mut self) {
        self.turn += 1;
        self.settled = Settled {
            heard: self.history.len(),
            user_turns: self.state.user_turns.len(),
            user_answers: self.state.user_answers.len(),
            rejected: self.state.dialogue.rejected.len(),
        };
    }

    /// Forgets what an earlier step has added in an open turn: it is found again.
    fn reopen(&mut self) {
        self.history.truncate(self.settled.heard);
        self.state.user_turns.truncate(self.settled.user_turns);
        self.state.user_answers.truncate(self.settled.user_answers);
        self.state.dialogue.rejected.truncate(self.settled.rejected);
    }
}

impl Simulate {
    /// Begins a walk at the first turn.
    pub(super) fn begin(&self, seed: &Seed) -> Walk {
        let mut state = SimulatedDialogue::default();
        let opening = seed.turns.first().map_or(&[][..], |turn| &turn.messages);
        state.dialogue.drawn = self.teacher.drawn_for(opening).drawn().clone();
        let (history, settled) = (Messages::default(), Settled::default());
        Walk { state, turn: 0, digest: seed.digest(), history, part: None, settled }
    }

    /// Walks through the turns as far as there are answers.
    pub(super) fn walk(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> SimulatedPause {
        walk.reopen();
        while walk.turn < self.turns.max(seed.turns.len() as u32) {
            if let Err(pause) = self.take_turn(seed, answered, walk) {
                if let SimulatedPause::End(end) = &pause {
                    walk.state.end = Some(*end);
                }
                return pause;
            }
            walk.settle();
        }
        walk.state.end = Some(SimulatedEnd::MaxTurns);
        SimulatedPause::End(SimulatedEnd::MaxTurns)
    }

    fn take_turn(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> Result<(), SimulatedPause> {
        let turn = walk.turn;
        let heard = match seed.turns.get(turn as usize) {
            Some(said) => {
                walk.state.user_turns.push(UserTurn::default());
                said.messages.clone()
            }
            None => {
                let thrown = Move::thrown(&walk.digest, self.user.sampling().seed, turn);
                if thrown == Move::Stop {
                    walk.state.user_turns.push(UserTurn { simulated: Some(thrown), rejected: Vec::new() });
                    return Err(SimulatedPause::End(SimulatedEnd::UserStop));
                }
                if turn as usize == seed.turns.len() {
                    self.prepare(seed, &walk.digest, answered, &mut walk.state)?;
                }
                match self.speak(thrown, seed, answered, walk)? {
                    UserReply::Words(message) => vec![message],
                    UserReply::Nothing(end) => return Err(SimulatedPause::End(end)),
                }
            }
        };
        self.answer(heard, answered, walk)
    }

    /// Has the teacher answer the user's message.
    fn answer(&self, heard: Vec<Arc<Message>>, answered: &Answered, walk: &mut Walk) -> Result<(), SimulatedPause> {
        walk.history.extend(heard.iter().cloned());
        let (dialogue, slot) = (&mut walk.state.dialogue, Slot::main(walk.turn));
        let good = match self.answer_check.attempt(&self.teacher, slot, &heard, dialogue, answered, &|_| None) {
            Ok(good) => good,
            Err(Missing::Answers(missing)) => {
                return Err(SimulatedPause::Ask(questions(missing, 0, &walk.history)));
            }
            Err(Missing::Scores(questions)) => return Err(SimulatedPause::Ask(questions)),
            Err(Missing::GoodAnswer(rule)) => return Err(SimulatedPause::End(SimulatedEnd::TeacherRejected(rule))),
        };
        let answer = answered.get(good.slot).cloned();
        dialogue.spoken.extend(heard.into_iter().map(Spoken::of_source));
        if let Some(answer) = answer {
            let message = Arc::clone(&answer.message);
            walk.history.push(Arc::clone(&message));
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
        let version = self.version_of(answered);
        let (mut was_cut, mut first, mut complaint) = (None, None, None);
        for attempt in 0..CARDS_MAX {
            let slot = Slot { lane: Lane::User, turn: 0, attempt };
            let Some(answer) = answered.get(slot) else {
                // The schema may be why the first card could not be read.
                let schema = first.is_none_or(|first: &Arc<Answer>| follows_schema(first)).then(Goal::schema);
                let target = AnswerCheck::target(&self.user, attempt, was_cut).with_schema(schema);
                let messages = vec![Message::new(Role::User, Goal::request(version, &said, complaint))].into();
                return Err(SimulatedPause::Ask(vec![Question { slot, target, sample: attempt, messages }]));
            };
            state.user_answers.push(Arc::clone(answer));
            was_cut = AnswerCheck::cut_at(answer);
            let read = Goal::read(version, answer, &said);
            complaint = read.as_ref().err().copied();
            state.goal = read.ok();
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
        seed: &Seed,
        answered: &Answered,
        walk: &mut Walk,
    ) -> Result<UserReply, SimulatedPause> {
        let (turn, state) = (walk.turn, &mut walk.state);
        let mut user_turn = UserTurn { simulated: Some(thrown), rejected: Vec::new() };
        let version = self.version_of(answered);
        let (mut was_cut, mut earlier) = (None, None::<&str>);
        for attempt in 0..ATTEMPTS_MAX {
            let slot = Slot { lane: Lane::User, turn, attempt };
            let Some(said) = answered.examined(slot) else {
                let target = AnswerCheck::target(&self.user, attempt, was_cut);
                let number = turn - seed.turns.len() as u32;
                let part = walk.part.get_or_insert_with(|| Part::of(state));
                let messages = part.request(thrown, number, user_turn.rejected.last().copied(), state);
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
            let fault = || match version {
                RulesVersion::Second if is_about_task(text) => Some("no_message"),
                RulesVersion::First | RulesVersion::Second => fault(text, seed, state),
            };
            match *said.user_fault.get_or_init(|| answer.finish_fault().or_else(fault)) {
                Some(fault) => {
                    user_turn.rejected.push(fault);
                    // Who says the same again would do so a third time.
                    if version > RulesVersion::First && earlier.is_some_and(|earlier| earlier == answer.text()) {
                        break;
                    }
                    earlier = Some(answer.text());
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Columns, ReplyForm, Sampling, Target, Turn};

    fn recipe() -> Simulate {
        let target = |name: &str| Target::new(name, "openai", Sampling::default());
        Simulate::new(target("teacher"), target("user"), 4, vec!["a cook".to_owned()], None, None)
    }

    fn seed(columns: Columns) -> Seed {
        let messages = vec![Message::new(Role::System, "Be brief."), Message::new(Role::User, "How do I bake bread?")];
        Seed {
            id: "one".to_owned(),
            turns: vec![Turn {
                messages,
                replaced: None,
                given: Vec::new(),
                follows: Vec::new(),
                ends_in_calls: false,
            }],
            tools: None,
            columns,
            counts_replaced: false,
            criteria: Vec::new(),
        }
    }

    /// What is known after these replies to the request for a card, and the question that is open, if one is.
    fn prepared(seed: &Seed, replies: &[&str]) -> (SimulatedDialogue, Option<Question>) {
        let mut answered = Answered::default();
        for (attempt, reply) in (0..).zip(replies) {
            answered.insert(Slot { lane: Lane::User, turn: 0, attempt }, Arc::new(Answer::complete("user", *reply)));
        }
        let mut state = SimulatedDialogue::default();
        let paused = recipe().prepare(seed, &seed.digest(), &answered, &mut state);
        let question = match paused {
            Err(SimulatedPause::Ask(mut questions)) => questions.pop(),
            Err(SimulatedPause::End(_)) => panic!("a conversation without a goal goes on"),
            Ok(()) => None,
        };
        (state, question)
    }

    const CARD: &str =
        r#"{"intent": "bake bread", "facts_known": [], "hidden_constraints": ["no oven"], "style": "short"}"#;

    #[test]
    fn a_card_is_asked_for_twice_at_most_and_it_is_told_how_it_was_read() {
        let seed = seed(Columns::new());
        let reading = |form, result| Some(Reading { form, result });
        let (state, question) = prepared(&seed, &[]);
        let first = question.unwrap();
        assert_eq!((state.persona.as_deref(), &state.goal, state.card), (Some("a cook"), &None, None));
        assert_eq!((first.slot, first.sample), (Slot { lane: Lane::User, turn: 0, attempt: 0 }, 0));
        assert_eq!((first.target.model(), first.target.schema().is_some(), first.messages.len()), ("user", true, 1));
        let words = first.messages[0].content();
        assert!(words.contains("How do I bake bread?") && !words.contains("Be brief."), "{words}");
        let (state, question) = prepared(&seed, &[CARD]);
        assert!(question.is_none() && state.goal.is_some_and(|goal| goal.constraints == ["no oven"]));
        assert_eq!((state.card, state.user_answers.len()), (reading(ReplyForm::Json, ReadingResult::Valid), 1));
        for (reply, form, has_schema) in [("{}", ReplyForm::Json, true), ("I cannot.", ReplyForm::Text, false)] {
            let (state, question) = prepared(&seed, &[reply]);
            assert_eq!(state.card, reading(form, ReadingResult::Invalid));
            let again = question.unwrap();
            assert_eq!((again.slot.attempt, again.sample, again.target.schema().is_some()), (1, 1, has_schema));
            let (state, question) = prepared(&seed, &[reply, CARD]);
            assert!(question.is_none() && state.goal.is_some());
            assert_eq!((state.card, state.user_answers.len()), (reading(form, ReadingResult::Repaired), 2));
            let (state, question) = prepared(&seed, &[reply, "no"]);
            assert!(question.is_none() && state.goal.is_none());
            assert_eq!(state.card, reading(form, ReadingResult::Invalid));
        }
    }

    #[test]
    fn a_row_that_has_grown_keeps_its_goal_and_its_persona() {
        let mut columns = Columns::new();
        columns.insert("user_persona".to_owned(), "a baker".into());
        columns.insert("user_goal".to_owned(), serde_json::from_str(CARD).unwrap());
        let (state, question) = prepared(&seed(columns), &[]);
        assert!(question.is_none() && state.card.is_none() && state.goal.is_some());
        assert_eq!(state.persona.as_deref(), Some("a baker"));
    }

    #[test]
    fn only_the_users_words_are_its_words() {
        let spoken = |role, text: &str| Spoken::of_source(Message::new(role, text));
        let spoken = vec![spoken(Role::System, "s"), spoken(Role::User, "u"), spoken(Role::Assistant, "a")];
        assert_eq!(users_words(&Dialogue { spoken, ..Dialogue::default() }), ["u"]);
    }
}
