use std::sync::Arc;

use kp_core::OpenError;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::link::error::Failure;

/// Makes a connector that trusts what the system trusts.
pub(crate) fn connector() -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| OpenError::Unreachable(error.into()))?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
