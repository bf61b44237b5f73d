//! A time limit for writes to a connection. Without it, a client that sends a request and never reads the answer would keep the
//! answer in memory and its connection open for as long as it likes.

use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutWriter;

/// A stream whose writes have a time limit.
pub type LimitedWrites<S> = Pin<Box<TimeoutWriter<S>>>;

/// Wraps `stream` so that a write fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if the peer takes no byte for `limit`. A
/// peer that reads slowly is served for as long as it reads.
pub fn limit_writes<S: AsyncRead + AsyncWrite>(stream: S, limit: Duration) -> LimitedWrites<S> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limit));
    Box::pin(stream)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails() {
        let (ours, theirs) = tokio::io::duplex(16);
        let mut stream = limit_writes(ours, Duration::from_millis(50));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_served_as_long_as_it_reads() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = limit_writes(ours, Duration::from_millis(400));
        let reader = tokio::spawn(async move {
            let mut read = [0; 16];
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                theirs.read_exact(&mut read).await.unwrap();
            }
        });
        stream.write_all(&[0; 96]).await.unwrap();
        reader.await.unwrap();
    }
}
