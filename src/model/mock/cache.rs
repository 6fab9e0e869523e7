use std::collections::{BTreeMap, HashMap};

use crate::conversation::{Digest, Message};

/// A server's prefix cache: the prompt prefixes that it has processed, up to a number of tokens, with
/// least-recently-used eviction. Real servers keep blocks of 16 to 64 tokens (vLLM's automatic prefix caching,
/// `SGLang`'s `RadixAttention`); this one keeps whole messages.
#[derive(Debug)]
pub struct PrefixCache {
    capacity_tokens: u64,
    tokens: u64,
    clock: u64,
    /// Keyed by the hash of a message and all before it: the message's tokens, the time of its last use.
    entries: HashMap<Digest, (u64, u64)>,
    by_use: BTreeMap<u64, Digest>,
}

impl PrefixCache {
    /// Makes an empty cache.
    pub fn new(capacity_tokens: u64) -> Self {
        Self { capacity_tokens, tokens: 0, clock: 0, entries: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// Processes a prompt: returns the number of its cached tokens and caches all of it.
    pub fn read(&mut self, messages: &[std::sync::Arc<Message>]) -> u64 {
        let mut chain = Digest::ZERO;
        let links: Vec<_> = messages
            .iter()
            .map(|message| {
                chain = chain.then(message.digest());
                (chain, message.estimated_tokens() + 4)
            })
            .collect();
        let known = links.iter().take_while(|(chain, _)| self.entries.contains_key(chain));
        let cached = known.map(|(_, tokens)| tokens).sum();
        // In reverse: a prefix is never older than its continuations, so it is never evicted before them.
        for (chain, tokens) in links.into_iter().rev() {
            self.use_now(chain, tokens);
        }
        while self.tokens > self.capacity_tokens
            && let Some((_, chain)) = self.by_use.pop_first()
        {
            self.tokens -= self.entries.remove(&chain).map_or(0, |(tokens, _)| tokens);
        }
        cached
    }

    fn use_now(&mut self, chain: Digest, tokens: u64) {
        self.clock += 1;
        match self.entries.insert(chain, (tokens, self.clock)) {
            Some((_, used)) => drop(self.by_use.remove(&used)),
            None => self.tokens += tokens,
        }
        self.by_use.insert(self.clock, chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Role;

    #[test]
    fn a_history_is_cached_until_others_push_it_out() {
        let message = |text: &str| Message::new(Role::User, text.repeat(36));
        let (a, b, c) = (message("a"), message("b"), message("c"));
        let mut cache = PrefixCache::new(60);
        let read = |cache: &mut PrefixCache, messages: &[&std::sync::Arc<Message>]| {
            cache.read(&messages.iter().map(|message| std::sync::Arc::clone(message)).collect::<Vec<_>>())
        };
        assert_eq!(read(&mut cache, &[&a]), 0);
        assert_eq!(read(&mut cache, &[&a, &b]), 14);
        assert_eq!(read(&mut cache, &[&a, &b, &c]), 28);
        assert_eq!(read(&mut cache, &[&b]), 0, "the same message without its history is another prefix");
        assert_eq!(read(&mut cache, &[&c, &a]), 0);
        assert_eq!(read(&mut cache, &[&a, &b, &c]), 14, "the end of the conversation was evicted first");
    }
}
