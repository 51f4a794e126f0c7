//! A part of the data that a snapshot can share.
//!
//! A snapshot must not change, and writers must not wait for it. So it does not copy: it takes a share in every part
//! ([`Cow::share`]), and a writer that comes to a part in which somebody else still has a share copies that one part
//! first ([`Cow::make_mut`]). When the snapshot is gone, the shares are, too.
//!
//! An `Arc` alone would do; but each write would then ask it whether it is the only one, which takes an atomic
//! operation. Here a writer only looks which variant there is.

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
