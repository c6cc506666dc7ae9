//! MLS KeyPackage pools over HTTP: a router for the delivery service, and a typed client for the messenger.
//!
//! - [`server::KeyPackageRoutes`] is an axum `Router` over a `KeyPackageDirectory`, to be nested into the server's own. The
//!   server brings one trait, [`server::Identify`].
//! - [`client::KeyPackageClient`] makes the calls, and is the transport of the device's own pool.
//! - [`wire`] has the bodies that travel, the same on both sides.
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `server` | [`server`], by axum | |
//! | `client` | [`client`], by reqwest, with TLS by rustls | |

#![cfg_attr(docsrs, feature(doc_cfg))]
// The front page links what each feature adds.
#![cfg_attr(
    not(all(feature = "client", feature = "server")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
pub mod wire;
