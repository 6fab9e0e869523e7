use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::JobError;
use super::judge::JudgeSettings;
use super::models::ModelChoice;
use super::run_log::{LoggedRun, RunHistory};
use crate::conversation::{ConversationKey, Question, TokenDetail, ToolMatch};
use crate::export::OutputFormat;
use crate::model::{DETAIL_FIELDS, RequestPreview, capabilities_of};
use crate::quality::{Gate, RulesVersion};
use crate::recipe::{BestOf, CallRules, Distill, Judge, OrphanCheck, Orphans, Prompt, Ranker, Scale};
use crate::report::Party;
use crate::store::{Reader, Run};

/// What a distillation asks. `distill`, `plan`, `export` and `verify` share it: the same values make the same questions.
#[derive(Clone, Debug)]
pub struct DistillQuestions {
    /// Who answers.
    pub teacher: ModelChoice,
    /// The system message in place of the rows' own: text, or `@FILE`. Default: that of the teacher's profile, or the
    /// rows' own.
    pub system: Option<String>,
    /// Judges each answer before the next is built on it. Default: none.
    pub gate: Option<Gate>,
    /// What happens to user messages that refer to a replaced answer. Default: they are not looked for.
    pub orphans: Option<OrphanSettings>,
    /// Sends the reasoning of each answer back with it. Default: no.
    pub history_reasoning: bool,
    /// Several answers to each turn, of which the best is kept. Default: one answer.
    pub best_of: Option<BestOfSettings>,
    /// How the teacher's calls to tools are answered. Needs rows that are read with
    /// [`Tools::Regenerate`](crate::dataset::Tools::Regenerate). Default: no call is kept.
    pub calls: Option<CallSettings>,
    /// What the teacher is asked for beside each answer's text. Default: nothing.
    pub tokens: Option<TokenDetail>,
}

/// How a teacher's calls to tools are answered.
#[derive(Clone, Debug, Default)]
pub struct CallSettings {
    /// When a result of the source row follows.
    pub matching: ToolMatch,
    /// Who answers calls instead. Needs rows that are read without their results. Default: nobody.
    pub answered_by: Option<ModelChoice>,
}

/// How user messages that refer to a replaced answer are found, and what happens to them.
#[derive(Clone, Debug)]
pub struct OrphanSettings {
    /// What happens to them.
    pub action: Orphans,
    /// One version of the rules for every conversation. Default: the version under which a conversation was begun.
    pub version: Option<RulesVersion>,
    /// Who decides where the rules are in doubt. Default: nobody does.
    pub judge: Option<ModelChoice>,
}

impl OrphanSettings {
    /// Makes the check.
    fn check(&self) -> OrphanCheck {
        let judge = self.judge.as_ref().map(|model| {
            let target = Arc::clone(&model.target);
            Judge { target, prompt: Prompt::orphans(), repeats: 1 }
        });
        OrphanCheck { action: self.action, version: self.version, judge }
    }
}

/// Several answers to each turn.
#[derive(Clone, Debug)]
pub struct BestOfSettings {
    /// Answers to each turn, 2 to [`BestOfSettings::SAMPLES_MAX`], or 1 with a least score.
    pub samples: u32,
    /// Who says which is best.
    pub ranker: RankerSettings,
    /// A turn whose best answer has a lower score ends the conversation before it. Default: any score will do, and none.
    pub min_score: Option<f64>,
}

/// Who says which of several answers is best.
#[derive(Clone, Debug)]
pub enum RankerSettings {
    /// A judge that gives scores.
    Judge(JudgeSettings),
    /// A reward model.
    Scorer(ModelChoice),
}

impl BestOfSettings {
    /// Most answers to one turn.
    pub const SAMPLES_MAX: u32 = 63;
}

impl RankerSettings {
    /// Returns the model.
    pub fn model(&self) -> &ModelChoice {
        match self {
            Self::Judge(judge) => &judge.model,
            Self::Scorer(model) => model,
        }
    }
}

/// Returns what the runs of a store asked for beside the text, the least first.
///
/// # Errors
/// Fails where the store cannot be read.
pub fn known_details(store: &dyn Reader) -> Result<Vec<TokenDetail>, JobError> {
    let of =
        |run: Run| TokenDetail::from_named(run.settings.get(TokenDetail::IDS), run.settings.get(TokenDetail::LOGPROBS));
    let known: BTreeSet<TokenDetail> = store.runs()?.into_iter().filter_map(of).collect();
    Ok(known.into_iter().collect())
}

/// Returns what the log of a store says that its runs asked for beside the text, the least first: for a reader that follows a
/// run and does not open the store.
pub fn logged_details(store: &Path) -> Vec<TokenDetail> {
    let runs = RunHistory::read(store, 0).runs.into_iter();
    let of = |run: LoggedRun| {
        let text = |name: &str| run.begin.options.get(name).map(ToString::to_string);
        TokenDetail::from_named(text(TokenDetail::IDS).as_deref(), text(TokenDetail::LOGPROBS).as_deref())
    };
    let known: BTreeSet<TokenDetail> = runs.filter_map(of).collect();
    known.into_iter().collect()
}

impl DistillQuestions {
    /// Questions to a teacher with default settings.
    pub fn to(teacher: ModelChoice) -> Self {
        Self {
            teacher,
            system: None,
            gate: None,
            orphans: None,
            history_reasoning: false,
            best_of: None,
            calls: None,
            tokens: None,
        }
    }

    /// Returns the models that are asked.
    pub fn models(&self) -> Vec<&ModelChoice> {
        let ranker = self.best_of.as_ref().map(|best_of| best_of.ranker.model());
        [Some(&self.teacher), ranker, self.orphans_judge(), self.tools()].into_iter().flatten().collect()
    }

    /// Returns who answers calls to tools.
    fn tools(&self) -> Option<&ModelChoice> {
        self.calls.as_ref()?.answered_by.as_ref()
    }

    /// Returns who decides on doubtful references to replaced answers.
    fn orphans_judge(&self) -> Option<&ModelChoice> {
        self.orphans.as_ref()?.judge.as_ref()
    }

    /// Returns the request for a question to one of these models; `None` where the model needs none.
    pub fn preview(
        &self,
        question: &Question,
        conversation: ConversationKey,
    ) -> Result<Option<RequestPreview>, JobError> {
        let name = question.target.model();
        let model = self.models().into_iter().find(|model| model.target.model() == name);
        model.map_or(Ok(None), |model| model.preview(question, conversation))
    }

    /// Returns who is asked, with roles.
    pub fn parties(&self) -> Vec<Party> {
        let ranker = self.best_of.as_ref().map(|best_of| match &best_of.ranker {
            RankerSettings::Judge(judge) => judge.model.party("judge"),
            RankerSettings::Scorer(scorer) => scorer.party("scorer"),
        });
        let orphans = self.orphans_judge().map(|judge| judge.party("judge of orphans"));
        let tools = self.tools().map(|tools| tools.party("tools"));
        [self.teacher.party("teacher")].into_iter().chain(ranker).chain(orphans).chain(tools).collect()
    }

    /// Returns the system message, read from its file where it names one.
    pub fn system_text(&self) -> Result<Option<String>, JobError> {
        self.teacher.system_text(self.system.as_deref())
    }

    /// Fails where no pair would come of it, and the format holds nothing else.
    pub fn refuse_without_pairs(&self, format: &dyn OutputFormat) -> Result<(), JobError> {
        if !format.wants_pairs() || self.gate.is_some() || self.best_of.is_some() {
            return Ok(());
        }
        let message = format!("no row would be written: {} holds pairs, and each turn gets one answer", format.name());
        let hint = "add --samples 4 with --judge MODEL, or --gate standard, whose rejected answers make pairs; or choose another \
                    --to";
        Err(JobError::usage(message, hint))
    }

    /// Fails where the format holds token ids, and they are not asked for.
    pub fn refuse_without_tokens(&self, format: &dyn OutputFormat) -> Result<(), JobError> {
        if !format.wants_tokens() || self.tokens.is_some() {
            return Ok(());
        }
        let message = format!("no row would be written: {} holds token ids, and none are asked for", format.name());
        Err(JobError::usage(message, "add --token-ids, or choose another --to"))
    }

    /// Makes the recipe. `system` is what [`system_text`](Self::system_text) returned for the rows: its file is read once.
    /// `known` are the details that the store's runs asked for ([`known_details`]): an answer with more serves as well.
    pub fn recipe(&self, system: Option<&str>, known: &[TokenDetail]) -> Result<Distill, JobError> {
        let target = &self.teacher.target;
        if self.tokens.is_some() && !capabilities_of(target).gives_tokens {
            let message = format!(
                "the model `{}` has the dialect {}, which gives no token ids",
                target.model(),
                target.dialect()
            );
            return Err(JobError::usage(message, "leave out --token-ids and --logprobs, or name another model"));
        }
        let own = self.tokens.and_then(|_| DETAIL_FIELDS.iter().find(|field| target.extras().sends(field)));
        if let Some(field) = own {
            let message = format!("the body field `{field}` contradicts --token-ids and --logprobs, which set it");
            return Err(JobError::usage(message, format!("remove `{field}` from the body")));
        }
        let mut recipe = Distill::new(target.with_detail(self.tokens, known), system);
        if self.history_reasoning {
            recipe = recipe.with_reasoning_in_history();
        }
        if let Some(gate) = &self.gate {
            recipe = recipe.with_gate(gate.clone());
        }
        if let Some(orphans) = &self.orphans {
            recipe = recipe.with_orphans(orphans.check());
        }
        if let Some(BestOfSettings { samples, ranker, min_score }) = &self.best_of {
            let ranker = match ranker {
                RankerSettings::Scorer(model) => Ranker::Scorer(Arc::clone(&model.target)),
                RankerSettings::Judge(judge) => Ranker::Judge(judge.judge(Scale::Score)?),
            };
            recipe = recipe.with_best_of(BestOf { samples: *samples, ranker, min_score: *min_score });
        }
        if let Some(calls) = &self.calls {
            let answered_by = calls.answered_by.as_ref().map(|model| Arc::clone(&model.target));
            recipe = recipe.with_calls(CallRules { matching: calls.matching, answered_by });
        }
        Ok(recipe)
    }
}
