//! The configuration files of `scripts/proxies`, each with the real proxy in front of two instances.
//!
//! `scripts/test` installs `HAProxy`, nginx and Caddy from Debian. The tests are ignored without it.

/// Makes a test for each proxy of a function with the proxy as argument.
macro_rules! each_proxy {
    ($($name:ident),* $(,)?) => {
        mod haproxy { each_proxy! { @tests Haproxy: $($name)* } }
        mod nginx { each_proxy! { @tests Nginx: $($name)* } }
        mod caddy { each_proxy! { @tests Caddy: $($name)* } }
    };
    (@tests $kind:ident: $($name:ident)*) => {
        $(
            #[test]
            #[ignore = "needs proxies of Debian; scripts/test installs them"]
            fn $name() {
                super::$name(crate::proxies::proxy::Kind::$kind);
            }
        )*
    };
}
mod client_address;
mod proxy;
mod restart;
mod rolling_restart;
mod sessions;
