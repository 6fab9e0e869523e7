//! Tables of the documentation against the code. What is missing or too much is named.

use std::collections::BTreeSet;

use cohobate::conversation::{Flaw, SIDE_FIELDS};
use cohobate::model::mock::FaultKind;
use cohobate::{dataset, export, quality};

use super::page::{Page, code_in, root};
use crate::support::{Place, finish};

/// Fails where two lists of names differ.
pub fn assert_same(what: &str, shown: impl IntoIterator<Item = String>, known: impl IntoIterator<Item = String>) {
    let (shown, known): (BTreeSet<_>, BTreeSet<_>) = (shown.into_iter().collect(), known.into_iter().collect());
    let missing: Vec<_> = known.difference(&shown).collect();
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "{what}: missing {missing:?}, unknown to the code {unknown:?}");
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Returns the help of a command, or of the program for an empty name, as wide as `columns`.
pub fn help(command: &str, columns: &str) -> String {
    let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|argument| !argument.is_empty()).collect();
    let finished = finish(Place::new().command(&arguments).env("COLUMNS", columns));
    assert_eq!(finished.code, Some(0), "{arguments:?}");
    finished.stdout
}

/// Returns the commands that the program has.
pub fn commands() -> Vec<String> {
    let help = help("", "100");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn the_rules_of_the_gate() {
    let page = Page::read("docs/gate.md");
    let order: Vec<String> = quality::RULES.iter().map(|rule| rule.name().to_owned()).collect();
    assert_same("rules", page.names_under("Rules"), order.clone());
    assert_eq!(page.names_under("Rules"), order, "the order in which rules are applied");
    for row in page.rows_under("Rules") {
        let rule = quality::RULES.iter().find(|rule| code_in(&row[0]) == [rule.name()]).unwrap();
        let (standard, strict) = rule.actions();
        let threshold = rule.threshold().map_or(String::new(), |threshold| threshold.to_string());
        let known = [standard.name().to_owned(), strict.name().to_owned(), threshold];
        assert_eq!(row[2..], known, "{}: standard, strict, threshold", rule.name());
    }
}

#[test]
fn the_input_formats() {
    let page = Page::read("docs/input-formats.md");
    let names = |formats: &[&dyn dataset::InputFormat]| owned(formats.iter().map(|format| format.name()));
    let known = [names(dataset::FORMATS), names(dataset::ON_REQUEST)].concat();
    assert_same("input formats", page.names_under("Row formats"), known.clone());
    assert_eq!(page.names_under("Row formats"), known, "the order in which formats are tried");
    for row in page.rows_under("Row formats") {
        let is_on_request = names(dataset::ON_REQUEST).contains(&code_in(&row[0])[0]);
        assert_eq!(row[1].starts_with("only with `--format"), is_on_request, "{}", row[0]);
    }
}

#[test]
fn the_output_formats() {
    let known = owned(export::FORMATS.iter().map(|format| format.name()));
    assert_same("output formats", Page::read("docs/output-formats.md").names_under("Formats"), known);
}

#[test]
fn the_commands() {
    assert_same("commands", Page::read("README.md").names_under("Commands"), commands());
}

#[test]
fn the_exit_codes() {
    let help = help("", "100");
    let listed = help.lines().skip_while(|line| *line != "Exit codes:").skip(1);
    // A code stands before its meaning; a line that goes on begins with a word.
    let codes = listed.flat_map(|line| {
        let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
        words.take_while(|word| word.parse::<u8>().is_ok()).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_same("exit codes", Page::read("docs/operations.md").names_under("Exit codes"), codes);
}

#[test]
fn the_faults_of_the_mock_server() {
    let known = owned(FaultKind::ALL.iter().map(|(name, _)| *name));
    assert_same("faults", Page::read("docs/operations.md").names_under("A mock server"), known);
}

#[test]
fn the_types_of_errors_that_a_teacher_quotes() {
    let text = Page::read("docs/tutor.md").text;
    let sentence = text.split_once("Errors are of these types:").unwrap().1.split("\n\n").next().unwrap();
    assert_same("types of errors", code_in(sentence), owned(Flaw::KINDS));
}

#[test]
fn the_body_fields_that_cannot_change_an_answer() {
    let text = Page::read("docs/configuration.md").text;
    let list =
        text.split_once("changing them reuses every answer:").unwrap().1.split_once(". `side-fields`").unwrap().0;
    assert_same("side fields", code_in(list), owned(SIDE_FIELDS.iter().copied()));
}

#[test]
fn the_environment_variables() {
    let source = std::fs::read_to_string(root().join("src/cli/environment.rs")).unwrap();
    let known = source.lines().filter(|line| line.starts_with("pub const")).map(|line| line.split('"').nth(1).unwrap());
    let shown = Page::read("docs/configuration.md").names_under("Environment variables");
    let missing: Vec<_> = known.filter(|name| !shown.iter().any(|shown| shown == name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in docs/configuration.md");
}

#[test]
fn the_keys_of_providers() {
    let rows = Page::read("docs/configuration.md").rows_under("Keys");
    let shown = rows.iter().flat_map(|row| {
        let variable = code_in(&row[1]).remove(0);
        code_in(&row[0]).into_iter().map(move |host| format!("{host} {variable}"))
    });
    let known = cohobate::model::PROVIDER_KEYS.iter().map(|(host, variable)| format!("{host} {variable}"));
    assert_same("hosts and their keys", shown, known);
}

#[test]
fn the_kinds_of_missing_rows() {
    let page = Page::read("docs/output-formats.md");
    let kinds = export::LeftOutKind::ALL.map(export::LeftOutKind::name);
    assert_same("kinds of missing rows", page.names_under("Rows that are missing"), owned(kinds));
    let unfit = export::Unfit::ALL.map(export::Unfit::name);
    assert_same("reasons of unfit rows", page.names_under("Why a row does not fit"), owned(unfit));
}

#[test]
fn the_dialects_and_what_the_help_says_of_formats() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let line = page.lines().find(|line| line.starts_with("#dialect = ")).unwrap();
    for dialect in cohobate::model::DIALECTS {
        assert!(line.contains(&format!("\"{}\"", dialect.name())), "docs/configuration.md: {}", dialect.name());
    }
    let help = help("convert", "100");
    for format in export::FORMATS {
        assert!(help.contains(format.name()), "--to does not name {}", format.name());
    }
}
