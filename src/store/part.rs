//! A part of the data that a snapshot can share.
//!
//! A snapshot must not change, and writers must not wait for it. So it does not copy: it takes a share in every part
//! ([`Part::share`]), and a writer that comes to a part in which somebody else still has a share copies that one part
//! first ([`Part::own`]). When the snapshot is gone, the shares are, too.
//!
//! An `Arc` alone would do; but each write would then ask it whether it is the only one, which takes an atomic
//! operation. Here a writer only looks which variant there is.

use std::ops::Deref;
use std::sync::Arc;

/// Owned, or shared with snapshots.
pub enum Part<T> {
    Own(T),
    Shared(Arc<T>),
}

impl<T: Clone + Default> Part<T> {
    /// The part, to be changed. If it is shared it is copied first, unless everybody else has let go.
    #[inline]
    pub fn own(&mut self) -> &mut T {
        if let Part::Shared(_) = self {
            self.part();
        }
        match self {
            Part::Own(own) => own,
            Part::Shared(_) => unreachable!("it was just made one's own"),
        }
    }

    #[cold]
    fn part(&mut self) {
        if let Part::Shared(shared) = std::mem::replace(self, Part::Own(T::default())) {
            *self = Part::Own(Arc::unwrap_or_clone(shared));
        }
    }

    /// A share in the part as it is now.
    pub fn share(&mut self) -> Arc<T> {
        let shared = match std::mem::replace(self, Part::Own(T::default())) {
            Part::Own(own) => Arc::new(own),
            Part::Shared(shared) => shared,
        };
        *self = Part::Shared(shared.clone());
        shared
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Part::Own(own) => own,
            Part::Shared(shared) => shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_stays_as_it_was() {
        let mut part = Part::Own(vec![1]);
        part.own().push(2);
        let share = part.share();
        let again = part.share();
        part.own().push(3);
        assert_eq!((&*part, &*share), (&vec![1, 2, 3], &vec![1, 2]));
        assert!(Arc::ptr_eq(&share, &again));
        let last = part.share();
        let at = last.as_ptr();
        drop(last);
        assert_eq!(part.own().as_ptr(), at); // nobody else had it, so it was not copied
    }
}
