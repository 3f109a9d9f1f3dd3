//! HTTP/2 settings for footage: small windows and large messages on a LAN, larger windows where round trips are long.
//!
//! Measured (`docs/`, roofline): 1 MiB stream windows, 2 MiB connection windows, 1 MiB frames and 1 MiB messages cost
//! the least; larger windows cost more. Over a WAN the window must cover bandwidth × round trip, so it is a setting.

use std::time::Duration;

use tonic::transport::Server;
use tonic::transport::channel::Endpoint;

/// The largest window that HTTP/2 knows.
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// Settings of one kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetTuning {
    /// Bytes that one stream may have under way.
    pub stream_window_bytes: u32,
    /// Bytes that one connection may have under way.
    pub connection_window_bytes: u32,
    /// Largest HTTP/2 frame.
    pub frame_bytes_max: u32,
    /// Most streams that one caller may have open at one server.
    pub streams_max: u32,
    /// TCP and TLS must be up within this.
    pub connect_timeout: Duration,
    /// After a failed connect, calls fail at once for this long instead of each waiting for its own attempt.
    pub reconnect_pause: Duration,
    /// A ping goes out this often, on idle connections too.
    pub keepalive_interval: Duration,
    /// A ping that is not answered within this ends the connection and every call on it.
    pub keepalive_timeout: Duration,
}

impl NetTuning {
    /// Between machines of one site.
    pub const LAN: Self = Self {
        stream_window_bytes: 1 << 20,
        connection_window_bytes: 2 << 20,
        frame_bytes_max: 1 << 20,
        streams_max: 1024,
        connect_timeout: Duration::from_secs(3),
        reconnect_pause: Duration::from_millis(200),
        keepalive_interval: Duration::from_secs(2),
        keepalive_timeout: Duration::from_secs(3),
    };

    /// For a path that has room for `bytes` under way (bandwidth × round trip); never smaller than on a LAN.
    #[must_use]
    pub fn for_path(bytes: u32) -> Self {
        let stream = bytes.clamp(Self::LAN.stream_window_bytes, WINDOW_BYTES_MAX / 2);
        Self {
            stream_window_bytes: stream,
            connection_window_bytes: stream * 2,
            connect_timeout: Duration::from_secs(8),
            keepalive_interval: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(8),
            ..Self::LAN
        }
    }
}

impl Default for NetTuning {
    fn default() -> Self {
        Self::LAN
    }
}

/// A tonic server with these settings. Message sizes are set on each service (`max_decoding_message_size`), deadlines
/// by each handler.
#[must_use]
pub fn tune_server(server: Server, tuning: &NetTuning) -> Server {
    server
        .initial_stream_window_size(tuning.stream_window_bytes)
        .initial_connection_window_size(tuning.connection_window_bytes)
        .max_frame_size(tuning.frame_bytes_max)
        .max_concurrent_streams(tuning.streams_max)
        .http2_keepalive_interval(Some(tuning.keepalive_interval))
        .http2_keepalive_timeout(Some(tuning.keepalive_timeout))
        .accept_http1(false)
}

pub(crate) fn tune_endpoint(endpoint: Endpoint, tuning: &NetTuning) -> Endpoint {
    endpoint
        .initial_stream_window_size(tuning.stream_window_bytes)
        .initial_connection_window_size(tuning.connection_window_bytes)
        .max_frame_size(tuning.frame_bytes_max)
        .http2_keep_alive_interval(tuning.keepalive_interval)
        .keep_alive_timeout(tuning.keepalive_timeout)
        .keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_a_long_path_cover_it_and_stay_within_http2() {
        assert_eq!(NetTuning::for_path(0).stream_window_bytes, 1 << 20);
        assert_eq!(NetTuning::for_path(16 << 20).stream_window_bytes, 16 << 20);
        let widest = NetTuning::for_path(u32::MAX);
        assert!(widest.connection_window_bytes <= WINDOW_BYTES_MAX);
        assert_eq!(widest.connection_window_bytes, widest.stream_window_bytes * 2);
    }
}
