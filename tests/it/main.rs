//! Behaviour of the server and the load generator, as seen from outside.

mod extensions;
mod tap;
