use std::sync::Arc;

use super::judge::{Judge, JudgeReply, Ruling, Scene};
use super::{Answered, ExaminedAnswer};
use crate::conversation::{Answer, ConversationStop, Dialogue, Message, Question, Role, Seed, Turn};
use crate::quality::{FollowUp, OrphanLevel, RulesVersion, orphan_level};

/// What becomes of a user's message that certainly refers to a replaced answer. One that may do so stays and is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// It stays and is marked.
    Keep,
    /// The conversation ends before it.
    Truncate,
    /// The teacher rewrites it, so that it follows from the new answer.
    Rewrite,
}

impl Orphans {
    /// Returns the name that `--orphans` takes.
    pub fn name(self) -> &'static str {
        match self {
            Orphans::Keep => "keep",
            Orphans::Truncate => "truncate",
            Orphans::Rewrite => "rewrite",
        }
    }
}

/// How messages that refer to a replaced answer are found, and what becomes of them.
#[derive(Clone, Debug)]
pub struct OrphanCheck {
    /// What becomes of them.
    pub action: Orphans,
    /// The one version of the rules that finds them. Default: that under which a conversation was begun.
    pub version: Option<RulesVersion>,
    /// Decides where the rules are in doubt. Default: nobody does.
    pub judge: Option<Judge>,
}

impl From<Orphans> for OrphanCheck {
    fn from(action: Orphans) -> Self {
        Self { action, version: None, judge: None }
    }
}

/// The number of the judge's call about a message. Those of the best of several answers to the turn come before it.
const CALL: u32 = 64;

impl OrphanCheck {
    /// Returns what it depends on, as a recipe's setting. The first version has no number, as stores of that time know it.
    pub(super) fn setting(&self, version: RulesVersion) -> String {
        match version {
            RulesVersion::First => self.action.name().to_owned(),
            version @ RulesVersion::Second => format!("{}@{version}", self.action.name()),
        }
    }

    /// Returns the version by which a conversation is judged that was begun under these older rules.
    pub(super) fn version_under(&self, rules: Option<RulesVersion>) -> RulesVersion {
        self.version.or(rules).unwrap_or(RulesVersion::NEWEST)
    }

    /// Returns the older versions under which conversations may have been begun.
    pub(super) fn older_versions(&self) -> impl Iterator<Item = RulesVersion> {
        let is_named = self.version.is_some();
        RulesVersion::ALL.iter().copied().filter(move |version| !is_named && *version != RulesVersion::NEWEST)
    }

    /// Returns how certain it is that the user's message of a turn refers to a replaced answer. `last` is the answer before it.
    /// Fails with the question to ask first, where a judge decides.
    pub(super) fn level(
        &self,
        seed: &Seed,
        turn: u32,
        last: &ExaminedAnswer,
        dialogue: &Dialogue,
        answered: &Answered,
    ) -> Result<Option<OrphanLevel>, Question> {
        let version = self.version_under(answered.rules);
        let found = *last.orphan.get_or_init(|| level_by_rules(version, seed, turn, dialogue));
        match (&self.judge, found) {
            // The first version had no judge.
            (Some(judge), Some(OrphanLevel::Weak)) if version > RulesVersion::First => {
                let said = dialogue.spoken.iter().map(|spoken| &spoken.message);
                let messages: Vec<Arc<Message>> = said.chain(&seed.turns[turn as usize].messages).cloned().collect();
                let replaced = seed.turns[turn as usize - 1].replaced.as_deref();
                let scene = Scene { sides: &[&messages], turns: turn + 1, reference: replaced, ..Scene::default() };
                match judge.read(answered, turn, CALL, 0, || judge.prompt.about(answered.rules, &scene)) {
                    JudgeReply::Open(question) => Err(question),
                    JudgeReply::Done(verdict) => Ok(match verdict.ruling {
                        Some(Ruling::Value(value)) => (value > 0.5).then_some(OrphanLevel::Strong),
                        Some(Ruling::Winner(_)) | None => found,
                    }),
                }
            }
            _ => Ok(found),
        }
    }

    /// Returns the mark of a message that stays.
    pub(super) fn flag(level: OrphanLevel) -> &'static str {
        match level {
            OrphanLevel::Strong => ConversationStop::ORPHAN_REFERENCE,
            OrphanLevel::Weak => ConversationStop::ORPHAN_REFERENCE_WEAK,
        }
    }

    /// True for the slot of the judge's verdict on a message.
    #[cfg(test)]
    fn is_verdict(slot: crate::conversation::Slot) -> bool {
        slot.lane == crate::conversation::Lane::Judge && slot.attempt / 2 == CALL
    }

    /// Returns the request to rewrite a user's message.
    pub(super) fn rewriting(before: &Turn, said: &Turn, dialogue: &Dialogue) -> Arc<Message> {
        let new = dialogue.spoken.last().map_or("", |spoken| spoken.message.content());
        let old = before.replaced.as_deref().unwrap_or_default();
        let (asked, next) = (before.last_user().unwrap_or_default(), said.last_user().unwrap_or_default());
        Message::new(
            Role::User,
            format!(
                "In the conversation below the assistant's answer was replaced by a new one. The user's next message still \
                 refers to the old answer. Write that message anew so that it follows from the new answer: the same intent, \
                 the same language, tone and length, nothing that only the old answer said. Do not answer it. Give the \
                 message alone, without quotes or remarks.\n\n[User]\n{asked}\n\n[Old answer]\n{old}\n\n[New \
                 answer]\n{new}\n\n[User's next message, to be written anew]\n{next}"
            ),
        )
    }

    /// Returns a rewritten message; `None` where it is invalid.
    pub(super) fn rewritten(answer: &Answer) -> Option<&str> {
        let text = answer.text().trim();
        (answer.is_whole() && !text.is_empty()).then_some(text)
    }
}

/// Returns what the rules say of the user's message of a turn, given the dialogue before it.
fn level_by_rules(version: RulesVersion, seed: &Seed, turn: u32, dialogue: &Dialogue) -> Option<OrphanLevel> {
    let (earlier, said) = (seed.turns.get(..turn as usize)?, seed.turns.get(turn as usize)?);
    // Without an answer nothing was replaced, and nothing refers to it.
    earlier.last()?.replaced.as_ref()?;
    let user = said.last_user()?;
    let before = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_none()).map(|spoken| spoken.message.content());
    let beside = said.messages.iter().map(|message| message.content()).filter(|text| *text != user);
    let answers = dialogue.spoken.iter().filter_map(|spoken| spoken.answer.as_deref());
    let follow_up = FollowUp {
        user,
        users: earlier.iter().filter_map(Turn::last_user).collect(),
        heard: before.chain(beside).collect(),
        replaced: earlier.iter().map(|turn| turn.replaced.as_deref().unwrap_or_default()).collect(),
        answers: answers.map(Answer::text).collect(),
    };
    orphan_level(version, &follow_up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Columns, Finish, Lane, Sampling, Slot, Spoken, Target};
    use crate::recipe::judge::Prompt;

    fn turn(words: &str, replaced: &str) -> Turn {
        Turn {
            messages: vec![Message::new(Role::User, words)],
            replaced: Some(replaced.to_owned()),
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        }
    }

    fn seed(turns: Vec<Turn>) -> Seed {
        Seed {
            id: "one".to_owned(),
            turns,
            tools: None,
            columns: Columns::new(),
            counts_replaced: true,
            criteria: Vec::new(),
        }
    }

    /// The dialogue with these new answers.
    fn dialogue(seed: &Seed, answers: &[&str]) -> Dialogue {
        let mut dialogue = Dialogue::default();
        for (turn, text) in seed.turns.iter().zip(answers) {
            dialogue.spoken.extend(turn.messages.iter().cloned().map(Spoken::of_source));
            let answer = Arc::new(Answer::complete("m", *text));
            let message = Arc::clone(&answer.message);
            dialogue.spoken.push(Spoken { message, answer: Some(answer), flags: Vec::new(), score: None });
        }
        dialogue
    }

    #[test]
    fn a_message_that_quotes_a_replaced_answer_is_an_orphan_in_every_version() {
        let old = "Copper boilers were preferred by most distillers because they remove sulphur.";
        let quotes = "You say that copper boilers were preferred by most distillers because they remove sulphur. Why?";
        let seed = seed(vec![
            turn("What are stills made of?", old),
            turn(quotes, "Sulphur smells."),
            turn("And what else do they do?", "Nothing."),
        ]);
        for version in RulesVersion::ALL {
            let level = |turn, answers: &[&str]| level_by_rules(*version, &seed, turn, &dialogue(&seed, answers));
            assert_eq!(level(1, &["Of glass."]), Some(OrphanLevel::Strong));
            assert_eq!(level(1, &[old]), None, "the new answer says the same");
            assert_eq!(level(2, &["Of glass.", "Sulphur smells."]), None);
        }
    }

    #[test]
    fn a_rewriting_shows_both_answers_and_takes_only_a_whole_message() {
        let seed = seed(vec![turn("first", "the old one"), turn("second", "")]);
        let said = dialogue(&seed, &["the new one"]);
        let request = OrphanCheck::rewriting(&seed.turns[0], &seed.turns[1], &said);
        let end = "\n\n[User]\nfirst\n\n[Old answer]\nthe old one\n\n[New answer]\nthe new one\n\n[User's next message, to be written \
                   anew]\nsecond";
        assert!(request.role() == Role::User && request.content().ends_with(end), "{}", request.content());
        let rewritten = |answer: Answer| OrphanCheck::rewritten(&answer).map(str::to_owned);
        assert_eq!(rewritten(Answer::complete("m", " anew\n")).as_deref(), Some("anew"));
        assert_eq!(rewritten(Answer::complete("m", " \n")), None);
        assert_eq!(rewritten(Answer { finish: Finish::Length, ..Answer::complete("m", "anew") }), None);
    }

    #[test]
    fn settings_name_the_version_and_the_first_has_no_number() {
        let check = OrphanCheck::from(Orphans::Truncate);
        assert_eq!(
            RulesVersion::ALL.iter().map(|version| check.setting(*version)).collect::<Vec<_>>(),
            ["truncate@2", "truncate"]
        );
        assert_eq!([Orphans::Keep, Orphans::Rewrite].map(Orphans::name), ["keep", "rewrite"]);
        assert_eq!(check.older_versions().collect::<Vec<_>>(), [RulesVersion::First]);
        assert_eq!(check.version_under(Some(RulesVersion::First)), RulesVersion::First);
        let named = OrphanCheck { version: Some(RulesVersion::Second), ..check };
        assert_eq!(named.older_versions().count(), 0);
        assert_eq!(named.version_under(Some(RulesVersion::First)), RulesVersion::Second);
    }

    /// What a judge with this reply makes of a doubtful message; the question where it has not replied.
    fn judged(rules: Option<RulesVersion>, reply: Option<&str>) -> Result<Option<OrphanLevel>, Question> {
        let seed = seed(vec![turn("Why is it so?", "Because of the tides."), turn("Is that sure?", "Yes.")]);
        let said = dialogue(&seed, &["Because of the moon."]);
        let mut answered = Answered::under(rules);
        let answer = said.spoken[1].answer.clone().unwrap();
        answered.insert(Slot::main(0), answer);
        answered.examined(Slot::main(0)).unwrap().orphan.set(Some(OrphanLevel::Weak)).unwrap();
        if let Some(reply) = reply {
            let slot = Slot { lane: Lane::Judge, turn: 1, attempt: 2 * CALL };
            answered.insert(slot, Arc::new(Answer::complete("m", reply)));
        }
        let target = Target::new("judge", "openai", Sampling::default());
        let judge = Judge { target, prompt: Prompt::orphans(), repeats: 1 };
        let check = OrphanCheck { judge: Some(judge), ..OrphanCheck::from(Orphans::Keep) };
        check.level(&seed, 1, answered.examined(Slot::main(0)).unwrap(), &said, &answered)
    }

    #[test]
    fn a_judge_decides_where_the_rules_are_in_doubt() {
        let question = judged(None, None).unwrap_err();
        assert!(OrphanCheck::is_verdict(question.slot) && question.slot.turn == 1);
        let text = question.messages[0].content();
        for shown in ["Why is it so?", "Because of the moon.", "Is that sure?", "Because of the tides."] {
            assert!(text.contains(shown), "{text}");
        }
        assert_eq!(judged(None, Some("It does.\n[[YES]]")), Ok(Some(OrphanLevel::Strong)));
        assert_eq!(judged(None, Some("It does not.\n[[NO]]")), Ok(None));
        assert!(judged(None, Some("Hm.")).is_err(), "it is asked once more");
        assert_eq!(judged(Some(RulesVersion::First), None), Ok(Some(OrphanLevel::Weak)), "there was no judge");
    }
}
