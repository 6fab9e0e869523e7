use std::time::Duration;

use clap::Args;
use cohobate::export::is_directory;
use cohobate::job::{PlanReport, PlanSettings, RolePlan, plan};
use cohobate::model::RequestPreview;
use cohobate::report::words::{counted, duration, money, number};

use super::CliResult;
use super::error::exit_code;
use super::line::DistillLine;
use super::options::Options;
use super::output::print;
use super::progress::ProgressMode;
use super::screen::Screen;

/// Show what a distillation would send and cost; sends no call. The same as distill --dry-run
#[derive(Args)]
pub struct PlanArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Show the first request, byte for byte, with its headers; keys and header values are masked
    #[arg(long)]
    show_request: bool,

    #[command(flatten)]
    line: DistillLine,
}

/// The option of every command that sends calls.
#[derive(Args)]
pub struct DryRunArgs {
    /// Show what would be sent and what it would cost, and send no call; JSON with --progress json
    #[arg(long)]
    pub dry_run: bool,
}

pub fn run(mut args: PlanArgs) -> CliResult {
    let options = args.line.options.resolve()?;
    args.line.settle_output(&options)?;
    let shown = PlanShown { as_json: args.json, with_request: args.show_request };
    plan_distill(&args.line, &options, shown)
}

/// How a plan is shown.
#[derive(Clone, Copy)]
pub struct PlanShown {
    as_json: bool,
    with_request: bool,
}

impl PlanShown {
    /// As the options of a dry run want it.
    pub fn of(options: &Options) -> Self {
        Self { as_json: options.progress == Some(ProgressMode::Json), with_request: false }
    }

    /// Prints a plan, and returns the exit code.
    pub fn show(self, plan: &PlanReport) -> CliResult {
        print(if self.as_json { format!("{:#}", plan.to_json()) } else { as_text(plan, self.with_request) })?;
        Ok(if plan.invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
    }
}

/// Plans a distillation.
pub fn plan_distill(line: &DistillLine, options: &Options, shown: PlanShown) -> CliResult {
    let settings = PlanSettings {
        questions: options.questions(line.teacher.as_deref())?,
        input: options.asked_input(&line.input)?,
        store: options.store_path(),
        run: options.run(line.retry_failed)?,
        shows_request: shown.with_request,
        on_loss: options.on_loss(),
        output: Some((options.output_format()?, is_directory(line.output()))),
    };
    let plan = plan(&settings, &Screen::new(options).reading(options)?)?;
    shown.show(&plan)
}

/// Says what the same would cost at the other tier, where that differs.
fn other_tier(plan: &PlanReport, price: f64) -> String {
    let differs = |other: &f64| money(*other) != money(price);
    match (plan.standard_price.filter(differs), plan.flex_price.filter(differs)) {
        (Some(standard), _) => format!("; {} at the standard tier", money(standard)),
        (None, Some(flex)) => format!("; {} with --lane flex", money(flex)),
        (None, None) => String::new(),
    }
}

fn as_text(plan: &PlanReport, shows_request: bool) -> String {
    let (totals, noun) = (plan.totals, plan.unit.noun());
    let shard = plan.input.shard_words().map(|shard| format!("shard          {shard}"));
    let mut lines: Vec<String> = shard.into_iter().collect();
    lines.extend([
        format!("conversations  {}, {}", number(totals.conversations), counted(totals.turns, noun)),
        format!("answered       {}", counted(plan.answered, noun)),
        format!("new            {}", counted(plan.calls, "call")),
    ]);
    if plan.shared > 0 {
        lines.push(format!("shared         {} between equal conversations", counted(plan.shared, noun)));
    }
    if plan.failed > 0 {
        lines.push(format!("failed before  {}, not sent again without --retry-failed", counted(plan.failed, noun)));
    }
    lines.push(format!(
        "tokens         about {} in (history included), {} out",
        number(plan.prompt_tokens),
        number(plan.completion_tokens)
    ));
    lines.push(match plan.price {
        Some(price) => {
            format!("price          about {} without cache discounts{}", money(price), other_tier(plan, price))
        }
        None => {
            "price          unknown; give each model `price = { input = DOLLARS, output = DOLLARS }` in cohobate.toml"
                .to_owned()
        }
    });
    if let Some(spent) = plan.spent.filter(|spent| *spent > 0.0) {
        lines.push(format!("spent before   {}", money(spent)));
    }
    if let Some(cap) = plan.max_cost {
        let over = if plan.exceeds_cap() { "; the run would stop there" } else { "" };
        lines.push(format!("cap            {} with all runs of the store{over}", money(cap)));
    }
    if let Some(Ok(time)) = plan.seconds.map(Duration::try_from_secs_f64) {
        lines.push(format!("time           about {}", duration(time)));
    }
    lines.extend(plan.rules.iter().map(|rules| format!("rules          {rules}")));
    if plan.roles.len() > 1 {
        lines.extend(plan.roles.iter().map(of_role));
    }
    lines.extend(plan.basis.iter().map(|basis| format!("basis          {basis}")));
    for (reason, count) in &plan.left_out {
        lines.push(format!("left out       {} ({reason})", counted(*count, "row")));
    }
    if let Some(RequestPreview { url, headers, body }) = &plan.request {
        lines.push(format!("\nPOST {url}"));
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(format!("\n{body}"));
    } else if shows_request {
        lines.push("request        none: the model needs no server, or there is no question".to_owned());
    }
    lines.join("\n")
}

fn of_role(plan: &RolePlan) -> String {
    let price = plan.price.map_or(String::new(), |price| format!(", {}", money(price)));
    let (calls, prompt, completion) =
        (counted(plan.calls, "call"), number(plan.prompt_tokens), number(plan.completion_tokens));
    format!("  {:<12} {}: {calls}, {prompt} in, {completion} out{price}", plan.role, plan.model)
}
