use std::sync::Arc;

use super::{Answered, Recipe, Step};
use crate::conversation::{
    Answer, Dialogue, Finish, Message, Outcome, Question, Role, Seed, Settings, Slot, Spoken, Target,
};

/// Writes every assistant turn anew: the teacher answers turn after turn, each time with its own
/// earlier answers as history.
///
/// An answer that is not whole (cut, filtered, refused, empty) never becomes context: the
/// conversation stops before that turn, with the reason.
pub struct Distill {
    target: Arc<Target>,
    settings: Settings,
    /// Thoughts go back into the history, before the answer that they led to.
    keeps_reasoning: bool,
}

impl Distill {
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
        Self { target, settings, keeps_reasoning: false }
    }

    /// Has each answer's thoughts sent back with it. The dialogue that comes out is the same without them.
    #[must_use]
    pub fn with_reasoning_in_history(mut self) -> Self {
        self.settings = self.settings.with("history-reasoning", "true");
        self.keeps_reasoning = true;
        self
    }

    /// Returns an answer as the history holds it.
    fn heard(&self, answer: &Answer) -> Arc<Message> {
        match answer.reasoning.as_deref().filter(|_| self.keeps_reasoning) {
            Some(reasoning) => {
                let text = format!("<think>\n{reasoning}\n</think>\n\n{}", answer.text());
                Message::new(Role::Assistant, text)
            }
            None => Arc::clone(&answer.message),
        }
    }
}

impl Recipe for Distill {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        seed.turns.len() as u32
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        let mut dialogue = Dialogue::default();
        let mut history: Vec<Arc<Message>> = Vec::new();
        for (turn, said) in (0u32..).zip(&seed.turns) {
            let slot = Slot::main(turn);
            match answered.get(slot) {
                Some(answer) if answer.finish == Finish::Complete => {
                    let heard =
                        said.messages.iter().map(|message| Spoken { message: Arc::clone(message), answer: None });
                    dialogue.spoken.extend(heard);
                    history.extend(said.messages.iter().cloned());
                    history.push(self.heard(answer));
                    let (message, answer) = (Arc::clone(&answer.message), Some(Arc::clone(answer)));
                    dialogue.spoken.push(Spoken { message, answer });
                }
                Some(answer) => {
                    let reason = answer.finish.name().to_owned();
                    return Step::Finish(Outcome::Stopped { dialogue, turn, reason });
                }
                None => {
                    history.extend(said.messages.iter().cloned());
                    let target = Arc::clone(&self.target);
                    return Step::Ask(vec![Question { slot, target, sample: 0, messages: history }]);
                }
            }
        }
        Step::Finish(Outcome::Complete(dialogue))
    }
}
