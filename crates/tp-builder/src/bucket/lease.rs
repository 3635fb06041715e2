//! Leases: exclusive claims on a shard, or on the whole build, that expire unless they are renewed.
//!
//! A renewal creates a new object with the next number, which can be created only once. Of two
//! competing processes exactly one succeeds, regardless of their clocks, and the store only has to
//! refuse to overwrite. Clocks decide only when an abandoned lease has expired; they may differ by
//! less than a minute.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::store::{Created, Store};
use crate::BuildError;

const FOLDER: &str = "work/leases";
/// The time after its last renewal at which a lease expires.
const HOLD: Duration = Duration::from_secs(300);
/// The renewal interval, short enough that the store may be unreachable for a while.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(60);

/// The lease on the whole build, which excludes leases on shards.
pub(super) const WHOLE: &str = "whole";

/// The content of a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    /// A random number, so that two processes never write equal objects.
    holder: String,
    /// Seconds since 1970.
    until: u64,
}

/// A lease held by this process.
pub(super) struct Lease<'a> {
    store: &'a Store,
    stem: String,
    holder: String,
    number: u32,
}

impl<'a> Lease<'a> {
    /// Acquires the lease on a shard, or on the whole build.
    ///
    /// # Errors
    ///
    /// [`BuildError::Held`] if another process holds it, or, for the whole build, holds a lease on
    /// any shard.
    pub(super) fn take(store: &'a Store, stem: &str) -> Result<Self, BuildError> {
        let holder = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        check_that_store_refuses(store, &holder)?;
        let last = last_numbers(store)?.get(stem).copied();
        if let Some(number) = last {
            refuse_if_held(store, stem, number)?;
        }
        let lease = Self {
            store,
            stem: stem.to_owned(),
            holder,
            number: last.map_or(0, |number| number + 1),
        };
        lease.write(HOLD)?;
        // Both processes write before they check, so at least one of them sees the other.
        let clash = last_numbers(store)?
            .into_iter()
            .filter(|(other, _)| other != stem && (stem == WHOLE || other == WHOLE))
            .try_for_each(|(other, number)| refuse_if_held(store, &other, number));
        match clash {
            Ok(()) => Ok(lease),
            Err(error) => {
                lease.release();
                Err(error)
            }
        }
    }

    /// Renews the lease.
    ///
    /// # Errors
    ///
    /// [`BuildError::TakenOver`] if another process has acquired it.
    pub(super) fn renew(&mut self) -> Result<(), BuildError> {
        self.number += 1;
        self.write(HOLD)
    }

    /// Releases the lease.
    pub(super) fn release(mut self) {
        self.number += 1;
        if let Err(error) = self.write(Duration::ZERO) {
            tracing::warn!("the lease on {} expires in {} s: {error}", self.stem, HOLD.as_secs());
        }
    }

    fn write(&self, hold: Duration) -> Result<(), BuildError> {
        let taken_over =
            || BuildError::TakenOver { url: self.store.url().to_owned(), what: what(&self.stem) };
        let hold = Hold {
            holder: self.holder.clone(),
            until: if hold.is_zero() { 0 } else { now() + hold.as_secs() },
        };
        let name = name(&self.stem, self.number);
        let json = serde_json::to_vec(&hold)
            .map_err(|error| self.store.trouble(&name, error.to_string()))?;
        if self.store.create(&name, json)? == Created::Taken {
            return Err(taken_over());
        }
        let numbers = numbers_of(self.store, &self.stem)?;
        // Old numbers are deleted, so a process that was overtaken long ago could otherwise create
        // one again.
        if numbers.iter().any(|number| *number > self.number) {
            return Err(taken_over());
        }
        for number in numbers.into_iter().filter(|number| *number < self.number) {
            if let Err(error) = self.store.delete(&self::name(&self.stem, number)) {
                tracing::debug!("an old lease was not deleted: {error}");
            }
        }
        Ok(())
    }
}

/// Some stores ignore the condition that an object must not exist, and overwrite it.
fn check_that_store_refuses(store: &Store, holder: &str) -> Result<(), BuildError> {
    let probe = "work/never-overwritten";
    store.create(probe, format!("{holder} 1").into_bytes())?;
    match store.create(probe, format!("{holder} 2").into_bytes())? {
        Created::Taken => Ok(()),
        Created::Ours => Err(store.trouble(
            probe,
            "was overwritten; use a store that supports conditional writes (If-None-Match)",
        )),
    }
}

fn refuse_if_held(store: &Store, stem: &str, number: u32) -> Result<(), BuildError> {
    let name = name(stem, number);
    let until = match store.get(&name)? {
        // It was renewed just now.
        None => now() + HOLD.as_secs(),
        Some(json) => {
            let hold: Result<Hold, _> = serde_json::from_slice(&json);
            hold.map_err(|error| {
                store.trouble(&name, format!("{error}; delete it if no process is running"))
            })?
            .until
        }
    };
    match until.saturating_sub(now()) {
        0 => Ok(()),
        for_secs => {
            Err(BuildError::Held { url: store.url().to_owned(), what: what(stem), for_secs })
        }
    }
}

/// The last number of every lease.
fn last_numbers(store: &Store) -> Result<BTreeMap<String, u32>, BuildError> {
    let mut last = BTreeMap::new();
    for name in store.list(FOLDER)?.into_keys() {
        if let Some((stem, number)) = parsed(&name) {
            let known = last.entry(stem.to_owned()).or_insert(number);
            *known = number.max(*known);
        }
    }
    Ok(last)
}

fn numbers_of(store: &Store, stem: &str) -> Result<Vec<u32>, BuildError> {
    let names = store.list(FOLDER)?;
    Ok(names
        .keys()
        .filter_map(|name| parsed(name))
        .filter(|(other, _)| *other == stem)
        .map(|(_, number)| number)
        .collect())
}

fn name(stem: &str, number: u32) -> String {
    format!("{FOLDER}/{stem}.{number:08}.json")
}

fn parsed(name: &str) -> Option<(&str, u32)> {
    let (stem, number) = name.strip_suffix(".json")?.split_once('.')?;
    Some((stem, number.parse().ok()?))
}

/// The readable name of a lease.
fn what(stem: &str) -> String {
    if stem == WHOLE { "the whole build".to_owned() } else { format!("shard {stem}") }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn store() -> Store {
        Store::new("memory", Arc::new(InMemory::new())).unwrap()
    }

    #[test]
    fn one_process_a_shard_and_none_beside_the_whole() {
        let store = store();
        let take = |stem| Lease::take(&store, stem);
        let (first, second) = (take("0001-of-0002").unwrap(), take("0002-of-0002").unwrap());
        for stem in ["0001-of-0002", WHOLE] {
            let message = take(stem).err().unwrap().to_string();
            assert!(
                message.contains("shard 0001-of-0002 is held by another process")
                    && message.contains(" s until its lease expires"),
                "{message}"
            );
        }
        first.release();
        assert!(take(WHOLE).err().unwrap().to_string().contains("0002-of-0002"));
        second.release();
        let _whole = take(WHOLE).unwrap();
        let message = take("0001-of-0002").err().unwrap().to_string();
        assert!(message.contains("the whole build is held"), "{message}");
    }

    #[test]
    fn hold_that_ran_out_is_taken_over_and_its_holder_learns_of_it() {
        let store = store();
        let mut slow = Lease::take(&store, "0001-of-0002").unwrap();
        slow.renew().unwrap();
        // The object of its last renewal, as it would be after a long time.
        let held = name(&slow.stem, slow.number);
        store.delete(&held).unwrap();
        store
            .create(
                &held,
                serde_json::to_vec(&Hold { holder: slow.holder.clone(), until: now() - 1 })
                    .unwrap(),
            )
            .unwrap();
        let mut quick = Lease::take(&store, "0001-of-0002").unwrap();
        assert!(matches!(slow.renew(), Err(BuildError::TakenOver { .. })));
        quick.renew().unwrap();
        // Even if the number that it tries next was deleted long ago.
        for _ in 0..5 {
            quick.renew().unwrap();
        }
        assert!(matches!(slow.renew(), Err(BuildError::TakenOver { .. })));
        quick.renew().unwrap();
        assert_eq!(store.list(FOLDER).unwrap().len(), 1);
    }
}
