use crate::conversation::Fingerprint;
use crate::model::Failure;

/// A prompt this much longer than the longest that was answered is suspected of being too long.
const MUCH_LONGER: f64 = 1.5;
/// Different questions that are refused in the same words before the first answer: then the server refuses everything.
const ALIKE_MIN: usize = 2;
/// Different questions that are refused, in whatever words, before the first answer.
const HELD_MAX: usize = 20;

/// Whether a model's server accepts the requests of this run.
///
/// Before the first answer of the run a refusal may be the question's fault or the server's. The question is held, and the
/// shortest one is tried next. If it is answered, the held ones are decided by their lengths; if it is refused like
/// another, the server refuses everything.
#[derive(Debug, Default)]
pub struct Acceptance {
    is_answering: bool,
    /// The length of the longest answered prompt.
    longest: u64,
    held: Vec<Held>,
    /// The last question that was sent as the shortest.
    shortest: Option<Fingerprint>,
    /// A question that was sent as the shortest has been refused.
    refused_shortest: bool,
}

/// A question that was refused before the first answer.
#[derive(Debug)]
pub struct Held {
    /// The question.
    pub fingerprint: Fingerprint,
    /// Its refusal.
    pub failure: Failure,
    /// The length of its prompt.
    prompt: u64,
}

impl Acceptance {
    /// True once the server has answered a question of this run.
    pub fn is_answering(&self) -> bool {
        self.is_answering
    }

    /// True while nothing is sent but the shortest question.
    pub fn is_doubted(&self) -> bool {
        !self.is_answering && !self.held.is_empty()
    }

    /// Records an answer to a prompt. The first one releases the questions that were held: those at fault, which are much
    /// longer, and those to be sent again.
    pub fn on_answer(&mut self, prompt: u64) -> (Vec<Held>, Vec<Held>) {
        self.is_answering = true;
        self.longest = self.longest.max(prompt);
        std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| held.failure.may_blame_question() && self.is_much_longer(held.prompt))
    }

    /// True if a prompt is much longer than any that was answered.
    pub fn is_much_longer(&self, prompt: u64) -> bool {
        self.longest > 0 && prompt as f64 > MUCH_LONGER * self.longest as f64
    }

    /// True if one question alone was refused.
    pub fn is_about_one(&self) -> bool {
        self.held.len() == 1
    }

    /// Records that a probe was answered before any question. Returns the questions that were held: a probe is too short to
    /// compare them with.
    pub fn on_probe_answer(&mut self) -> Vec<Held> {
        self.is_answering = true;
        std::mem::take(&mut self.held)
    }

    /// Holds a question that was refused before the first answer.
    pub fn hold(&mut self, fingerprint: Fingerprint, failure: Failure, prompt: u64) {
        self.refused_shortest |= self.shortest == Some(fingerprint);
        self.held.push(Held { fingerprint, failure, prompt });
    }

    /// Records that the shortest question is sent. It shows something once it is answered or refused; a transient failure
    /// shows nothing.
    pub fn on_shortest_sent(&mut self, fingerprint: Fingerprint) {
        self.shortest = Some(fingerprint);
    }

    /// Returns the refusal of everything, if that is what the refusals show. `has_more` is true while another question may
    /// be tried.
    pub fn refusal(&self, has_more: bool) -> Option<&Failure> {
        let last = &self.held.last()?.failure;
        let alike = self.held.iter().filter(|held| held.failure.kind() == last.kind()).count();
        // Many long questions may be in flight when the first is refused: their number alone shows nothing.
        let is_everything = self.refused_shortest && (alike >= ALIKE_MIN || self.held.len() >= HELD_MAX);
        (is_everything || !has_more).then_some(last)
    }

    /// Returns the held questions, because the run is stopping.
    pub fn take_held(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.held).into_iter().map(|held| held.fingerprint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::FailureCode;
    use crate::model::FailureClass;

    fn refusal(message: &str) -> Failure {
        Failure::new(FailureClass::Refused, FailureCode::Http(400), message)
    }

    fn held(prompts: &[u64]) -> Acceptance {
        let mut acceptance = Acceptance::default();
        for (number, prompt) in prompts.iter().enumerate() {
            acceptance.hold(Fingerprint([number as u8; 32]), refusal(&format!("no, {prompt}")), *prompt);
        }
        acceptance
    }

    #[test]
    fn refusals_before_the_first_answer_wait_for_the_shortest_question() {
        let mut acceptance = held(&[900, 800]);
        assert!(acceptance.is_doubted() && acceptance.refusal(true).is_none());
        acceptance.on_shortest_sent(Fingerprint([9; 32]));
        assert!(acceptance.refusal(true).is_none(), "the shortest may be answered yet, or failed for another reason");
        acceptance.hold(Fingerprint([9; 32]), refusal("no, 10"), 10);
        assert!(acceptance.refusal(true).is_some(), "all are refused alike, numbers aside");
        assert!(held(&[900]).refusal(false).is_some(), "there is no other question to try");
    }

    #[test]
    fn long_questions_that_are_refused_together_are_no_proof_however_many_they_are() {
        assert!(held(&[9_000; 40]).refusal(true).is_none());
    }

    #[test]
    fn the_first_answer_shows_which_questions_were_at_fault() {
        let mut acceptance = held(&[9_000, 120]);
        let (at_fault, again) = acceptance.on_answer(100);
        assert_eq!((at_fault.len(), again.len()), (1, 1));
        assert_eq!(at_fault[0].fingerprint, Fingerprint([0; 32]));
        assert!(!acceptance.is_doubted() && acceptance.is_much_longer(200) && !acceptance.is_much_longer(140));
    }

    #[test]
    fn a_probes_answer_says_nothing_about_lengths() {
        let mut acceptance = held(&[9_000]);
        assert!(acceptance.is_about_one());
        assert_eq!(acceptance.on_probe_answer().len(), 1);
        assert!(acceptance.is_answering() && !acceptance.is_doubted() && !acceptance.is_much_longer(9_000));
    }

    #[test]
    fn refusals_in_different_words_are_bounded_too() {
        let mut acceptance = Acceptance::default();
        for number in 0..HELD_MAX {
            let words = "x".repeat(number);
            let fingerprint = Fingerprint([number as u8; 32]);
            acceptance.on_shortest_sent(fingerprint);
            acceptance.hold(fingerprint, refusal(&words), 10);
            assert_eq!(acceptance.refusal(true).is_some(), number + 1 == HELD_MAX, "{number}");
        }
    }

    #[test]
    fn a_server_is_doubted_from_its_first_refusal_to_its_first_answer() {
        let mut acceptance = Acceptance::default();
        assert!(!acceptance.is_answering() && !acceptance.is_doubted() && !acceptance.is_about_one());
        assert!(acceptance.refusal(true).is_none() && acceptance.refusal(false).is_none());
        acceptance.hold(Fingerprint([1; 32]), refusal("no"), 10);
        assert!(!acceptance.is_answering() && acceptance.is_doubted() && acceptance.is_about_one());
        acceptance.hold(Fingerprint([2; 32]), refusal("no"), 10);
        assert!(acceptance.is_doubted() && !acceptance.is_about_one());
        assert_eq!(acceptance.take_held(), [Fingerprint([1; 32]), Fingerprint([2; 32])]);
        assert!(!acceptance.is_doubted());
        acceptance.on_answer(100);
        assert!(acceptance.is_answering() && !acceptance.is_doubted());
        acceptance.hold(Fingerprint([3; 32]), refusal("no"), 10);
        assert!(!acceptance.is_doubted(), "it has answered");
    }

    #[test]
    fn a_prompt_is_much_longer_from_more_than_half_as_much_again_on() {
        let mut acceptance = Acceptance::default();
        assert!(!acceptance.is_much_longer(1_000), "nothing was answered");
        acceptance.on_answer(100);
        acceptance.on_answer(50);
        assert!(!acceptance.is_much_longer(150) && acceptance.is_much_longer(151));
    }
}
