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

#[cfg(test)]
mod tests {
    use super::*;

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
