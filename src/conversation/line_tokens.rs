use std::sync::Arc;

use super::answer::Answer;
use super::top_logprobs::TopLogprobs;

/// The tokens of an answer to train on, all of its prompt included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineTokens {
    /// The ids of the prompt, after the server's chat template.
    pub prompt: Vec<u32>,
    /// The ids that were sampled.
    pub completion: Vec<u32>,
    /// The most probable tokens at each sampled place.
    pub logprobs: Option<TopLogprobs>,
}

impl LineTokens {
    /// Returns prompt and completion as one sequence.
    pub fn sequence(&self) -> Vec<u32> {
        [&self.prompt[..], &self.completion].concat()
    }

    /// True where the prompt begins with all that `earlier` holds, so that both answers are parts of one sequence. A chat
    /// template that leaves earlier reasoning out, or text that is split into other tokens than were sampled, breaks that.
    pub fn continues(&self, earlier: &Self) -> bool {
        let rest = self.prompt.strip_prefix(&earlier.prompt[..]);
        rest.is_some_and(|rest| rest.starts_with(&earlier.completion))
    }

    /// Returns the logprobs, where there are some for every sampled place.
    pub fn complete_logprobs(&self) -> Option<&TopLogprobs> {
        let places = self.completion.len();
        self.logprobs.as_ref().filter(|top| {
            let cells = places * usize::from(top.count);
            top.len() == places && top.ids.len() == cells && top.steps.len() == cells
        })
    }
}

/// Finds the whole tokens of the answers of a dialogue, in their order: a prompt may begin with an earlier answer's
/// sequence, which is not repeated.
#[derive(Clone, Debug, Default)]
pub struct TokenSequences(Vec<Vec<u32>>);

impl TokenSequences {
    /// Returns the tokens of the next answer; `None` if it has none, or if what its prompt begins with is not there.
    pub fn resolve(&mut self, answer: &Answer) -> Option<Arc<LineTokens>> {
        let tokens = answer.tokens.as_deref()?;
        let prompt = match &tokens.prompt.shared {
            None => tokens.prompt_after(&[])?,
            Some(_) => self.0.iter().rev().find_map(|earlier| tokens.prompt_after(earlier))?,
        };
        let found = LineTokens { prompt, completion: tokens.completion.clone(), logprobs: tokens.logprobs.clone() };
        self.0.push(found.sequence());
        Some(Arc::new(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{AnswerTokens, Fingerprint};

    fn answer(tokens: AnswerTokens) -> Answer {
        Answer { tokens: Some(Arc::new(tokens)), ..Answer::complete("m", "text") }
    }

    fn line(prompt: &[u32], completion: &[u32]) -> LineTokens {
        LineTokens { prompt: prompt.to_vec(), completion: completion.to_vec(), logprobs: None }
    }

    #[test]
    fn a_prompt_continues_an_earlier_answer_where_it_begins_with_all_of_it() {
        let first = line(&[1, 2], &[3]);
        assert!(line(&[1, 2, 3], &[]).continues(&first) && line(&[1, 2, 3, 4], &[5]).continues(&first));
        assert!(line(&[1], &[]).continues(&LineTokens::default()));
        for other in [&[1, 2][..], &[1, 2, 4], &[1, 3, 2], &[]] {
            assert!(!line(other, &[3]).continues(&first), "{other:?}");
        }
        assert_eq!(first.sequence(), [1, 2, 3]);
    }

    #[test]
    fn a_prompt_that_leans_on_an_earlier_answer_is_put_together() {
        let prompt: Vec<u32> = (0..40).collect();
        let (first, question) = (AnswerTokens::whole(prompt.clone(), vec![40, 41]), Fingerprint([7; 32]));
        let longer: Vec<u32> = (0..50).collect();
        let second = AnswerTokens::whole(longer.clone(), vec![50]).after(question, &[&prompt[..], &[40, 41]].concat());
        let other = AnswerTokens::whole((100..130).collect(), vec![1]);
        assert!(second.prompt.shared.is_some());
        let mut sequences = TokenSequences::default();
        let mut found = |tokens: &AnswerTokens| sequences.resolve(&answer(tokens.clone()));
        assert_eq!(found(&second), None, "the earlier answer has not come");
        assert_eq!(found(&first).as_deref(), Some(&line(&prompt, &[40, 41])));
        assert_eq!(found(&other).unwrap().prompt.len(), 30);
        assert_eq!(found(&second).as_deref(), Some(&line(&longer, &[50])), "not the last one alone is looked at");
        assert_eq!(sequences.resolve(&Answer::complete("m", "text")), None);
    }

    #[test]
    fn logprobs_count_where_every_place_has_them() {
        let top = |places: usize| TopLogprobs {
            count: 2,
            sampled: vec![0; places],
            ids: vec![1; 2 * places],
            steps: vec![0; 2 * places],
        };
        let with = |logprobs| LineTokens { logprobs: Some(logprobs), ..line(&[1], &[2, 3, 4]) };
        assert!(with(top(3)).complete_logprobs().is_some() && with(top(2)).complete_logprobs().is_none());
        assert!(with(TopLogprobs { ids: vec![1; 5], ..top(3) }).complete_logprobs().is_none());
        assert!(line(&[1], &[2]).complete_logprobs().is_none());
    }
}
