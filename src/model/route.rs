//! Which of a model's replicas a conversation is sent to. Pure.
//!
//! A conversation stays where it is, because its history is in that replica's cache. A new one goes where
//! conversations with its beginning went before, as long as one of those replicas has no more than its share of the
//! load (consistent hashing with bounded loads, Mirrokni et al., 2018, with a memory in place of the hash: it spreads
//! few beginnings more evenly); otherwise to the one with the least. Load is the tokens of the conversations that are
//! open there.

use std::collections::HashMap;

/// What a replica may carry beyond its equal share of the load for the sake of its cache.
const SHARE_SLACK: f64 = 0.1;
/// Beginnings whose replicas are remembered; beyond it all are forgotten, and caches warm up again.
const BEGINNINGS_MAX: usize = 1 << 16;
/// Replicas that can be remembered for a beginning.
const HOMES_MAX: usize = 64;

/// How calls are spread over replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// A conversation stays with its replica, equal beginnings meet on the same one.
    #[default]
    Affine,
    /// Every call goes to the next replica: for replicas that have no cache, or one in common.
    RoundRobin,
}

/// How a replica is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// It does not answer.
    Gone,
    /// It answers, but another is better: it is slow, on trial, closed for a while, or has just failed this question.
    Poor,
    /// It takes one more.
    Good,
}

/// Spreads conversations over replicas.
#[derive(Clone, Debug)]
pub struct Router {
    routing: Routing,
    loads: Vec<Load>,
    placements: HashMap<u64, Placement>,
    /// Where conversations with a beginning have been: a bit for each replica.
    homes: HashMap<u64, u64>,
    turn: usize,
}

/// The conversations that are open at a replica.
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

    /// Returns the replica for a question of `conversation` (any number of its own) that weighs `tokens`. `prefix`
    /// is equal for conversations that begin alike. `fitness` says of a replica, given how many conversations are open
    /// there, whether it takes one more. The best that there are are chosen from; where all are gone, the conversation
    /// stays or goes to any.
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
        // One who is there already is not one more.
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

    /// Takes note that a conversation is closed.
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
        if self.homes.len() >= BEGINNINGS_MAX {
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
        assert_eq!(router.route(1, 77, 1_400, |_, _| Fitness::Gone), refuge, "with nobody there it stays");
    }

    #[test]
    fn equal_beginnings_meet_and_a_crowd_spreads() {
        let mut router = Router::new(8, Routing::Affine);
        let homes: Vec<usize> = (0..400u64)
            .map(|conversation| {
                // Each closes before the next but a hundred opens.
                router.leave(conversation.wrapping_sub(100));
                router.route(conversation, conversation % 40, 100, ALL)
            })
            .collect();
        let mut kept = 0;
        for prefix in 0..40 {
            let group: Vec<usize> = (0..10).map(|round| homes[prefix + round * 40]).collect();
            kept += group.windows(2).filter(|pair| pair[0] == pair[1]).count();
        }
        assert!(kept > 320, "{kept} of 360 conversations went where the one before with their beginning had gone");
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
