//! A part of the data that a snapshot can share.
//!
//! A snapshot must not change, and writers must not wait for it. So the snapshot copies nothing: it takes a share in every
//! part ([`Cow::share`]), and a writer copies a part before the first change ([`Cow::make_mut`]) if a snapshot still has a
//! share in it. When the snapshot is dropped, its shares are, too.
//!
//! An `Arc` does the same, but each write asks it whether there are other owners, which takes an atomic operation of some
//! 5 ns. Here a writer only looks which variant there is. In exchange, taking a share needs `&mut`. Structures within a
//! value are cloned through `&`, so [`super::sharded`] and [`super::shared_map`] use `Arc`.
//!
//! # Invariants
//!
//! * A `Shared` part never changes. `make_mut` leaves `Own`.

use std::ops::Deref;
use std::sync::Arc;

/// Owned, or shared with snapshots.
pub enum Cow<T> {
    Own(T),
    Shared(Arc<T>),
}

impl<T: Clone + Default> Cow<T> {
    /// The part, to be changed. If it is shared it is copied first, unless everybody else has let go.
    #[inline]
    pub fn make_mut(&mut self) -> &mut T {
        if let Cow::Shared(_) = self {
            self.unshare();
        }
        match self {
            Cow::Own(own) => own,
            Cow::Shared(_) => unreachable!("it was just made one's own"),
        }
    }

    #[cold]
    fn unshare(&mut self) {
        if let Cow::Shared(shared) = std::mem::replace(self, Cow::Own(T::default())) {
            *self = Cow::Own(Arc::unwrap_or_clone(shared));
        }
    }

    /// A share in the part as it is now.
    pub fn share(&mut self) -> Arc<T> {
        let shared = match std::mem::replace(self, Cow::Own(T::default())) {
            Cow::Own(own) => Arc::new(own),
            Cow::Shared(shared) => shared,
        };
        *self = Cow::Shared(shared.clone());
        shared
    }
}

impl<T> Deref for Cow<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Cow::Own(own) => own,
            Cow::Shared(shared) => shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_stays_as_it_was() {
        let mut part = Cow::Own(vec![1]);
        part.make_mut().push(2);
        let share = part.share();
        let again = part.share();
        part.make_mut().push(3);
        assert_eq!((&*part, &*share), (&vec![1, 2, 3], &vec![1, 2]));
        assert!(Arc::ptr_eq(&share, &again));
        let last = part.share();
        let at = last.as_ptr();
        drop(last);
        assert_eq!(part.make_mut().as_ptr(), at); // nobody else had it, so it was not copied
    }
}
