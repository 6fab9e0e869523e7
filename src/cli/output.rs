//! The two streams: data on standard output, lines for people on standard error. Nothing else in `cli/` prints, so that
//! everything that is shown has passed [`printable`].

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use cohobate::export::OutputError;
use cohobate::job::JobError;
use cohobate::model::without_passwords;
use cohobate::report::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Prints a line for people on standard error. Where nobody reads it, the work continues: a closed pipe or a full disk
/// must not take a paid answer with it.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", told(&line.to_string()));
}

/// Prints a line for people above a progress bar.
pub fn tell_above(bar: &ProgressBar, line: &str) {
    bar.println(told(line));
}

/// Shows a text beside a progress bar.
pub fn tell_beside(bar: &ProgressBar, text: &str) {
    bar.set_message(told(text));
}

/// Prints data on standard output.
pub fn print(text: impl Display) -> Result<(), JobError> {
    let fault = |source| OutputError { path: "standard output".to_owned(), source };
    Ok(writeln!(io::stdout(), "{}", printable(&text.to_string())).map_err(fault)?)
}

/// A text on standard output that is shown again and again: in its place on a terminal, else below the last one where it has
/// changed.
#[derive(Default)]
pub struct Redrawn {
    bar: Option<ProgressBar>,
    last: String,
}

impl Redrawn {
    /// Shows the text; the last one stays.
    pub fn show(&mut self, text: &str, is_last: bool) -> Result<(), JobError> {
        let is_new = self.last != text;
        text.clone_into(&mut self.last);
        if is_last || !io::stdout().is_terminal() {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            return if is_new || is_last { print(text) } else { Ok(()) };
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
        });
        bar.set_message(printable(text).into_owned());
        Ok(())
    }
}

/// True if a person watches what is told.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Returns where a progress bar is drawn.
pub fn bar_target() -> ProgressDrawTarget {
    ProgressDrawTarget::stderr()
}

/// True if a text is shown as it is.
pub fn is_plain(text: &str) -> bool {
    told(text) == text
}

fn told(text: &str) -> String {
    printable(&without_passwords(text)).into_owned()
}
