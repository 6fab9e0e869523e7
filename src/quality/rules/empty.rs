use super::{Action, Reply, Rule};
/// Nothing but white space.
pub struct Empty;

impl Rule for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, reply: &Reply<'_>, _: f64) -> bool {
        reply.answer.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_nothing() {
        assert!(Empty.hits(&Reply::new("Why?", " \n\u{3000}"), 0.0));
        assert!(!Empty.hits(&Reply::new("Why?", "."), 0.0));
    }
}
