//! The commented `cohobate.toml` has every option that may be set, and can be used as it is.

use std::collections::BTreeSet;

use super::page::{Page, code_in};
use super::tables::{assert_same, commands, help};
use crate::support::{Place, finish};

/// Returns the listing with every setting commented in.
fn listing() -> String {
    let page = Page::read("docs/configuration.md");
    let block = page.blocks().into_iter().find(|block| block.kind == "toml").unwrap();
    let setting = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    block.text.lines().map(|line| setting(line) + "\n").collect()
}

/// Returns the keys of the listing: options, fields of profiles, fields of prices.
fn keys() -> [BTreeSet<String>; 3] {
    let (mut options, mut fields, mut prices) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut is_profile = false;
    for line in listing().lines() {
        is_profile |= line.starts_with("[models.");
        let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let target = if is_profile { &mut fields } else { &mut options };
        target.insert(key.to_owned());
        if key == "price" {
            let inside = value.split_once('{').unwrap().1.split_once('}').unwrap().0;
            prices.extend(inside.split(',').map(|part| part.split_once(" = ").unwrap().0.trim().to_owned()));
        }
    }
    [options, fields, prices]
}

/// Returns the names that the program says it expects where a configuration has another.
fn expected_names(configuration: &str) -> BTreeSet<String> {
    let place = Place::new();
    place.write("cohobate.toml", configuration);
    place.write("in.jsonl", "");
    let finished = place.run(&["plan", "in.jsonl", "--teacher", "simulated"]);
    let expected = finished.stderr.split_once("write one of ").unwrap_or_else(|| panic!("{}", finished.stderr)).1;
    expected.lines().next().unwrap().split(", ").map(str::to_owned).collect()
}

#[test]
fn the_listing_has_every_setting_and_no_other() {
    let [options, fields, prices] = keys();
    let known = expected_names("nonsense = 1\n").into_iter().filter(|name| name != "models");
    assert_same("settings", options, known);
    assert_same("fields of a profile", fields, expected_names("[models.m]\nnonsense = 1\n"));
    assert_same("fields of a price", prices, expected_names("[models.m]\nprice = { nonsense = 1 }\n"));
}

#[test]
fn the_server_families_are_in_their_table() {
    let known = expected_names("[models.m]\nserver-family = \"nonsense\"\n");
    let page = Page::read("docs/configuration.md");
    let table = page.tables().into_iter().find(|table| table.rows[0][0].contains("server-family")).unwrap();
    assert_same("server families", table.rows[1..].iter().flat_map(|row| code_in(&row[0])), known);
}

#[test]
fn the_listing_can_be_used_with_every_line_commented_in() {
    let (place, listing) = (Place::new(), listing());
    place.write("in.jsonl", "{\"conversations\": [{\"from\": \"user\", \"value\": \"Why?\"}]}\n");
    // A temperature is fixed or drawn.
    for left_out in ["temperature", "temperature-choice"] {
        let is_kept = |line: &&str| line.split(" = ").next() != Some(left_out);
        let lines: Vec<&str> = listing.lines().filter(is_kept).collect();
        assert_eq!(lines.len(), listing.lines().count() - 2);
        place.write("all.toml", lines.join("\n"));
        let mut command = place.command(&["plan", "in.jsonl", "--config", "all.toml"]);
        let finished = finish(command.env("QWEN_KEY", "sk-test"));
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stdout.contains("1, 1 turn"), "{}", finished.stdout);
    }
}

/// Returns the long options that a command's help shows.
fn long_options(command: &str) -> BTreeSet<String> {
    let help = help(command, "100");
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let names = lines.filter_map(|line| line.split([' ', ',', '=', '[']).find(|word| word.starts_with("--")));
    let names = names.map(|name| name.trim_start_matches('-').to_owned());
    names.filter(|name| !["help", "version"].contains(&name.as_str())).collect()
}

#[test]
fn every_option_of_every_command_is_described() {
    let [settings, ..] = keys();
    let rows = Page::read("docs/configuration.md").names_under("Options on the command line only");
    // `--top N` is an option with its value, `-o` a short name.
    let listed: BTreeSet<String> =
        rows.iter().filter_map(|code| code.split(' ').next()?.strip_prefix("--").map(str::to_owned)).collect();
    let known: BTreeSet<String> = commands().iter().flat_map(|command| long_options(command)).collect();
    let missing: Vec<_> = known.iter().filter(|name| !settings.contains(*name) && !listed.contains(*name)).collect();
    let unknown: Vec<_> = listed.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown to the program {unknown:?}");
}
