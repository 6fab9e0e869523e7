//! What to do after a run that stopped before its end.

use cohobate::conversation::FailureCode;
use cohobate::model::{Failure, FailureClass, refuses_system_role, refuses_tools};
use cohobate::report::words;
use cohobate::worker::RunStop;

use super::error::exit_code;
use super::output::tell_error;
use super::serve;

const AGAIN: &str = "run the same command again";

/// Returns the exit code and what to do next; says first which model refuses every request, if one does. `interrupted` is the exit code of the last signal.
pub fn code_and_hint(reason: &RunStop, interrupted: u8) -> (u8, String) {
    if let (RunStop::Requested, Some(failure)) = (reason, serve::failure()) {
        tell_error(&failure.message, None);
        // What has answered may answer again.
        let code = if failure.has_answered { exit_code::RESUMABLE } else { exit_code::USAGE };
        return (code, format!("correct the command after --serve, then {AGAIN}; nothing is recorded as failed"));
    }
    match reason {
        // Without a signal it was `cohobate ctl stop`.
        RunStop::Requested if interrupted == 0 => (exit_code::RESUMABLE, format!("{AGAIN} to resume")),
        RunStop::Requested => (interrupted, format!("{AGAIN} to resume")),
        RunStop::Budget(cap) => (exit_code::RESUMABLE, format!("{cap}; raise it and {AGAIN} to resume")),
        RunStop::InputLost(reason) => (exit_code::RESUMABLE, format!("{reason}; {AGAIN} when the file can be read")),
        RunStop::SharedStore(reason) => (exit_code::RESUMABLE, format!("{reason}; then {AGAIN}")),
        RunStop::WrittenElsewhere(place) => (exit_code::COMPLETE, format!("another worker writes the output: {place}")),
        RunStop::GaveUp(gone) => {
            let gone = words::duration(*gone);
            (exit_code::RESUMABLE, format!("the server has not answered for {gone}; {AGAIN} when it is back"))
        }
        RunStop::RefusedFor { model, failure, time } => {
            let time = words::duration(*time);
            tell_error(format!("`{model}` has refused every request for {time}: {failure}"), None);
            (exit_code::RESUMABLE, format!("{}, then {AGAIN}; nothing is recorded as failed", remedy(model, failure)))
        }
        RunStop::Refused { model, failure, after_answers } => {
            let what = match failure.code {
                FailureCode::NoTokens => failure.message.clone(),
                _ => format!("`{model}` refuses every request: {failure}"),
            };
            tell_error(what, None);
            // No credit is nobody's mistake, and what was right before may be right again.
            let resumable = *after_answers || failure.code == FailureCode::Quota;
            let code = if resumable { exit_code::RESUMABLE } else { exit_code::USAGE };
            (code, format!("{}, then {AGAIN}; nothing is recorded as failed", remedy(model, failure)))
        }
    }
}

/// Returns what to do about a server that refuses every request.
fn remedy(model: &str, failure: &Failure) -> String {
    match failure.code {
        // No server has seen it.
        FailureCode::Auth if failure.class == FailureClass::Fatal => {
            "correct the key, or the key-command that prints it".to_owned()
        }
        FailureCode::Auth | FailureCode::Forbidden => {
            "set COHOBATE_API_KEY, the provider's own variable, or the one that key-env names to a key that the server accepts \
             (OPENAI_API_KEY goes to api.openai.com only)"
                .to_owned()
        }
        FailureCode::Quota => "the account has no credit left: add some".to_owned(),
        FailureCode::UnknownHost => "check the host name in the URL of the model".to_owned(),
        FailureCode::Tls => {
            "install the server's certificate authority, or name its file as ca-file in the profile of the model".to_owned()
        }
        FailureCode::Endpoint => "name a model that the server offers at /v1/chat/completions".to_owned(),
        FailureCode::NoTokens => {
            "name a server that gives them, such as vLLM or SGLang, try --stream false, or leave out --token-ids and --logprobs"
                .to_owned()
        }
        FailureCode::Http(404) => format!("check the address, and that the server has the model `{model}`"),
        _ if refuses_system_role(&failure.message) => {
            format!("the chat template of `{model}` takes no system message: set fold-system = true in its profile")
        }
        _ if refuses_tools(&failure.message) => format!(
            "start the server of `{model}` with its options for tools (vLLM: --enable-auto-tool-choice and \
             --tool-call-parser), or leave the rows' tools out with --tools hide"
        ),
        _ => "fix what the server reported".to_owned(),
    }
}
