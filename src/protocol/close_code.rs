//! Which close codes a Close frame may carry (RFC 6455, section 7.4, and the IANA registry of close codes).

/// "Try again later".
pub(crate) const TRY_AGAIN_LATER: u16 = 1013;

/// "Bad gateway". Registered, but tungstenite 0.30 takes it for a code that must not be sent.
pub(crate) const BAD_GATEWAY: u16 = 1014;

/// Returns whether a Close frame may carry the code. 1004 to 1006 and 1015 must not be sent, and no
/// specification defines 0 to 999, 1016 to 2999, and 5000 and above.
pub(crate) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=BAD_GATEWAY | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_that_may_be_sent_are_the_registered_and_the_private_ones() {
        for code in [1000, 1003, 1007, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(!may_be_sent(code), "{code}");
        }
    }
}
