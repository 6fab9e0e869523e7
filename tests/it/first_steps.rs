//! `init`, `completions` and `man`: what a newcomer begins with.

use std::process::{Command, Stdio};

use cohobate::model::PROVIDERS;

use crate::docs::tables;
use crate::support::{Place, finish};

/// Takes the # from every setting that is commented out.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_lowercase()) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn init_writes_a_file_whose_every_setting_is_valid_for_each_provider() {
    for provider in PROVIDERS {
        let place = Place::with_conversations(1, 1);
        let written = place.complete(&["init", provider.name]);
        let variable = provider.key_variable();
        assert!(variable.is_none_or(|variable| written.stderr.contains(variable)), "{}", written.stderr);
        let text = place.read("cohobate.toml");
        assert!(text.contains(provider.url) && text.contains(provider.model), "{text}");
        let settings = uncommented(&text).lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
        assert!(settings >= 14, "{settings} settings: {text}");
        // As it is, without a word of trust, with the key in the environment.
        let mut plan = place.command(&["plan", "in.jsonl"]);
        plan.envs(variable.map(|variable| (variable, "secret-key")));
        let planned = finish(&mut plan);
        assert_eq!(planned.code, Some(0), "{}: {}", provider.name, planned.stderr);
        assert!(planned.stdout.contains("1 call"), "{}", planned.stdout);
        // With every setting in force.
        place.write("all.toml", uncommented(&text));
        let mut plan = place.command(&["plan", "in.jsonl", "--config", "all.toml"]);
        plan.envs(variable.map(|variable| (variable, "secret-key")));
        let planned = finish(&mut plan);
        assert_eq!(planned.code, Some(0), "{}: {}\n{text}", provider.name, planned.stderr);
    }
}

#[test]
fn init_overwrites_nothing_and_knows_what_it_can_write() {
    let place = Place::new();
    place.write("cohobate.toml", "seed = 1\n");
    let refused = place.run(&["init", "openai"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("exists"), "{}", refused.stderr);
    assert_eq!(place.read("cohobate.toml"), "seed = 1\n");
    let place = Place::new();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("cohobate.toml")).unwrap();
    assert_eq!(place.run(&["init"]).code, Some(2), "a link to nothing is not followed");
    assert!(!place.exists("elsewhere"));
    let unknown = Place::new().run(&["init", "opnai"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("`openai`"), "{}", unknown.stderr);
    let listed = Place::new().complete(&["init", "--list"]).stdout;
    assert_eq!(listed.lines().count(), PROVIDERS.len());
    assert!(PROVIDERS.iter().all(|provider| listed.contains(provider.name)), "{listed}");
}

#[test]
fn every_shell_accepts_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Place::new().complete(&["completions", shell]).stdout;
        for command in tables::commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        assert!(script.contains("max-cost"), "{shell}");
        let place = Place::new();
        place.write("script", &script);
        // Every machine with tests has bash; the others are asked where they are.
        let checked = Command::new(shell).arg("-n").arg(place.path("script")).stdin(Stdio::null()).output();
        match checked {
            Ok(output) => assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) if shell == "bash" => panic!("{error}"),
            Err(_) => println!("skipped: there is no {shell}"),
        }
    }
    assert_eq!(Place::new().run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn the_man_page_has_every_command_with_its_options_and_the_exit_codes() {
    let page = Place::new().complete(&["man"]).stdout;
    for command in tables::commands() {
        assert!(page.contains(&format!("\n.SH {}\n", command.to_uppercase())), "{command}");
    }
    let plain = page.replace("\\-", "-");
    for word in ["--teacher", "--max-cost", "--controls", "--fault", "Exit codes", "75"] {
        assert!(plain.contains(word), "{word}");
    }
    assert!(page.starts_with(".ie") || page.contains(".TH cohobate 1"), "{}", &page[..200]);
}
