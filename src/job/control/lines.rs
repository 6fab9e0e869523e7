//! Lines over a connection that may be slow, hang, or send anything.

use std::io;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

/// The longest line that is read.
pub const LINE_BYTES_MAX: usize = 16 << 10;
/// How long a client may take to send its next line.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a client may take to read a line.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// The lines of a client.
pub struct Lines {
    stream: UnixStream,
    read: Vec<u8>,
}

/// Why no line came.
#[derive(Debug, PartialEq, Eq)]
pub enum NoLine {
    /// The client has closed the connection, or was silent for too long.
    Gone,
    /// The line is too long.
    TooLong,
    /// The line is no UTF-8.
    NotText,
}

impl Lines {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Reads the next line.
    pub async fn next(&mut self) -> Result<String, NoLine> {
        timeout(IDLE_MAX, self.read_line()).await.unwrap_or(Err(NoLine::Gone))
    }

    async fn read_line(&mut self) -> Result<String, NoLine> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let line = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(line).map_err(|_| NoLine::NotText);
            }
            if self.read.len() > LINE_BYTES_MAX {
                return Err(NoLine::TooLong);
            }
            self.fill().await.map_err(|_| NoLine::Gone)?;
        }
    }

    /// Waits until the client closes the connection. What it sends in the meantime is discarded.
    pub async fn closed(&mut self) {
        while self.fill().await.is_ok() {
            self.read.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.read.extend_from_slice(&bytes[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a line. Fails where the client does not take it in time.
    pub async fn write(&mut self, line: &str) -> io::Result<()> {
        let write = async {
            let bytes = format!("{line}\n").into_bytes();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.stream.writable().await?;
                match self.stream.try_write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        timeout(WRITE_MAX, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
