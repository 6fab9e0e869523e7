//! What to do after a run that stopped before its end.

use cohobate::conversation::FailureCode;
use cohobate::report::words;
use cohobate::worker::RunStop;

use super::error::exit_code;
use super::output::tell;

const AGAIN: &str = "run the same command again";

/// Returns the exit code and what to do next; says first which model refuses every request, if one does. `interrupted` is the exit code of the last signal.
pub fn code_and_hint(reason: &RunStop, interrupted: u8) -> (u8, String) {
    match reason {
        RunStop::Requested => (interrupted, format!("{AGAIN} to resume")),
        RunStop::Budget(cap) => (exit_code::RESUMABLE, format!("{cap}; raise it and {AGAIN} to resume")),
        RunStop::GaveUp(gone) => {
            let gone = words::duration(*gone);
            (exit_code::RESUMABLE, format!("the server has not answered for {gone}; {AGAIN} when it is back"))
        }
        RunStop::Refused { model, failure } => {
            tell(format!("error: `{model}` refuses every request: {failure}"));
            let hint = match failure.code {
                FailureCode::Auth | FailureCode::Forbidden => {
                    format!(
                        "set COHOBATE_API_KEY, the provider's own variable, or the one that key-env names to a key that the \
                         server accepts (OPENAI_API_KEY goes to api.openai.com only), then {AGAIN}"
                    )
                }
                FailureCode::Quota => format!("the account has no credit left; add some, then {AGAIN}"),
                FailureCode::UnknownHost => "check the host name in the URL of the model".to_owned(),
                FailureCode::Tls => {
                    "install the server's certificate authority, or name its file as ca-file in the profile of the model".to_owned()
                }
                FailureCode::Http(404) => format!("check the address, and that the server has the model `{model}`"),
                _ => format!("fix what the server reported, then {AGAIN}"),
            };
            // No server of this model has ever answered, so nothing will be different the next time.
            let code = if failure.code == FailureCode::UnknownHost { exit_code::USAGE } else { exit_code::RESUMABLE };
            (code, hint)
        }
    }
}
