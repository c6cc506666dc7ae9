use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::client::error::BuildError;
use crate::client::send::{Authorization, Inner, KeyPackageClient};

/// The settings of a [`KeyPackageClient`].
#[must_use]
pub struct ClientBuilder {
    address: String,
    authorization: Option<Authorization>,
    roots: Option<Vec<u8>>,
    timeout: Duration,
    retries: usize,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("address", &self.address)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl KeyPackageClient {
    /// Makes a client of the routes at this address: `https://example.org/mls`, if they are nested there.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            address: address.into(),
            authorization: None,
            roots: None,
            timeout: Duration::from_secs(30),
            retries: 3,
        }
    }
}

impl ClientBuilder {
    /// Sends `Authorization: Bearer TOKEN` with each call. Default: nothing.
    pub fn bearer(self, token: impl Into<String>) -> Self {
        let header = format!("Bearer {}", token.into());
        self.authorization(move || header.clone())
    }

    /// Sends this `Authorization` header with each call. Asked anew for each try, so that a session may change.
    pub fn authorization(self, header: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            authorization: Some(Box::new(header)),
            ..self
        }
    }

    /// Trusts servers with a certificate under these, in PEM, and no others. Default: what the system trusts.
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self {
            roots: Some(pem.into()),
            ..self
        }
    }

    /// Sets within which time each try is answered. Default: 30 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets how often a call is tried again that has no answer, with a growing pause before each. Default: 3.
    pub fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn build(self) -> Result<KeyPackageClient, BuildError> {
        let mut address = Url::parse(&self.address).map_err(|error| BuildError::Address(error.into()))?;
        if !matches!(address.scheme(), "http" | "https") || address.cannot_be_a_base() {
            return Err(BuildError::Address("neither https:// nor http://".into()));
        }
        // What is joined to it comes after a slash of its own.
        let path = address.path().trim_end_matches('/').to_owned();
        address.set_path(&path);
        let mut http = reqwest::Client::builder()
            .connect_timeout(self.timeout)
            .user_agent(concat!("kp-http/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        http = if address.scheme() == "https" {
            http.https_only(true)
                .tls_backend_preconfigured(tls(self.roots.as_deref())?)
        } else {
            // It meets no server with TLS: nothing is trusted.
            http.tls_backend_preconfigured(trusting(RootCertStore::empty())?)
        };
        Ok(KeyPackageClient(Arc::new(Inner {
            http: http.build().map_err(|error| BuildError::Http(error.into()))?,
            address,
            authorization: self.authorization,
            timeout: self.timeout,
            retries: self.retries,
        })))
    }
}

fn tls(roots: Option<&[u8]>) -> Result<ClientConfig, BuildError> {
    let Some(pem) = roots else {
        let config = versions()?.with_platform_verifier().map_err(no_tls)?;
        return Ok(config.with_no_client_auth());
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(no_tls)?).map_err(no_tls)?;
    }
    if store.is_empty() {
        return Err(no_tls("no certificate in the PEM"));
    }
    trusting(store)
}

fn trusting(store: RootCertStore) -> Result<ClientConfig, BuildError> {
    Ok(versions()?.with_root_certificates(store).with_no_client_auth())
}

/// By the provider that the rest of the workspace has, whatever else the process installs.
fn versions() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_tls)
}

fn no_tls(error: impl Into<kp_core::BoxError>) -> BuildError {
    BuildError::Tls(error.into())
}
