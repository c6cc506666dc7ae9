use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Answer, Counted, Hello, Hex, Info, Lease, Outcome, Package, Page, Ready, Receipt, Request, Reservation, Retired,
    SaveOutcome, Status, Stored, VERSION, Withdrawn,
};
use crate::Method;

/// The protocol as JSON Schema: `#/$defs/request` is a line that an adapter reads, `#/$defs/answer.NAME` the line by which
/// it answers the call of this name.
#[must_use]
pub fn schema() -> Value {
    let mut schemas = SchemaSettings::draft2020_12().into_generator();
    let mut lines = Map::new();
    lines.insert("request".to_owned(), of::<Request>(&mut schemas));
    let mut answer = |name: &str, schema| lines.insert(format!("answer.{name}"), schema);
    answer("hello", of::<Answer<Hello>>(&mut schemas));
    for name in ["open", "close", "destroy"] {
        answer(name, of::<Answer<()>>(&mut schemas));
    }
    for method in Method::ALL {
        let schema = match method {
            Method::Save => of::<Answer<Vec<SaveOutcome>>>(&mut schemas),
            Method::Reserve => of::<Answer<Vec<Outcome<Reservation>>>>(&mut schemas),
            Method::Claim => of::<Answer<Vec<Outcome<Package>>>>(&mut schemas),
            Method::Spend => of::<Answer<Vec<Outcome<Receipt>>>>(&mut schemas),
            Method::Release => of::<Answer<Vec<Outcome<()>>>>(&mut schemas),
            Method::Renew => of::<Answer<Vec<Outcome<Lease>>>>(&mut schemas),
            Method::Get => of::<Answer<Option<Stored>>>(&mut schemas),
            Method::Statuses => of::<Answer<Vec<Option<Status>>>>(&mut schemas),
            Method::ListAvailable => of::<Answer<Page<Info>>>(&mut schemas),
            Method::ListReady => of::<Answer<Vec<Ready>>>(&mut schemas),
            Method::Count => of::<Answer<Counted>>(&mut schemas),
            Method::ListPools => of::<Answer<Page<Hex<()>>>>(&mut schemas),
            Method::Withdraw => of::<Answer<Vec<Withdrawn>>>(&mut schemas),
            Method::DeletePool => of::<Answer<()>>(&mut schemas),
            Method::Retire => of::<Answer<Retired>>(&mut schemas),
            Method::CleanUp | Method::Settle => of::<Answer<u64>>(&mut schemas),
        };
        answer(method.name(), schema);
    }
    lines.extend(schemas.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The adapter protocol of kp-conformance",
        "description": format!("Version {VERSION}. See docs/adapter-protocol.md."),
        "$defs": lines,
    })
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}
