//! Which devices a list shows.

use super::call::Call;
use crate::sandbox::metal::wire::Wire;
use crate::sandbox::metal::world::device::{Device, Purchase};

/// The query parameters that narrow a list of devices; all must hold.
#[derive(Debug, Clone)]
pub(crate) struct DeviceFilter<'a> {
    search: Option<String>,
    hostname: Option<&'a str>,
    facility: Option<&'a str>,
    metro: Option<&'a str>,
    tag: Option<&'a str>,
    kind: Option<&'a str>,
    reserved: Option<bool>,
    has_termination_time: Option<bool>,
    mac_address: Option<&'a str>,
    categories: Vec<&'a str>,
}

impl<'a> DeviceFilter<'a> {
    pub(crate) fn of(call: &'a Call) -> Self {
        let given = |name| call.parameter(name).filter(|value| !value.is_empty());
        let flag = |name| given(name).map(|value| value == "true");
        Self {
            search: given("search").map(str::to_lowercase),
            hostname: given("hostname"),
            facility: given("facility"),
            metro: given("metro"),
            tag: given("tag"),
            kind: given("type"),
            reserved: flag("reserved"),
            has_termination_time: flag("has_termination_time"),
            mac_address: given("mac_address"),
            categories: call.list("categories"),
        }
    }

    pub(crate) fn accepts(&self, device: &Device, wire: Wire<'_>) -> bool {
        let kind = match device.purchase {
            Purchase::OnDemand => "ondemand",
            Purchase::Spot => "spot",
            Purchase::Reserved => "reserved",
        };
        let reserved = device.purchase == Purchase::Reserved;
        let metro_id = || wire.world.identities.of("metro", device.metro.code);
        self.hostname.is_none_or(|part| device.hostname.contains(part))
            && self.facility.is_none_or(|code| device.facility.eq_ignore_ascii_case(code))
            && self.metro.is_none_or(|metro| device.metro.code.eq_ignore_ascii_case(metro) || metro_id() == metro)
            && self.tag.is_none_or(|tag| device.tags.iter().any(|own| own == tag))
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.reserved.is_none_or(|wanted| wanted == reserved)
            && self.has_termination_time.is_none_or(|wanted| wanted == device.termination_time.is_some())
            && self.mac_address.is_none_or(|mac| (0..3).any(|port| Wire::mac_address(device, port) == mac))
            && (self.categories.is_empty() || self.categories.contains(&"compute"))
            && self.search.as_ref().is_none_or(|text| found_in(text, device, wire))
    }
}

fn found_in(text: &str, device: &Device, wire: Wire<'_>) -> bool {
    let fields = [
        Some(device.hostname.as_str()),
        device.description.as_deref(),
        device.id.split('-').next(),
        Some(device.instance_type.as_str()),
        Some(device.facility.as_str()),
        Some(device.operating_system.as_str()),
    ];
    let mut words = fields.into_iter().flatten().chain(device.tags.iter().map(String::as_str));
    words.any(|word| word.to_lowercase().contains(text))
        || wire.assignments_of(device).any(|assignment| assignment.address.to_string().contains(text))
}
