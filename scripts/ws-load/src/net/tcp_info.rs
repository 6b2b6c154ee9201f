//! Reads the kernel's data about a TCP connection (`TCP_INFO`, tcp(7)).

use std::os::fd::AsFd;

/// Returns how many segments of the connection were sent again. Right after a connect these are SYNs. `None`
/// if the kernel does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn retransmits(socket: &impl AsFd) -> Option<u32> {
    nix::sys::socket::getsockopt(socket, linux::TcpInfo).ok().map(|info| info.total_retrans)
}

/// Returns `None`: only Linux is supported.
#[cfg(not(target_os = "linux"))]
pub(crate) fn retransmits(_socket: &impl AsFd) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::{getsockopt_impl, sockopt_impl};

    /// The first 104 bytes of the kernel's `struct tcp_info`, which every version of Linux since 2.6.10 has.
    /// The structure of `libc` is longer, and nix panics if the kernel returns less than it asks for.
    #[repr(C)]
    #[derive(Debug, Clone, Copy)]
    #[allow(
        unreachable_pub,
        reason = "the type of the option, which the macro makes public, cannot be private"
    )]
    pub struct TcpInfoHead {
        _states: [u8; 8],
        _figures: [u32; 23],
        pub(super) total_retrans: u32,
    }

    sockopt_impl!(
        /// `TCP_INFO`, up to `tcpi_total_retrans`.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        TcpInfoHead
    );
}
