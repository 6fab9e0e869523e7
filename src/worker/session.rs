use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::stored_count::{StoredCount, StoredRow};
use super::{SeedError, Seeds, WorkerError};
use crate::conversation::{
    Answer, ConversationKey, ConversationStop, Digest, FailureCause, FailureReason, Fingerprint, Outcome, Question,
    Slot, TurnIndex,
};
use crate::recipe::{Begun, Recipe, Replay, ReplayEnd, begun, keys_of};
use crate::store::{ConversationState, Entry, Prefetch, Sequences, Status, Store, StoreError};

/// Sessions that may wait for a server of the store at a time. Each of them takes a thread meanwhile.
pub const READS_MAX: usize = 16;

/// The end of a conversation in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationEnd {
    /// Every turn has a complete answer.
    Complete,
    /// The recipe stopped at a turn.
    Stopped {
        /// The turn.
        turn: TurnIndex,
        /// Why.
        reason: ConversationStop,
    },
    /// A question failed.
    Failed {
        /// The turn.
        turn: TurnIndex,
        /// The cause, for each lane.
        reason: FailureReason,
    },
    /// The run stopped before the conversation ended.
    Interrupted,
    /// The row is not what it was when the run began; nothing was asked.
    Changed,
    /// The file system has lost the row, for this reason.
    InputLost(String),
}

/// A conversation that has ended in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedConversation {
    /// How it ended.
    pub end: ConversationEnd,
    /// It had ended in an earlier run, and is counted as stored.
    pub was_finished: bool,
    /// Answers of the run's total that it has not used.
    pub unused: u64,
    /// Answers in it that the recipe rejected.
    pub rejected: u64,
}

impl ClosedConversation {
    fn unasked(end: ConversationEnd) -> Self {
        Self { end, was_finished: false, unused: 0, rejected: 0 }
    }
}

/// A session's message to the dispatcher.
pub enum SessionRequest {
    /// Asks for an answer; the reply comes after its commit.
    Ask {
        fingerprint: Fingerprint,
        question: Question,
        conversation: ConversationKey,
        /// The last answer of the conversation with token ids, where ids are asked for.
        earlier: Option<EarlierTokens>,
        reply_to: ReplySender,
    },
    /// Commits entries; [`SessionReply::Noted`] acknowledges them.
    Note { entries: Vec<Entry>, reply_to: ReplySender },
    /// Reports that an answer of the run's total was taken from the store, and was not counted before.
    TookStored { by_this_run: bool },
    /// Reports that answers that were counted as stored cannot be used.
    NotStored { answers: u64 },
}

/// The ids of an earlier answer and of its prompt. The prompt of a later question mostly begins with them.
#[derive(Clone, Debug)]
pub struct EarlierTokens {
    pub question: Fingerprint,
    pub ids: Arc<[u32]>,
}

/// The dispatcher's message to a session.
#[derive(Debug)]
pub enum SessionReply {
    /// The committed answer. `own` is true for the session that asked first.
    Answered { slot: Slot, fingerprint: Fingerprint, answer: Arc<Answer>, own: bool },
    /// The question failed.
    Failed { slot: Slot, cause: FailureCause, permanent: bool },
    /// The run is stopping.
    Stopping,
    /// The entries are committed.
    Noted,
}

pub type ReplySender = UnboundedSender<SessionReply>;

/// The context that every session shares.
pub struct SessionContext {
    pub recipe: Arc<dyn Recipe>,
    pub store: Arc<dyn Store>,
    pub seeds: Arc<dyn Seeds>,
    pub run: u32,
    /// Failures of earlier runs are not final; a person may decide so during the run.
    pub retry_failed: AtomicBool,
    pub stored: Arc<StoredCount>,
    /// The sessions that read from a server.
    pub reads: Semaphore,
}

impl SessionContext {
    /// Reads from the store. Where that may wait for a server, the calls in flight and the dispatcher go on meanwhile.
    async fn read<T>(&self, read: impl FnOnce() -> T) -> T {
        if !self.store.is_remote() {
            return read();
        }
        let _permit = self.reads.acquire().await;
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => read(),
            _ => tokio::task::block_in_place(read),
        }
    }
}

impl SessionContext {
    /// Returns how a conversation was begun, with its state.
    async fn begun(&self, seed: &Digest) -> Result<Begun<ConversationState>, WorkerError> {
        let read = || -> Result<Begun<ConversationState>, StoreError> {
            if self.store.is_remote() {
                self.store.prefetch(&keys_of(&*self.recipe, seed), Prefetch::Answers)?;
            }
            begun(&*self.recipe, seed, |key| self.store.state(key))
        };
        Ok(self.read(read).await?)
    }
}

/// Runs one conversation to its end. One that is opened again has told before what it takes from the store.
pub async fn run_session(
    context: Arc<SessionContext>,
    (row, is_again): (u64, bool),
    number: u64,
    dispatcher: UnboundedSender<(u64, SessionRequest)>,
) -> Result<ClosedConversation, WorkerError> {
    let seed = match context.seeds.look(row) {
        Ok(seed) => seed,
        Err(SeedError::Changed(_)) => return Ok(ClosedConversation::unasked(ConversationEnd::Changed)),
        Err(SeedError::Lost(reason)) => {
            return Ok(ClosedConversation::unasked(ConversationEnd::InputLost(reason)));
        }
        Err(SeedError::Unreadable(reason)) => return Err(WorkerError::Seed { row, reason }),
    };
    let Begun { rules, key, state } = context.begun(&seed.digest()).await?;
    let state = state.unwrap_or_default();
    // The state is read before the row is claimed, as by every other counter.
    let stored = StoredRow::of(&state, &*context.recipe);
    if !is_again && context.stored.finished().has(row) {
        context.stored.add(row, stored, u64::from(context.recipe.turn_count(&seed)));
    }
    let is_uncounted = is_again || context.stored.claim(row);
    let counted = if is_uncounted { StoredRow::default() } else { stored };
    let (reply_to, replies) = unbounded_channel();
    let links = Vec::new();
    let mut session = Session {
        context: &context,
        key,
        state,
        counted,
        is_again,
        number,
        dispatcher,
        reply_to,
        replies,
        links,
        last_answer: None,
        sequences: Sequences::default(),
    };
    let mut has_replayed = false;
    let mut replay = Replay::under(&*context.recipe, &seed, rules);
    let mut waiting = BTreeSet::new();
    let mut failed: BTreeMap<Slot, FailedQuestion> = BTreeMap::new();
    loop {
        let is_first = !std::mem::replace(&mut has_replayed, true);
        let read = || {
            let progress = replay.advance(|fingerprint, slot| session.look_up(fingerprint, slot, &waiting))?;
            // Another worker may have asked these in vain. What comes after them is asked here alone.
            if let (true, true, ReplayEnd::Open(open)) = (is_first, context.store.is_remote(), &progress) {
                open.iter().try_for_each(|(fingerprint, _)| context.store.lost(fingerprint).map(drop))?;
            }
            Ok::<_, WorkerError>(progress)
        };
        let progress = context.read(read).await?;
        if is_first {
            session.report_not_stored();
        }
        let open = match progress {
            ReplayEnd::Done(outcome) => {
                let unused = context.recipe.unused(&seed, replay.answered());
                let (Outcome::Complete(dialogue) | Outcome::Stopped { dialogue, .. }) = &outcome;
                // What has a score was good, and something else was better.
                let rejected = dialogue.rejected.iter().filter(|rejected| rejected.score.is_none()).count();
                let end = session.close(status_of(&outcome)).await?;
                let answers = replay.answered().counted(|slot| context.recipe.is_counted(slot));
                context.stored.finished().add(row, u64::from(answers), u64::from(unused));
                return Ok(session.closed(end, unused, rejected));
            }
            ReplayEnd::Open(open) => open,
        };
        if let Some(status) = session.permanent_failure() {
            let end = session.close(status).await?;
            return Ok(session.closed(end, context.recipe.unused(&seed, replay.answered()), 0));
        }
        for (fingerprint, question) in open {
            if !failed.contains_key(&question.slot) && waiting.insert(question.slot) {
                session.send_question(fingerprint, question)?;
            }
        }
        // Every other question has been asked; the rest depends on those that failed.
        if waiting.is_empty() {
            let end = session.close(status_of_failures(failed)).await?;
            return Ok(session.closed(end, context.recipe.unused(&seed, replay.answered()), 0));
        }
        match session.replies.recv().await {
            Some(SessionReply::Answered { slot, fingerprint, answer, own }) => {
                waiting.remove(&slot);
                if !own {
                    session.record_link(slot, fingerprint);
                }
                session.remember_tokens(fingerprint, &answer);
                replay.record(slot, answer);
            }
            Some(SessionReply::Failed { slot, cause, permanent }) => {
                waiting.remove(&slot);
                failed.insert(slot, FailedQuestion { cause, permanent });
            }
            Some(SessionReply::Noted) => {}
            Some(SessionReply::Stopping) | None => {
                return Ok(ClosedConversation::unasked(ConversationEnd::Interrupted));
            }
        }
    }
}

struct Session<'a> {
    context: &'a SessionContext,
    key: ConversationKey,
    /// The conversation's state when the session began.
    state: ConversationState,
    /// What is counted as stored already: answers that were not taken yet, and whether the conversation had ended.
    counted: StoredRow,
    /// It was opened before in this run, and has told what it takes from the store.
    is_again: bool,
    number: u64,
    dispatcher: UnboundedSender<(u64, SessionRequest)>,
    reply_to: ReplySender,
    replies: UnboundedReceiver<SessionReply>,
    /// Entries for shared answers that the state does not contain yet.
    links: Vec<Entry>,
    /// The last answer with token ids.
    last_answer: Option<(Fingerprint, Arc<Answer>)>,
    sequences: Sequences,
}

impl Session<'_> {
    fn look_up(
        &mut self,
        fingerprint: &Fingerprint,
        slot: Slot,
        waiting: &BTreeSet<Slot>,
    ) -> Result<Option<Arc<Answer>>, WorkerError> {
        if waiting.contains(&slot) {
            return Ok(None);
        }
        let stored = self.context.store.answer(fingerprint)?;
        Ok(stored.map(|stored| {
            self.record_link(slot, *fingerprint);
            self.report_taken(slot, stored.run == self.context.run);
            self.remember_tokens(*fingerprint, &stored.answer);
            stored.answer
        }))
    }

    /// Reports an answer of the run's total that was taken from the store, unless it is counted already.
    fn report_taken(&mut self, slot: Slot, by_this_run: bool) {
        if self.is_again || !self.context.recipe.is_counted(slot) {
            return;
        }
        match self.counted.answers.checked_sub(1) {
            Some(left) => self.counted.answers = left,
            None => self.send_request(SessionRequest::TookStored { by_this_run }),
        }
    }

    /// Reports answers that were counted as stored and that the replay has not found.
    fn report_not_stored(&mut self) {
        let answers = std::mem::take(&mut self.counted.answers);
        if answers > 0 {
            self.send_request(SessionRequest::NotStored { answers });
        }
    }

    fn closed(&self, end: ConversationEnd, unused: u32, rejected: usize) -> ClosedConversation {
        let was_finished = self.counted.is_finished;
        let unused = if was_finished { 0 } else { u64::from(unused) };
        ClosedConversation { end, was_finished, unused, rejected: rejected as u64 }
    }

    fn record_link(&mut self, slot: Slot, fingerprint: Fingerprint) {
        // The history is in the order of slots.
        let known = self.state.history.binary_search_by_key(&slot, |(slot, _)| *slot);
        if known.is_ok_and(|at| self.state.history[at].1 == fingerprint) {
            return;
        }
        self.links.push(Entry::Linked { conversation: self.key, slot, fingerprint });
    }

    fn remember_tokens(&mut self, fingerprint: Fingerprint, answer: &Arc<Answer>) {
        if answer.tokens.is_some() {
            self.last_answer = Some((fingerprint, Arc::clone(answer)));
        }
    }

    fn send_question(&mut self, fingerprint: Fingerprint, question: Question) -> Result<(), WorkerError> {
        let mut earlier = None;
        if let Some((last, answer)) = self.last_answer.as_ref().filter(|_| question.target.detail().is_some()) {
            let ids = self.sequences.of(&*self.context.store, last, answer)?;
            earlier = ids.map(|ids| EarlierTokens { question: *last, ids });
        }
        let (conversation, reply_to) = (self.key, self.reply_to.clone());
        self.send_request(SessionRequest::Ask { fingerprint, question, conversation, earlier, reply_to });
        Ok(())
    }

    /// Returns the permanent failure of an earlier run, unless it is to be retried.
    fn permanent_failure(&self) -> Option<Status> {
        let is_final = self.state.status.is_failed_for_good();
        (is_final && !self.context.retry_failed.load(Ordering::Relaxed)).then(|| self.state.status.clone())
    }

    /// Commits the end, unless the store has it already, and returns it.
    async fn close(&mut self, status: Status) -> Result<ConversationEnd, WorkerError> {
        let mut entries = std::mem::take(&mut self.links);
        let is_new = self.state.status != status || !entries.is_empty();
        if is_new {
            entries.push(Entry::Closed { conversation: self.key, status: status.clone() });
            self.send_request(SessionRequest::Note { entries, reply_to: self.reply_to.clone() });
            // Answers for other lanes may arrive first.
            while !matches!(self.replies.recv().await, Some(SessionReply::Noted | SessionReply::Stopping) | None) {}
        }
        Ok(match status {
            Status::Open => ConversationEnd::Interrupted,
            Status::Complete => ConversationEnd::Complete,
            Status::Stopped { turn, reason } => ConversationEnd::Stopped { turn, reason },
            Status::Failed { turn, reason, .. } => ConversationEnd::Failed { turn, reason },
        })
    }

    fn send_request(&self, request: SessionRequest) {
        // A dispatcher that has ended aborts its sessions.
        let _ = self.dispatcher.send((self.number, request));
    }
}

/// A failed question.
struct FailedQuestion {
    cause: FailureCause,
    permanent: bool,
}

/// Returns the status of a conversation with failed questions: the first one's turn and the cause for each lane.
fn status_of_failures(failed: BTreeMap<Slot, FailedQuestion>) -> Status {
    let turn = failed.keys().next().map_or(TurnIndex::FIRST, |slot| TurnIndex::from_index(slot.turn));
    // The failure is permanent only if all of them are.
    let permanent = failed.values().all(|failed| failed.permanent);
    let reason = FailureReason::new(failed.into_values().map(|failed| failed.cause));
    Status::Failed { turn, reason, permanent }
}

fn status_of(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Complete(_) => Status::Complete,
        Outcome::Stopped { turn, reason, .. } => Status::Stopped { turn: *turn, reason: reason.clone() },
    }
}
