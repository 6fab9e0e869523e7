use std::sync::Arc;

use super::Answered;
use super::judge::{Judge, JudgeReply, Judgment, Prompt, Ruling, Scene};
use crate::conversation::{Lane, Message, Question, Role, Slot, Target};
use crate::quality::RulesVersion;

/// Several answers to each turn, of which the best is kept.
#[derive(Clone, Debug)]
pub struct BestOf {
    /// How many answers; at least 2, or 1 with a least score.
    pub samples: u32,
    /// The model that ranks them.
    pub ranker: Ranker,
    /// The least score with which the best is kept. Default: any, and none.
    pub min_score: Option<f64>,
}

/// The model that ranks answers.
#[derive(Clone, Debug)]
pub enum Ranker {
    /// A model that is told to judge.
    Judge(Judge),
    /// A reward model: the messages in, a number out.
    Scorer(Arc<Target>),
}

/// The score of an answer, as far as it is known.
pub(super) enum Worth {
    /// This question must be asked first.
    Open(Question),
    /// The score; `None` where no verdict could be read.
    Known(Option<f64>),
}

impl Ranker {
    /// Returns its prompt, where it has one.
    pub(super) fn prompt(&self) -> Option<&Prompt> {
        match self {
            Ranker::Judge(judge) => Some(&judge.prompt),
            Ranker::Scorer(_) => None,
        }
    }

    /// Returns the score of an answer: the last of `messages`.
    pub(super) fn worth(&self, answered: &Answered, turn: u32, sample: u32, messages: &[Arc<Message>]) -> Worth {
        match self {
            Ranker::Judge(judge) => {
                let turns = messages.iter().filter(|message| message.role() == Role::User).count() as u32;
                let prompt =
                    || judge.prompt.about(answered.rules, &Scene { sides: &[messages], turns, ..Scene::default() });
                match judge.read(answered, turn, sample, 0, prompt) {
                    JudgeReply::Open(question) => Worth::Open(question),
                    JudgeReply::Done(Judgment { ruling: Some(Ruling::Value(value)), .. }) => Worth::Known(Some(value)),
                    JudgeReply::Done(_) => Worth::Known(None),
                }
            }
            Ranker::Scorer(target) => {
                let slot = Slot { lane: Lane::Judge, turn, attempt: 2 * sample };
                match answered.get(slot) {
                    Some(answer) => Worth::Known(answer.text().parse().ok().filter(|value: &f64| value.is_finite())),
                    None => {
                        let (target, messages) = (Arc::clone(target), messages.iter().cloned().collect());
                        Worth::Open(Question { slot, target, sample: 0, messages })
                    }
                }
            }
        }
    }

    /// True for the score of a plan, which nobody has given.
    pub(super) fn is_assumed(answered: &Answered, turn: u32, sample: u32) -> bool {
        answered.is_assumed(Slot { lane: Lane::Judge, turn, attempt: 2 * sample })
    }

    /// Returns the settings that its verdicts depend on, under the older rules where some are named.
    pub(super) fn setting(&self, rules: Option<RulesVersion>) -> String {
        match self {
            Ranker::Judge(judge) => judge.setting(rules),
            Ranker::Scorer(target) => format!("scorer {}", target.model()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conversation::{Answer, Sampling};
    use crate::recipe::judge::{Prompt, Scale};

    fn target(name: &str) -> Arc<Target> {
        Target::new(name, "openai", Sampling::default())
    }

    fn judge() -> Judge {
        Judge { target: target("judge"), prompt: Prompt::standard(Scale::Score), repeats: 1 }
    }

    fn messages() -> Vec<Arc<Message>> {
        let said = [
            (Role::User, "first words"),
            (Role::Assistant, "so"),
            (Role::User, "last words"),
            (Role::Assistant, "an answer"),
        ];
        said.map(|(role, text)| Message::new(role, text)).to_vec()
    }

    /// The score after this reply in the slot of a call, or the question.
    fn worth(ranker: &Ranker, reply: Option<(u32, &str)>) -> Worth {
        let mut answered = Answered::default();
        if let Some((attempt, text)) = reply {
            let slot = Slot { lane: Lane::Judge, turn: 3, attempt };
            answered.insert(slot, Arc::new(Answer::complete("m", text)));
        }
        ranker.worth(&answered, 3, 2, &messages())
    }

    #[test]
    fn a_judge_sees_the_conversation_and_a_scorer_its_messages() {
        let Worth::Open(question) = worth(&Ranker::Judge(judge()), None) else { panic!("it is asked") };
        assert_eq!((question.slot, question.sample), (Slot { lane: Lane::Judge, turn: 3, attempt: 4 }, 0));
        let text = question.messages[0].content();
        assert!(text.contains("first words") && text.contains("an answer"), "{text}");
        let Worth::Open(question) = worth(&Ranker::Scorer(target("scorer")), None) else { panic!("it is asked") };
        assert_eq!(
            (question.slot, question.target.model()),
            (Slot { lane: Lane::Judge, turn: 3, attempt: 4 }, "scorer")
        );
        assert_eq!(question.messages[..], messages()[..]);
    }

    #[test]
    fn a_judge_is_told_how_many_turns_of_the_user_it_sees() {
        let template = "turn {{ turn }} of {{ turns }}: {{ answer }}".to_owned();
        let ranker = Ranker::Judge(Judge { prompt: Prompt::new(Scale::Score, template).unwrap(), ..judge() });
        let told = |messages: &[Arc<Message>]| match ranker.worth(&Answered::default(), 3, 2, messages) {
            Worth::Open(question) => question.messages[0].content().to_owned(),
            Worth::Known(_) => panic!("it is asked"),
        };
        let rules = Message::new(Role::System, "be brief");
        let whole: Vec<Arc<Message>> = std::iter::once(rules).chain(messages()).collect();
        for (messages, beginning) in [(&whole[..3], "turn 1 of 1: "), (&whole[..], "turn 2 of 2: ")] {
            let told = told(messages);
            assert!(told.starts_with(beginning), "{told}");
        }
    }

    #[test]
    fn a_score_is_a_finite_number() {
        let scored = |text| match worth(&Ranker::Scorer(target("scorer")), Some((4, text))) {
            Worth::Known(value) => value,
            Worth::Open(_) => panic!("it is answered"),
        };
        assert_eq!(
            ["-1.5", "7", "inf", "NaN", "seven", ""].map(scored),
            [Some(-1.5), Some(7.0), None, None, None, None]
        );
        let judged = worth(&Ranker::Judge(judge()), Some((4, "[[8]]")));
        assert!(matches!(judged, Worth::Known(Some(8.0))));
        assert!(matches!(worth(&Ranker::Judge(judge()), Some((4, "Well."))), Worth::Open(_)), "it is asked once more");
    }

    #[test]
    fn a_setting_names_what_a_verdict_depends_on() {
        let prompt = judge().prompt.digest().to_string();
        assert_eq!(Ranker::Judge(judge()).setting(None), format!("judge judge the server's own {prompt} prompts 2"));
        let first = Some(RulesVersion::First);
        assert!(!Ranker::Judge(judge()).setting(first).contains("prompts"), "as it was before there were others");
        assert_eq!(Ranker::Scorer(target("scorer")).setting(None), "scorer scorer");
    }
}
