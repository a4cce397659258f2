//! What the program costs: calls, time and memory, each beside its budget.
//!
//! `BENCH_SMOKE=true` takes the smallest sizes, to see that the benchmarks still work; times of a busy machine are judged
//! by nobody then. Otherwise the exit code is 1 when a budget is exceeded.

#[path = "performance/calls.rs"]
mod calls;
#[path = "performance/controller.rs"]
mod controller;
#[path = "performance/decisions.rs"]
mod decisions;
#[path = "performance/scale.rs"]
mod scale;
#[path = "performance/start.rs"]
mod start;
#[path = "performance/table.rs"]
mod table;
#[path = "performance/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::Instant;

use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Just enough to see that the benchmarks work and the budgets hold.
    Smoke,
    /// Everything.
    Full,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let size = match std::env::var_os("BENCH_SMOKE").is_some_and(|value| value == "true") {
        true => Size::Smoke,
        false => Size::Full,
    };
    let begun = Instant::now();
    let mut tables = Vec::new();
    let mut show = |table: Table| {
        println!("{table}");
        tables.push(table);
    };
    show(decisions::measure(size)?);
    show(start::measure(size).await?);
    show(calls::initialise(size).await?);
    show(calls::serve(size).await?);
    show(scale::measure(size).await?);
    let over = tables.iter().flat_map(Table::exceeded).count();
    println!("{over} over budget, {} s in all", begun.elapsed().as_secs());
    if cfg!(debug_assertions) {
        println!("This is a debug build: its times and its memory mean nothing, and are not judged.");
    }
    Ok(if over == 0 || size == Size::Smoke { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
