use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use crate::store::{Entry, Store, StoreError};

/// Maximum entries in one group.
const GROUP_ENTRIES_MAX: usize = 4_096;

/// Where commits run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// On a thread of their own, with group commit.
    #[default]
    Thread,
    /// In the dispatcher, synchronously: slower and deterministic, for simulations.
    Inline,
}

/// The only writer: takes the entries that have arrived, commits them as one group and acknowledges all of them.
///
/// The queue is bounded by the calls in flight and the open sessions: each of them waits for its acknowledgement before
/// it continues.
pub struct Committer<Token> {
    sink: CommitSink<Token>,
    thread: Option<JoinHandle<()>>,
}

enum CommitSink<Token> {
    Queue(Sender<(Vec<Entry>, Token)>),
    Inline(Box<dyn Fn(Vec<Entry>, Token) + Send>),
    Closed,
}

impl<Token: Send + 'static> Committer<Token> {
    /// Starts the thread. `acknowledge` gets the tokens of each group, or the error after which nothing more is
    /// committed; `message` makes both into messages.
    pub fn start<Message: Send + 'static>(
        commit_mode: CommitMode,
        store: Arc<dyn Store>,
        acknowledge: UnboundedSender<Message>,
        message: impl Fn(Result<Vec<Token>, StoreError>) -> Message + Send + 'static,
    ) -> std::io::Result<Self> {
        if commit_mode == CommitMode::Inline {
            let commit = move |entries, token| {
                let _ = acknowledge.send(message(store.commit(entries).map(|()| vec![token])));
            };
            return Ok(Self { sink: CommitSink::Inline(Box::new(commit)), thread: None });
        }
        let (queue, arrivals) = channel();
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
            while let Some((entries, tokens)) = next_group(&arrivals) {
                let result = store.commit(entries).map(|()| tokens);
                let failed = result.is_err();
                // The dispatcher may have ended; the commit stands on its own.
                let _ = acknowledge.send(message(result));
                if failed {
                    break;
                }
            }
        })?;
        Ok(Self { sink: CommitSink::Queue(queue), thread: Some(thread) })
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
    /// Waits until every queued entry is committed.
    fn drop(&mut self) {
        self.sink = CommitSink::Closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn next_group<Token>(arrivals: &Receiver<(Vec<Entry>, Token)>) -> Option<(Vec<Entry>, Vec<Token>)> {
    let (mut entries, token) = arrivals.recv().ok()?;
    let mut tokens = vec![token];
    while entries.len() < GROUP_ENTRIES_MAX {
        let Ok((more, token)) = arrivals.try_recv() else { break };
        entries.extend(more);
        tokens.push(token);
    }
    Some((entries, tokens))
}
