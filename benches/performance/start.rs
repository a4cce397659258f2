//! How soon the program is at work.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::Size;
use super::table::Table;
use super::world::{Scale, World};

const BUDGET: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

/// From the start of the process to the arrival of its first call at Metal.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Table> {
    let world = World::start(Scale::new(1, 0)).await?;
    let rounds = match size {
        Size::Smoke => 3,
        Size::Full => 10,
    };
    let mut fastest = Duration::MAX;
    for _ in 0..rounds {
        fastest = fastest.min(first_call(&world).await?);
    }
    let mut table = Table::budgets("Start");
    table.time(format!("from the start to the first Metal call (fastest of {rounds})"), BUDGET, fastest);
    Ok(table)
}

async fn first_call(world: &World) -> anyhow::Result<Duration> {
    world.reset();
    let begun = Instant::now();
    let mut controller = world.run(&[])?;
    while world.project.journal().total() == 0 {
        controller.check()?;
        if begun.elapsed() > PATIENCE {
            bail!("no call of Metal within {PATIENCE:?}; the log:\n{}", controller.end_of_log());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begun.elapsed())
}
