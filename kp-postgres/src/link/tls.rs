use std::sync::Arc;

use kp_core::{BoxError, OpenError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::link::error::Failure;

/// Makes a connector that trusts these certificates, in PEM, and no others. `None`: what the system trusts.
pub(crate) fn connector(roots: Option<&[u8]>) -> Result<MakeRustlsConnect, Failure> {
    let config = config(roots).map_err(OpenError::Unreachable)?;
    Ok(MakeRustlsConnect::new(config))
}

fn config(roots: Option<&[u8]>) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let verified = match roots {
        None => versions.with_platform_verifier()?,
        Some(pem) => versions.with_root_certificates(store(pem)?),
    };
    Ok(verified.with_no_client_auth())
}

fn store(pem: &[u8]) -> Result<RootCertStore, BoxError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate?)?;
    }
    if store.is_empty() {
        return Err("no certificate in the PEM of `root_certificates`".into());
    }
    Ok(store)
}
