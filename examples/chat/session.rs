use keypackage_pool::http::client::KeyPackageClient;
use ureq::Agent;
use ureq::http::{Method, Request};

use crate::Result;

/// What a device has of the delivery service: the way to it, and who it is there.
#[derive(Clone)]
pub(crate) struct Session {
    service: Service,
    /// The pools: the device's own, and those of whom it adds.
    pub(crate) pools: KeyPackageClient,
}

impl Session {
    /// Registers a device of somebody new, at the service with this address.
    pub(crate) async fn register(address: &str, name: &str) -> Result<Self> {
        let mut service = Service {
            address: address.to_owned(),
            authorization: String::new(),
            http: Agent::new_with_defaults(),
        };
        let answer = service.call(Method::POST, &format!("users/{name}"), Vec::new()).await;
        let session = match answer {
            Err(ureq::Error::StatusCode(409)) => return Err(format!("{name} has registered elsewhere").into()),
            answer => String::from_utf8(answer?)?,
        };
        service.authorization = format!("Bearer {session}");
        let pools = KeyPackageClient::builder(format!("{address}/mls"))
            .bearer(session)
            .build()?;
        Ok(Self { service, pools })
    }

    /// Takes a name for a new group. False: there is a group of this name.
    pub(crate) async fn found(&self, group: &str) -> Result<bool> {
        match self
            .service
            .call(Method::POST, &format!("groups/{group}"), Vec::new())
            .await
        {
            Err(ureq::Error::StatusCode(409)) => Ok(false),
            answer => Ok(answer.map(|_| true)?),
        }
    }

    /// Leaves a message for somebody.
    pub(crate) async fn leave(&self, to: &str, message: &[u8]) -> Result<()> {
        self.service
            .call(Method::POST, &format!("inbox/{to}"), message.to_vec())
            .await?;
        Ok(())
    }

    /// Collects what was left.
    pub(crate) async fn collect(&self) -> Result<Vec<Vec<u8>>> {
        let messages = self.service.call(Method::GET, "inbox", Vec::new()).await?;
        Ok(serde_json::from_slice(&messages)?)
    }
}

#[derive(Clone)]
struct Service {
    address: String,
    authorization: String,
    http: Agent,
}

impl Service {
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> std::result::Result<Vec<u8>, ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.address))
            .header("authorization", &self.authorization)
            .body(body)?;
        let http = self.http.clone();
        // This client of HTTP blocks.
        let answer = tokio::task::spawn_blocking(move || http.run(request)?.body_mut().read_to_vec()).await;
        answer.unwrap_or_else(|error| Err(ureq::Error::Other(error.into())))
    }
}
