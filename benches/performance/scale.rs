//! Worlds of a quarter, a half and the full size: what grows faster than the world shows in the ratios.

use std::time::Duration;

use super::Size;
use super::calls::serving_calls;
use super::controller::Usage;
use super::table::{Table, Verdict, mebibytes, time};
use super::world::{Scale, World};

/// How much more the full size may cost than a quarter of it: 4 is linear, 16 is quadratic.
const MOST: f64 = 6.0;
/// Enough that the controller, not the wait for answers, is the limit.
const FLAGS: [&str; 2] = ["--concurrent-service-syncs=10", "--concurrent-node-syncs=10"];

/// What a controller had used when nothing was left to do.
struct Cost {
    scale: Scale,
    calls: u64,
    writes: u64,
    events: u64,
    wall: Duration,
    usage: Option<Usage>,
}

/// Runs all three sizes and compares them.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Table> {
    let full = match size {
        Size::Smoke => Scale::new(200, 400),
        Size::Full => Scale::new(1000, 2000),
    };
    let mut table = Table::new(
        "Scale: a controller from its start until nothing is left to do",
        &["", "Metal calls", "budget", "Kubernetes writes", "events", "until served", "CPU time", "peak memory"],
    );
    let mut costs = Vec::new();
    for part in [4, 2, 1] {
        let cost = cost(Scale::new(full.nodes / part, full.services / part)).await?;
        table.row(cells(&cost), Verdict::of(cost.calls, serving_calls(cost.scale)));
        costs.push(cost);
    }
    if let [quarter, half, full] = costs.as_slice() {
        ratios(&mut table, "half : quarter", half, quarter, MOST / 2.0);
        ratios(&mut table, "full : half", full, half, MOST / 2.0);
        ratios(&mut table, "full : quarter (linear is 4, quadratic 16)", full, quarter, MOST);
    }
    Ok(table)
}

async fn cost(scale: Scale) -> anyhow::Result<Cost> {
    let world = World::start(scale).await?;
    let mut controller = world.run(&FLAGS)?;
    let wall = world.settled(&mut controller).await?;
    world.quiet(&mut controller).await?;
    Ok(Cost {
        scale,
        calls: world.project.journal().total(),
        writes: world.kubernetes_writes(),
        events: world.events(),
        wall,
        usage: controller.usage(),
    })
}

fn cells(cost: &Cost) -> Vec<String> {
    let told = |tell: &dyn Fn(Usage) -> String| cost.usage.map_or_else(|| "-".to_owned(), tell);
    vec![
        format!("{} Nodes, {} Services", cost.scale.nodes, cost.scale.services),
        cost.calls.to_string(),
        serving_calls(cost.scale).to_string(),
        cost.writes.to_string(),
        cost.events.to_string(),
        time(cost.wall),
        told(&|usage| time(usage.cpu)),
        told(&|usage| mebibytes(usage.peak)),
    ]
}

/// Calls, writes, time on a processor and memory must not grow much faster than the world. Time on the wall is the
/// simulators' as well, and only shown.
fn ratios(table: &mut Table, what: &str, large: &Cost, small: &Cost, most: f64) {
    let ratio = |of: &dyn Fn(&Cost) -> Option<f64>| Some(of(large)? / of(small)?);
    let counted = |of: &dyn Fn(&Cost) -> u64| ratio(&|cost| u32::try_from(of(cost)).ok().map(f64::from));
    let calls = counted(&|cost| cost.calls);
    let writes = counted(&|cost| cost.writes);
    let events = counted(&|cost| cost.events);
    let wall = ratio(&|cost| Some(cost.wall.as_secs_f64()));
    let cpu = ratio(&|cost| Some(cost.usage?.cpu.as_secs_f64()));
    let peak = ratio(&|cost| u32::try_from(cost.usage?.peak / 1024).ok().map(f64::from));
    let worst = [calls, writes, cpu, peak].into_iter().flatten().fold(0.0, f64::max);
    let show = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("× {ratio:.2}"));
    let cells = vec![
        what.to_owned(),
        show(calls),
        String::new(),
        show(writes),
        show(events),
        show(wall),
        show(cpu),
        show(peak),
    ];
    table.row(cells, Verdict::of_release(worst, most));
}
