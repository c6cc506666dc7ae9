//! The protocol's schema: as it is printed, and against what the program sends and accepts.

use std::collections::HashMap;
use std::path::Path;

use jsonschema::Validator;
use kp_conformance::Method;
use kp_conformance::adapter::wire::{
    Counted, Hello, Hex, Info, Lease, Outcome, Package, Page, Ready, Receipt, Reservation, Retired, SaveOutcome,
    Status, Stored, Withdrawn, schema,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::run::{Test, program};

pub(crate) const TESTS: &[Test] = &[
    ("the_session_in_the_docs_is_by_the_schema", session_in_the_docs),
    ("the_schema_is_the_one_in_the_docs", is_in_the_docs),
    ("what_the_schema_refuses_the_program_refuses", refuses_the_same),
];

fn is_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/adapter-protocol.schema.json");
    let printed = program(&["--print-schema"]).out;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &printed).expect("the docs can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the docs have a schema");
    assert!(written == printed, "UPDATE_DOCS=1 writes {} anew", path.display());
}

/// The page shows a session: each line that is sent, and below it the answer.
fn session_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/adapter-protocol.md");
    let page = std::fs::read_to_string(path).expect("the docs have the protocol");
    let sent: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("-> ")).collect();
    let answered: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("<- ")).collect();
    assert!(sent.len() > 5 && sent.len() == answered.len());
    let lines = Lines::new();
    for (request, answer) in sent.into_iter().zip(answered) {
        let call: Value = serde_json::from_str(request).expect("JSON");
        let call = call["call"].as_str().expect("a request names its call");
        lines.hold(request, call, &serde_json::from_str(answer).expect("JSON"));
    }
}

/// The schema of every line.
#[derive(Debug)]
pub(crate) struct Lines {
    request: Validator,
    answers: HashMap<String, Validator>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let schema = schema();
        let of = |name: &str| {
            let reference = json!({"$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"]});
            jsonschema::draft202012::new(&reference).expect("the schema is one")
        };
        let names = Method::ALL.iter().map(|method| method.name());
        let names = names.chain(["hello", "open", "close", "destroy"]);
        Self {
            request: of("request"),
            answers: names
                .map(|name| (name.to_owned(), of(&format!("answer.{name}"))))
                .collect(),
        }
    }

    /// Holds a request and its answer to the schema.
    pub(crate) fn hold(&self, request: &str, call: &str, answer: &Value) {
        let request = serde_json::from_str(request).expect("the program writes JSON");
        if let Err(error) = self.request.validate(&request) {
            panic!("the schema has no such request: {error}: {request}");
        }
        if let Err(error) = self.answers[call].validate(answer) {
            panic!("the schema has no such answer to {call}: {error}: {answer}");
        }
    }
}

/// The same value with one thing changed, for each thing that can be.
fn altered(value: &Value) -> Vec<Value> {
    let mut all = vec![
        json!(null),
        json!(-1),
        json!(1.5),
        json!("XY"),
        json!([[]]),
        json!({"unknown": 1}),
        json!(true),
    ];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut without = fields.clone();
                without.remove(name);
                all.push(Value::Object(without));
                all.extend(altered(field).into_iter().map(|field| {
                    let mut other: Map<_, _> = fields.clone();
                    other.insert(name.clone(), field);
                    Value::Object(other)
                }));
            }
            let mut more = fields.clone();
            more.insert("more".to_owned(), json!(1));
            all.push(Value::Object(more));
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                all.extend(altered(item).into_iter().map(|item| {
                    let mut other = items.clone();
                    other[n] = item;
                    Value::Array(other)
                }));
            }
        }
        _ => {}
    }
    all
}

/// Whether the program takes this as the answer to a call that is answered so.
fn takes<T: DeserializeOwned>(answer: &Value) -> bool {
    let Value::Object(mut answer) = answer.clone() else {
        return false;
    };
    if answer.remove("id").and_then(|id| id.as_u64()).is_none() {
        return false;
    }
    match serde_json::from_value::<Outcome<Value>>(Value::Object(answer)) {
        Ok(Outcome::Ok(value)) => serde_json::from_value::<T>(value).is_ok(),
        other => other.is_ok(),
    }
}

fn refuses_the_same() {
    let info = json!({"ref": "0a", "ciphersuite": 1, "not_before": 1, "not_after": 2, "role": "one_time",
        "credential": "0b".repeat(32)});
    let package = json!({"info": info, "bytes": "0c"});
    let lease = json!({"token": {"pool": "0d", "ref": "0a", "id": "0e".repeat(16)}, "expires_at": 3});
    let counts = json!({"ciphersuite": 1, "available": 1, "reserved": 1, "recalled": 1, "spent": 1,
        "spent_last_resorts": 1, "not_yet_valid": 1, "expired": 1, "last_resort": "used"});
    let statuses = json!([{"is": "available"}, {"is": "reserved", "until": 5}, {"is": "expired"}, null,
        {"is": "spent", "at": 5, "cause": "used"}, {"is": "last_resort", "used": true}, {"is": "not_yet_valid"}]);
    let failure = json!({"failed": {"effect": "unknown", "transient": true, "message": "full"}});
    let hello = json!({"protocol": 1, "name": "x", "facets": ["handles"], "calls": ["get_statuses"]});
    type Takes = fn(&Value) -> bool;
    let answers: [(&str, Takes, Value); 18] = [
        ("hello", takes::<Hello>, hello),
        ("open", takes::<()>, json!(null)),
        ("save_key_packages", takes::<Vec<SaveOutcome>>, json!(SaveOutcome::ALL)),
        (
            "reserve_key_packages",
            takes::<Vec<Outcome<Reservation>>>,
            json!([{"ok": {"package": package, "lease": lease}}]),
        ),
        (
            "claim_key_packages",
            takes::<Vec<Outcome<Package>>>,
            json!([{"ok": package}, {"rejected": "expired"}, failure]),
        ),
        (
            "spend_key_packages",
            takes::<Vec<Outcome<Receipt>>>,
            json!([{"ok": {"ref": "0a", "spent_at": 1}}]),
        ),
        ("release_key_packages", takes::<Vec<Outcome<()>>>, json!([{"ok": null}])),
        (
            "renew_key_packages",
            takes::<Vec<Outcome<Lease>>>,
            json!([{"ok": lease}]),
        ),
        (
            "get_key_package",
            takes::<Option<Stored>>,
            json!({"info": info, "status": {"is": "expired"}, "bytes": "0c"}),
        ),
        ("get_statuses", takes::<Vec<Option<Status>>>, statuses),
        (
            "list_available",
            takes::<Page<Info>>,
            json!({"items": [info], "next": "s7"}),
        ),
        (
            "list_ready",
            takes::<Vec<Ready>>,
            json!([{"info": info, "saved_at": 1}]),
        ),
        (
            "count_by_status",
            takes::<Counted>,
            json!({"ciphersuites": [counts], "room": 7}),
        ),
        (
            "list_pools",
            takes::<Page<Hex<Vec<u8>>>>,
            json!({"items": ["0d"], "next": "p0d"}),
        ),
        (
            "withdraw_key_packages",
            takes::<Vec<Withdrawn>>,
            json!([{"ref": "0a", "outcome": "not_found"}]),
        ),
        ("delete_pool", takes::<()>, json!(null)),
        ("retire_unspent", takes::<Retired>, json!({"retired": 1, "next": "p0d"})),
        ("cleanup_expired", takes::<u64>, json!(1)),
    ];
    let lines = Lines::new();
    let mut compared = 0;
    for (call, takes, value) in answers {
        let schema = &lines.answers[call];
        let whole = json!({"id": 7, "ok": value});
        assert!(schema.is_valid(&whole) && takes(&whole), "{call}: {whole}");
        for other in altered(&whole) {
            assert_eq!(
                schema.is_valid(&other),
                takes(&other),
                "the schema, and the program, of {call}: {other}"
            );
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared}");
}
