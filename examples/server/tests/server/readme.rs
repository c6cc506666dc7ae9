//! The lines of the example's README, as they stand there.

use std::process::Command;

use crate::examples::example;
use crate::node::{Answer, Node};

/// The commands of the README's block about the server, one a line.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## To try").expect("the section");
    let (_, block) = section.split_once("```sh\n").expect("its block");
    let (block, _) = block.split_once("```").expect("its end");
    block.lines().map(words).filter(|words| !words.is_empty()).collect()
}

/// The words of a line of the shell: single quotes and comments are all the quoting that the README has.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" # ").next().unwrap_or_default();
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// `cargo run --quiet -p PACKAGE --example NAME ARGUMENT ...`: what it prints.
pub(crate) fn run(arguments: &[&str]) -> String {
    let ["run", "--quiet", "-p", _, "--example", name, arguments @ ..] = arguments else {
        panic!("not a command of the README: {arguments:?}");
    };
    let output = Command::new(example(name)).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// `curl`, with the options that the README uses; `file` is what `@FILE` holds.
pub(crate) fn curl(node: &Node, arguments: &[&str], file: &str) -> Answer {
    let mut headers = Vec::new();
    let (mut method, mut path, mut body) = ("GET", None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || *arguments.next().expect("its value");
        match *argument {
            "-H" => headers.push(value().split_once(": ").expect("NAME: VALUE")),
            "-X" => method = value(),
            "--json" => {
                let given = value();
                body = Some(if given.starts_with('@') { file } else { given });
                headers.push(("content-type", "application/json"));
                method = "POST";
            }
            url => path = url.strip_prefix("localhost:8080"),
        }
    }
    node.send(method, path.expect("a URL of the server"), &headers, body)
}
