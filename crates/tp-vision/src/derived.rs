//! Values that other modules derive from an encoded image and cache in it.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
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
pub(crate) struct Derived(Arc<Mutex<HashMap<DerivedKey, Arc<dyn Any + Send + Sync>>>>);

impl Derived {
    /// The value of an owner, computed on the first call. Two concurrent first calls may both
    /// compute it.
    pub(crate) fn get_or_init<T: Any + Send + Sync>(
        &self,
        key: DerivedKey,
        init: impl FnOnce() -> T,
    ) -> Arc<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let value = known.and_then(|value| value.downcast::<T>().ok());
        value.unwrap_or_else(|| {
            let value = Arc::new(init());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value.clone());
            value
        })
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derived({})", self.0.lock().unwrap_or_else(PoisonError::into_inner).len())
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
            *derived.get_or_init(key, || {
                computed += 1;
                computed
            })
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
    }
}
