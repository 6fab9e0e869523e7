use std::path::Path;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::asked::AskedJob;
use super::walk::{Walk, WalkedRecipe};
use crate::conversation::{ConversationKey, Seed};
use crate::export::FORMATS;
use crate::job::beside::JudgedRows;
use crate::job::input::{Lookout, Prepared, Rows, prepare};
use crate::job::left_out::LeftOut;
use crate::job::questions::logged_details;
use crate::job::{Context, JobError};
use crate::quality::Gate;
use crate::recipe::Recipe;

/// The rows of a job, and what it asked of them. Each pass of a job has an item for each row: first all rows of the first
/// pass, then all of the second.
pub struct Opened {
    rows: AskedRows,
    walks: Vec<Walk>,
    pub gate: Option<Gate>,
}

/// The rows as the job has read them.
enum AskedRows {
    Plain(Arc<Rows>),
    /// With what other files hold about them.
    Judged(Box<JudgedRows>),
}

/// Why a row cannot be shown, with its id where it has one.
type Unread = (Option<String>, LeftOut);

impl Opened {
    /// Reads the input once, or recalls what an earlier pass has found.
    pub fn open(job: &AskedJob, store: &Path) -> Result<Self, JobError> {
        // What the pass warns of is the run's to say.
        let context = Context::default();
        let input = job.input();
        let plain = |recipe: &dyn Recipe, system: Option<&str>| -> Result<Arc<Rows>, JobError> {
            // As a run with the default output would, whose first pass is then recalled. Rows that no output can hold are shown
            // all the same.
            let lookout = Lookout { output: Some((FORMATS[0], false)), store: None };
            let read = |lookout| prepare(input, store, recipe, system, lookout, &context);
            let Prepared { rows, .. } = read(lookout).or_else(|_| read(Lookout::default()))?;
            Ok(rows)
        };
        let one = |recipe| vec![Walk { name: None, recipe }];
        let (rows, walks, gate) = match job {
            AskedJob::Distill { questions, .. } => {
                let system = questions.system_text()?;
                let recipe = questions.recipe(system.as_deref(), &logged_details(store))?;
                let rows = AskedRows::Plain(plain(&recipe, system.as_deref())?);
                (rows, one(WalkedRecipe::Distill(recipe)), questions.gate.clone())
            }
            AskedJob::Simulate(settings) => {
                let system = settings.teacher.system_text(settings.system.as_deref())?;
                let recipe = settings.recipe(system.as_deref())?;
                let rows = AskedRows::Plain(plain(&recipe, system.as_deref())?);
                (rows, one(WalkedRecipe::Simulate(recipe)), settings.gate.clone())
            }
            AskedJob::Tutor(settings) => {
                let system = settings.system_text()?;
                let recipes = settings.recipes(system.as_deref())?;
                let Some((_, first)) = recipes.first() else {
                    return Err(JobError::unexpected("a tutor without a pass"));
                };
                let rows = AskedRows::Plain(plain(&**first, system.as_deref())?);
                let is_one = recipes.len() == 1;
                let walk =
                    |(name, recipe)| Walk { name: Some(name).filter(|_| !is_one), recipe: WalkedRecipe::Tutor(recipe) };
                (rows, recipes.into_iter().map(walk).collect(), settings.gate.clone())
            }
            AskedJob::Evaluate(settings) => {
                let recipe = settings.recipe()?;
                let rows = settings.judged_rows(&plain(&recipe, None)?, &recipe, &context)?;
                (AskedRows::Judged(Box::new(rows)), one(WalkedRecipe::Evaluate(recipe)), None)
            }
            AskedJob::Compare(settings) => {
                let (recipe, names) = settings.recipe()?;
                let rows = settings.judged_rows(&plain(&recipe, None)?, &recipe, &context)?;
                (AskedRows::Judged(Box::new(rows)), one(WalkedRecipe::Compare { recipe, names }), None)
            }
        };
        Ok(Self { rows, walks, gate })
    }

    /// Returns the rows as they are in the input.
    pub fn rows(&self) -> &Rows {
        match &self.rows {
            AskedRows::Plain(rows) => rows,
            AskedRows::Judged(judged) => &judged.rows,
        }
    }

    /// Returns how many items there are: the rows of each pass.
    pub fn len(&self) -> u64 {
        self.rows().len() * self.walks.len() as u64
    }

    /// Returns the row of an item with its pass.
    pub fn item(&self, item: u64) -> Option<(u64, &Walk)> {
        let rows = self.rows().len();
        let pass = usize::try_from(item.checked_div(rows)?).ok()?;
        Some((item % rows, self.walks.get(pass)?))
    }

    /// Returns the recipe of each pass.
    pub fn recipes(&self) -> impl Iterator<Item = &dyn Recipe> {
        self.walks.iter().map(Walk::recipe)
    }

    /// Returns the keys that an item's conversation may have, where it holds one: its own, then those under older rules.
    pub fn keys(&self, item: u64) -> Result<Vec<ConversationKey>, JobError> {
        let Some((row, walk)) = self.item(item) else { return Ok(Vec::new()) };
        let digest = match &self.rows {
            AskedRows::Plain(rows) => rows.digest(row)?,
            // What other files hold counts into the identity.
            AskedRows::Judged(judged) if judged.rows.digest(row)?.is_some() => {
                judged.read(row)?.map(|seed| seed.digest())
            }
            AskedRows::Judged(_) => None,
        };
        let Some(digest) = digest else { return Ok(Vec::new()) };
        let recipe = walk.recipe();
        let settings = [recipe.settings()].into_iter().chain(recipe.older().iter().map(|older| &older.settings));
        Ok(settings.map(|settings| ConversationKey::new(settings, &digest)).collect())
    }

    /// True where an item's row has this id. Unless `is_in_full`, rows that do not have it letter for letter are not read, apart
    /// from those whose line it ends with.
    pub fn is_called(&self, item: u64, name: &str, finder: &Finder<'_>, is_in_full: bool) -> Result<bool, JobError> {
        let Some((row, _)) = self.item(item) else { return Ok(false) };
        if !is_in_full {
            let (line, is_there) = self.rows().holds(row, finder)?;
            if !is_there && !name.ends_with(&line.to_string()) {
                return Ok(false);
            }
        }
        Ok(match self.rows().read(row)? {
            Ok(seed) => seed.id == name,
            Err((id, _)) => id.as_deref() == Some(name),
        })
    }

    /// Reads a row again.
    pub fn read(&self, row: u64) -> Result<Result<Seed, Unread>, JobError> {
        Ok(match (&self.rows, self.rows().read(row)?) {
            (AskedRows::Judged(judged), Ok(seed)) => Ok(judged.complete(seed).map_err(JobError::unexpected)?),
            (_, other) => other,
        })
    }
}
