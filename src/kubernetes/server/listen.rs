//! The socket the server listens on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::config::{ServingConfig, Sharing};

const BACKLOG: i32 = 1024;

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error(
        "--secure-port: port {} is in use on {}: another process of this host listens there; stop it, or choose \
         another port",
        address.port(), address.ip()
    )]
    PortBusy {
        /// Where.
        address: SocketAddr,
    },
    /// The system does not let it.
    #[error("--bind-address, --secure-port: cannot listen on {address}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Listens. An unspecified address means all addresses of both families, and of IPv4 alone where the host has no IPv6.
pub(super) fn listen(config: &ServingConfig) -> Result<TcpListener, ListenError> {
    if !config.bind.is_unspecified() {
        return bind(SocketAddr::new(config.bind, config.port), config.sharing);
    }
    match bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), config.port), config.sharing) {
        Err(ListenError::Refused { .. }) => {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), config.port), config.sharing)
        }
        listener => listener,
    }
}

fn bind(address: SocketAddr, sharing: Sharing) -> Result<TcpListener, ListenError> {
    let listener = open(address, sharing).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortBusy { address },
        _ => ListenError::Refused { address, source },
    })?;
    Ok(listener)
}

fn open(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait until the kernel has forgotten the old connections; on Linux this lets nobody else
    // listen on a port that is taken, so that the flag for it has nothing left to do.
    socket.set_reuse_address(true)?;
    if sharing.port {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use pretty_assertions::assert_eq;
    use tokio::net::TcpStream;

    use super::super::{CertificateSource, CipherSuites, Curves, Http2, ServingConfig, Sharing, TlsVersion};
    use super::{ListenError, listen};

    fn config(bind: &str, port: u16, sharing: Sharing) -> ServingConfig {
        ServingConfig {
            bind: bind.parse().unwrap(),
            port,
            certificate: CertificateSource::SelfSigned,
            sni: Vec::new(),
            min_version: TlsVersion::Tls12,
            ciphers: CipherSuites::OFFERED,
            curves: Curves::OFFERED,
            http2: Http2::Off,
            sharing,
        }
    }

    #[tokio::test]
    async fn app_17_the_default_address_means_both_families() {
        for (bind, v4, v6) in
            [("0.0.0.0", true, true), ("::", true, true), ("127.0.0.1", true, false), ("::1", false, true)]
        {
            let listener = listen(&config(bind, 0, Sharing::default())).unwrap();
            let port = listener.local_addr().unwrap().port();
            let reached = async |host: &str| TcpStream::connect((host, port)).await.is_ok();
            assert_eq!((reached("127.0.0.1").await, reached("::1").await), (v4, v6), "{bind}");
        }
    }

    #[tokio::test]
    async fn app_17_a_busy_port_is_named() {
        let first = listen(&config("127.0.0.1", 0, Sharing::default())).unwrap();
        let port = first.local_addr().unwrap().port();
        let error = listen(&config("127.0.0.1", port, Sharing { address: true, port: false })).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "--secure-port: port {port} is in use on 127.0.0.1: another process of this host listens there; stop \
                 it, or choose another port"
            )
        );
    }

    #[tokio::test]
    async fn app_19_a_port_may_be_shared() {
        let sharing = Sharing { port: true, address: false };
        let first = listen(&config("127.0.0.1", 0, sharing)).unwrap();
        let address: SocketAddr = first.local_addr().unwrap();
        let second = listen(&config("127.0.0.1", address.port(), sharing)).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn app_17_an_address_of_another_host_is_refused() {
        let error = listen(&config("192.0.2.1", 0, Sharing::default())).unwrap_err();
        assert!(matches!(error, ListenError::Refused { .. }), "{error:?}");
        assert_eq!(error.to_string(), "--bind-address, --secure-port: cannot listen on 192.0.2.1:0");
    }
}
