//! Being told to end: by Ctrl-C or by SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when this process is told to end.
pub(crate) async fn told_to_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut told) => {
                told.recv().await;
            }
            // Then only Ctrl-C ends it.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
