//! Distils rows of this program with a model of this program, prints what happens, and reads the rows back. Run it twice: the
//! second run reuses every answer.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use cohobate::conversation::Answer;
use cohobate::job::{self, Context, DistillSettings, InputSettings, JobEvent, ModelChoice};
use cohobate::model::{Call, Model, PendingCall};
use serde_json::json;

/// A model that answers with the last message in capitals.
struct Capitals;

impl Model for Capitals {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        let said = call.question.messages.last().map_or("", |message| message.content());
        let answer = Answer { attempts: call.attempt, ..Answer::complete("capitals", said.to_uppercase()) };
        Box::pin(async { Ok(answer).into() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("cohobate-example");
    std::fs::create_dir_all(&folder)?;
    let output = folder.join("out.jsonl").display().to_string();
    let message = |text: String| json!({"role": "user", "content": text});
    let rows = (0..3).map(move |row| json!({"messages": [message(format!("What is the number {row} good for?"))]}));
    let teacher = ModelChoice::local("capitals", Arc::new(Capitals));
    let settings = DistillSettings::new(InputSettings::rows(rows), teacher, folder.join("store"), &output);
    let context = Context::new(Arc::new(|event: &JobEvent| println!("{event:?}")));
    let report = job::distill(&settings, &context).await?;
    println!("{} new answers, {} reused", report.tally.answered, report.tally.reused());
    print!("{}", std::fs::read_to_string(&output)?);
    Ok(())
}
