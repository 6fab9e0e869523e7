use std::time::Duration;

/// A slot may idle for this share of a call's time between two turns of a conversation.
const IDLE_SHARE_MAX: f64 = 0.02;
/// Weight of the newest measurement in a mean.
const NEWEST_SHARE: f64 = 0.1;

/// Whether answers come so fast that a slot waits noticeably for their commits. Only then are more conversations opened
/// than calls may be in flight: on a server whose slots each hold one conversation's cache, more of them cost prompt
/// tokens.
#[derive(Debug, Default)]
pub struct Haste {
    latency_s: Mean,
    commit_s: Mean,
}

#[derive(Debug, Default)]
struct Mean(Option<f64>);

impl Haste {
    /// Records the time of a call that was answered.
    pub fn on_latency(&mut self, latency: Duration) {
        self.latency_s.add(latency.as_secs_f64());
    }

    /// Records the time of a commit.
    pub fn on_commit(&mut self, time: Duration) {
        self.commit_s.add(time.as_secs_f64());
    }

    /// True if a slot that waits for a commit idles for more than the allowed share; false before the first commit.
    pub fn needs_margin(&self) -> bool {
        let (latency, commit) = (self.latency_s.0.unwrap_or(f64::MAX), self.commit_s.0.unwrap_or(0.0));
        commit > IDLE_SHARE_MAX * latency
    }
}

impl Mean {
    fn add(&mut self, value: f64) {
        let mean = self.0.get_or_insert(value);
        *mean += NEWEST_SHARE * (value - *mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_conversations_are_opened_only_where_a_commit_takes_a_noticeable_share_of_a_call() {
        let mut haste = Haste::default();
        assert!(!haste.needs_margin(), "nothing is known yet");
        haste.on_commit(Duration::from_millis(2));
        haste.on_latency(Duration::from_secs(1));
        assert!(!haste.needs_margin());
        (0..100).for_each(|_| haste.on_latency(Duration::from_millis(20)));
        assert!(haste.needs_margin());
    }

    #[test]
    fn the_newest_measurement_counts_a_tenth() {
        let mut haste = Haste::default();
        haste.on_latency(Duration::from_secs(1));
        haste.on_commit(Duration::from_millis(10));
        assert!(!haste.needs_margin());
        // 19 ms after this one, and 27.1 ms after the next.
        haste.on_commit(Duration::from_millis(100));
        assert!(!haste.needs_margin());
        haste.on_commit(Duration::from_millis(100));
        assert!(haste.needs_margin());
    }

    #[test]
    fn a_fiftieth_of_a_call_is_not_noticed_yet() {
        let mut haste = Haste::default();
        haste.on_latency(Duration::from_secs(1));
        haste.on_commit(Duration::from_millis(20));
        assert!(!haste.needs_margin());
        haste.on_commit(Duration::from_millis(21));
        assert!(haste.needs_margin());
    }
}
