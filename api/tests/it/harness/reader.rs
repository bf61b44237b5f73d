//! A client of one hot page with a thread and a connection of its own, so that what it waits for is the server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Campaign, p99};

/// Between two reads.
const PAUSE: Duration = Duration::from_millis(4);

/// Reads until it is stopped, and fails at any answer but 200.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Reader {
    /// Of a campaign, at the process with this URL.
    pub fn start(base: &str, campaign: &Campaign) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut connection = BufReader::new(TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap());
        connection.get_ref().set_nodelay(true).unwrap();
        let request = format!("GET /api/v1/campanhas/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", campaign.slug);
        let thread = thread::spawn(move || {
            let mut times = vec![];
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                connection.get_mut().write_all(request.as_bytes()).unwrap();
                take_answer(&mut connection);
                times.push(began.elapsed());
                thread::sleep(PAUSE);
            }
            times
        });
        Self { stop, thread }
    }

    /// How long each read took.
    pub async fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }

    /// The 99th percentile while nothing else happens.
    pub async fn calm(base: &str, campaign: &Campaign) -> Duration {
        let reader = Self::start(base, campaign);
        tokio::time::sleep(Duration::from_secs(4)).await;
        p99(reader.stop().await)
    }
}

fn take_answer(connection: &mut BufReader<TcpStream>) {
    let (mut line, mut length) = (String::new(), 0);
    connection.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim_end().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
}
