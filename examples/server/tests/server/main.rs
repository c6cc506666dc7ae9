//! The example `server`, as processes that are spoken to over HTTP.

mod examples;
mod node;
mod readme;
mod routes;
mod stopping;
mod together;
mod wrong;

use node::From;

const ALICE: &str = "alice-phone";
const BOB: &str = "bob-phone";
const LAPTOP: &str = "bob-laptop";

/// Alice's request of this key.
fn alice(key: &str) -> From<'_> {
    From { token: ALICE, key }
}

/// A request of a device that needs no key.
fn of(token: &str) -> From<'_> {
    From { token, key: "none" }
}

#[test]
fn the_readme_s_lines_work() {
    let mut node = None;
    let mut file = String::new();
    let mut token = String::new();
    for command in readme::commands() {
        let words: Vec<_> = command.iter().map(|word| word.replace("TOKEN", &token)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match (&words[..], &node) {
            (["cargo", "run", "-p", _, "--example", "server", "&"], None) => node = Some(node::Node::start(&[])),
            (["cargo", arguments @ .., ">", _], _) => file = readme::run(arguments),
            (["curl", arguments @ ..], Some(node)) => {
                let answer = readme::curl(node, arguments, &file);
                assert!((200..300).contains(&answer.status), "{words:?}: {answer:?}");
                if let Some(found) = answer.text.split("\"token\":\"").nth(1) {
                    token = found.split('"').next().expect("its end").to_owned();
                }
            }
            _ => panic!("not a command that this test knows: {words:?}"),
        }
    }
    assert!(!token.is_empty(), "the README reserves and spends");
}
