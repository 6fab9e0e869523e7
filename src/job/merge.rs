use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::phase::PhaseMeter;
use super::run_log::EndKind;
use super::{Context, JobError, JobEvent, Phase, open_store};
use crate::report::words::counted;
use crate::store::merge::{DirectorySource, DirectoryTarget, Merged, Orphan, merge as merge_store};
use crate::store::{Ledger, OnLoss, Reader, Spending, writer_of};

/// The settings of `merge`.
#[derive(Clone, Debug)]
pub struct MergeSettings {
    /// The directories of the stores to be merged. They are read as they are at this moment, also while a run writes to them.
    pub sources: Vec<PathBuf>,
    /// The directory of the store that takes them in. It is created where it is missing, and must not be one of the sources.
    pub into: PathBuf,
    /// What happens where a source has lost answers.
    pub on_loss: OnLoss,
    /// Answers without a history that are reported one by one. Default: 10.
    pub orphans_named_max: u64,
}

impl MergeSettings {
    /// A merge with default settings.
    pub fn new(sources: impl IntoIterator<Item = PathBuf>, into: impl Into<PathBuf>) -> Self {
        let sources = sources.into_iter().collect();
        Self { sources, into: into.into(), on_loss: OnLoss::Refuse, orphans_named_max: 10 }
    }
}

/// The result of a merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MergeReport {
    /// What each source has brought, in the order in which they were named.
    pub sources: Vec<MergedSource>,
    /// What was spent according to the target, before the merge and after it.
    pub spending_before: Vec<MergedSpending>,
    /// The same after it: the spending of all stores, each start counted once.
    pub spending_after: Vec<MergedSpending>,
}

/// What a source has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergedSource {
    /// Its directory.
    pub store: String,
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
    /// Ranges of its journal that cannot be read; each loses its own answer.
    pub damaged: u64,
}

/// What was spent on one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergedSpending {
    /// The model.
    pub model: String,
    /// Answers.
    pub calls: u64,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Answer tokens.
    pub completion_tokens: u64,
    /// Requests without a stored answer.
    pub unknown_calls: u64,
}

impl MergeReport {
    /// Returns the sum over all sources.
    pub fn sum(&self) -> MergedSource {
        let mut sum = MergedSource::default();
        for source in &self.sources {
            sum.added += source.added;
            sum.known += source.known;
            sum.answered_twice += source.answered_twice;
            sum.replaced += source.replaced;
            sum.orphans += source.orphans;
            sum.damaged += source.damaged;
        }
        sum
    }
}

/// Merges stores into one. Sends no call. A merge that was killed is completed by the same call; one of stores that have grown adds
/// what is new.
pub fn merge(settings: &MergeSettings, context: &Context) -> Result<MergeReport, JobError> {
    let MergeSettings { sources, into, on_loss, .. } = settings;
    check(sources, into)?;
    let predates_edition = sources.iter().any(|source| open_store::predates_edition(source));
    let store = open_store::open(into, context)?;
    let next_run = store.runs()?.last().map_or(1, |run| run.number + 1);
    context.log.begin(into, next_run, Vec::new());
    let mut report = MergeReport { spending_before: rows_of(store.spending()?), ..MergeReport::default() };
    let target = DirectoryTarget::new(store)?;
    let (mut named, mut has_changed) = (0, false);
    for path in sources {
        let source = DirectorySource::open(path, *on_loss, &mut open_store::progress(path, context))?;
        for loss in source.losses() {
            context.report(JobEvent::Caution(format!("{}: merged without what is lost: {loss}", path.display())));
        }
        caution_of_calls(path, context);
        let merged = merge_one(&source, &target, path, (&mut named, settings.orphans_named_max), context)?;
        open_store::report_damages(&merged.damages, context);
        has_changed |= merged.added > 0 || merged.states > 0;
        report.sources.push(MergedSource {
            store: path.display().to_string(),
            added: merged.added,
            known: merged.known,
            answered_twice: merged.answered_twice,
            replaced: merged.replaced,
            orphans: merged.orphans,
            damaged: merged.damages.len() as u64,
        });
    }
    let orphans = report.sum().orphans;
    if orphans > named {
        context.report(JobEvent::MoreOrphans { count: orphans - named });
    }
    report.spending_after = rows_of(target.reader().spending()?);
    target.into_store().close()?;
    let added = counted(report.sum().added, "answer");
    context
        .log
        .note_outcome(EndKind::Finished, format!("{added} merged from {}", counted(sources.len() as u64, "store")));
    if has_changed {
        // Which rows are finished is remembered there.
        let _ = fs::remove_dir_all(into.join("rows"));
    }
    if predates_edition {
        open_store::forget_edition(into);
    }
    Ok(report)
}

fn merge_one(
    source: &DirectorySource,
    target: &DirectoryTarget,
    path: &Path,
    (named, named_max): (&mut u64, u64),
    context: &Context,
) -> Result<Merged, JobError> {
    let mut meter = PhaseMeter::begin(context);
    let total = Some(source.answer_count());
    let name = || format!("merging {}", path.display());
    let mut visit = |orphan: Orphan| {
        if *named < named_max {
            *named += 1;
            context.report(JobEvent::Orphaned(orphan));
        }
    };
    let mut progress = |done| meter.step(|| Phase { name: name(), done, total, unit: "answer" });
    Ok(merge_store(source, target, &mut visit, &mut progress)?)
}

/// Says which requests of a run that was killed are not in its spending yet.
fn caution_of_calls(store: &Path, context: &Context) {
    if writer_of(store).is_some() {
        return;
    }
    let left = Ledger::left_behind(store).map_or(0, |left| left.len() as u64);
    if left > 0 {
        let requests = counted(left, "request");
        let words = "were in flight when its last run was killed; they count in its spending once that run is resumed";
        context.report(JobEvent::Caution(format!("{}: {requests} {words}", store.display())));
    }
}

/// Refuses sources that are not there, and a target that is one of them, also through a link.
fn check(sources: &[PathBuf], into: &Path) -> Result<(), JobError> {
    if sources.is_empty() {
        return Err(JobError::usage("no store to merge is named", "name one or more: cohobate merge A B --into C"));
    }
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let places = |store: &Path| -> BTreeSet<_> {
        [identity(store), identity(&store.join("journal"))].into_iter().flatten().collect()
    };
    let target = places(into);
    for source in sources {
        if !open_store::exists(source) {
            let message = format!("there is no store at {}", source.display());
            return Err(JobError::usage(message, "name directories that a run has written, such as .cohobate"));
        }
        if !places(source).is_disjoint(&target) {
            let message = format!("{} is the store that --into names", source.display());
            return Err(JobError::usage(
                message,
                "leave it out: what it holds stays, and the others are merged into it",
            ));
        }
    }
    Ok(())
}

fn rows_of(spending: Spending) -> Vec<MergedSpending> {
    let row = |(model, spent): (String, crate::store::Spent)| MergedSpending {
        model,
        calls: spent.calls,
        prompt_tokens: spent.prompt_tokens,
        completion_tokens: spent.completion_tokens,
        unknown_calls: spent.unknown_calls,
    };
    spending.into_iter().map(row).collect()
}
