//! Encoded images of earlier requests, bounded by their bytes; the one that was not used for the
//! longest time makes room.

use std::{collections::HashMap, sync::Arc};

use talking_points::vision::EncodedImage;

/// A model and the SHA-256 of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ImageKey {
    pub(crate) model: usize,
    pub(crate) sha256: [u8; 32],
}

#[derive(Debug)]
pub(crate) struct ImageCache<T = EncodedImage> {
    limit: usize,
    images: HashMap<ImageKey, Kept<T>>,
    n_bytes: usize,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Kept<T> {
    image: Arc<T>,
    n_bytes: usize,
    last_use: u64,
}

impl<T> ImageCache<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, images: HashMap::new(), n_bytes: 0, clock: 0 }
    }

    pub(crate) fn get(&mut self, key: ImageKey) -> Option<Arc<T>> {
        self.clock += 1;
        let kept = self.images.get_mut(&key)?;
        kept.last_use = self.clock;
        Some(kept.image.clone())
    }

    /// Keeps an image, whose size may have changed since it was kept before. An image that is larger
    /// than the whole cache is not kept.
    pub(crate) fn keep(&mut self, key: ImageKey, image: Arc<T>, n_bytes: usize) {
        self.clock += 1;
        self.remove(key);
        if n_bytes > self.limit {
            return;
        }
        while self.n_bytes + n_bytes > self.limit {
            let oldest = self.images.iter().min_by_key(|(_, kept)| kept.last_use);
            let Some((&oldest, _)) = oldest else { break };
            self.remove(oldest);
        }
        self.n_bytes += n_bytes;
        self.images.insert(key, Kept { image, n_bytes, last_use: self.clock });
    }

    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    fn remove(&mut self, key: ImageKey) {
        if let Some(kept) = self.images.remove(&key) {
            self.n_bytes -= kept.n_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> ImageKey {
        ImageKey { model: 0, sha256: [n; 32] }
    }

    #[test]
    fn bytes_are_bounded_and_the_longest_unused_image_goes_first() {
        let mut cache = ImageCache::new(100);
        for n in 0..3 {
            cache.keep(key(n), Arc::new(n), 30);
        }
        assert_eq!(cache.get(key(0)).as_deref(), Some(&0)); // used after 1 and 2
        cache.keep(key(3), Arc::new(3), 50);
        assert_eq!((cache.len(), cache.n_bytes()), (2, 80));
        assert!(cache.get(key(0)).is_some() && cache.get(key(1)).is_none());
        // It grew by what was derived from it.
        cache.keep(key(0), Arc::new(0), 60);
        assert_eq!((cache.len(), cache.n_bytes()), (1, 60));
        cache.keep(key(4), Arc::new(4), 101);
        assert_eq!((cache.len(), cache.n_bytes()), (1, 60));
        let other_model = ImageKey { model: 1, ..key(0) };
        assert!(cache.get(other_model).is_none());
    }
}
