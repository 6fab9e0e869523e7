//! One test binary: each file is one promise.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on should say where")]

mod support;

mod addresses;
mod anthropic;
mod as_read;
mod bar;
mod best_of;
mod capped;
mod capture;
mod changing_input;
mod chaos;
mod concurrency;
mod consumers;
mod containers;
mod control;
mod controls;
mod converting;
mod crash_at_every_commit;
#[cfg(feature = "parquet")]
mod damaged_files;
mod datasets;
mod dialects;
mod disk_full;
mod distill_command;
mod docs;
mod echoed_secrets;
mod every_token;
mod existing_judgments;
mod exporting;
mod faults;
mod filtering;
mod first_steps;
mod flex;
mod gate;
mod help_and_errors;
mod identity;
mod imports;
mod json_events;
mod judging;
mod judgments;
mod killed_for_real;
mod last_run;
mod layering;
mod layouts;
mod learning;
mod looking;
mod losses;
mod mock_server;
mod narrated;
mod night;
mod older_prompts;
mod older_rules;
mod planning;
mod power_cut;
mod prices;
mod prompts;
mod public_items;
mod quality;
mod read_differently;
mod reading;
mod reality;
mod refusals;
mod refusing;
mod regressions;
mod remembering;
mod repairing;
mod replicas;
mod resumed_numbers;
mod retries;
mod run_log;
mod rust_text;
mod schema;
mod secrets;
mod sending;
mod showing;
mod simulating;
mod simulation;
mod steering;
mod store_on_disk;
mod templated;
mod terminal;
mod traps;
mod trust;
mod tutoring;
mod unattended;
mod verdicts;
#[cfg(feature = "view")]
mod viewed_in_a_browser;
#[cfg(feature = "view")]
mod viewed_runs;
#[cfg(feature = "view")]
mod viewing;
mod waits;
mod walking;
