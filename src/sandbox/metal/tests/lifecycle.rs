use std::net::Ipv4Addr;

use pretty_assertions::assert_eq;

use super::Setup;
use crate::sandbox::metal::{Effect, Fault, MetalSimulator, SimulatorConfig, StartError};

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = MetalSimulator::start(SimulatorConfig { port, ..SimulatorConfig::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse { .. }));
    assert_eq!(
        error.to_string(),
        format!("port {port} on 127.0.0.1 is already in use; choose another, or 0 for any free one")
    );
}

#[tokio::test]
async fn an_unknown_metro_is_named() {
    let config = SimulatorConfig { metros: vec!["da".to_owned(), "zz".to_owned()], ..SimulatorConfig::default() };
    assert_eq!(MetalSimulator::start(config).await.unwrap_err().to_string(), "no metro has the code \"zz\"");
}

#[tokio::test]
async fn shutdown_frees_the_port_even_with_a_request_that_hangs() {
    let setup = Setup::default().await;
    setup.project.faults().push(Fault::on("GET /user", Effect::Hang)).unwrap();
    let hanging = tokio::spawn(super::got(setup.request(http::Method::GET, "/user", None)));
    while setup.project.journal().total() == 0 {
        tokio::task::yield_now().await;
    }
    let address = setup.simulator.address();
    setup.simulator.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    tokio::net::TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn dropping_a_simulator_frees_its_port() {
    let setup = Setup::default().await;
    let address = setup.simulator.address();
    drop(setup.simulator);
    while tokio::net::TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn keys_are_never_printed() {
    let config = SimulatorConfig { auth_token: "very-secret".into(), ..SimulatorConfig::default() };
    assert!(!format!("{config:?}").contains("very-secret"));
    let setup = Setup::new(config).await;
    assert!(!format!("{:?}", setup.simulator).contains("very-secret"));
}

#[tokio::test]
async fn the_journal_counts_by_normalised_route() {
    let setup = Setup::default().await;
    let (one, two) = (setup.device("one"), setup.device("two"));
    for path in [format!("/devices/{one}"), format!("/devices/{two}?include=facility"), "/nowhere".to_owned()] {
        setup.get(&path).await;
    }
    setup.delete("/ips/none").await;
    let journal = setup.project.journal();
    let counts: Vec<(String, u64)> = journal.counts().into_iter().collect();
    let expected = [("DELETE /ips/{id}", 1), ("GET (no such route)", 1), ("GET /devices/{d}", 2)];
    assert_eq!(counts, expected.map(|(route, count)| (route.to_owned(), count)));
    assert_eq!((journal.total(), journal.writes()), (4, 1));
    assert_eq!(journal.latest()[1].target, format!("/devices/{two}?include=facility"));
}
