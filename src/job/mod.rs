//! Jobs: what the command line, another program and a test call alike.
//!
//! A job takes plain settings and a [`Context`], reports [`JobEvent`]s while it works, and returns a report. It knows no
//! terminal, no signal and no environment variable, and it prints nothing.
//!
//! ```text
//! settings ──▶ input (first pass) ──▶ engine (run) ──▶ rows (last pass) ──▶ report
//!                                       │
//!                                       └──▶ events
//! ```
//!
//! There is one file or folder for each kind of job: [`distill`], [`plan`], [`export`], [`verify`], [`convert`], [`inspect`],
//! [`filter`], [`evaluate`], [`compare`], [`agreement`], [`simulate`], [`tutor`],
//! [`status`], [`Conversations`]. The others hold what jobs share.

mod beside;
mod caps;
mod compare;
mod context;
mod control;
mod controls;
mod conversations;
mod convert;
mod counting;
mod distill;
mod engine;
mod error;
mod evaluate;
mod event_json;
mod events;
mod export;
mod filter;
mod findings_list;
mod finished_file;
mod finished_rows;
mod footprint;
mod histories;
mod human_votes;
mod input;
mod inspect;
mod judge;
mod judged_under;
mod left_out;
mod left_out_list;
mod line_counts;
mod list_file;
mod merge;
mod models;
mod offered;
mod older;
mod open_store;
mod output;
mod phase;
mod places;
mod plan;
mod questions;
mod rejected;
mod reports;
mod row_place;
mod rows;
mod run_line;
mod run_log;
mod settings;
mod shard;
mod shared;
mod simulate;
mod sorter;
mod status;
mod stored;
mod tally;
mod tutor;
mod verify;
mod votes;

pub use crate::files::{is_byte_of_name, name_of, path_of};
pub use compare::{
    AnswersFrom, CompareReport, CompareSettings, ComparisonWritten, Entrant, compare, name_of_file, plan_compare,
};
pub use context::Context;
pub use control::{
    ControlClient, ControlReply, ControlSocket, KeptLimits, MetricsServer, RunControl, SetLimits, Verb, VerbError,
    keep_limits,
};
pub use conversations::{
    AnswerLookup, Asked, AskedJob, Conversations, Standing, StoredAnswer, StoredConversation, StoredNote, key_prefix,
    open_conversations,
};
pub use convert::{ConvertReport, ConvertSettings, convert};
pub use distill::{DistillReport, DistillSettings, distill};
pub use error::{ErrorKind, JobError};
pub use evaluate::{EvaluateReport, EvaluateSettings, Evaluated, evaluate, plan_evaluate};
pub use event_json::{EventKind, event_json};
pub use events::{InvalidRow, JobEvent, Listener, Phase, RunStart};
pub use export::{ExportReport, ExportSettings, PartialSettings, export};
pub use filter::{FilterReport, FilterSettings, OnReject, filter};
pub use finished_rows::{FinishedRow, FinishedRows};
pub use footprint::footprint;
pub use human_votes::{HumanVerdict, HumanVotes, PairName};
pub use inspect::inspect;
pub use judge::JudgeSettings;
pub use left_out::{LeftOut, Rejection, Unmarked};
pub use left_out_list::{Left, Listed};
pub use merge::{MergePlace, MergeReport, MergeSettings, MergedSource, MergedSpending, merge};
pub use models::{CallerKey, KeySource, Keys, ModelChoice, ModelSettings};
pub use open_store::{accept_losses, open_reader};
pub use places::check_file;
pub use plan::{PlanReport, PlanSettings, RolePlan, plan};
pub use questions::{BestOfSettings, CallSettings, DistillQuestions, OrphanSettings, RankerSettings, known_details};
pub use reports::{write_report, write_text};
pub use rows::RowCounts;
pub use run_line::{RunLine, run_line};
pub use run_log::{
    EndKind, FailedCall, InputNow, Invocation, LogBegin, LogEnd, LogEvent, LogInput, LogLine, LogModel, LogProgress,
    LogTime, LoggedRun, RunHistory, RunLog, RunState,
};
pub use settings::{InputSettings, OUTPUT, OutputSettings, ReadSettings, RowsFrom, RunSettings, STORE};
pub use shard::{ParseShardError, Shard};
pub use shared::{SharedAccess, SharedStatus};
pub use simulate::{SimulateReport, SimulateSettings, SimulatedWritten, plan_simulate, simulate};
pub use status::{FAILED_CALLS_MAX, ReasonCount, SpendingReport, StatusReport, status};
pub use tally::count;
pub use tutor::{SFT_FORMATS, TutorReport, TutorSettings, TutoredWritten, grader, plan_tutor, sft_format, tutor};
pub use verify::{OutputReport, VerifyOutput, VerifyReport, VerifySettings, verify};
pub use votes::{AgreementSettings, agreement};
