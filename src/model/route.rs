//! Decides which of a model's replicas a conversation is sent to. Pure.
//!
//! A conversation stays with its replica, whose cache holds its history. A new conversation goes to a replica that had
//! conversations with the same prefix, as long as that replica stays within its share of the load; otherwise to the
//! least loaded one. This is consistent hashing with bounded loads (Mirrokni et al., 2018), with a memory in place of
//! the hash, which spreads few prefixes more evenly. Load is the tokens of open conversations.

use std::collections::HashMap;

/// How far a replica may exceed its equal share of the load for the sake of its cache.
const SHARE_SLACK: f64 = 0.1;
/// Prefixes whose replicas are remembered; beyond that all are forgotten, and caches warm up again.
const PREFIXES_MAX: usize = 1 << 16;
/// Replicas that can be remembered for a prefix.
const HOMES_MAX: usize = 64;

/// How calls are spread over replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// A conversation stays with its replica; the same opening goes to the same replica.
    #[default]
    Affine,
    /// Calls rotate over the replicas: for replicas without a cache or with a shared one.
    RoundRobin,
}

/// A replica's current condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// It is to get nothing more.
    Drained,
    /// It does not answer.
    Gone,
    /// It answers, but another is preferred: it is slow, on trial, paused, or has just failed this question.
    Poor,
    /// It has room for one more conversation.
    Good,
}

/// Assigns conversations to replicas.
#[derive(Clone, Debug)]
pub struct Router {
    routing: Routing,
    loads: Vec<Load>,
    placements: HashMap<u64, Placement>,
    /// The replicas that had conversations with a prefix, one bit each.
    homes: HashMap<u64, u64>,
    turn: usize,
}

/// The open conversations of a replica.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    tokens: u64,
    conversations: usize,
}

#[derive(Clone, Copy, Debug)]
struct Placement {
    replica: usize,
    tokens: u64,
}

impl Router {
    /// Makes a router for `count` replicas.
    pub fn new(count: usize, routing: Routing) -> Self {
        Self {
            routing,
            loads: vec![Load::default(); count.max(1)],
            placements: HashMap::new(),
            homes: HashMap::new(),
            turn: 0,
        }
    }

    /// Adds a replica, without conversations.
    pub fn add(&mut self) {
        self.loads.push(Load::default());
    }

    /// Returns the replica for a question of `conversation` (any unique number) with a load of `tokens`. `prefix` is
    /// equal for conversations with the same opening. `fitness` returns a replica's condition, given its number of open
    /// conversations. Only the fittest replicas are considered; if all are down, the conversation stays where it is, or
    /// goes to any.
    pub fn route(
        &mut self,
        conversation: u64,
        prefix: u64,
        tokens: u64,
        fitness: impl Fn(usize, usize) -> Fitness,
    ) -> usize {
        if self.loads.len() == 1 {
            return 0;
        }
        let placement = self.placements.get(&conversation).copied();
        let of = |replica: usize| fitness(replica, self.loads[replica].conversations);
        // A conversation that is already there does not count as one more.
        let own = placement.map(|placement| (placement.replica, fitness(placement.replica, 0)));
        let best = (0..self.loads.len()).map(of).max().unwrap_or(Fitness::Gone);
        let takes = |replica: usize| of(replica) == best;
        let replica = match (self.routing, own) {
            (Routing::Affine, Some((replica, own))) if own >= best => replica,
            (Routing::Affine, _) => self.best_replica(prefix, tokens, takes).unwrap_or_default(),
            (Routing::RoundRobin, _) => {
                let count = self.loads.len();
                let next = (1..=count).map(|step| (self.turn + step) % count).find(|replica| takes(*replica));
                self.turn = next.unwrap_or((self.turn + 1) % count);
                self.turn
            }
        };
        if placement.is_none_or(|placement| placement.replica != replica) {
            self.remember_home(prefix, replica);
        }
        self.leave(conversation);
        self.placements.insert(conversation, Placement { replica, tokens });
        self.loads[replica].tokens += tokens;
        self.loads[replica].conversations += 1;
        replica
    }

    /// Records that a conversation is closed.
    pub fn leave(&mut self, conversation: u64) {
        if let Some(Placement { replica, tokens }) = self.placements.remove(&conversation) {
            self.loads[replica].tokens -= tokens;
            self.loads[replica].conversations -= 1;
        }
    }

    fn best_replica(&self, prefix: u64, tokens: u64, takes: impl Fn(usize) -> bool) -> Option<usize> {
        let usable: Vec<usize> = (0..self.loads.len()).filter(|replica| takes(*replica)).collect();
        let total: u64 = usable.iter().map(|replica| self.loads[*replica].tokens).sum::<u64>() + tokens;
        let share = (total as f64 / usable.len().max(1) as f64).max(tokens as f64) * (1.0 + SHARE_SLACK);
        let homes = self.homes.get(&prefix).copied().unwrap_or(0);
        let load = |replica: &usize| self.loads[*replica].tokens;
        let is_home = |replica: &usize| homes & replica_bit(*replica) != 0 && (load(replica) + tokens) as f64 <= share;
        let home = usable.iter().copied().filter(is_home).min_by_key(load);
        home.or_else(|| usable.iter().copied().min_by_key(load))
    }

    fn remember_home(&mut self, prefix: u64, replica: usize) {
        if self.homes.len() >= PREFIXES_MAX {
            self.homes.clear();
        }
        *self.homes.entry(prefix).or_insert(0) |= replica_bit(replica);
    }
}

fn replica_bit(replica: usize) -> u64 {
    if replica < HOMES_MAX { 1 << replica } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: fn(usize, usize) -> Fitness = |_, _| Fitness::Good;

    fn good(is_good: bool) -> Fitness {
        if is_good { Fitness::Good } else { Fitness::Gone }
    }

    #[test]
    fn a_conversation_stays_until_its_replica_is_gone() {
        let mut router = Router::new(4, Routing::Affine);
        let home = router.route(1, 77, 100, ALL);
        for turn in 1..20 {
            assert_eq!(router.route(1, 77, 100 + turn * 50, ALL), home);
        }
        let refuge = router.route(1, 77, 1_200, |replica, _| good(replica != home));
        assert_ne!(refuge, home);
        assert_eq!(router.route(1, 77, 1_300, ALL), refuge, "it does not move back: its history is here now");
        assert_eq!(router.route(1, 77, 1_400, |_, _| Fitness::Gone), refuge, "it stays if all replicas are down");
    }

    #[test]
    fn the_same_opening_goes_to_the_same_replica_until_it_is_full() {
        let mut router = Router::new(8, Routing::Affine);
        let homes: Vec<usize> = (0..400u64)
            .map(|conversation| {
                // Each conversation closes when the hundredth after it opens.
                router.leave(conversation.wrapping_sub(100));
                router.route(conversation, conversation % 40, 100, ALL)
            })
            .collect();
        let mut kept = 0;
        for prefix in 0..40 {
            let group: Vec<usize> = (0..10).map(|round| homes[prefix + round * 40]).collect();
            kept += group.windows(2).filter(|pair| pair[0] == pair[1]).count();
        }
        assert!(kept > 320, "{kept} of 360 conversations went to the replica of the previous one with their prefix");
        let mut router = Router::new(8, Routing::Affine);
        (0..800).for_each(|conversation| {
            router.route(conversation, 5, 100, ALL);
        });
        let counts: Vec<usize> = router.loads.iter().map(|load| load.conversations).collect();
        assert!(counts.iter().all(|count| (90..=110).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_poor_replica_is_better_than_one_that_is_gone() {
        for routing in [Routing::Affine, Routing::RoundRobin] {
            let mut router = Router::new(2, routing);
            let home = router.route(1, 7, 10, ALL);
            let other = 1 - home;
            assert_eq!(
                router.route(1, 7, 10, |replica, _| if replica == home { Fitness::Gone } else { Fitness::Poor }),
                other
            );
            assert_eq!(
                router.route(2, 7, 10, |replica, _| if replica == home { Fitness::Gone } else { Fitness::Poor }),
                other
            );
        }
    }

    #[test]
    fn round_robin_goes_round() {
        let mut router = Router::new(3, Routing::RoundRobin);
        let homes: Vec<usize> = (0..6).map(|_| router.route(9, 9, 1, ALL)).collect();
        assert_eq!(homes, [1, 2, 0, 1, 2, 0]);
        assert_eq!(router.route(9, 9, 1, |replica, _| good(replica == 0)), 0);
    }

    proptest! {
        #[test]
        fn loads_are_what_is_open(steps in prop::collection::vec((0..20u64, 0..5u64, 1..1000u64, any::<bool>(), 0..16u8), 0..200), count in 1..6usize) {
            let mut router = Router::new(count, Routing::Affine);
            for (conversation, prefix, tokens, leaves, down) in steps {
                if leaves {
                    router.leave(conversation);
                } else {
                    let replica = router.route(conversation, prefix, tokens, |replica, _| good(down & (1 << replica) == 0));
                    prop_assert!(replica < count);
                }
                let mut sums = vec![(0, 0); count];
                for placement in router.placements.values() {
                    sums[placement.replica].0 += placement.tokens;
                    sums[placement.replica].1 += 1;
                }
                let loads: Vec<_> = router.loads.iter().map(|load| (load.tokens, load.conversations)).collect();
                prop_assert!(count == 1 || sums == loads);
            }
        }
    }
}
