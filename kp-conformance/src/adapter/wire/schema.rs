use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::calls::{Failure, Hello, Outcome, Request, VERSION};
use super::codes::{Rejection, SaveOutcome};
use super::hex::Hex;
use super::values::{
    Counted, Info, Lease, Package, Page, Ready, Receipt, Reservation, Retired, Status, Stored, Withdrawn,
};
use crate::Method;

/// The protocol as JSON Schema: `#/$defs/request` is a line that an adapter reads, `#/$defs/answer.NAME` the line by which
/// it answers the call of this name.
#[must_use]
pub fn schema() -> Value {
    let mut schemas = SchemaSettings::draft2020_12().into_generator();
    let mut lines = Map::new();
    lines.insert("request".to_owned(), of::<Request>(&mut schemas));
    let mut line = |name: &str, schema| lines.insert(format!("answer.{name}"), schema);
    line("hello", answer::<Hello>(&mut schemas));
    for name in ["open", "close", "destroy"] {
        line(name, answer::<()>(&mut schemas));
    }
    for method in Method::ALL {
        let schema = match method {
            Method::Save => answer::<Vec<SaveOutcome>>(&mut schemas),
            Method::Reserve => answer::<Vec<Outcome<Reservation>>>(&mut schemas),
            Method::Claim => answer::<Vec<Outcome<Package>>>(&mut schemas),
            Method::Spend => answer::<Vec<Outcome<Receipt>>>(&mut schemas),
            Method::Release => answer::<Vec<Outcome<()>>>(&mut schemas),
            Method::Renew => answer::<Vec<Outcome<Lease>>>(&mut schemas),
            Method::Get => answer::<Option<Stored>>(&mut schemas),
            Method::Statuses => answer::<Vec<Option<Status>>>(&mut schemas),
            Method::ListAvailable => answer::<Page<Info>>(&mut schemas),
            Method::ListReady => answer::<Vec<Ready>>(&mut schemas),
            Method::Count => answer::<Counted>(&mut schemas),
            Method::ListPools => answer::<Page<Hex<()>>>(&mut schemas),
            Method::Withdraw => answer::<Vec<Withdrawn>>(&mut schemas),
            Method::DeletePool => answer::<()>(&mut schemas),
            Method::Retire => answer::<Retired>(&mut schemas),
            Method::CleanUp | Method::Settle => answer::<u64>(&mut schemas),
        };
        line(method.name(), schema);
    }
    lines.extend(schemas.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The adapter protocol of kp-conformance",
        "description": format!("Version {VERSION}. See docs/adapter-protocol.md."),
        "$defs": lines,
    })
}

/// A line by which a call is answered: its number, and one of the outcomes.
fn answer<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    let outcomes = ["ok", "rejected", "failed"];
    json!({
        "type": "object",
        "properties": {
            "id": {"description": "The number of the request.", "type": "integer", "minimum": 0},
            "ok": of::<T>(schemas),
            "rejected": of::<Rejection>(schemas),
            "failed": of::<Failure>(schemas),
        },
        "required": ["id"],
        "oneOf": outcomes.map(|outcome| json!({"required": [outcome]})),
        "additionalProperties": false,
    })
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}
