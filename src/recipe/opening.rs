use crate::conversation::{Digest, Seed};

use super::{Answered, Recipe, Step};

/// Returns a number that is equal for conversations that begin with the same question, so that these meet on one machine and the
/// question is sent once: the first eight bytes, big-endian, of the first question's fingerprint.
///
/// The first question is the one in the smallest slot of those that the recipe asks when nothing is answered; older rules do not
/// count, so the number does not depend on what any store holds. Where nothing is asked, the messages of the first turn take its
/// place. Shards cut an input by it, and a shared store places conversations by it, so it must never change.
pub fn opening_hash(recipe: &dyn Recipe, seed: &Seed) -> u64 {
    let asked = match recipe.next(seed, &Answered::default()) {
        Step::Ask(questions) => questions.into_iter().min_by_key(|question| question.slot),
        Step::Finish(_) => None,
    };
    let hash = match asked {
        Some(mut question) => {
            question.target = question.target.drawn_for(&question.messages);
            question.fingerprint().0
        }
        None => opening_messages(seed).0,
    };
    u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
}

fn opening_messages(seed: &Seed) -> Digest {
    let messages = seed.turns.first().into_iter().flat_map(|turn| &turn.messages);
    let opening = Digest::of_text("cohobate opening 1", "");
    messages.fold(opening, |opening, message| opening.then(message.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Fingerprint, Message, Role, Sampling, Slot, Target, Turn};
    use crate::recipe::{Distill, Replay, ReplayEnd};

    fn seed(said: &[&str]) -> Seed {
        let turn = |text: &&str| Turn {
            messages: vec![Message::new(Role::User, *text)],
            replaced: None,
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        };
        Seed {
            id: said.join(" "),
            turns: said.iter().map(turn).collect(),
            tools: None,
            columns: serde_json::Map::default(),
            counts_replaced: false,
            criteria: Vec::new(),
        }
    }

    fn first_fingerprint(recipe: &Distill, seed: &Seed) -> Fingerprint {
        let end = Replay::new(recipe, seed).advance(|_, _| Ok::<_, std::convert::Infallible>(None));
        let Ok(ReplayEnd::Open(open)) = end else { panic!("nothing is answered") };
        assert_eq!(open[0].1.slot, Slot::main(0));
        open[0].0
    }

    #[test]
    fn conversations_that_begin_alike_have_the_same_number() {
        let recipe = Distill::new(Target::new("m", "openai", Sampling::default()), None);
        let (long, short, other) = (seed(&["Hi", "Why?"]), seed(&["Hi"]), seed(&["Ho", "Why?"]));
        let hash = opening_hash(&recipe, &long);
        assert_eq!(hash, opening_hash(&recipe, &short));
        assert_ne!(hash, opening_hash(&recipe, &other));
        assert_eq!(hash.to_be_bytes(), first_fingerprint(&recipe, &long).0[..8], "what a run looks up");
    }

    #[test]
    fn where_nothing_is_asked_the_first_messages_count() {
        let [long, short, other] =
            [seed(&["Hi", "Why?"]), seed(&["Hi"]), seed(&["Ho"])].map(|seed| opening_messages(&seed));
        assert_eq!(long, short);
        assert_ne!(long, other);
    }
}
