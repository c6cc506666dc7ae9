//! The document against the routes, and every answer against the document.

use std::collections::BTreeSet;

use kp_http::server::{KeyPackageRoutes, Secret};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use serde_json::{Map, Value, json};

use crate::raw::{self, Raw, post, request};
use crate::world::{ALICE, Accounts, BOB, LAPTOP, Words, World};

const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"];

fn document() -> Value {
    serde_json::from_str(KeyPackageRoutes::openapi()).unwrap()
}

fn paths(document: &Value) -> &Map<String, Value> {
    document["paths"].as_object().unwrap()
}

/// The paths that axum would serve, as its own `Debug` has them; "/" is that of the fallback.
fn served() -> BTreeSet<String> {
    let directory = KeyPackageDirectory::new(MemoryStore::new(), Words);
    let routes = KeyPackageRoutes::new(directory, Accounts, Secret::random().unwrap());
    let router = format!("{:?}", routes.router());
    let quoted = router.split('"').skip(1).step_by(2);
    quoted
        .filter(|text| text.len() > 1 && text.starts_with('/') && !text.contains("__private"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_path_that_is_served_is_documented() {
    let document = document();
    let documented: BTreeSet<_> = paths(&document).keys().cloned().collect();
    assert_eq!(served(), documented);
    assert_eq!(documented.len(), 10);
}

#[tokio::test]
async fn every_documented_operation_answers_and_no_other() {
    let world = World::start().await;
    let served: Value = raw::send(world.address, &request("GET", "/mls/openapi.json", &[], b""))
        .await
        .unwrap()
        .json();
    assert_eq!(served, document());
    for (path, operations) in paths(&served) {
        let concrete = format!("/mls{}", path.replace("{user}", "bob"));
        for method in METHODS {
            let answer = raw::send(world.address, &request(method, &concrete, &[], b""))
                .await
                .unwrap();
            let is_documented = operations.get(method.to_ascii_lowercase()).is_some();
            let expected = match path.as_str() {
                _ if !is_documented => 405,
                "/openapi.json" => 200,
                _ => 401,
            };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
}

/// Names of whatever has properties below this, and no name of its own.
fn nameless(schema: &Value, path: &str, found: &mut Vec<String>) {
    let parts = schema.as_object().into_iter().flatten();
    for (key, part) in parts.map(|(key, part)| (key.clone(), part)).chain(
        schema
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(n, part)| (n.to_string(), part)),
    ) {
        let path = format!("{path}.{key}");
        if part["properties"].is_object() && path.contains("properties") {
            found.push(path.clone());
        }
        nameless(part, &path, found);
    }
}

/// OpenAPI demands a description of every response; and from an object that has no name, a program makes no type.
#[test]
fn programs_can_make_a_client_from_it() {
    let document = document();
    for (path, operations) in paths(&document) {
        for (method, operation) in operations.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{method} {path}: {status}");
            }
        }
    }
    let mut found = Vec::new();
    nameless(&document["components"]["schemas"], "", &mut found);
    assert_eq!(found, [""; 0]);
}

/// No object of an answer has a field that is not in the document.
fn strict(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") {
            object.entry("additionalProperties").or_insert(json!(false));
        }
        object.values_mut().for_each(strict);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(strict);
    }
}

/// Holds an answer against what the document says of it.
fn check(document: &Value, operation: &str, answer: &Raw) {
    let operations = paths(document)
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let mut operations = operations.filter(|one| one["operationId"] == operation);
    let responses = &operations.next().unwrap()["responses"];
    let response = responses
        .get(answer.status.to_string())
        .unwrap_or(&responses["default"]);
    let media = answer.headers.get("content-type").cloned().unwrap_or_default();
    let Some(schema) = response.get("content").map(|content| &content[&media]["schema"]) else {
        assert_eq!(answer.body, "", "{operation}");
        return;
    };
    assert!(
        schema.is_object(),
        "{operation} is not said to answer {} with {media}",
        answer.status
    );
    let mut components = document["components"].clone();
    if media == "application/json" {
        strict(&mut components);
    }
    let mut whole = schema.clone();
    whole["components"] = components;
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&answer.json())
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0], "{operation}: {answer:?}");
}

#[tokio::test]
async fn every_answer_is_as_documented() {
    let world = World::start().await;
    let document = document();
    let ask = async |operation: &str, bytes: Vec<u8>| {
        let answer = raw::send(world.address, &bytes).await.unwrap();
        check(&document, operation, &answer);
        answer
    };
    let get = |token: &str| {
        let authorization = format!("Bearer {token}");
        request("GET", "/mls/pool", &[("authorization", &authorization)], b"")
    };
    let packages = json!({ "key_packages": ["Ym9iOjE=", "Ym9iOjI=", "Ym9iOjM=", "Ym9iOmxhc3Q=", "AAAA"] }).to_string();
    let call = |path: &str, key: &str, body: &str| post(&format!("/mls{path}"), ALICE, key, body);

    ask("status", get(BOB)).await;
    ask("upload", post("/mls/pool/upload", BOB, "1", &packages)).await;
    ask("status", get(BOB)).await;
    let claimed = ask("claim", call("/users/bob/claim", "1", "{}")).await.json();
    let reserved = ask(
        "reserve",
        call("/users/bob/reserve", "2", r#"{"ciphersuites":[1],"remaining":1}"#),
    )
    .await
    .json();
    assert_eq!(reserved["devices"][1]["answer"]["refused"], "pool_exhausted");
    let token = &reserved["devices"][0]["answer"]["ok"]["lease"]["token"];
    let tokens = json!({ "tokens": [token] }).to_string();
    ask("renew", call("/renew", "", &tokens)).await;
    let held = ask("sync", post("/mls/pool/sync", BOB, "", r#"{"refs":["00"]}"#))
        .await
        .json();
    assert_eq!(held["unknown_to_you"].as_array().unwrap().len(), 2);
    let known = json!({ "refs": [
        claimed["devices"][0]["answer"]["ok"]["key_package_ref"], reserved["devices"][0]["answer"]["ok"]["key_package_ref"],
        held["unknown_to_you"][0]["key_package_ref"], held["unknown_to_you"][1]["key_package_ref"],
    ] })
    .to_string();
    let statuses = ask("sync", post("/mls/pool/sync", BOB, "", &known)).await.json();
    assert!(
        statuses["yours"][0]["spent"].is_object() && statuses["yours"][1]["reserved"].is_object(),
        "{statuses}"
    );
    ask("release", call("/release", "", &tokens)).await;
    ask("release", call("/release", "", &tokens)).await;
    ask("spend", call("/spend", "", &tokens)).await;
    let again = ask("reserve", call("/users/bob/reserve", "3", "{}")).await.json();
    let tokens =
        json!({ "tokens": [again["devices"][0]["answer"]["ok"]["lease"]["token"]], "group": "0a" }).to_string();
    ask("spend", call("/spend", "", &tokens)).await;
    ask("claim", call("/users/bob/claim", "4", "{}")).await;
    let shared = ask("claim", call("/users/bob/claim", "5", "{}")).await.json();
    assert_eq!(shared["devices"][0]["answer"]["ok"]["last_resort"], true);
    ask("status", get(BOB)).await;
    ask("withdraw", post("/mls/pool/withdraw", BOB, "", r#"{"all":true}"#)).await;
    ask("claim", call("/users/bob/claim", "6", "{}")).await;
    ask("claim", call("/users/nobody/claim", "6", "{}")).await;
    ask("status", get("nobody")).await;
    let authorization = format!("Bearer {LAPTOP}");
    ask(
        "delete",
        request("DELETE", "/mls/pool", &[("authorization", &authorization)], b""),
    )
    .await;
    ask("openapi", request("GET", "/mls/openapi.json", &[], b"")).await;
}
