//! One WebSocket session: what its handler and other threads can do with it, how it is closed, and how it ended.

pub(crate) mod cancellable_sleep;
mod closing;
pub(crate) mod codec;
pub mod end;
pub mod fault_injection;
pub mod handle;
mod timing;
pub mod websocket;
