//! What `evaluate` and `compare` share: the judge, and rows with what stands beside them in other files.

use std::path::PathBuf;
use std::sync::Arc;

use super::CliError;
use super::first_pass::{Row, Rows, prepare};
use super::model::{Found, find};
use super::options::{Options, Per};
use crate::conversation::{Columns, Digest, Message, Role, Sampling, Seed, Turn};
use crate::recipe::{Judge, Prompt, Recipe, Scale, Scope};
use crate::worker::Seeds;

/// Tokens of a judgment where nobody has said otherwise, as the MT-Bench judge has them.
pub const JUDGMENT_TOKENS: u32 = 2048;
/// How judges and graders are asked where their profiles do not say.
pub const JUDGE_SAMPLING: Sampling =
    Sampling { temperature: Some(0.0), top_p: None, max_tokens: Some(JUDGMENT_TOKENS), seed: None };
/// Verdicts on the same matter.
const REPEATS_MAX: u32 = 64;

/// Finds the judge. It answers as soberly as it can unless its profile says otherwise.
pub fn find_judge(options: &Options) -> Result<Found, CliError> {
    let Some(name) = options.judge.as_deref() else {
        return Err(CliError::usage("no judge is named", "add --judge NAME@URL, or --judge simulated to try it out"));
    };
    find(name, options, JUDGE_SAMPLING)
}

/// Returns how the judge is asked.
pub fn judge(found: &Found, scale: Scale, options: &Options) -> Result<Judge, CliError> {
    let prompt = match &options.prompt {
        None => Prompt::standard(scale),
        Some(path) => own_prompt(path, scale)?,
    };
    let repeats = options.repeats.unwrap_or(1);
    if !(1..=REPEATS_MAX).contains(&repeats) {
        let message = format!("--repeats is {repeats}");
        return Err(CliError::usage(message, format!("give it a number from 1 to {REPEATS_MAX}")));
    }
    Ok(Judge { target: Arc::clone(&found.target), prompt, repeats })
}

fn own_prompt(path: &PathBuf, scale: Scale) -> Result<Prompt, CliError> {
    let path_shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::usage(
            format!("cannot read the prompt {path_shown}: {error}"),
            "name a file that exists with --prompt",
        )
    })?;
    Prompt::new(scale, text).map_err(|error| {
        CliError::usage(
            format!("cannot use the prompt {path_shown}: {error}"),
            "it is a minijinja template with {{ conversation }} (or {{ conversation_a }} and {{ conversation_b }}), and has \
             the judge end with its verdict in double square brackets",
        )
    })
}

/// Returns what is judged at a time.
pub fn scope(options: &Options) -> Scope {
    match options.per.unwrap_or_default() {
        Per::Turn => Scope::Turns,
        Per::Dialogue => Scope::Whole,
        Per::Both => Scope::Both,
    }
}

/// Rows with further answers from other files beside them.
pub struct JudgedRows {
    pub rows: Arc<Rows>,
    /// For each further answer the file that it stands in.
    pub beside: Vec<Option<Beside>>,
    /// A reference may stand in a row's own column; it comes behind the further answers.
    pub has_reference_column: bool,
}

/// The rows of a file, to be found by their name or by what their users say.
pub struct Beside {
    rows: Arc<Rows>,
    /// The first eight bytes of a hash of either, and the row; sorted. 32 bytes a row.
    tags: Vec<(u64, u64)>,
}

impl Beside {
    /// Reads a file of conversations once, all of it, whatever is taken of the other files.
    pub fn open(path: &str, options: &Options, recipe: &dyn Recipe) -> Result<Self, CliError> {
        let options = Options { limit: None, duplicates: None, ..options.clone() };
        let prepared = prepare(&[path.to_owned()], &options, recipe, None)?;
        let mut tags = Vec::new();
        for row in 0..prepared.rows.len() {
            if let Row::Ready(seed) = prepared.rows.read(row)? {
                tags.extend(tags_of(&seed).map(|tag| (tag, row)));
            }
        }
        tags.sort_unstable();
        Ok(Self { rows: prepared.rows, tags })
    }

    /// Returns the answers of the same conversation: of the rows with its name or its users' words the one whose users say
    /// the same for longest, as far as they do.
    fn answers(&self, seed: &Seed) -> Result<Vec<Option<Arc<Message>>>, String> {
        let mut best = Vec::new();
        for tag in tags_of(seed) {
            let from = self.tags.partition_point(|(other, _)| *other < tag);
            let same = self.tags[from..].iter().take_while(|(other, _)| *other == tag).take(NAMESAKES_MAX);
            for (_, row) in same {
                let Row::Ready(other) = self.rows.read(*row).map_err(|error| error.to_string())? else { continue };
                let turns = seed.turns.iter().zip(&other.turns);
                let same = turns.take_while(|(ours, theirs)| users(ours).eq(users(theirs)));
                let answers =
                    same.map(|(_, turn)| turn.replaced.clone().map(|text| Message::new(Role::Assistant, text)));
                let answers: Vec<_> = answers.collect();
                if answers.len() > best.len() {
                    best = answers;
                }
            }
        }
        Ok(best)
    }
}

/// Rows of one name that are looked at.
const NAMESAKES_MAX: usize = 16;

/// Returns the tags of a conversation: one of its name, one of what its users say.
fn tags_of(seed: &Seed) -> impl Iterator<Item = u64> {
    let said: Vec<&str> = seed.turns.iter().flat_map(users).collect();
    [Digest::of_text("cohobate row 1", &seed.id), Digest::of_text("cohobate users 1", &said.join("\0"))]
        .map(|digest| digest.prefix())
        .into_iter()
}

fn users(turn: &Turn) -> impl Iterator<Item = &str> {
    turn.messages.iter().filter(|message| message.role() == Role::User).map(|message| message.content().trim())
}

impl JudgedRows {
    /// Reads a row with all that stands beside it; what was answered in it counts into its identity. `None` where the row
    /// holds no conversation.
    pub fn read(&self, row: u64) -> Result<Option<Seed>, CliError> {
        match self.rows.read(row)? {
            Row::Ready(seed) => self.complete(seed).map(Some).map_err(CliError::failure),
            Row::Skipped { .. } | Row::Invalid { .. } => Ok(None),
        }
    }

    fn complete(&self, mut seed: Seed) -> Result<Seed, String> {
        seed.counts_replaced = true;
        seed.criteria = texts(&seed.columns, &["criteria", "checks", "rubric"]);
        let references = texts(&seed.columns, &["reference", "references"]);
        let beside: Vec<Vec<_>> = self
            .beside
            .iter()
            .map(|beside| beside.as_ref().map_or(Ok(Vec::new()), |beside| beside.answers(&seed)))
            .collect::<Result<_, _>>()?;
        for (at, turn) in seed.turns.iter_mut().enumerate() {
            turn.given = beside.iter().map(|answers| answers.get(at).cloned().flatten()).collect();
            if self.has_reference_column {
                turn.given.push(references.get(at).map(|text| Message::new(Role::Assistant, text.clone())));
            }
        }
        Ok(seed)
    }
}

impl Seeds for JudgedRows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        self.complete(self.rows.seed(row)?)
    }
}

/// Returns the texts of a column: a list of them, or one.
fn texts(columns: &Columns, names: &[&str]) -> Vec<String> {
    let value = names.iter().find_map(|name| columns.get(*name));
    let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    match value {
        Some(serde_json::Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}
