//! Calls functions of other crates that panic where an error value is expected, without a panic message.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`catch_quietly`].
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the panic hook once, for all threads.
static HOOK: Once = Once::new();

/// Calls `function` and returns its result, or `None` if it panicked. Prints nothing in that case, also with
/// `RUST_BACKTRACE`. Panics of other threads are printed as before.
pub(crate) fn catch_quietly<T>(function: impl FnOnce() -> T) -> Option<T> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(function));
    QUIET.set(false);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_panic_is_none_and_a_result_is_kept() {
        assert_eq!(catch_quietly(|| 7), Some(7));
        assert_eq!(catch_quietly(|| -> u8 { panic!("not printed") }), None);
        assert!(!QUIET.get());
    }
}
