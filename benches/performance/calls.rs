//! Calls: how many it takes to initialise Nodes and to serve Services, and what an unchanged world costs.

use std::time::Duration;

use super::Size;
use super::controller::Controller;
use super::table::{Table, Verdict, mebibytes};
use super::world::{Scale, World, to_u64};

/// Calls at the start that have nothing to do with how many Nodes there are: the project, and its BGP.
const START: u64 = 3;
/// The same where Services are served.
const START_SERVING: u64 = 5;
/// Peak memory with 50 Nodes and 100 Services.
const MEMORY: u64 = 30 * 1024 * 1024;
/// Rounds over all Nodes come often, so that a short look sees several of them.
const OFTEN: &str = "--node-monitor-period=1s";

/// Metal calls to initialise Nodes.
pub(crate) async fn initialise(size: Size) -> anyhow::Result<Table> {
    let mut table = Table::budgets("Metal calls to initialise Nodes: pages of the device list + 3");
    let scales: &[Scale] = match size {
        Size::Smoke => &[Scale { nodes: 10, services: 0, page: 1000 }],
        Size::Full => &[
            Scale { nodes: 10, services: 0, page: 1000 },
            Scale { nodes: 50, services: 0, page: 20 },
            Scale { nodes: 200, services: 0, page: 1000 },
            Scale { nodes: 200, services: 0, page: 20 },
        ],
    };
    for scale in scales {
        let world = World::start(*scale).await?;
        let mut controller = world.run(&[])?;
        world.settled(&mut controller).await?;
        world.quiet(&mut controller).await?;
        let pages = scale.device_pages();
        let what = format!("{} Nodes, {pages} page{}", scale.nodes, if pages == 1 { "" } else { "s" });
        table.count(what, pages + START, world.project.journal().total());
    }
    Ok(table)
}

/// Calls and memory to give Services addresses; then nothing happens, and that must cost nothing.
pub(crate) async fn serve(size: Size) -> anyhow::Result<Table> {
    let scale = Scale::new(50, 100);
    let mut table = Table::budgets("50 Nodes and 100 Services, from the start until each has an address");
    let world = World::start(scale).await?;
    let mut controller = world.run(&[OFTEN])?;
    world.settled(&mut controller).await?;
    world.quiet(&mut controller).await?;
    table.count(
        "Metal calls: a reservation a Service, 2 a Node for BGP, pages, 5",
        serving_calls(scale),
        world.project.journal().total(),
    );
    for (route, count) in world.project.journal().counts() {
        table.shown(format!("  {route}"), count.to_string());
    }
    unchanged(&world, &mut controller, size, &mut table).await?;
    match controller.usage() {
        None => table.shown("peak memory", "not told by this system"),
        Some(usage) => {
            let verdict = match cfg!(debug_assertions) {
                true => Verdict::Shown,
                false => Verdict::of(usage.peak, MEMORY),
            };
            table.row(vec!["peak memory".to_owned(), mebibytes(MEMORY), mebibytes(usage.peak)], verdict);
        }
    }
    Ok(table)
}

/// What serving may take: pages are those of the lists of devices and of reservations.
pub(crate) fn serving_calls(scale: Scale) -> u64 {
    let reservation_pages = 1;
    to_u64(scale.services + 2 * scale.nodes) + scale.device_pages() + reservation_pages + START_SERVING
}

async fn unchanged(world: &World, controller: &mut Controller, size: Size, table: &mut Table) -> anyhow::Result<()> {
    let watched = Duration::from_secs(match size {
        Size::Smoke => 3,
        Size::Full => 20,
    });
    world.reset();
    tokio::time::sleep(watched).await;
    controller.check()?;
    let during = format!("unchanged for {} s", watched.as_secs());
    let journal = world.project.journal();
    table.count(format!("{during}: Metal writes"), 0, journal.writes());
    table.count(format!("{during}: Kubernetes writes and events"), 0, world.kubernetes_writes() + world.events());
    table.count(format!("{during}: listings of any one thing"), 1, journal.counts().into_values().max().unwrap_or(0));
    Ok(())
}
