use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::phase::PhaseMeter;
use super::run_log::EndKind;
use super::{Context, JobError, JobEvent, Phase, SharedAccess, open_store};
use crate::conversation::Price;
use crate::report::words::counted;
use crate::store::merge::{
    DirectorySource, DirectoryTarget, MergeSource, MergeTarget, Merged, Orphan, merge as merge_store,
};
use crate::store::{Ledger, OnLoss, Reader, Spending, StoreError, writer_of};

/// A store that is merged, or that others are merged into.
#[derive(Clone, Debug)]
pub enum MergePlace {
    /// In this directory.
    Directory(PathBuf),
    /// In a database.
    Database(SharedAccess),
}

impl MergePlace {
    /// Returns the place as text, without a password.
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Database(access) => access.shown.clone(),
        }
    }
}

impl From<PathBuf> for MergePlace {
    fn from(path: PathBuf) -> Self {
        Self::Directory(path)
    }
}

impl From<SharedAccess> for MergePlace {
    fn from(access: SharedAccess) -> Self {
        Self::Database(access)
    }
}

/// The settings of `merge`.
#[derive(Clone, Debug)]
pub struct MergeSettings {
    /// The stores to be merged. They are read as they are at this moment, also while a run writes to them.
    pub sources: Vec<MergePlace>,
    /// The store that takes them in; it must not be one of the sources. A directory is created where it is missing.
    pub into: MergePlace,
    /// What happens where a source has lost answers.
    pub on_loss: OnLoss,
    /// Answers without a history that are reported one by one. Default: 10.
    pub orphans_named_max: u64,
    /// What models cost, as far as that is known: caps of a database count merged spending in dollars.
    pub prices: BTreeMap<String, Price>,
}

impl MergeSettings {
    /// A merge with default settings.
    pub fn new<P: Into<MergePlace>>(sources: impl IntoIterator<Item = P>, into: impl Into<MergePlace>) -> Self {
        let sources = sources.into_iter().map(Into::into).collect();
        let (on_loss, prices) = (OnLoss::Refuse, BTreeMap::new());
        Self { sources, into: into.into(), on_loss, orphans_named_max: 10, prices }
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
    /// Its directory, or its address without a password.
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
    check(&settings.sources, &settings.into)?;
    let report = match &settings.into {
        MergePlace::Directory(into) => into_directory(settings, into, context)?,
        MergePlace::Database(access) => {
            let database = access.database.merging().map_err(StoreError::from)?;
            let target = database.target(&settings.prices)?;
            let (report, _) = merge_all(settings, &*target, context)?;
            caution_of_prices(&report, settings, context);
            report
        }
    };
    let (added, stores) = (counted(report.sum().added, "answer"), counted(report.sources.len() as u64, "store"));
    context.log.note_outcome(EndKind::Finished, format!("{added} merged from {stores}"));
    Ok(report)
}

fn into_directory(settings: &MergeSettings, into: &Path, context: &Context) -> Result<MergeReport, JobError> {
    let predates_edition = settings.sources.iter().any(|source| match source {
        MergePlace::Directory(source) => open_store::predates_edition(source),
        MergePlace::Database(_) => false,
    });
    let store = open_store::open(into, context)?;
    let next_run = store.runs()?.last().map_or(1, |run| run.number + 1);
    context.log.begin(into, next_run, Vec::new());
    let spending_before = rows_of(store.spending()?);
    let target = DirectoryTarget::new(store)?;
    let (report, has_changed) = merge_all(settings, &target, context)?;
    let spending_after = rows_of(target.reader().spending()?);
    target.into_store().close()?;
    if has_changed {
        // Which rows are finished is remembered there.
        let _ = fs::remove_dir_all(into.join("rows"));
    }
    if predates_edition {
        open_store::forget_edition(into);
    }
    Ok(MergeReport { spending_before, spending_after, ..report })
}

/// Merges the sources one after the other. Returns whether the target has changed, too.
fn merge_all(
    settings: &MergeSettings,
    target: &dyn MergeTarget,
    context: &Context,
) -> Result<(MergeReport, bool), JobError> {
    let sum = || -> Result<Vec<MergedSpending>, StoreError> {
        let mut sum = Spending::new();
        for (model, spent) in target.spending()?.into_values().flatten() {
            sum.entry(model).or_default().plus(&spent);
        }
        Ok(rows_of(sum))
    };
    let mut report = MergeReport { spending_before: sum()?, ..MergeReport::default() };
    let (mut named, mut has_changed) = (0, false);
    for place in &settings.sources {
        let (source, total) = open_source(place, settings.on_loss, context)?;
        let merged = merge_one(&*source, target, (place, total), (&mut named, settings.orphans_named_max), context)?;
        open_store::report_damages(&merged.damages, context);
        has_changed |= merged.added > 0 || merged.states > 0;
        report.sources.push(MergedSource {
            store: place.shown(),
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
    report.spending_after = sum()?;
    Ok((report, has_changed))
}

/// Opens a store that is merged. Returns the number of its answers, too, where that is known.
fn open_source<'a>(
    place: &'a MergePlace,
    on_loss: OnLoss,
    context: &Context,
) -> Result<(Box<dyn MergeSource + 'a>, Option<u64>), JobError> {
    match place {
        MergePlace::Directory(path) => {
            let source = DirectorySource::open(path, on_loss, &mut open_store::progress(path, context))?;
            for loss in source.losses() {
                context.report(JobEvent::Caution(format!("{}: merged without what is lost: {loss}", path.display())));
            }
            caution_of_calls(path, context);
            let total = Some(source.answer_count());
            Ok((Box::new(source), total))
        }
        MergePlace::Database(access) => Ok((access.database.merging().map_err(StoreError::from)?.source()?, None)),
    }
}

fn merge_one(
    source: &dyn MergeSource,
    target: &dyn MergeTarget,
    (place, total): (&MergePlace, Option<u64>),
    (named, named_max): (&mut u64, u64),
    context: &Context,
) -> Result<Merged, JobError> {
    let mut meter = PhaseMeter::begin(context);
    let name = || format!("merging {}", place.shown());
    let mut visit = |orphan: Orphan| {
        if *named < named_max {
            *named += 1;
            context.report(JobEvent::Orphaned(orphan));
        }
    };
    let mut progress = |done| meter.step(|| Phase { name: name(), done, total, unit: "answer" });
    Ok(merge_store(source, target, &mut visit, &mut progress)?)
}

/// Says which spending a cap on dollars does not count, because nobody knows what the model costs.
fn caution_of_prices(report: &MergeReport, settings: &MergeSettings, context: &Context) {
    if report.spending_before == report.spending_after {
        return;
    }
    for spent in report.spending_after.iter().filter(|spent| !settings.prices.contains_key(&spent.model)) {
        context.report(JobEvent::Caution(format!(
            "the price of {} is not known here: --max-cost does not count what was merged of it; merge again with a profile that \
             has its price",
            spent.model
        )));
    }
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

/// Refuses sources that are not there, and a target that is one of them, also through a link or another address.
fn check(sources: &[MergePlace], into: &MergePlace) -> Result<(), JobError> {
    if sources.is_empty() {
        return Err(JobError::usage("no store to merge is named", "name one or more: cohobate merge A B --into C"));
    }
    let target = identities(into)?;
    for source in sources {
        if let MergePlace::Directory(path) = source
            && !open_store::exists(path)
        {
            let message = format!("there is no store at {}", path.display());
            let hint = "name directories that a run has written, such as .cohobate, or databases: postgres://...";
            return Err(JobError::usage(message, hint));
        }
        if !identities(source)?.is_disjoint(&target) {
            let message = format!("{} is the store that --into names", source.shown());
            return Err(JobError::usage(
                message,
                "leave it out: what it holds stays, and the others are merged into it",
            ));
        }
    }
    Ok(())
}

/// Returns what only this store has: of a directory the system's numbers of it and of its journal.
fn identities(place: &MergePlace) -> Result<BTreeSet<String>, JobError> {
    match place {
        MergePlace::Directory(path) => {
            let found = [path.clone(), path.join("journal")].map(|path| fs::metadata(path).ok());
            Ok(found.into_iter().flatten().map(|found| format!("{} {}", found.dev(), found.ino())).collect())
        }
        MergePlace::Database(access) => {
            let database = access.database.merging().map_err(StoreError::from)?;
            Ok(BTreeSet::from([format!("database {}", database.identity()?)]))
        }
    }
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
