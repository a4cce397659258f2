//! The metros, facilities and instance types that the simulated vendor offers.

/// One metro and the facility that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metro {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) country: &'static str,
    pub(crate) facility: &'static str,
    /// Where its addresses come from; never changes with the metros a simulator offers.
    pub(crate) index: u8,
}

/// One size of server (the API calls it a plan).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InstanceType {
    pub(crate) slug: &'static str,
    pub(crate) cores: u32,
    pub(crate) memory_gb: u32,
    pub(crate) hourly: f64,
}

const METROS: [(&str, &str, &str, &str); 26] = [
    ("am", "Amsterdam", "NL", "am6"),
    ("at", "Atlanta", "US", "at4"),
    ("ch", "Chicago", "US", "ch3"),
    ("da", "Dallas", "US", "da11"),
    ("dc", "Washington DC", "US", "dc13"),
    ("fr", "Frankfurt", "DE", "fr8"),
    ("he", "Helsinki", "FI", "he6"),
    ("hk", "Hong Kong", "HK", "hk2"),
    ("la", "Los Angeles", "US", "la4"),
    ("ld", "London", "GB", "ld7"),
    ("ma", "Madrid", "ES", "ma5"),
    ("md", "Mumbai", "IN", "md2"),
    ("me", "Melbourne", "AU", "me2"),
    ("mt", "Montréal", "CA", "mt1"),
    ("ny", "New York", "US", "ny7"),
    ("os", "Osaka", "JP", "os3"),
    ("pa", "Paris", "FR", "pa4"),
    ("se", "Seattle", "US", "se4"),
    ("sg", "Singapore", "SG", "sg1"),
    ("sk", "Stockholm", "SE", "sk2"),
    ("sl", "Seoul", "KR", "sl1"),
    ("sp", "São Paulo", "BR", "sp4"),
    ("sv", "Silicon Valley", "US", "sv15"),
    ("sy", "Sydney", "AU", "sy4"),
    ("tr", "Toronto", "CA", "tr2"),
    ("ty", "Tokyo", "JP", "ty11"),
];

/// Every instance type on sale.
pub(crate) const INSTANCE_TYPES: [InstanceType; 8] = [
    InstanceType { slug: "a3.large.x86", cores: 64, memory_gb: 1024, hourly: 6.0 },
    InstanceType { slug: "c3.large.arm64", cores: 80, memory_gb: 256, hourly: 2.5 },
    InstanceType { slug: "c3.medium.x86", cores: 24, memory_gb: 64, hourly: 1.5 },
    InstanceType { slug: "c3.small.x86", cores: 8, memory_gb: 32, hourly: 0.75 },
    InstanceType { slug: "m3.large.x86", cores: 32, memory_gb: 256, hourly: 3.1 },
    InstanceType { slug: "m3.small.x86", cores: 8, memory_gb: 64, hourly: 1.05 },
    InstanceType { slug: "n3.xlarge.x86", cores: 32, memory_gb: 512, hourly: 4.5 },
    InstanceType { slug: "s3.xlarge.x86", cores: 24, memory_gb: 192, hourly: 2.95 },
];

/// The metro with this code, whatever its case.
pub(crate) fn metro(code: &str) -> Option<Metro> {
    all_metros().find(|metro| metro.code.eq_ignore_ascii_case(code))
}

/// The metro that holds this facility.
pub(crate) fn metro_of_facility(code: &str) -> Option<Metro> {
    all_metros().find(|metro| metro.facility.eq_ignore_ascii_case(code))
}

pub(crate) fn all_metros() -> impl Iterator<Item = Metro> {
    (0..).zip(METROS).map(|(index, (code, name, country, facility))| Metro { code, name, country, facility, index })
}
