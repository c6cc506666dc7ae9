//! One process of the server, on a free port of 127.0.0.1, killed when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::examples::example;

pub(crate) struct Node {
    child: Child,
    url: String,
    agent: Agent,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Who asks, and what makes the request the same one again.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) token: &'a str,
    pub(crate) key: &'a str,
}

impl Node {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(example("server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("it listens");
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self {
            child,
            url: url.to_owned(),
            agent: agent.new_agent(),
        }
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it speaks HTTP")
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body.to_owned()).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut answer = answer.expect("an answer");
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.body_mut().read_to_string().expect("text"),
        }
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &[("authorization", &bearer(token))], None)
    }

    pub(crate) fn post(&self, path: &str, from: From, body: &Value) -> Answer {
        let headers = [
            ("authorization", bearer(from.token)),
            ("idempotency-key", from.key.to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("POST", path, &headers, Some(&body.to_string()))
    }

    /// Kills it at once (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server is ours to kill");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop (SIGTERM).
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer, which must be a 200.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().expect("a code").to_owned())
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The body of an upload of this many KeyPackages of a new client.
pub(crate) fn key_packages(user: &str, count: usize) -> Value {
    let made = Command::new(example("device"))
        .args([user, &count.to_string()])
        .output();
    serde_json::from_slice(&made.expect("it runs").stdout).expect("JSON")
}
