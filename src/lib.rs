//! A multi-threaded, blocking WebSocket echo server with a fixed thread pool.

pub mod extensions;
