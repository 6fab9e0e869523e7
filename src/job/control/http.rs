//! The counts of a job over HTTP, for Prometheus. Not a web server: it reads the head of one request, replies and closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::handle::RunControl;

/// Clients at a time; further ones are turned away.
const CLIENTS_MAX: usize = 8;
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long a request and its reply may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// The wait after a connection could not be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A server of `GET /metrics`, until it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: AbortHandle,
}

impl MetricsServer {
    /// Listens on an address. Must be called inside the runtime.
    pub fn listen(address: SocketAddr, control: RunControl) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(TcpListener::from_std(listener)?, control)).abort_handle();
        Ok(Self { address, task })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, control: RunControl) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let control = control.clone();
        clients.spawn(async move {
            // Whoever is slow is cut off.
            let _ = timeout(EXCHANGE_MAX, exchange(&stream, &control)).await;
            drop(place);
        });
    }
}

async fn exchange(stream: &TcpStream, control: &RunControl) -> io::Result<()> {
    let head = head(stream).await?;
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET", "/metrics") => ("200 OK", control.metrics().await),
        (_, "/metrics") => ("405 Method Not Allowed", "use GET\n".to_owned()),
        _ => ("404 Not Found", "the counts are at /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let reply = (head + &body).into_bytes();
    let mut rest = &reply[..];
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a request as far as the end of its head.
async fn head(stream: &TcpStream) -> io::Result<String> {
    let mut read = Vec::new();
    let mut bytes = [0; 1024];
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        stream.readable().await?;
        match stream.try_read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => read.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if read.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}
