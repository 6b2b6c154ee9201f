//! One WebSocket session: its turns on a worker, what its endpoint and other threads can do with it, how it
//! is closed, and how it ended.

mod closing;
pub(crate) mod codec;
pub mod end;
pub mod endpoint;
pub mod fault_injection;
pub mod handle;
pub mod peer;
pub(crate) mod turn;
pub mod websocket;
