//! Values that other modules derive from an encoded image and cache in it.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The owner of a derived value: one per set of weights that computes it. Clones denote the same
/// owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DerivedKey(u64);

impl DerivedKey {
    /// A key that differs from all others.
    #[must_use]
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Derived values by owner, shared by clones of an image.
#[derive(Clone, Default)]
pub(crate) struct Derived(Arc<Mutex<HashMap<DerivedKey, SizedValue>>>);

/// A value with the bytes that it takes.
#[derive(Clone)]
struct SizedValue {
    value: Arc<dyn Any + Send + Sync>,
    n_bytes: usize,
}

impl Derived {
    /// The value of an owner, computed on the first call, with the function that says how many
    /// bytes it takes. Two concurrent first calls may both compute it.
    pub(crate) fn get_or_init<T: Any + Send + Sync>(
        &self,
        key: DerivedKey,
        init: impl FnOnce() -> T,
        n_bytes: impl FnOnce(&T) -> usize,
    ) -> Arc<T> {
        let known = self.values().get(&key).cloned();
        let value = known.and_then(|known| known.value.downcast::<T>().ok());
        value.unwrap_or_else(|| {
            let value = Arc::new(init());
            let sized = SizedValue { n_bytes: n_bytes(&value), value: value.clone() };
            self.values().insert(key, sized);
            value
        })
    }

    /// The bytes of all values.
    pub(crate) fn n_bytes(&self) -> usize {
        self.values().values().map(|sized| sized.n_bytes).sum()
    }

    fn values(&self) -> MutexGuard<'_, HashMap<DerivedKey, SizedValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derived({})", self.values().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_once_for_each_owner() {
        let (derived, mine, other) =
            (Derived::default(), DerivedKey::unique(), DerivedKey::unique());
        let mut computed = 0;
        let mut ask = |derived: &Derived, key| {
            let compute = || {
                computed += 1;
                computed
            };
            *derived.get_or_init(key, compute, |value| 100 * value)
        };
        assert_eq!(
            [
                ask(&derived, mine),
                ask(&derived.clone(), mine),
                ask(&derived, other),
                ask(&derived, mine)
            ],
            [1, 1, 2, 1]
        );
        assert_eq!(derived.n_bytes(), 300);
    }
}
