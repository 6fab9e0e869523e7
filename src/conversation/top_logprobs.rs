/// The most probable tokens at each place of an answer, with their log-probabilities in steps of
/// [`TopLogprobs::STEP`] nats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopLogprobs {
    /// How many tokens there are at each place.
    pub count: u8,
    /// What was sampled, for each place: minus its log-probability in steps.
    pub sampled: Vec<u16>,
    /// The ids, `count` for each place, the most probable first. A place with fewer of them is filled up with
    /// [`TopLogprobs::NO_TOKEN`].
    pub ids: Vec<u32>,
    /// Minus the log-probability of each id, in steps.
    pub steps: Vec<u16>,
}

impl TopLogprobs {
    /// One step, in nats. Sixteen bits reach to minus 64 nats; what is less probable counts as that.
    pub const STEP: f64 = 1.0 / 1024.0;
    /// Fills up a place with fewer tokens.
    pub const NO_TOKEN: u32 = u32::MAX;
    /// The most tokens at each place that a request asks for: what `OpenAI` and vLLM accept.
    pub const COUNT_MAX: u8 = 20;

    /// Returns a log-probability in steps.
    pub fn steps_of(logprob: f64) -> u16 {
        let steps = (-logprob / Self::STEP).round();
        if steps.is_nan() { u16::MAX } else { steps.clamp(0.0, f64::from(u16::MAX)) as u16 }
    }

    /// Returns steps as a log-probability in nats.
    pub fn logprob_of(steps: u16) -> f64 {
        -f64::from(steps) * Self::STEP
    }

    /// Returns the same with the `count` most probable tokens of each place, where there are more.
    #[must_use]
    pub fn cut_to(self, count: u8) -> Self {
        if count >= self.count || count == 0 {
            return self;
        }
        let (ids, steps) = self.most_probable(count);
        let (ids, steps) = (ids.collect(), steps.collect());
        Self { count, ids, steps, ..self }
    }

    /// Returns the `count` most probable tokens of each place, place by place, and their steps.
    pub fn most_probable(&self, count: u8) -> (impl Iterator<Item = u32>, impl Iterator<Item = u16>) {
        (self.first_of_each(&self.ids, count), self.first_of_each(&self.steps, count))
    }

    fn first_of_each<T: Copy>(&self, values: &[T], count: u8) -> impl Iterator<Item = T> {
        let places = values.chunks(usize::from(self.count).max(1));
        places.flat_map(move |place| place.iter().copied().take(usize::from(count)))
    }

    /// Returns the number of places.
    pub fn len(&self) -> usize {
        self.sampled.len()
    }

    /// True without any place.
    pub fn is_empty(&self) -> bool {
        self.sampled.is_empty()
    }

    /// Returns the tokens at a place with their log-probabilities, the most probable first.
    pub fn at(&self, place: usize) -> impl Iterator<Item = (u32, f64)> {
        let count = usize::from(self.count);
        let range = place * count..(place + 1) * count;
        let ids = self.ids.get(range.clone()).unwrap_or_default().iter().copied();
        let steps = self.steps.get(range).unwrap_or_default().iter().copied();
        ids.zip(steps).filter(|(id, _)| *id != Self::NO_TOKEN).map(|(id, steps)| (id, Self::logprob_of(steps)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_logprob_comes_back_within_half_a_step(logprob in -63.9..=0.0f64) {
            let back = TopLogprobs::logprob_of(TopLogprobs::steps_of(logprob));
            prop_assert!((back - logprob).abs() <= TopLogprobs::STEP / 2.0 + 1e-12, "{} {}", logprob, back);
        }
    }

    #[test]
    fn impossible_logprobs_are_the_lowest_and_none_is_above_zero() {
        for (logprob, steps) in [(f64::NEG_INFINITY, u16::MAX), (-9999.0, u16::MAX), (f64::NAN, u16::MAX), (0.5, 0)] {
            assert_eq!(TopLogprobs::steps_of(logprob), steps, "{logprob}");
        }
        let top = TopLogprobs {
            count: 2,
            sampled: vec![0, 512],
            ids: vec![5, 6, 7, TopLogprobs::NO_TOKEN],
            steps: vec![0, 1024, 512, u16::MAX],
        };
        assert_eq!(top.at(0).collect::<Vec<_>>(), [(5, 0.0), (6, -1.0)]);
        assert_eq!(top.at(1).collect::<Vec<_>>(), [(7, -0.5)]);
        assert_eq!((top.at(2).count(), top.len(), top.is_empty()), (0, 2, false));
        let one = top.clone().cut_to(1);
        assert_eq!((one.count, one.ids, one.steps, one.sampled), (1, vec![5, 7], vec![0, 512], vec![0, 512]));
        assert_eq!((top.clone().cut_to(2), top.clone().cut_to(9)), (top.clone(), top));
    }
}
