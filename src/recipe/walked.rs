use std::any::Any;

/// Where a recipe's walk through a conversation stands, so that the next step need not begin at the first turn.
///
/// A recipe may keep here what follows from answers that it will not look at again. It is only a shortcut: with an empty one
/// the step is the same.
#[derive(Default)]
pub struct Walked(Option<Box<dyn Any + Send>>);

impl Walked {
    /// Takes what the recipe has kept; nothing at the beginning.
    pub fn take<T: Any>(&mut self) -> Option<T> {
        self.0.take()?.downcast().ok().map(|kept| *kept)
    }

    /// Keeps something for the next step.
    pub fn keep<T: Any + Send>(&mut self, kept: T) {
        self.0 = Some(Box::new(kept));
    }

    /// Forgets everything: the next step begins at the first turn.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken_once_and_not_after_it_is_forgotten() {
        let mut walked = Walked::default();
        assert_eq!(walked.take::<u32>(), None);
        walked.keep(7u32);
        assert_eq!((walked.take::<u32>(), walked.take::<u32>()), (Some(7), None));
        walked.keep(7u32);
        assert_eq!(walked.take::<u64>(), None, "another recipe's");
        walked.keep(7u32);
        walked.forget();
        assert_eq!(walked.take::<u32>(), None);
    }
}
