//! The two streams: data on standard output, lines for people on standard error. Nothing else in `cli/` prints, so that
//! everything that is shown has passed [`printable`].

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cohobate::export::OutputError;
use cohobate::job::{EventKind, JobError, LogTime, is_byte_of_name};
use cohobate::model::without_passwords;
use cohobate::report::printable;
use serde_json::{Map, Value, json};

use super::board::Board;

/// What is drawn at the bottom of the terminal.
static BOARD: Mutex<Board> = Mutex::new(Board::new());
/// True where everything on standard error is an event, errors and hints included.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on every line on standard error is an event.
pub fn speak_json() {
    IS_JSON.store(true, Ordering::Release);
}

/// True where every line on standard error is an event.
pub fn is_json() -> bool {
    IS_JSON.load(Ordering::Acquire)
}

/// Prints a line for people on standard error, above what is drawn. Where nobody reads it, the work continues: a closed pipe
/// or a full disk must not take a paid answer with it.
pub fn tell(line: impl Display) {
    let line = line.to_string();
    if is_json() {
        return emit(EventKind::Message, json!({"text": line}));
    }
    let text = board().above(&told(&line), columns());
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Says why something failed, and what to do next.
pub fn tell_error(error: impl Display, hint: Option<&str>) {
    if is_json() {
        return emit(EventKind::Error, json!({"text": error.to_string(), "hint": hint}));
    }
    tell(format!("error: {error}"));
    if let Some(hint) = hint {
        tell(format!("hint: {hint}"));
    }
}

/// Shows the help, or what is wrong with the command line: it may hold names of files, and a password by mistake. Returns true
/// for a mistake.
pub fn tell_refusal(error: &clap::Error) -> bool {
    let (text, is_mistake) = (error.render().to_string(), error.use_stderr());
    if is_json() && is_mistake {
        let text = text.trim_end();
        tell_error(text.strip_prefix("error: ").unwrap_or(text), None);
    } else if is_plain(&text) {
        // Nobody is left to hear that it cannot be printed.
        let _ = error.print();
    } else {
        tell(text.trim_end());
        return true;
    }
    is_mistake
}

/// Says what to do next.
pub fn tell_hint(hint: impl Display) {
    if is_json() {
        return emit(EventKind::Hint, json!({"text": hint.to_string()}));
    }
    tell(format!("hint: {hint}"));
}

/// Says that the command is over; people see that.
pub fn tell_end(exit_code: u8) {
    if is_json() {
        emit(EventKind::End, json!({"exit_code": exit_code}));
    }
}

/// Prints an event as JSON on standard error.
pub fn emit(kind: EventKind, fields: Value) {
    let mut event = Map::new();
    event.insert("event".to_owned(), kind.name().into());
    event.insert("time".to_owned(), LogTime::now().to_string().into());
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    let line = told(&Value::Object(event).to_string());
    // In one write: lines of several threads must not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Draws lines at the bottom of the terminal, in place of those that are there.
pub fn draw(lines: Vec<String>) {
    let lines = lines.iter().map(|line| on_one_line(line)).collect();
    let text = board().draw(lines, columns());
    if !text.is_empty() {
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Returns how wide a drawn line may be. The last column stays free: some terminals break a line that fills it.
pub fn width() -> usize {
    columns().saturating_sub(1).max(1)
}

fn columns() -> usize {
    width_of(&io::stderr())
}

fn width_of(stream: &impl AsFd) -> usize {
    const UNKNOWN: usize = 80;
    terminal_size::terminal_size_of(stream).map_or(UNKNOWN, |(width, _)| usize::from(width.0).max(1))
}

fn board() -> MutexGuard<'static, Board> {
    BOARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a text as it is shown, on one line.
pub fn on_one_line(text: &str) -> String {
    told(text).replace(['\n', '\t'], " ")
}

/// Prints data on standard output.
pub fn print(text: impl Display) -> Result<(), JobError> {
    let fault = |source| OutputError { path: "standard output".to_owned(), source };
    Ok(writeln!(io::stdout(), "{}", shown(&text.to_string())).map_err(fault)?)
}

/// A text on standard output that is shown again and again: in its place on a terminal, else below the last one where it has
/// changed.
#[derive(Default)]
pub struct Redrawn {
    board: Board,
    last: String,
}

impl Redrawn {
    /// Shows the text; the last one stays.
    pub fn show(&mut self, text: &str, is_last: bool) -> Result<(), JobError> {
        let is_new = self.last != text;
        text.clone_into(&mut self.last);
        let mut stdout = io::stdout();
        let fault = |source| OutputError { path: "standard output".to_owned(), source };
        if is_last || !stdout.is_terminal() {
            let erased = self.board.draw(Vec::new(), width_of(&stdout));
            stdout.write_all(erased.as_bytes()).map_err(fault)?;
            return if is_new || is_last { print(text) } else { Ok(()) };
        }
        let lines = shown(text).lines().map(str::to_owned).collect();
        let drawn = self.board.draw(lines, width_of(&stdout));
        stdout.write_all(drawn.as_bytes()).and_then(|()| stdout.flush()).map_err(fault)?;
        Ok(())
    }
}

/// True if a person watches what is told.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// True if a text is shown as it is.
fn is_plain(text: &str) -> bool {
    told(text) == text
}

fn told(text: &str) -> String {
    shown(&without_passwords(text))
}

/// Returns a text as it is printed. A byte of a file's name that is not UTF-8 becomes the replacement character.
fn shown(text: &str) -> String {
    printable(&text.replace(is_byte_of_name, "\u{fffd}")).into_owned()
}
