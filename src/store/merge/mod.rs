//! Merges stores: a target takes in what a source has, and nothing is paid for or counted twice.
//!
//! | of the source | in the target |
//! |---|---|
//! | an answer | kept, under the start that paid for it. Of two answers to one question the smaller [`FrameId`] is used; the other one stays |
//! | a start's spending | each larger count, so a source that has grown is counted once |
//! | a run | kept under its start and number; the target numbers it (`Origins::runs`) |
//! | lost calls | the larger count |
//! | a conversation's state | cut after an answer that is not the used one (`states.rs`), then joined with the target's |
//!
//! Each of these is a join: commutative, associative, idempotent. So stores may be merged in any order and grouping, and again
//! when one has grown. Only answers that a source itself uses can be used in the target: what it keeps beside them has no history.
//!
//! Spending comes first, so that caps never see an answer whose price is missing. Each batch is one group of the journal, and a
//! merge that was killed is completed by the same merge: what is there is passed over. Until then, conversations that may have been
//! built on a replaced answer are known as unsettled.
//!
//! [`MergeSource`] and [`MergeTarget`] are all that a merge needs of a store. Directories implement both (`directory.rs`), and so do
//! databases of shared stores (`store/postgres/merging/`). What is asked of a target is said a page [`Ahead`], so that one that is
//! far away is asked once for each page.

mod ahead;
mod directory;
mod states;
#[cfg(test)]
mod world;

pub use ahead::{Ahead, MergeStore};
pub use directory::{DirectorySource, DirectoryTarget};

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{ConversationState, Entry, KeptAnswer, KeptStanding, LostCalls, Run, Spending};
use super::error::StoreError;
use super::origins::{KeptRunId, join};
use super::place::Damage;
use super::start::{FrameId, StartId};
use crate::conversation::{Answer, ConversationKey, Digest, Fingerprint, Slot};

/// Entries that are committed at once.
const BATCH_ENTRIES: usize = 4_096;
/// Bytes of texts that are committed at once.
const BATCH_BYTES: usize = 8 << 20;
/// Answers or conversations that are looked at together.
const PAGE_MAX: usize = 1_000;

/// An answer as its start has paid for it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaidAnswer {
    /// Its identity, with its start.
    pub frame: FrameId,
    /// The entry: [`Entry::Answered`], with the number that the run has in the store of that start.
    pub entry: Entry,
    /// True where the source uses it as the answer to its question.
    pub is_used: bool,
}

/// The answer that a store uses for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedAnswer {
    /// Its identity.
    pub frame: FrameId,
    /// Equal for answers after which a conversation continues in the same way.
    pub words: Digest,
}

impl UsedAnswer {
    /// Describes an answer.
    pub fn of(frame: FrameId, answer: &Answer) -> Self {
        let reasoning = answer.reasoning.as_deref().unwrap_or_default();
        let beside = format!("{:?} {} {reasoning}", answer.finish, answer.reasoning.is_some());
        Self { frame, words: answer.message.digest().then(&Digest::of_text("cohobate merged 1", &beside)) }
    }
}

/// A store that is merged into another. It is read at one moment and not changed.
pub trait MergeSource {
    /// Returns what each start has spent.
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError>;
    /// Returns the runs with their starts.
    fn runs(&self) -> Result<Vec<(StartId, Run)>, StoreError>;
    /// Calls `visit` with every answer. Returns what of the store cannot be read.
    fn for_each_answer(
        &self,
        visit: &mut dyn FnMut(PaidAnswer) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError>;
    /// Returns the answer that is used for a question.
    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError>;
    /// Returns whether conversations may have been built on another answer than the used one.
    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError>;
    /// Calls `visit` with every question's lost calls.
    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError>;
    /// Calls `visit` with every conversation's state.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;
}

/// A store that others are merged into. What is committed can be read at once.
pub trait MergeTarget {
    /// Returns what each start has spent.
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError>;
    /// Returns the runs that it knows, its own included.
    fn run_ids(&self) -> Result<BTreeSet<KeptRunId>, StoreError>;
    /// Returns the answer that is used for a question.
    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError>;
    /// Returns the answers to a question that are kept and not used.
    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError>;
    /// Returns whether there is any such answer.
    fn has_unused(&self) -> Result<bool, StoreError>;
    /// Returns whether conversations may have been built on an answer that was replaced since.
    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError>;
    /// Returns whether there is any such question.
    fn has_unsettled(&self) -> Result<bool, StoreError>;
    /// Returns a question's lost calls.
    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError>;
    /// Returns a conversation's state.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;
    /// Calls `visit` with every conversation's state.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;
    /// Makes entries durable.
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError>;
    /// Is told what is asked next.
    fn look_ahead(&self, _ahead: Ahead<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An answer of a conversation that was built on an answer which is not used any more: it is kept, and asked again where the
/// conversation continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The conversation.
    pub conversation: ConversationKey,
    /// The answer's slot in it.
    pub slot: Slot,
    /// The question.
    pub fingerprint: Fingerprint,
}

/// What a merge of one source has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Answers that the target did not have.
    pub added: u64,
    /// Answers that it had.
    pub known: u64,
    /// Questions to which both have an answer, each another one.
    pub answered_twice: u64,
    /// Those of them whose answer in the target was replaced.
    pub replaced: u64,
    /// Answers whose history is not used any more.
    pub orphans: u64,
    /// Conversations whose state has changed in the target.
    pub states: u64,
    /// What of the source cannot be read.
    pub damages: Vec<Damage>,
}

/// Merges a source into a target. `visit_orphan` gets each answer whose history is not used any more; `progress` the answers that
/// were looked at.
pub fn merge(
    source: &dyn MergeSource,
    target: &dyn MergeTarget,
    visit_orphan: &mut dyn FnMut(Orphan),
    progress: &mut dyn FnMut(u64),
) -> Result<Merged, StoreError> {
    keep_origins(source, target)?;
    let (mut merged, alike) = keep_answers(source, target, progress)?;
    keep_lost(source, target)?;
    let mut orphans = Orphans { count: 0, visit: visit_orphan };
    settle(target, &alike, &mut merged, &mut orphans)?;
    keep_states(source, target, &mut merged, &mut orphans)?;
    merged.orphans = orphans.count;
    Ok(merged)
}

/// Counts and passes on what has lost its history.
struct Orphans<'a> {
    count: u64,
    visit: &'a mut dyn FnMut(Orphan),
}

impl Orphans<'_> {
    fn add(&mut self, conversation: ConversationKey, cut: &[(Slot, Fingerprint)]) {
        for &(slot, fingerprint) in cut {
            self.count += 1;
            (self.visit)(Orphan { conversation, slot, fingerprint });
        }
    }
}

/// Takes in runs and spending.
fn keep_origins(source: &dyn MergeSource, target: &dyn MergeTarget) -> Result<(), StoreError> {
    let mut entries = Vec::new();
    let known = target.spending()?;
    for (start, spending) in source.spending()? {
        let before = known.get(&start).cloned().unwrap_or_default();
        let mut joined = before.clone();
        join(&mut joined, &spending);
        if joined != before {
            entries.push(Entry::KeptSpending { start, spending: joined });
        }
    }
    let known = target.run_ids()?;
    let runs = source.runs()?.into_iter().filter(|(start, run)| !known.contains(&(*start, run.number)));
    entries.extend(runs.map(|(start, run)| Entry::KeptRun { start, run: Run { answers: 0, ..run } }));
    commit(target, entries)
}

/// Takes in answers. Returns the questions whose answer was replaced by one after which a conversation continues in the same way.
fn keep_answers(
    source: &dyn MergeSource,
    target: &dyn MergeTarget,
    progress: &mut dyn FnMut(u64),
) -> Result<(Merged, BTreeSet<Fingerprint>), StoreError> {
    let mut keeper = Keeper { target, merged: Merged::default(), alike: BTreeSet::new(), batch: Batch::default() };
    let (mut page, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let damages = source.for_each_answer(&mut |paid| {
        looked_at += 1;
        progress(looked_at);
        bytes += paid.entry.text_bytes();
        page.push(paid);
        if page.len() < PAGE_MAX && bytes < BATCH_BYTES {
            return Ok(());
        }
        bytes = 0;
        keeper.keep_all(std::mem::take(&mut page))
    })?;
    keeper.keep_all(page)?;
    keeper.batch.commit(target)?;
    Ok((Merged { damages, ..keeper.merged }, keeper.alike))
}

/// Takes in answers one after the other.
struct Keeper<'a> {
    target: &'a dyn MergeTarget,
    merged: Merged,
    alike: BTreeSet<Fingerprint>,
    batch: Batch,
}

impl Keeper<'_> {
    fn keep_all(&mut self, page: Vec<PaidAnswer>) -> Result<(), StoreError> {
        let questions: Vec<Fingerprint> = page.iter().filter_map(|paid| paid.entry.question().copied()).collect();
        self.target.look_ahead(Ahead::Answers(&questions))?;
        page.into_iter().try_for_each(|paid| self.keep(paid))
    }

    fn keep(&mut self, paid: PaidAnswer) -> Result<(), StoreError> {
        let Entry::Answered { run, conversation, slot, fingerprint, model, answer } = paid.entry else { return Ok(()) };
        if self.batch.questions.contains(&fingerprint) {
            self.batch.commit(self.target)?;
        }
        let used = self.target.used(&fingerprint)?;
        let is_known = used.is_some_and(|used| used.frame == paid.frame);
        if !is_known && used.is_some() && paid.is_used {
            self.merged.answered_twice += 1;
        }
        let standing = match used {
            _ if is_known => None,
            None if paid.is_used => Some(KeptStanding::Used),
            Some(used) if paid.is_used && paid.frame < used.frame => Some(KeptStanding::InPlaceOf(used.frame)),
            _ => (!self.target.unused(&fingerprint)?.contains(&paid.frame)).then_some(KeptStanding::Unused),
        };
        let Some(standing) = standing else {
            self.merged.known += 1;
            return Ok(());
        };
        self.merged.added += 1;
        if let (KeptStanding::InPlaceOf(_), Some(used)) = (standing, used) {
            self.merged.replaced += 1;
            if used.words == UsedAnswer::of(paid.frame, &answer).words {
                self.alike.insert(fingerprint);
            }
        }
        let start = paid.frame.start;
        let kept = KeptAnswer { start, standing, run, conversation, slot, fingerprint, model, answer };
        self.batch.questions.insert(fingerprint);
        self.batch.add(Entry::Kept(Box::new(kept)), self.target)
    }
}

fn keep_lost(source: &dyn MergeSource, target: &dyn MergeTarget) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let mut fault = Ok(());
    source.for_each_lost(&mut |fingerprint, lost| {
        if fault.is_ok() {
            fault = target.lost(&fingerprint).and_then(|known| {
                let is_more = (lost.calls, &lost.reason) > (known.calls, &known.reason);
                if is_more { batch.add(Entry::Lost { fingerprint, lost }, target) } else { Ok(()) }
            });
        }
    })?;
    fault?;
    batch.commit(target)
}

/// Cuts the target's conversations after answers that were replaced. After `alike` ones they are still right.
fn settle(
    target: &dyn MergeTarget,
    alike: &BTreeSet<Fingerprint>,
    merged: &mut Merged,
    orphans: &mut Orphans<'_>,
) -> Result<(), StoreError> {
    if !target.has_unsettled()? {
        return Ok(());
    }
    let (mut unsettled, mut fault) = (Vec::new(), Ok(()));
    target.for_each_state(&mut |key, state| {
        for (_, fingerprint) in &state.history {
            match target.is_unsettled(fingerprint) {
                Ok(false) => {}
                Ok(true) => {
                    unsettled.push(key);
                    break;
                }
                Err(error) => {
                    fault = Err(error);
                    break;
                }
            }
        }
    })?;
    fault?;
    let mut batch = Batch::default();
    for (at, &conversation) in unsettled.iter().enumerate() {
        if at % PAGE_MAX == 0 {
            target.look_ahead(Ahead::States(&unsettled[at..unsettled.len().min(at + PAGE_MAX)]))?;
        }
        let Some(mut state) = target.state(&conversation)? else { continue };
        let mut right = state.clone();
        let is_unsettled = |fingerprint: &Fingerprint| target.is_unsettled(fingerprint);
        let gone =
            states::cut(&mut right, |fingerprint| Ok(!alike.contains(fingerprint) && is_unsettled(fingerprint)?))?;
        orphans.add(conversation, &gone);
        states::cut(&mut state, is_unsettled)?;
        merged.states += 1;
        batch.add(Entry::KeptState { conversation, state }, target)?;
    }
    batch.commit(target)?;
    target.commit(vec![Entry::Settled])
}

/// Takes in the states of conversations, as far as the answers that they were built on are used.
fn keep_states(
    source: &dyn MergeSource,
    target: &dyn MergeTarget,
    merged: &mut Merged,
    orphans: &mut Orphans<'_>,
) -> Result<(), StoreError> {
    let is_contested = target.has_unused()?;
    let mut batch = Batch::default();
    let mut fault = Ok(());
    let mut keep = |conversation: ConversationKey, mut state: ConversationState| -> Result<(), StoreError> {
        let whole = state.clone();
        // Few questions have several answers, and looking at answers takes time.
        let is_single = |fingerprint: &Fingerprint| -> Result<bool, StoreError> {
            Ok(!is_contested || target.unused(fingerprint)?.is_empty())
        };
        let is_replaced = |fingerprint: &Fingerprint, is_same: fn(UsedAnswer, UsedAnswer) -> bool| {
            if source.is_unsettled(fingerprint)? {
                return Ok(true);
            }
            if is_single(fingerprint)? {
                return Ok(false);
            }
            let used = source.used(fingerprint)?.zip(target.used(fingerprint)?);
            Ok(!used.is_some_and(|(one, other)| is_same(one, other)))
        };
        states::cut(&mut state, |fingerprint| is_replaced(fingerprint, |one, other| one.frame == other.frame))?;
        let known = target.state(&conversation)?;
        let joined = match &known {
            Some(known) => states::join(known, &state),
            None => state.clone(),
        };
        if state != whole {
            let mut right = whole;
            let is_replaced =
                |fingerprint: &Fingerprint| is_replaced(fingerprint, |one, other| one.words == other.words);
            let mut gone = states::cut(&mut right, is_replaced)?;
            // The conversation may go on with the same question.
            gone.retain(|link| !joined.history.contains(link));
            orphans.add(conversation, &gone);
        }
        if known.as_ref() == Some(&joined) {
            return Ok(());
        }
        merged.states += 1;
        batch.add(Entry::KeptState { conversation, state: joined }, target)
    };
    let mut keep_all = |page: Vec<(ConversationKey, ConversationState)>| -> Result<(), StoreError> {
        let keys: Vec<ConversationKey> = page.iter().map(|(key, _)| *key).collect();
        target.look_ahead(Ahead::States(&keys))?;
        if is_contested {
            let histories = page.iter().flat_map(|(_, state)| &state.history);
            let questions: Vec<Fingerprint> = histories.map(|(_, fingerprint)| *fingerprint).collect();
            target.look_ahead(Ahead::Unused(&questions))?;
        }
        page.into_iter().try_for_each(|(conversation, state)| keep(conversation, state))
    };
    let mut page = Vec::new();
    source.for_each_state(&mut |conversation, state| {
        if fault.is_ok() {
            page.push((conversation, state));
            if page.len() == PAGE_MAX {
                fault = keep_all(std::mem::take(&mut page));
            }
        }
    })?;
    fault?;
    keep_all(page)?;
    batch.commit(target)
}

/// Entries that are committed together.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
    /// The questions that are answered in it: what the target says of them is outdated.
    questions: BTreeSet<Fingerprint>,
}

impl Batch {
    fn add(&mut self, entry: Entry, target: &dyn MergeTarget) -> Result<(), StoreError> {
        self.bytes += entry.text_bytes();
        self.entries.push(entry);
        if self.entries.len() < BATCH_ENTRIES && self.bytes < BATCH_BYTES { Ok(()) } else { self.commit(target) }
    }

    fn commit(&mut self, target: &dyn MergeTarget) -> Result<(), StoreError> {
        self.bytes = 0;
        self.questions.clear();
        commit(target, std::mem::take(&mut self.entries))
    }
}

fn commit(target: &dyn MergeTarget, entries: Vec<Entry>) -> Result<(), StoreError> {
    if entries.is_empty() { Ok(()) } else { target.commit(entries) }
}
