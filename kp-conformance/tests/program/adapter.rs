use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use futures::FutureExt as _;
use kp_conformance::adapter::wire::{Call, Effect, Facet, Failure, Hello, Outcome, Request};
use kp_conformance::{Method, ReferenceStore};
use kp_core::rules::Limits;
use serde_json::{Value, json};

use crate::lines::answer;
use crate::schema::Lines;

/// What an adapter does instead of answering.
enum Wrong {
    Ends(ExitCode),
    Goes,
}

/// Goes wrong at the first claim, or in the greeting; an adapter without the flaw does not.
fn go_wrong(flaw: &str, request: &Request) -> Option<Wrong> {
    let out = |line: &str| {
        println!("{line}");
        Some(Wrong::Goes)
    };
    let id = request.id;
    match (flaw, &request.call) {
        ("dies-at-once", Call::Hello(_)) | ("dies", Call::ClaimKeyPackages { .. }) => {
            eprintln!("no such table: key_packages");
            Some(Wrong::Ends(ExitCode::from(7)))
        }
        ("hangs-at-once", Call::Hello(_)) | ("hangs", Call::ClaimKeyPackages { .. }) => {
            eprintln!("waiting for a lock");
            loop {
                std::thread::park();
            }
        }
        ("greets-in-words", Call::Hello(_)) => out("listening on port 8080"),
        ("prints-rubbish", Call::ClaimKeyPackages { .. }) => out("claimed one!"),
        ("has-no-id", Call::ClaimKeyPackages { .. }) => out(r#"{"ok":[]}"#),
        ("answers-and-fails", Call::ClaimKeyPackages { .. }) => {
            out(&json!({"id": id, "ok": [], "rejected": "expired"}).to_string())
        }
        ("answers-twice", Call::ClaimKeyPackages { .. }) => out(&json!({"id": id - 1, "ok": null}).to_string()),
        ("answers-unasked", Call::ClaimKeyPackages { .. }) => out(&json!({"id": id + 900, "ok": null}).to_string()),
        ("forgets-an-item", Call::ClaimKeyPackages { .. }) => out(&json!({"id": id, "ok": []}).to_string()),
        ("invents-a-code", Call::ClaimKeyPackages { .. }) => {
            out(&json!({"id": id, "ok": [{"rejected": "out_of_stock"}]}).to_string())
        }
        ("invents-a-time", Call::ClaimKeyPackages { .. }) => {
            let info = json!({"ref": "00", "ciphersuite": 1, "not_before": 5, "not_after": 5, "role": "one_time",
                "credential": "00".repeat(32)});
            let package = json!({"info": info, "bytes": "00"});
            out(&json!({"id": id, "ok": [{"ok": package}]}).to_string())
        }
        ("never-ends-a-line", Call::ClaimKeyPackages { .. }) => {
            let piece = [b'a'; 1 << 16];
            while std::io::stdout().write_all(&piece).is_ok() {}
            Some(Wrong::Ends(ExitCode::SUCCESS))
        }
        _ => None,
    }
}

fn hello(flaw: &str) -> Hello {
    let calls = |offered: fn(&Method) -> bool| {
        let offered = Method::ALL.iter().filter(|method| offered(method));
        Some(offered.map(|method| method.name().to_owned()).collect())
    };
    Hello {
        protocol: if flaw == "speaks-another-version" { 2 } else { 1 },
        name: "reference".to_owned(),
        facets: vec![Facet::Handles, Facet::Limits],
        calls: match flaw {
            "only-claims" => calls(|method| !method.is_of_reservations()),
            "only-saves" => calls(|method| *method == Method::Save),
            "invents-a-call" => Some(vec!["save_key_packages".to_owned(), "take_key_package".to_owned()]),
            _ => None,
        },
    }
}

/// The life of an adapter over the reference store.
pub(crate) fn main(flaw: &str) -> ExitCode {
    let mut spaces = HashMap::<String, ReferenceStore>::new();
    let mut stores = HashMap::<u64, ReferenceStore>::new();
    // What it reads and writes is held to the schema.
    let lines = (flaw == "by-the-schema").then(Lines::new);
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input can be read");
        let request: Request = serde_json::from_str(&line).expect("the program writes requests");
        match go_wrong(flaw, &request) {
            Some(Wrong::Ends(code)) => return code,
            Some(Wrong::Goes) => continue,
            None => {}
        }
        let (id, name) = (request.id, request.call.name());
        let outcome: Outcome<Value> = match request.call {
            Call::Hello(_) => Outcome::Ok(json!(hello(flaw))),
            Call::Open(open) => {
                let limits = Limits::default().max_records(open.max_records);
                let store = spaces
                    .entry(open.space)
                    .or_insert_with(|| ReferenceStore::with_limits(limits));
                stores.insert(open.store, store.clone());
                Outcome::Ok(Value::Null)
            }
            Call::Close { store } => {
                stores.remove(&store).expect("only what is open is closed");
                match flaw {
                    "does-not-close" => Outcome::Failed(Failure {
                        effect: Effect::NotApplied,
                        transient: false,
                        message: "the file is busy".to_owned(),
                    }),
                    _ => Outcome::Ok(Value::Null),
                }
            }
            Call::Destroy(space) => {
                assert!(
                    stores.is_empty(),
                    "one check at a time has an adapter, and its stores are closed"
                );
                spaces.remove(&space.space);
                Outcome::Ok(Value::Null)
            }
            call => {
                if flaw == "only-claims" && call.method().is_some_and(Method::is_of_reservations) {
                    eprintln!("{name} is not to be called");
                    return ExitCode::FAILURE;
                }
                let store = request.store.expect("a call of the contract names its store");
                let store = stores.get(&store).expect("only what is open is called");
                answer(store, call).now_or_never().expect("the reference never waits")
            }
        };
        let mut said = json!(outcome);
        said["id"] = json!(id);
        if let Some(lines) = &lines {
            lines.hold(&line, name, &said);
        }
        println!("{said}");
    }
    if flaw == "goes-on" {
        loop {
            std::thread::park();
        }
    }
    ExitCode::SUCCESS
}
