use std::net::SocketAddr;
use std::time::Duration;

use kp_http::client::{BuildError, ClientError, KeyPackageClient};
use kp_http::wire::{SpendRequest, TakeRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::world::key;

/// A server that answers each connection with the next of these texts, and hands back what it was sent. An empty text is
/// no answer.
pub(crate) async fn scripted(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 4_096];
            while !is_whole(&request) {
                let read = connection.read(&mut chunk).await.unwrap();
                request.extend_from_slice(&chunk[..read]);
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (address, serving)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn client(address: SocketAddr, retries: usize) -> KeyPackageClient {
    let builder = KeyPackageClient::builder(format!("http://{address}/a/b/"));
    builder
        .bearer("me")
        .retries(retries)
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_call_without_an_answer_is_made_again_under_the_same_key() {
    let (address, served) = scripted(vec![
        String::new(),
        answer("502 Bad Gateway", "", "<html>a proxy</html>"),
        answer("200 OK", "", r#"{"devices":[]}"#),
    ])
    .await;
    let claimed = client(address, 3)
        .claim("bob & co/..", &TakeRequest::new(), &key("the-key"))
        .await
        .unwrap();
    assert_eq!(claimed, []);
    let requests = served.await.unwrap();
    for request in &requests {
        assert!(
            request.starts_with("POST /a/b/users/bob%20&%20co%2F../claim HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("idempotency-key: the-key\r\n") && request.contains("authorization: Bearer me\r\n"));
        assert_eq!(request, &requests[0]);
    }
}

#[tokio::test]
async fn what_is_refused_or_to_come_later_is_not_made_again() {
    let problem = r#"{"code":"too_many_reservations","detail":"too many"}"#;
    for (answered, code) in [
        (
            answer("429 Too Many Requests", "retry-after: 60\r\n", problem),
            "too_many_reservations",
        ),
        (
            answer(
                "503 Service Unavailable",
                "retry-after: 60\r\n",
                r#"{"code":"unavailable"}"#,
            ),
            "unavailable",
        ),
        (answer("404 Not Found", "", "no such page"), "unspecified"),
    ] {
        let (address, served) = scripted(vec![answered]).await;
        let error = client(address, 3).status().await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_eq!(served.await.unwrap().len(), 1);
    }
    let (address, _served) = scripted(vec![answer("200 OK", "", "not JSON")]).await;
    assert!(matches!(
        client(address, 3).status().await,
        Err(ClientError::Unreadable(_))
    ));
    let (address, _served) = scripted(vec![String::new(), String::new()]).await;
    assert!(matches!(
        client(address, 1).status().await,
        Err(ClientError::NoAnswer(_))
    ));
}

#[tokio::test]
async fn what_came_too_slowly_or_beside_too_many_others_is_made_again() {
    let (address, served) = scripted(vec![
        answer(
            "429 Too Many Requests",
            "retry-after: 0\r\n",
            r#"{"code":"too_many_requests"}"#,
        ),
        answer("408 Request Timeout", "", r#"{"code":"body_too_slow"}"#),
        answer("200 OK", "", r#"{"answers":[{"ok":{}}]}"#),
    ])
    .await;
    let released = client(address, 2).release(["a token"]).await.unwrap();
    assert_eq!(released.len(), 1);
    assert_eq!(served.await.unwrap().len(), 3);
}

/// A proxy may hand on the body of another answer.
#[tokio::test]
async fn the_status_of_a_problem_is_that_of_its_answer() {
    let problem = r#"{"status":503,"code":"expired","detail":"it has expired"}"#;
    let (address, _served) = scripted(vec![answer("410 Gone", "", problem)]).await;
    let error = client(address, 0).status().await.unwrap_err();
    assert_eq!(
        error.problem().map(|problem| (problem.status, &*problem.code)),
        Some((410, "expired"))
    );
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let endless = format!("\"{}\"", " ".repeat(16 * 1_024 * 1_024));
    let (address, _served) = scripted(vec![answer("200 OK", "", &endless)]).await;
    let read = client(address, 0).delete().await.unwrap_err();
    let ClientError::Unreadable(cause) = read else {
        panic!("{read}")
    };
    assert_eq!(cause.to_string(), "the answer is too long");
}

#[tokio::test]
async fn one_answer_for_each_item_is_demanded() {
    let (address, _served) = scripted(vec![answer("200 OK", "", r#"{"answers":[]}"#)]).await;
    let spent = client(address, 0).spend(["a token"], None).await;
    assert!(matches!(spent, Err(ClientError::Unreadable(_))), "{spent:?}");
}

#[test]
fn an_address_is_one_of_http() {
    for address in [
        "",
        "example.org",
        "ftp://example.org",
        "mailto:bob@example.org",
        "data:,x",
    ] {
        let built = KeyPackageClient::builder(address).build();
        assert!(matches!(built, Err(BuildError::Address(_))), "{address}");
    }
    let built = KeyPackageClient::builder("https://example.org")
        .root_certificates("no PEM")
        .build();
    assert!(matches!(built, Err(BuildError::Tls(_))), "{built:?}");
}

#[test]
fn no_secret_is_shown() {
    let client = KeyPackageClient::builder("http://127.0.0.1")
        .bearer("marked")
        .build()
        .unwrap();
    let spend = SpendRequest::new(["marked"]);
    assert!(!format!("{client:?} {spend:?} {:?}", key("marked")).contains("marked"));
}
