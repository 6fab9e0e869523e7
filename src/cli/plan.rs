use clap::Args;
use cohobate::export::is_directory;
use cohobate::job::{PlanReport, PlanSettings, plan};
use cohobate::model::RequestPreview;
use cohobate::report::words::{counted, money, number};

use super::CliResult;
use super::error::exit_code;
use super::line::DistillLine;
use super::output::print;
use super::screen::Screen;

/// Show what a distillation would send and cost; sends no call
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

pub fn run(args: PlanArgs) -> CliResult {
    let options = args.line.options.resolve()?;
    let settings = PlanSettings {
        questions: options.questions(args.line.teacher.as_deref())?,
        input: options.input(&args.line.input)?,
        store: options.store_path(),
        run: options.run(args.line.retry_failed)?,
        shows_request: args.show_request,
        on_loss: options.on_loss(),
        output: Some((options.output_format()?, is_directory(args.line.output()))),
    };
    let screen = Screen::new(&options);
    let plan = plan(&settings, &screen.context())?;
    print(if args.json {
        format!("{:#}", plan.to_json())
    } else {
        as_text(&plan, options.max_cost, args.show_request)
    })?;
    Ok(if plan.invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
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

fn as_text(plan: &PlanReport, cap: Option<f64>, shows_request: bool) -> String {
    let totals = plan.totals;
    let mut lines = vec![
        format!("conversations  {}, {}", number(totals.conversations), counted(totals.turns, "turn")),
        format!("answered       {}", counted(plan.answered, "turn")),
        format!("new            {}", counted(plan.calls, "call")),
    ];
    if plan.shared > 0 {
        lines.push(format!("shared         {} between equal conversations", counted(plan.shared, "turn")));
    }
    if plan.failed > 0 {
        lines.push(format!("failed before  {}, not sent again without --retry-failed", counted(plan.failed, "turn")));
    }
    lines.push(format!(
        "tokens         about {} in (history included), {} out",
        number(plan.prompt_tokens),
        number(plan.completion_tokens)
    ));
    lines.push(match plan.price {
        Some(price) => {
            let over = cap.filter(|cap| price > *cap).map_or("", |_| "; would exceed --max-cost");
            format!("price          about {} without cache discounts{}{over}", money(price), other_tier(plan, price))
        }
        None => "price          unknown; give [models.NAME.price] in cohobate.toml".to_owned(),
    });
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
