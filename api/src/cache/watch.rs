//! Who waits for something in this process's cache to change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::subject::Tag;

/// Those who wait, by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<Tag, watch::Sender<()>>>);

impl Watchers {
    pub(super) fn watch(&self, tag: &Tag) -> Watch<'_> {
        let changes = self.all().entry(tag.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Watch { watchers: self, tag: tag.clone(), changes: Some(changes) }
    }

    /// Tells those who wait for one of `tags`.
    pub(super) fn wake(&self, tags: &[Tag]) {
        let all = self.all();
        for changed in tags.iter().filter_map(|tag| all.get(tag)) {
            changed.send_replace(());
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Tag, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when something was invalidated in this process's cache, or given a newer answer.
#[derive(Debug)]
pub struct Watch<'a> {
    watchers: &'a Watchers,
    tag: Tag,
    /// There until it is dropped.
    changes: Option<watch::Receiver<()>>,
}

impl Watch<'_> {
    /// Returns at the first change since the last one that was told, or since the watch began.
    pub async fn changed(&mut self) {
        if let Some(changes) = &mut self.changes {
            // The sender stays as long as somebody waits.
            let _ = changes.changed().await;
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut all = self.watchers.all();
        // Counted under the lock, or two who leave together would each take the other for one who stays.
        drop(self.changes.take());
        if all.get(&self.tag).is_some_and(|sender| sender.receiver_count() == 0) {
            all.remove(&self.tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_told(watch: &mut Watch<'_>) -> bool {
        tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_to_each_who_waits_for_it_and_nobody_is_left_behind() {
        let watchers = Watchers::default();
        let mut first = watchers.watch(&Tag::totals("a"));
        let mut second = watchers.watch(&Tag::totals("a"));
        let mut other = watchers.watch(&Tag::totals("b"));
        assert!(!is_told(&mut first).await);
        // Before anybody asks, and several at once.
        watchers.wake(&[Tag::totals("a"), Tag::feed("a")]);
        watchers.wake(&[Tag::totals("a")]);
        assert!(is_told(&mut first).await && is_told(&mut second).await);
        assert!(!is_told(&mut first).await && !is_told(&mut other).await);
        drop((first, other));
        assert_eq!(watchers.all().len(), 1);
        watchers.wake(&[Tag::totals("a")]);
        assert!(is_told(&mut second).await);
        drop(second);
        assert!(watchers.all().is_empty());
    }
}
