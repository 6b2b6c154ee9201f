//! The commands besides the server: check, health check, completions and manual page.

mod check;
mod documents;
mod healthcheck;
mod run;

pub use run::run;
