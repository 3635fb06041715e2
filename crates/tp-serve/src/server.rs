//! Connections: limits on their number, on the size of a head and on every wait, and an orderly end.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use talking_points::Models;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    ServeConfig, ServeError,
    app::{App, router},
    engine::Engine,
    metrics::Metrics,
    timed_io::TimedWrites,
};

/// Threads for connections; the models have their own.
const CONNECTION_THREADS: usize = 2;
/// Threads for decoding, hashing and parsing beside those of the decoders.
const BLOCKING_THREADS: usize = 4;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// Hyper does not work with less.
const LEAST_HEAD_BYTES: usize = 8_192;
/// The wait after the system refused a connection, because too many files are open.
const WAIT_AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// The time for telling clients that they are cut off.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A model with the name by which requests choose it.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The name.
    pub name: String,
    /// The model.
    pub models: Models,
}

/// Takes an address, such as `127.0.0.1:8080`; port 0 is any free one. It can be taken before models
/// are loaded: connections wait.
///
/// # Errors
///
/// [`ServeError::Listen`] if it is in use, not allowed, or not of this machine.
pub fn listen(address: impl ToSocketAddrs + std::fmt::Display) -> Result<StdListener, ServeError> {
    StdListener::bind(&address)
        .map_err(|source| ServeError::Listen { address: address.to_string(), source })
}

/// A server that listens, and serves once it runs.
pub struct Server {
    listener: StdListener,
    address: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

/// Controls a server from other threads. Clones control the same server.
#[derive(Clone)]
pub struct ServerHandle {
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle").finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Tells the server to end: it accepts no further connections and answers what is under way.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Keeps requests waiting in the queue, or lets them go on. Their time runs.
    pub fn hold(&self, is_held: bool) {
        self.app.engine.hold(is_held);
    }

    /// The number of requests that wait for a model.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.app.engine.queue_length()
    }
}

impl Server {
    /// A server for the connections of a listener, which wait until it [runs](Self::run). The first
    /// model is the default.
    ///
    /// # Errors
    ///
    /// [`ServeError`] if there is no model, or two have one name.
    pub fn new(
        listener: StdListener,
        models: Vec<ServedModel>,
        config: ServeConfig,
    ) -> Result<Self, ServeError> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        if models.is_empty() {
            return Err(ServeError::NoModel);
        }
        for (at, model) in models.iter().enumerate() {
            if models[..at].iter().any(|other| other.name == model.name) {
                return Err(ServeError::SameName { name: model.name.clone() });
            }
        }
        let metrics = Arc::new(Metrics::default());
        let engine = Arc::new(Engine::new(
            models.iter().map(|model| model.models.clone()).collect(),
            config.max_queue,
            config.cache_bytes,
            metrics.clone(),
        ));
        let app = Arc::new(App::new(config, models, engine, metrics));
        Ok(Self { listener, address, app, stop: watch::Sender::new(false) })
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to stop the server.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { app: self.app.clone(), stop: self.stop.clone() }
    }

    /// Serves until [`ServerHandle::stop`], and then answers what is under way.
    ///
    /// # Errors
    ///
    /// [`ServeError`] if the system refuses what the server needs, or requests were cut off in the
    /// end.
    pub fn run(self) -> Result<(), ServeError> {
        self.run_until(std::future::pending())
    }

    /// Serves until [`ServerHandle::stop`], Ctrl-C or SIGTERM, and then answers what is under way.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_until_signalled(self) -> Result<(), ServeError> {
        self.run_until(signalled())
    }

    fn run_until(self, end: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { listener, app, stop, .. } = self;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONNECTION_THREADS)
            .max_blocking_threads(app.config.max_decoders.max(1) + BLOCKING_THREADS)
            .thread_name("connections")
            .enable_all()
            .build()?;
        let models = app.engine.clone().start()?;
        let router = router(&app);
        let stopped = async {
            let mut stop = stop.subscribe();
            tokio::select! {
                _ = stop.wait_for(|&stop| stop) => {}
                () = end => {}
            }
        };
        let served = runtime.block_on(serve(listener, &app, router, stopped));
        app.engine.close(); // nothing waits any more
        runtime.shutdown_timeout(LAST_WORDS);
        if models.join().is_err() {
            tracing::error!("the thread of the models has panicked");
        }
        served
    }
}

/// Accepts connections until `stopped`, and waits for those that are open.
async fn serve(
    listener: StdListener,
    app: &Arc<App>,
    router: Router,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let listener = TcpListener::from_std(listener)?;
    let connections_limit = app.config.max_connections.clamp(1, Semaphore::MAX_PERMITS);
    let connections = Arc::new(Semaphore::new(connections_limit));
    let open = GracefulShutdown::new();
    tokio::pin!(stopped);
    loop {
        let (stream, permit) = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        serve_connection(stream, permit, app, router.clone(), &open);
    }
    drop(listener);
    app.begin_ending();
    let ended = open.shutdown();
    tokio::pin!(ended);
    if timeout(app.config.shutdown_time, &mut ended).await.is_ok() {
        return Ok(());
    }
    let cut_off = connections_limit - connections.available_permits();
    // Those who still wait are told.
    app.engine.abort();
    let _ = timeout(LAST_WORDS, &mut ended).await;
    Err(ServeError::CutOff { connections: cut_off })
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(permit) = connections.clone().acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!("a connection was refused by the system: {error}");
                sleep(WAIT_AFTER_REFUSAL).await;
            }
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    app: &App,
    router: Router,
    open: &GracefulShutdown,
) {
    // Small events must not wait for each other; a system that cannot do so still serves.
    let _ = stream.set_nodelay(true);
    let config = &app.config;
    let head_bytes = config.max_head_bytes.max(LEAST_HEAD_BYTES);
    let stream = TokioIo::new(TimedWrites::new(stream, config.write_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_time)
        .max_headers(MAX_HEADERS)
        .max_header_size(head_bytes)
        .max_buf_size(2 * head_bytes)
        .serve_connection(stream, TowerToHyperService::new(router));
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection ended early: {error}");
        }
        drop(permit);
    });
}

/// Waits for Ctrl-C or SIGTERM. Without signals the server runs until it is killed.
async fn signalled() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
