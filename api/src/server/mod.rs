//! The public listener. `axum::serve` sets no timer, which leaves hyper's header time-out without effect; so connections
//! are accepted here.

pub mod open_files;
pub mod write_timeout;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::IntGauge;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::process::shutdown::Shutdown;
use crate::server::write_timeout::limit_writes;
use crate::telemetry::chain;
use crate::telemetry::metrics::{Present, label};

/// Time that a client has to send a request's head, so that it is cut within 10 s also where that is noticed late.
const HEADER_TIMEOUT: Duration = Duration::from_secs(8);
/// Time for which a client may take nothing of its answer before it is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which sent data may stay unacknowledged before the connection is cut. Nobody is there any more: a phone that left its network, or a client whose own
/// buffer is full. The kernel alone would try for a quarter of an hour, and a stream writes too little to fill its buffer.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG_CONNECTIONS: u32 = 1_024;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Connections of a listener at a time; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8_192;
/// Time that requests in flight have to end when no new ones are taken.
const LAST_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that connections made in the last moment have to send their requests.
const NEW_CONNECTION_GRACE: Duration = Duration::from_millis(250);

label! {
    /// A port that the process listens on.
    pub enum Listener {
        /// The port of the API.
        Public = "public",
        /// The port of probes and metrics.
        Admin = "admin",
    }
}

/// Listens on `addr`; port 0 takes a free one.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A process that starts again finds its port although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

/// Serves `router` until `drain` after a stop is asked for, then lets what was begun end. Until then nothing is refused and no
/// idle connection closed: a proxy that has not yet heard of the stop may be sending on it. `open` counts the connections.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown, drain: Duration, open: IntGauge) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let server = Server { router, graceful: GracefulShutdown::new(), open };
    let drained = shutdown.drained(drain);
    tokio::pin!(drained);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut drained => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                accept_failed(&error).await;
                continue;
            }
        };
        server.attend(stream, peer, place);
    }
    server.accept_the_last(listener, &places);
    if !drain.is_zero() {
        // hyper closes a connection that has sent nothing yet, also when its request is about to arrive.
        shutdown.drained(NEW_CONNECTION_GRACE).await;
    }
    if tokio::time::timeout(LAST_REQUESTS_TIMEOUT, server.graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy at the end of the drain");
    }
}

struct Server {
    router: Router,
    graceful: GracefulShutdown,
    open: IntGauge,
}

impl Server {
    fn attend(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Answers are small and whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT));
        let service = with_peer(self.router.clone(), peer);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(limit_writes(stream, WRITE_TIMEOUT)), service);
        let connection = self.graceful.watch(connection);
        let open = Present::of(self.open.clone());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = chain(&error), "a connection ended early");
            }
            drop((place, open));
        });
    }

    /// Those who wait in the kernel's queue would see a reset when the listener goes.
    fn accept_the_last(&self, listener: TcpListener, places: &Arc<Semaphore>) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok(place) = Arc::clone(places).try_acquire_owned() {
            let Ok((stream, peer)) = listener.accept() else { return };
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                self.attend(stream, peer, place);
            }
        }
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

fn with_peer(
    router: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<hyper::Request<Incoming>, Response = axum::response::Response, Error = std::convert::Infallible, Future: Send>
{
    service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    })
}

/// A client that left is no matter; without file descriptors, trying at once would only spin.
async fn accept_failed(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused) {
        tracing::error!(error = chain(error), "accepting a connection failed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
