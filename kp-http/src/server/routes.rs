use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use kp_core::Effect;
use kp_server::{KeyPackageDirectory, Notices};
use tokio::time::timeout;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::{Span, info_span};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, ServerBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::busy::Busy;
use crate::server::events::Streams;
use crate::server::identify::Identify;
use crate::server::refusal::{Refusal, method_not_allowed, no_such_route};
use crate::server::secret::Secret;
use crate::server::state::{Limits, Shared};
use crate::server::{handing_out, own_pool, state};

/// The routes of a KeyPackage directory, to be nested into the server's own.
///
/// | route | who | |
/// |---|---|---|
/// | `POST /pool/upload` | a device, its own pool | KeyPackages in, one outcome each |
/// | `GET /pool` | | how the pool is doing; a stream of events with `Accept: text/event-stream` |
/// | `POST /pool/sync` | | what became of these refs, and which others there are |
/// | `POST /pool/withdraw` | | withdraw these, or all |
/// | `DELETE /pool` | | the device is gone |
/// | `POST /users/{user}/claim` | whoever is let in | a KeyPackage of each device, for good |
/// | `POST /users/{user}/reserve` | | on loan, with a token each |
/// | `POST /spend`, `POST /renew`, `POST /release` | the user that has the tokens | |
/// | `GET /openapi.json` | everybody | all of this, for machines |
///
/// KeyPackages are base64; refs and group ids are hexadecimal; tokens are opaque. A request that is refused is answered with
/// problem details (RFC 9457), whose `code` never changes once released.
///
/// # Retries
///
/// A claim and a reservation demand the header `Idempotency-Key`. A key belongs to the device that sends it, and to the kind
/// of request: the same key again gets the same KeyPackages, and never those of another caller. A token works for the devices
/// of the user that got it, and for nobody else.
///
/// # Limits
///
/// The directory bounds every list in a call. The routes bound the bytes and the time of a body, the time of a call, and how
/// many calls of one device are under way at once. How many connections there may be, and how slowly their headers may come,
/// is the business of the server that has the listener, or of the proxy in front. So is TLS.
///
/// ```
/// use axum::Router;
/// use kp_core::server::{Admission, KeyPackageStore};
/// use kp_http::server::{Identify, KeyPackageRoutes, Secret};
/// use kp_server::{KeyPackageDirectory, notices};
///
/// # async fn serve(
/// #     store: impl KeyPackageStore + 'static, admission: impl Admission, accounts: impl Identify,
/// #     listener: tokio::net::TcpListener, stop: impl Future<Output = ()> + Clone + Send + 'static,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let (subscriber, notices) = notices(1_000);
/// let directory = KeyPackageDirectory::builder(store, admission).limit_per_requester(10).notify(subscriber).build()?;
/// let secret = Secret::new("the same on every node, and after a restart")?;
/// let pools = KeyPackageRoutes::new(directory, accounts, secret).notices(notices, stop.clone()).router();
/// let app = Router::new().nest("/mls", pools);
/// axum::serve(listener, app).with_graceful_shutdown(stop).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct KeyPackageRoutes {
    directory: KeyPackageDirectory,
    identify: Box<dyn Identify>,
    secret: Secret,
    limits: Limits,
    notices: Option<(Notices, Stop)>,
}

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for KeyPackageRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPackageRoutes")
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl KeyPackageRoutes {
    /// Serves this directory to those whom `identify` knows.
    pub fn new(directory: KeyPackageDirectory, identify: impl Identify, secret: Secret) -> Self {
        Self {
            directory,
            identify: Box::new(identify),
            secret,
            limits: Limits::default(),
            notices: None,
        }
    }

    /// Tells owners by server-sent events when their pools run low: `notices` is the other end of the directory's
    /// [`notify`](kp_server::DirectoryBuilder::notify). All streams end with `stop`: a server that stops would wait for them
    /// otherwise. Default: no events.
    ///
    /// A notice follows a call of this node. A stream ends after 15 minutes and its client connects again, to be told the
    /// status, whichever node took from the pool.
    pub fn notices(self, notices: Notices, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            notices: Some((notices, Box::pin(stop))),
            ..self
        }
    }

    /// Sets how many bytes a body may have. Default: 1 MiB, room for an upload of 200 KeyPackages of 3,900 bytes; those of
    /// OpenMLS have about 300.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// Sets within which time a body must have come. Default: 10 s.
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.limits.body_time = time;
        self
    }

    /// Sets within which time a call is answered, its body's time included; then the answer is that its effect is unknown.
    /// Default: 30 s, longer than the time-out of any store.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limits.time = time;
        self
    }

    /// Sets how many calls of one device may be under way at once. Default: 32.
    pub fn max_requests_at_once(mut self, requests: u32) -> Self {
        self.limits.requests = requests;
        self
    }

    /// Returns the routes. With [`notices`](Self::notices), starts a task that passes them on, so it needs a tokio runtime.
    #[must_use = "the routes are to be served"]
    pub fn router(self) -> Router {
        let limits = self.limits.clone();
        let streams = self.notices.map(|(notices, stop)| {
            let streams = Streams::new();
            tokio::spawn(tell(streams.clone(), notices, stop));
            streams
        });
        let server = Arc::new(state::State {
            directory: self.directory,
            identify: self.identify,
            secret: self.secret,
            limits: self.limits,
            busy: Busy::default(),
            streams,
        });
        let (router, _) = documented().split_for_parts();
        router
            .fallback(no_such_route)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(limits.body))
            .layer(from_fn_with_state(limits.time, in_time))
            .layer(TraceLayer::new_for_http().make_span_with(span))
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .with_state(server)
    }

    /// Returns the OpenAPI document of the routes, as JSON: what `GET /openapi.json` answers.
    pub fn openapi() -> &'static str {
        static DOCUMENT: LazyLock<String> = LazyLock::new(|| documented().into_openapi().to_json().unwrap_or_default());
        &DOCUMENT
    }
}

/// The routes, each with its description.
fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(about())
        .routes(routes!(own_pool::status, own_pool::delete))
        .routes(routes!(own_pool::upload))
        .routes(routes!(own_pool::sync))
        .routes(routes!(own_pool::withdraw))
        .routes(routes!(handing_out::claim))
        .routes(routes!(handing_out::reserve))
        .routes(routes!(handing_out::spend))
        .routes(routes!(handing_out::renew))
        .routes(routes!(handing_out::release))
        .routes(routes!(openapi))
}

fn about() -> OpenApi {
    let info = InfoBuilder::new()
        .title("KeyPackage pools")
        .description(Some(
            "Pools of MLS KeyPackages (RFC 9420): each single-use KeyPackage handed out exactly once. How a caller is known is \
             the server's own.",
        ))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    // Relative to where the document is.
    let here = ServerBuilder::new().url(".").build();
    OpenApiBuilder::new().info(info).servers(Some([here])).build()
}

/// Describes all routes.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "about",
    responses((status = 200, body = serde_json::Value, description = "the OpenAPI document")),
)]
async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], KeyPackageRoutes::openapi())
}

/// Passes notices on until the server stops, or the directory is gone.
async fn tell(streams: Streams, notices: Notices, stop: Stop) {
    tokio::select! {
        () = streams.relay(notices) => {}
        () = stop => {}
    }
    streams.close();
}

/// Gives a call up that takes too long. It may be applied: what a directory does may be dropped at any point.
async fn in_time(State(time): State<Duration>, request: Request, next: Next) -> Response {
    let answer = timeout(time, next.run(request)).await;
    answer.unwrap_or_else(|_| Refusal::unavailable(Effect::Unknown).into_response())
}

/// Names the route, and not the path: a path may name a user.
fn span(request: &axum::http::Request<axum::body::Body>) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok());
    info_span!("keypackage_http", method = %request.method(), route, request_id = id.unwrap_or_default())
}
