//! The checked-in schema is the one that the types make.

use std::path::Path;

use cloud_provider_equinix_metal::policy::schema::json_schema_text;

#[test]
fn the_checked_in_schema_is_the_one_made_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/cloud-policy.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, json_schema_text()).expect("the schema is written");
    }
    let checked_in = std::fs::read_to_string(&path).expect("the schema is checked in");
    assert!(
        checked_in == json_schema_text(),
        "schema/cloud-policy.schema.json is out of date: run `BLESS=1 cargo test --test policy`"
    );
}
