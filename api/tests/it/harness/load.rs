//! Clients that go on asking while a test stops, freezes and starts things.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Campaign, Fleet, TestApp};

/// How many ask at the same time.
pub const CLIENTS: usize = 24;

/// What is asked.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Mix {
    /// A campaign, its totals, and every third time a donation.
    ReadsAndDonations,
    /// A campaign, its totals, the list of campaigns.
    Reads,
}

/// What all clients share.
struct Load {
    mix: Mix,
    http: reqwest::Client,
    base: String,
    slug: String,
    donation: Value,
    sent: AtomicUsize,
    stop: AtomicBool,
}

/// What came of a load.
pub struct Outcome {
    pub sent: usize,
    /// The ids of acknowledged donations.
    pub donations: BTreeSet<String>,
    pub failures: Vec<String>,
    /// How long the slowest answer took.
    pub longest: Duration,
}

/// Clients that ask one thing after another, through nginx.
pub struct Running {
    load: Arc<Load>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    donations: Vec<String>,
    failures: Vec<String>,
    longest: Duration,
}

impl Running {
    pub fn start(app: &TestApp, fleet: &Fleet, campaign: &Campaign, mix: Mix) -> Self {
        let load = Arc::new(Load {
            mix,
            http: reqwest::Client::new(),
            base: format!("{}/api/v1", fleet.base),
            slug: campaign.slug.clone(),
            donation: app.donation(json!({})),
            sent: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let clients = (0..CLIENTS).map(|number| tokio::spawn(client(Arc::clone(&load), number))).collect();
        Self { load, clients }
    }

    pub fn sent(&self) -> usize {
        self.load.sent.load(Ordering::Relaxed)
    }

    pub async fn stop(self) -> Outcome {
        self.load.stop.store(true, Ordering::Relaxed);
        let (mut donations, mut failures, mut longest) = (BTreeSet::new(), vec![], Duration::ZERO);
        for client in self.clients {
            let seen = client.await.unwrap();
            donations.extend(seen.donations);
            failures.extend(seen.failures);
            longest = longest.max(seen.longest);
        }
        Outcome { sent: self.load.sent.load(Ordering::Relaxed), donations, failures, longest }
    }
}

/// The ids of all donations in the database.
pub async fn stored_donations(app: &TestApp) -> BTreeSet<String> {
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM doacoes").fetch_all(&app.owner).await.unwrap();
    ids.iter().map(Uuid::to_string).collect()
}

/// One request after another.
async fn client(load: Arc<Load>, number: usize) -> Seen {
    let mut seen = Seen::default();
    let campaign = format!("{}/campanhas/{}", load.base, load.slug);
    for round in number.. {
        if load.stop.load(Ordering::Relaxed) || seen.failures.len() > 20 {
            break;
        }
        let donates = round % 3 == 0 && load.mix == Mix::ReadsAndDonations;
        let request = match round % 3 {
            0 if donates => load
                .http
                .post(format!("{campaign}/doacoes"))
                .header("idempotency-key", Uuid::new_v4().to_string())
                .header("content-type", "application/json")
                .body(load.donation.to_string()),
            0 => load.http.get(format!("{}/campanhas", load.base)),
            1 => load.http.get(&campaign),
            _ => load.http.get(format!("{campaign}/totais")),
        };
        let began = Instant::now();
        let answer = match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                answer.text().await.map(|text| (status, text))
            }
            Err(error) => Err(error),
        };
        load.sent.fetch_add(1, Ordering::Relaxed);
        seen.longest = seen.longest.max(began.elapsed());
        match answer {
            Ok((status, text)) if status.is_success() => {
                if donates {
                    let donation: Value = serde_json::from_str(&text).unwrap();
                    seen.donations.push(donation["id"].as_str().unwrap().to_owned());
                }
            }
            Ok((status, text)) => seen.failures.push(format!("{} {status}: {text:.200}", round % 3)),
            Err(error) => seen.failures.push(format!("{} {error:?}", round % 3)),
        }
    }
    seen
}
