//! Watches, the queue, and how long to wait after a failure.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action, Config, ReconcileRequest, trigger_self, trigger_with};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, applier};
use kube::{Resource, ResourceExt as _};
use tokio::sync::watch;

use crate::backoff::{Backoff, Failure, Key, Retry};
use crate::crd::DonationPlatform;
use crate::error::Error;
use crate::kinds;
use crate::metrics::{Metrics, ReconcileResult};
use crate::names;
use crate::reconcile::condition::ConditionType;
use crate::reconcile::{Context, Outcome, reconcile};
use crate::telemetry::chain;

/// Most passes at the same time in one scope.
const CONCURRENT_PASSES_MAX: u16 = 8;
/// Time in which several events start one pass.
const EVENT_DEBOUNCE: Duration = Duration::from_millis(100);
/// Longest time between two passes, for what is not watched: Secrets without our labels, and certificates near their end.
const RESYNC_INTERVAL: Duration = Duration::from_mins(5);

/// A resource, or why it cannot be read: one that an older definition let in must not stop the others.
type GuardedPlatform = DeserializeGuard<DonationPlatform>;

/// The part of the cluster in which the operator keeps platforms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The platforms of every namespace, which takes a `ClusterRole`.
    Cluster,
    /// The platforms of the namespace of this name, which takes a `Role` in it.
    Namespace(String),
}

impl Scope {
    /// The scopes of a list of namespaces; an empty one is the whole cluster.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::Cluster];
        }
        namespaces.iter().cloned().map(Self::Namespace).collect()
    }

    fn platforms(&self, context: &Context) -> Api<GuardedPlatform> {
        match self {
            Self::Cluster => Api::all(context.client.client()),
            Self::Namespace(namespace) => Api::namespaced(context.client.client(), namespace),
        }
    }

    fn metadata(&self, context: &Context, resource: &ApiResource) -> Api<PartialObjectMeta<DynamicObject>> {
        match self {
            Self::Cluster => Api::all_with(context.client.client(), resource),
            Self::Namespace(namespace) => Api::namespaced_with(context.client.client(), namespace, resource),
        }
    }
}

/// State of the watches: the platforms that they read, and how many are not established yet.
#[derive(Clone, Default)]
pub struct WatchState {
    stores: Arc<Mutex<Vec<Store<GuardedPlatform>>>>,
    missing: Arc<AtomicUsize>,
    started: Arc<AtomicUsize>,
}

impl WatchState {
    /// Whether every watch has read what there is.
    pub fn is_established(&self) -> bool {
        self.started.load(Ordering::Acquire) > 0 && self.missing.load(Ordering::Acquire) == 0
    }

    /// Number of platforms whose `Ready` is True, False and Unknown.
    pub fn ready(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for store in self.stores.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for platform in store.state() {
                let status = platform.0.as_ref().ok().and_then(|platform| platform.status.as_ref());
                let ready = status
                    .map(|status| status.conditions.as_slice())
                    .unwrap_or_default()
                    .iter()
                    .find(|condition| condition.type_ == ConditionType::Ready.as_str())
                    .map(|condition| condition.status.as_str());
                let [yes, no, unknown] = &mut counts;
                *match ready {
                    Some("True") => yes,
                    Some("False") => no,
                    _ => unknown,
                } += 1;
            }
        }
        counts
    }

    /// Counts a watch as missing until it has read what there is.
    fn track<K>(&self, stream: BoxStream<'static, Result<Event<K>, watcher::Error>>) -> BoxStream<'static, Result<Event<K>, watcher::Error>>
    where
        K: 'static,
    {
        self.started.fetch_add(1, Ordering::AcqRel);
        self.missing.fetch_add(1, Ordering::AcqRel);
        let missing = Arc::clone(&self.missing);
        let mut first = true;
        stream
            .inspect(move |event| {
                if first && matches!(event, Ok(Event::InitDone)) {
                    first = false;
                    missing.fetch_sub(1, Ordering::AcqRel);
                }
            })
            .boxed()
    }
}

/// The dependencies of a pass, and the waits after failures.
struct Worker {
    context: Context,
    metrics: Arc<Metrics>,
    backoff: Backoff,
}

/// Works until `stop` says so; then finishes what it has begun.
pub async fn run(context: Context, metrics: Arc<Metrics>, scopes: Vec<Scope>, watched: WatchState, stop: watch::Receiver<bool>) {
    let worker = Arc::new(Worker { context, metrics, backoff: Backoff::default() });
    join_all(scopes.into_iter().map(|scope| work(Arc::clone(&worker), scope, watched.clone(), stop.clone()))).await;
}

async fn work(worker: Arc<Worker>, scope: Scope, watched: WatchState, stop: watch::Receiver<bool>) {
    let context = &worker.context;
    let (store, writer) = reflector::store();
    watched.stores.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
    let platforms = watched.track(watcher(scope.platforms(context), watcher::Config::default()).default_backoff().boxed());
    let mut triggers: Vec<BoxStream<'static, Result<ReconcileRequest<GuardedPlatform>, watcher::Error>>> =
        vec![trigger_self(reflector::reflector(writer, platforms).applied_objects(), ()).boxed()];
    for resource in kinds::watched() {
        let config = watcher::Config::default().labels(&names::managed());
        let events = watched.track(watcher(scope.metadata(context, &resource), config).default_backoff().boxed());
        triggers.push(trigger_with(events.touched_objects(), |object| platforms_of(&object)).boxed());
    }
    // Certificates belong to others, who renew them.
    let config = watcher::Config::default().fields("type=kubernetes.io/tls");
    let certificates = watched.track(watcher(scope.metadata(context, &kinds::secret()), config).default_backoff().boxed());
    let platforms = store.clone();
    triggers.push(trigger_with(certificates.touched_objects(), move |object| platforms_with_certificate(&platforms, &object)).boxed());

    let queue = stream::select_all(triggers).take_until(stopped(stop));
    applier(
        |platform, worker: Arc<Worker>| async move { worker.pass(&platform).await }.boxed(),
        |platform, error, worker: Arc<Worker>| worker.after_failure(&platform, error),
        Arc::clone(&worker),
        store,
        queue,
        Config::default().concurrency(CONCURRENT_PASSES_MAX).debounce(EVENT_DEBOUNCE),
    )
    .for_each(|result| {
        match result {
            // Logged where it is handled: in `after_failure`.
            Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
            // Its last objects are being removed.
            Err(controller::Error::ObjectNotFound(platform)) => worker.forget(&platform),
            Err(error @ (controller::Error::QueueError(_) | controller::Error::RunnerError(_))) => {
                tracing::warn!(error = chain(&error), "a watch failed and is started again");
            }
        }
        std::future::ready(())
    })
    .await;
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender is gone only when the process ends.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The platforms that an object belongs to by its labels, as retained data does, which has no owner; and by its owners, as an object
/// does whose label was changed.
fn platforms_of<K: Resource>(object: &K) -> Vec<ReconcileRequest<GuardedPlatform>>
where
    K::DynamicType: Hash + Eq,
{
    let Some(namespace) = object.namespace() else { return Vec::new() };
    let kind = DonationPlatform::kind(&());
    let owners = object.owner_references().iter().filter(|owner| owner.kind == kind).map(|owner| &owner.name);
    let names: BTreeSet<&String> = object.labels().get(names::INSTANCE_LABEL).into_iter().chain(owners).collect();
    names.into_iter().map(|name| ObjectRef::new(name).within(&namespace).into()).collect()
}

/// The platforms whose donors see this certificate.
fn platforms_with_certificate<K: Resource>(platforms: &Store<GuardedPlatform>, secret: &K) -> Vec<ReconcileRequest<GuardedPlatform>> {
    let (name, namespace) = (secret.name_any(), secret.namespace());
    platforms
        .state()
        .into_iter()
        .filter(|platform| platform.namespace() == namespace)
        .filter(|platform| {
            let tls = platform.0.as_ref().ok().and_then(|platform| platform.spec.ingress.tls.as_ref());
            tls.is_some_and(|tls| tls.secret_name.as_ref() == Some(&name))
        })
        .map(|platform| ObjectRef::from_obj(&*platform).into())
        .collect()
}

impl Worker {
    async fn pass(&self, platform: &GuardedPlatform) -> Result<Action, Error> {
        let started = Instant::now();
        let result = match &platform.0 {
            Ok(platform) => Box::pin(reconcile(&self.context, platform, Timestamp::now())).await,
            Err(unreadable) => Err(Error::Invalid(format!("the resource cannot be read: {unreadable}"))),
        };
        let (outcome, action) = match &result {
            Ok(Outcome::Settled) => (ReconcileResult::Settled, Action::requeue(RESYNC_INTERVAL)),
            Ok(Outcome::Waiting(after)) => (ReconcileResult::Waiting, Action::requeue(*after)),
            Err(_) => (ReconcileResult::Failed, Action::await_change()),
        };
        self.metrics.count_reconcile(outcome, started.elapsed());
        result?;
        self.backoff.forget(&key(platform));
        Ok(action)
    }

    fn after_failure(&self, platform: &GuardedPlatform, error: &Error) -> Action {
        let class = error.class();
        self.metrics.count_error(class);
        let failure =
            Failure { generation: platform.meta().generation, class, retry_after: error.retry_after(), jitter: rand::random::<f64>() };
        let Retry { failures, delay } = self.backoff.failed(key(platform), failure, Instant::now());
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            platform.name = platform.name_any(),
            platform.namespace = platform.namespace(),
            class = class.as_str(),
            failures,
            delay_ms,
            error = chain(error),
            "a platform could not be brought to what its resource says"
        );
        Action::requeue(delay)
    }

    fn forget(&self, platform: &ObjectRef<DynamicObject>) {
        self.backoff.forget(&Key { namespace: platform.namespace.clone().unwrap_or_default(), name: platform.name.clone() });
    }
}

fn key(platform: &GuardedPlatform) -> Key {
    Key { namespace: platform.namespace().unwrap_or_default(), name: platform.name_any() }
}
