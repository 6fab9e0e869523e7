use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use crate::store::{Entry, Staged, Store, StoreError};

/// Maximum entries in one group.
const GROUP_ENTRIES_MAX: usize = 4_096;
/// Groups that are published at once.
const GROUPS_MAX: usize = 256;

/// Where commits run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// On a thread of their own, with group commit.
    #[default]
    Thread,
    /// In the dispatcher, synchronously: slower and deterministic, for simulations.
    Inline,
}

/// How a group of entries ended.
pub struct GroupEnd<Token> {
    /// The tokens whose entries are durable.
    pub committed: Vec<Token>,
    /// The tokens whose entries exceed the store's limit, and by how much. Nothing of them is stored.
    pub refused: Vec<(Token, StoreError)>,
}

/// The only writer: takes the entries that have arrived, commits them as one group and acknowledges all of them.
///
/// What the store could not hold is left out of its group: one such answer costs its own question and nothing else.
///
/// A group that a server must take as well is staged first, and published by a second thread: what has arrived is safe
/// while the server is slow or away.
///
/// The queue is bounded by the calls in flight and the open sessions: each of them waits for its acknowledgement before
/// it continues.
pub struct Committer<Token> {
    sink: CommitSink<Token>,
    thread: Option<JoinHandle<()>>,
    store: Arc<dyn Store>,
}

enum CommitSink<Token> {
    Queue(Sender<(Vec<Entry>, Token)>),
    Inline(Box<dyn Fn(Vec<Entry>, Token) + Send>),
    Closed,
}

impl<Token: Send + 'static> Committer<Token> {
    /// Starts the thread. `acknowledge` gets the end of each group, or the error after which nothing more is
    /// committed; `message` makes both into messages.
    pub fn start<Message: Send + 'static>(
        commit_mode: CommitMode,
        store: Arc<dyn Store>,
        acknowledge: UnboundedSender<Message>,
        message: impl Fn(Result<GroupEnd<Token>, StoreError>) -> Message + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let stages = Stages {
            store: Arc::clone(&store),
            // The dispatcher may have ended; the commit stands on its own.
            acknowledge: Box::new(move |end| drop(acknowledge.send(message(end)))),
        };
        if commit_mode == CommitMode::Inline {
            let commit = move |entries, token| {
                if let Some(group) = stages.stage(vec![(entries, token)]) {
                    stages.publish(vec![group]);
                }
            };
            return Ok(Self { sink: CommitSink::Inline(Box::new(commit)), thread: None, store });
        }
        let (queue, arrivals) = channel();
        let run = move || Arc::new(stages).run(&arrivals);
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(run)?;
        Ok(Self { sink: CommitSink::Queue(queue), thread: Some(thread), store })
    }

    /// Queues entries. After a failure they are dropped; the error is reported once.
    pub fn commit(&self, entries: Vec<Entry>, token: Token) {
        match &self.sink {
            CommitSink::Queue(queue) => drop(queue.send((entries, token))),
            CommitSink::Inline(commit) => commit(entries, token),
            CommitSink::Closed => {}
        }
    }
}

impl<Token> Drop for Committer<Token> {
    /// Waits until every queued entry is durable. What a server that is away has not taken is published by the next run.
    fn drop(&mut self) {
        self.sink = CommitSink::Closed;
        self.store.stop_publishing();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The two halves of a commit.
struct Stages<Token> {
    store: Arc<dyn Store>,
    acknowledge: Box<dyn Fn(Result<GroupEnd<Token>, StoreError>) + Send + Sync>,
}

/// A group whose first half is done.
struct StagedGroup<Token> {
    staged: Staged,
    end: GroupEnd<Token>,
}

impl<Token: Send + 'static> Stages<Token> {
    /// Commits what arrives until nobody sends any longer, or the store fails.
    fn run(self: Arc<Self>, arrivals: &Receiver<(Vec<Entry>, Token)>) {
        let mut publisher: Option<(Sender<StagedGroup<Token>>, JoinHandle<()>)> = None;
        while let Some(group) = next_group(arrivals) {
            let Some(group) = self.stage(group) else { break };
            if matches!(group.staged, Staged::Committed) && publisher.is_none() {
                (self.acknowledge)(Ok(group.end));
                continue;
            }
            publisher = publisher.or_else(|| {
                let (sender, staged) = channel();
                let own = Arc::clone(&self);
                let run = move || own.run_publisher(&staged);
                Some((sender, std::thread::Builder::new().name("publisher".to_owned()).spawn(run).ok()?))
            });
            let goes_on = match &publisher {
                Some((sender, _)) => sender.send(group).is_ok(),
                // Without a thread of its own each group waits for the server.
                None => self.publish(vec![group]),
            };
            if !goes_on {
                break;
            }
        }
        if let Some((sender, thread)) = publisher {
            drop(sender);
            let _ = thread.join();
        }
    }

    fn run_publisher(&self, staged: &Receiver<StagedGroup<Token>>) {
        while let Ok(first) = staged.recv() {
            let mut groups = vec![first];
            while groups.len() < GROUPS_MAX
                && let Ok(more) = staged.try_recv()
            {
                groups.push(more);
            }
            // The thread that stages would wait for more, and the run for what died here.
            let published = catch_unwind(AssertUnwindSafe(|| self.publish(groups)));
            let goes_on = published.unwrap_or_else(|_| {
                (self.acknowledge)(Err(StoreError::Poisoned));
                false
            });
            if !goes_on {
                break;
            }
        }
    }

    /// Does the first half. Reports a failure, after which nothing more is committed.
    fn stage(&self, group: Vec<(Vec<Entry>, Token)>) -> Option<StagedGroup<Token>> {
        let (mut entries, mut committed, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (own, token) in group {
            match own.iter().try_for_each(Entry::check_size) {
                Ok(()) => {
                    entries.extend(own);
                    committed.push(token);
                }
                Err(error) => refused.push((token, error)),
            }
        }
        let staged = if entries.is_empty() { Ok(Staged::Committed) } else { self.store.stage(entries) };
        let staged = staged.map_err(|error| (self.acknowledge)(Err(error))).ok()?;
        Some(StagedGroup { staged, end: GroupEnd { committed, refused } })
    }

    /// Does the second half and acknowledges all of them; false after a failure.
    fn publish(&self, groups: Vec<StagedGroup<Token>>) -> bool {
        let (staged, ends): (Vec<Staged>, Vec<_>) = groups.into_iter().map(|group| (group.staged, group.end)).unzip();
        let published = self.store.publish(staged);
        let is_published = published.is_ok();
        match published {
            Ok(()) => ends.into_iter().for_each(|end| (self.acknowledge)(Ok(end))),
            Err(error) => (self.acknowledge)(Err(error)),
        }
        is_published
    }
}

fn next_group<Token>(arrivals: &Receiver<(Vec<Entry>, Token)>) -> Option<Vec<(Vec<Entry>, Token)>> {
    let first = arrivals.recv().ok()?;
    let mut count = first.0.len();
    let mut group = vec![first];
    while count < GROUP_ENTRIES_MAX {
        let Ok(more) = arrivals.try_recv() else { break };
        count += more.0.len();
        group.push(more);
    }
    Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Answer, ConversationKey, Fingerprint, Slot};
    use crate::store::{DiskStore, Reader};

    fn answered(number: u8, answer: Answer) -> Entry {
        Entry::Answered {
            run: 1,
            conversation: ConversationKey([number; 32]),
            slot: Slot::main(0),
            fingerprint: Fingerprint([number; 32]),
            model: "m".to_owned(),
            answer: Arc::new(answer),
        }
    }

    #[test]
    fn a_group_takes_what_has_arrived_up_to_its_limit() {
        const MAX: usize = GROUP_ENTRIES_MAX;
        let groups = |arrived: &[usize]| -> Vec<Vec<usize>> {
            let (sender, arrivals) = channel();
            for count in arrived {
                sender.send((vec![answered(1, Answer::complete("m", "text")); *count], ())).unwrap();
            }
            drop(sender);
            let groups = std::iter::from_fn(|| next_group(&arrivals));
            groups.map(|group| group.iter().map(|(entries, ())| entries.len()).collect()).collect()
        };
        assert_eq!(groups(&[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(groups(&[MAX - 1, 2, 4]), [vec![MAX - 1, 2], vec![4]]);
        assert_eq!(groups(&[1, MAX - 1, 4]), [vec![1, MAX - 1], vec![4]]);
    }

    #[test]
    fn an_entry_that_is_too_large_is_left_out_of_its_group_and_poisons_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        let huge = "x".repeat(16 << 20);
        let small = || Answer::complete("m", "text");
        let group = vec![
            (vec![answered(1, small())], 1),
            (vec![answered(2, Answer::complete("m", &*huge))], 2),
            (vec![answered(3, Answer { system_fingerprint: Some(huge.clone()), ..small() })], 3),
            (vec![answered(4, Answer { finish_reason: huge, ..small() })], 4),
            (vec![answered(5, small())], 5),
        ];
        let store = Arc::new(store);
        let commit_group = |group| {
            let (sender, ends) = channel();
            let acknowledge = move |end: Result<GroupEnd<i32>, StoreError>| drop(sender.send(end));
            let stages = Stages { store: Arc::clone(&store) as Arc<dyn Store>, acknowledge: Box::new(acknowledge) };
            let begun = stages.stage(group).unwrap();
            assert!(stages.publish(vec![begun]));
            ends.recv().unwrap()
        };
        let end = commit_group(group).unwrap();
        assert_eq!(end.committed, [1, 5]);
        let refused: Vec<_> = end.refused.iter().map(|(token, error)| (*token, error.to_string())).collect();
        assert_eq!(refused.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(refused.iter().all(|(_, said)| said.contains("exceeds the store's limit")), "{refused:?}");
        assert!(commit_group(vec![(vec![answered(6, small())], 6)]).is_ok(), "nothing is poisoned");
        let is_stored = |number| store.answer(&Fingerprint([number; 32])).unwrap().is_some();
        assert_eq!([1, 2, 3, 4, 5, 6].map(is_stored), [true, false, false, false, true, true]);
    }
}
