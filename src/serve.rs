//! Serves health, readiness and metrics from the last snapshot. Never asks an API server.
//!
//! | path | answers 200 |
//! |---|---|
//! | `/healthz` | while the loop ticks |
//! | `/readyz` | once everything that is watched has been read |
//! | `/metrics` | always |

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};
use weir_core::time::Span;

use crate::{clock::Clock, metrics, snapshot::Snapshot, tasks::TaskError};

/// How long the loop may be silent: six idle ticks. It never waits for an API server, so that its
/// silence is a fault of this process, which a restart may mend.
const SILENT_AT_MOST: Span = Span::from_secs(30);

/// The snapshot that is served; `None` before the first tick.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; choose another with --listen")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

#[derive(Clone)]
struct Desk {
    snapshots: Snapshots,
    clock: Clock,
}

/// Takes the address, so that a mistake is told at the start.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|source| ListenError { address, source })
}

/// Serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    snapshots: Snapshots,
    clock: Clock,
) -> Result<(), TaskError> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Desk { snapshots, clock });
    Ok(axum::serve(listener, router).await?)
}

async fn healthz(State(desk): State<Desk>) -> (StatusCode, String) {
    let last = desk.snapshots.borrow().as_ref().map(|snapshot| snapshot.at);
    match last.map(|at| desk.clock.now().since(at)) {
        // Before the first tick the process is starting; a probe's initial delay is not our doing.
        None => (StatusCode::OK, "starting\n".to_owned()),
        Some(age) if age <= SILENT_AT_MOST => (StatusCode::OK, "ok\n".to_owned()),
        Some(age) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the loop has been silent for {age}\n"),
        ),
    }
}

async fn readyz(State(desk): State<Desk>) -> (StatusCode, String) {
    let snapshot = desk.snapshots.borrow().clone();
    match snapshot {
        Some(snapshot) if snapshot.ready => (StatusCode::OK, "ok\n".to_owned()),
        Some(snapshot) => {
            let waiting = snapshot.waiting.join("\n");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("waiting for:\n{waiting}\n"),
            )
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
    }
}

async fn metrics(State(desk): State<Desk>) -> Response {
    let snapshot = desk.snapshots.borrow().clone();
    match snapshot.map(|snapshot| metrics::page(&snapshot)) {
        Some(Ok(page)) => ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], page).into_response(),
        Some(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
    }
}
