//! The Metal client and the simulated Metal API, which share no code, agree with each other.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider_equinix_metal::domain::reservation::Location;
use cloud_provider_equinix_metal::domain::{
    DeviceId, IpFamily, ReservationId, ReservationRequest, ReservationType, Secret,
};
use cloud_provider_equinix_metal::metal::{Backoff, Client, ClientConfig, Project, ProjectConfig, Unobserved};
use cloud_provider_equinix_metal::ports::{Existence, MaxAge, Metal, MetalError};
use cloud_provider_equinix_metal::sandbox::metal::{
    Access, BgpSeed, CannedReply, DeviceSeed, Effect, Fault, GoneDevice, MetalSimulator, Networking, ReservationSeed,
    SchemaDrift, SimulatorConfig,
};
use pretty_assertions::assert_eq;

type Checked = Result<(), Box<dyn Error>>;

const KEY: &str = "a-key";
const TAGS: [&str; 3] = ["usage=test", "service=one", "cluster=c"];

struct Pair {
    simulator: MetalSimulator,
    client: Project,
}

impl Pair {
    async fn new(config: SimulatorConfig) -> Result<Self, Box<dyn Error>> {
        // Another test of this process may have been first, with the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = MetalSimulator::start(SimulatorConfig { auth_token: KEY.into(), ..config }).await?;
        let config = ClientConfig {
            backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) },
            request_timeout: Duration::from_millis(500),
            ..ClientConfig::new(simulator.base_url(), Secret::new(KEY))
        };
        let client = Client::new(config, Arc::new(Unobserved))?;
        let config = ProjectConfig {
            settle: Duration::ZERO,
            doubt_poll: Duration::ZERO,
            absence_age: Duration::ZERO,
            failure_hold: Backoff { first: Duration::ZERO, longest: Duration::ZERO },
            ..ProjectConfig::default()
        };
        Ok(Self { client: Project::new(client, simulator.state().id(), config), simulator })
    }
}

fn wish() -> ReservationRequest {
    ReservationRequest {
        kind: ReservationType::PublicIpv4,
        location: Some(Location::Metro("da".to_owned())),
        tags: TAGS.map(str::to_owned).to_vec(),
        details: "a test".to_owned(),
    }
}

#[tokio::test]
async fn every_page_is_read_whatever_the_schema_does() -> Checked {
    for drift in [SchemaDrift::Off, SchemaDrift::UnknownFields, SchemaDrift::MissingFields] {
        let config = SimulatorConfig { per_page_cap: 10, schema_drift: drift, ..SimulatorConfig::default() };
        let pair = Pair::new(config).await?;
        let project = pair.simulator.state();
        for number in 0..25 {
            let network = if number == 7 { Networking::Layer2 } else { Networking::Layer3 };
            project.seed_device(DeviceSeed { network, ..DeviceSeed::new(&format!("node-{number}"), "da") })?;
        }
        for _ in 0..12 {
            project.seed_reservation(ReservationSeed::public("sv", &TAGS))?;
        }
        project.seed_reservation(ReservationSeed::vrf("da", "10.1.2.0/24".parse()?))?;

        let read = pair.client.devices(MaxAge::NOW).await?;
        let read: Vec<(String, String, Vec<IpAddr>)> = read
            .iter()
            .map(|device| {
                let addresses = device.addresses.iter().map(|held| held.address).collect();
                (device.id.to_string(), device.hostname.clone(), addresses)
            })
            .collect();
        let truth: Vec<_> =
            project.devices().into_iter().map(|device| (device.id, device.hostname, device.management)).collect();
        assert_eq!(read, truth, "{drift:?}");

        let held = pair.client.reservations_tagged(&TAGS, MaxAge::NOW).await?;
        let held: BTreeSet<_> = held.iter().map(|held| (held.id.to_string(), held.usable_address())).collect();
        let truth: BTreeSet<_> = project
            .reservations()
            .into_iter()
            .filter(|held| !held.tags.is_empty())
            .map(|held| (held.id, held.block.map(|block| block.network())))
            .collect();
        assert_eq!(held, truth, "{drift:?}");
        assert_eq!(project.journal().count("GET /projects/{p}/devices"), 3, "{drift:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_purchase_whose_answer_was_lost_is_found_again() -> Checked {
    for (name, effect) in [
        ("cut", Effect::Cut),
        ("cut in the middle of the answer", Effect::CutBody),
        ("never answered", Effect::Hang),
        ("500", Effect::Reply(CannedReply::oh_snap())),
        ("502 in HTML", Effect::Reply(CannedReply::html(502))),
        ("half a JSON", Effect::TruncatedJson),
    ] {
        let pair = Pair::new(SimulatorConfig::default()).await?;
        let project = pair.simulator.state();
        project.faults().push(Fault::on("POST /projects/{p}/ips", effect).after_commit().once())?;
        let lost = pair.client.reserve(&wish()).await;
        assert!(lost.as_ref().is_err_and(MetalError::is_ambiguous), "{name}: {lost:?}");
        let found = pair.client.reserve(&wish()).await?;
        let truth: Vec<_> = project.reservations().into_iter().map(|held| held.id).collect();
        assert_eq!(vec![found.id.to_string()], truth, "{name}");
        assert!(project.audit().is_clean(), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn reservations_come_and_go() -> Checked {
    let pair = Pair::new(SimulatorConfig { quota: 1, ..SimulatorConfig::default() }).await?;
    let made = pair.client.reserve(&wish()).await?;
    let other = ReservationRequest { tags: vec!["other".to_owned()], ..wish() };
    let refused = pair.client.reserve(&other).await;
    assert!(matches!(&refused, Err(MetalError::Rejected { status: 422, .. })), "{refused:?}");
    for id in [made.id.clone(), made.id.clone(), ReservationId::new("never-was")] {
        pair.client.release(&id).await?;
    }
    assert_eq!(pair.simulator.state().reservations(), []);
    Ok(())
}

#[tokio::test]
async fn bgp_is_enabled_and_sessions_made_once() -> Checked {
    let pair = Pair::new(SimulatorConfig::default()).await?;
    let project = pair.simulator.state();
    let device = DeviceId::new(project.seed_device(DeviceSeed::new("node", "da"))?);
    assert_eq!(pair.client.bgp(MaxAge::NOW).await?.config, None);
    for _ in 0..2 {
        pair.client.enable_bgp(65_000, None).await?;
    }
    let fault = Fault::on("POST /devices/{d}/bgp/sessions", Effect::Reply(CannedReply::oh_snap()));
    project.faults().push(fault.after_commit().once())?;
    for _ in 0..2 {
        pair.client.create_bgp_session(&device, IpFamily::V4).await?;
    }
    project.set_bgp(BgpSeed { md5: Some("Passw0rd12".to_owned()), ..BgpSeed::default() });
    let bgp = pair.client.bgp(MaxAge::NOW).await?;
    assert_eq!(bgp.sessions.len(), 1);
    for session in bgp.sessions.values() {
        let neighbors = pair.client.neighbors(session).await?;
        let told: Vec<_> = neighbors.iter().map(|peer| (peer.customer_as, peer.peer_as, peer.peer_ips.len())).collect();
        assert_eq!(told, [(65_000, 65_530, 2)]);
        assert!(neighbors.iter().all(|peer| peer.md5_password == Some(Secret::new("Passw0rd12"))));
    }
    Ok(())
}

#[tokio::test]
async fn only_a_device_that_is_gone_is_gone() -> Checked {
    for gone_device in [GoneDevice::NotFound, GoneDevice::Forbidden] {
        for (name, access, gone) in [
            ("all rights", Access::Full, true),
            ("no rights", Access::Forbidden, false),
            ("empty lists", Access::EmptyLists, false),
            ("no key", Access::Unknown, false),
        ] {
            let pair = Pair::new(SimulatorConfig { gone_device, ..SimulatorConfig::default() }).await?;
            let project = pair.simulator.state();
            let device = project.seed_device(DeviceSeed::new("node", "da"))?;
            project.seed_device(DeviceSeed::new("other", "da"))?;
            let id = DeviceId::new(device.clone());
            assert!(matches!(pair.client.existence(&id, MaxAge::NOW).await?, Existence::Exists(_)), "{name}");
            project.remove_device(&device)?;
            project.set_access(KEY, access);
            let told = pair.client.existence(&id, MaxAge::NOW).await;
            assert_eq!(matches!(told, Ok(Existence::Gone)), gone, "{name} {gone_device:?}: {told:?}");
            assert!(gone || told.is_err(), "{name} {gone_device:?}: {told:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_listing_that_cannot_be_trusted_is_an_error() -> Checked {
    for (name, effect) in [
        ("half a JSON", Effect::TruncatedJson),
        ("HTML", Effect::WrongContentType),
        ("half, then cut", Effect::CutBody),
        ("half, then nothing", Effect::StallBody),
        ("403", Effect::Reply(CannedReply::errors(403, &["Access denied for the current authentication token"]))),
    ] {
        let pair = Pair::new(SimulatorConfig::default()).await?;
        let project = pair.simulator.state();
        project.seed_device(DeviceSeed::new("node", "da"))?;
        let id = project.faults().push(Fault::on("GET /projects/{p}/devices", effect))?;
        assert!(pair.client.devices(MaxAge::NOW).await.is_err(), "{name}");
        project.faults().remove(id);
        assert_eq!(pair.client.devices(MaxAge::NOW).await?.len(), 1, "{name}");
    }
    Ok(())
}
