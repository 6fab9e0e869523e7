//! PostgreSQL keeps the contract of a shared store's database, over every way in which it is reached.

mod capped;
mod clocks;
mod cluster;
pub mod contract;
mod frozen;
mod merged;
mod merged_runs;
mod night;
mod outages;
mod partitions;
mod pooled;
mod reached;
mod recipes;
mod restarted;
mod site;
mod steered;
mod tables;

use cluster::{Cluster, QUICK};
use contract::CONTRACT;

#[test]
fn postgresql_keeps_the_contract() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    for (name, part) in CONTRACT {
        println!("{name}");
        part(&cluster.schema(name), &std::thread::sleep);
    }
}
