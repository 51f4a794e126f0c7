//! An ordered map whose parts a snapshot can share.
//!
//! A consumer group may have a million pending entries. A snapshot must see them as they were at one moment, and a writer
//! must not stop for long. `BTreeMap` cannot share nodes: the first change after a snapshot would copy the whole map. Here
//! a clone copies one short list, and a change copies only the nodes on the path to one entry.
//!
//! The map is a B+tree of fixed height. Every level is a sorted array, and every part below the root is behind an [`Arc`]:
//!
//! ```text
//!   root      ┌───────────┬───────────┐            first key of each branch
//!             │ 1-0       │ 9-0       │
//!             └──│────────┴──│────────┘
//!   branches  ┌──▼──┬─────┐  ▼                     up to 128 leaves each: first key and pointer
//!             │ 1-0 │ 5-0 │  …
//!             └─│───┴──│──┘
//!   leaves    ┌─▼──────▼──────────────┐            up to 128 entries each: key and value
//!             │ 1-0   2-0   3-0   4-0 │            and one bit per entry:
//!             │  1     0     1     1  │            0 = removed
//!             └───────────────────────┘
//! ```
//!
//! For example, a snapshot shares the map in the picture, and a writer removes 2-0. The writer copies the left branch (two
//! pointers) and the leaf of 2-0. The snapshot and the map still share all other nodes.
//!
//! Ten million entries need a root of some 600 branches, so three levels are always enough.
//!
//! # Search
//!
//! The IDs of a stream are spread about evenly. All keys of a node lie between two keys, and the parent has both. From these
//! a search computes where the key should be (*interpolation search*). From there it goes in steps of doubling length
//! towards the exact place (*galloping*). It usually reads one or two cache lines per node; a binary search reads five. If
//! keys are not numbers, a search starts in the middle.
//!
//! # Removal
//!
//! A removal clears a bit and moves nothing. When at most half of a leaf's entries are live, the leaf drops the removed
//! ones. When few entries are left, the leaf may be joined with its neighbour. So the removed entries of a leaf never take
//! more memory than its live ones, and a removal costs a constant number of moves on average.
//!
//! # Invariants
//!
//! * Keys ascend strictly from entry to entry, leaf to leaf and branch to branch, removed entries included.
//! * The first key that a parent has for a child is at most the child's first key, and larger than all keys before the child.
//! * Every leaf has a live entry, and every branch has a leaf. The only exception is an empty map: it may keep one leaf
//!   without live entries, so that a map with at most one entry at a time does not allocate for each insertion.
//! * `len` is the number of live entries.
//!
//! # Cost
//!
//! | operation | time | copied if shared with a snapshot |
//! |---|---|---|
//! | `clone` | O(n / 16384) | – |
//! | `get` | O(log n) | – |
//! | `insert` at the end | O(1) amortised | one branch, one leaf |
//! | `insert` elsewhere | O(log n + 128) | one branch, one leaf |
//! | `get_mut`, `remove` | O(log n), `remove` amortised | one branch, one leaf |
//! | `first`, `last` | O(1) amortised | – |
//! | `range` | O(log n), and O(1) per entry | – |
//!
//! The memory per entry is that of key and value if keys are added in ascending order, and about 1.4 times as much if they
//! are added at random.

use std::sync::Arc;

/// Entries per leaf at most: one for each bit of the mask that says which entries are live.
const LEAF: usize = u128::BITS as usize;

/// Leaves per branch at most.
const BRANCH: usize = 128;

/// A key of a [`SharedMap`].
pub trait Key: Clone {
    /// The form in which keys are compared and looked up. For example, a map of `Arc<[u8]>` is searched with `[u8]`.
    type View: ?Sized + Ord;

    /// The key in this form.
    fn view(&self) -> &Self::View;

    /// Estimates where `key` lies between `first` and `last`: from 0.0 to 1.0. Any result is correct, and a good one makes a
    /// search faster.
    fn fraction(_key: &Self::View, _first: &Self::View, _last: &Self::View) -> f64 {
        0.5
    }
}

impl Key for Arc<[u8]> {
    type View = [u8];

    fn view(&self) -> &[u8] {
        self
    }
}

/// An ordered map. A clone shares all branches.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// The root: each branch, after a key that is at most its first key.
    branches: Vec<(K, Arc<Branch<K, V>>)>,
    /// How many live entries there are.
    len: usize,
}

/// A node between the root and the leaves.
#[derive(Clone)]
struct Branch<K, V> {
    /// Each leaf, after a key that is at most its first key.
    leaves: Vec<(K, Arc<Leaf<K, V>>)>,
}

/// A node that holds entries.
struct Leaf<K, V> {
    /// Bit `i` is set if entry `i` has not been removed.
    live: u128,
    /// Entries in order, removed ones included.
    entries: Vec<(K, V)>,
}

/// The place of an entry.
#[derive(Clone, Copy, Default)]
struct Position {
    /// The index of the branch.
    branch: usize,
    /// The index of the leaf in its branch.
    leaf: usize,
    /// The index of the entry in its leaf.
    entry: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> SharedMap<K, V> {
        SharedMap {
            branches: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Clone, V: Clone> Clone for Leaf<K, V> {
    /// The copy keeps the capacity, because the writer that makes the copy is about to change it.
    fn clone(&self) -> Leaf<K, V> {
        let mut entries = Vec::with_capacity(self.entries.capacity());
        entries.extend_from_slice(&self.entries);
        Leaf {
            live: self.live,
            entries,
        }
    }
}

impl<K: Key, V> Leaf<K, V> {
    /// An empty leaf with room for this many entries.
    fn with_capacity(entries: usize) -> Leaf<K, V> {
        Leaf {
            live: 0,
            entries: Vec::with_capacity(entries),
        }
    }

    /// Whether the entry at this index was not removed.
    fn is_live(&self, at: usize) -> bool {
        self.live >> at & 1 == 1
    }

    /// How many entries are live.
    fn live_len(&self) -> usize {
        self.live.count_ones() as usize
    }

    /// The index of the first entry whose key is not less than `key`.
    #[inline]
    fn lower_bound(&self, key: &K::View, span: Span<'_, K::View>) -> usize {
        partition(&self.entries, key, span, |own| own < key)
    }

    /// Inserts an entry at the index `at`. The leaf is not full.
    fn insert(&mut self, at: usize, key: K, value: V) {
        if self.entries.len() == self.entries.capacity() {
            let more = (self.entries.len() / 2).max(4);
            self.entries
                .reserve_exact(more.min(LEAF - self.entries.len()));
        }
        let below = (1u128 << at) - 1;
        self.live = (self.live & below) | (self.live & !below) << 1 | 1 << at;
        self.entries.insert(at, (key, value));
    }

    /// Drops the removed entries.
    fn compact(&mut self) {
        let (mut at, live) = (0, self.live);
        self.entries.retain(|_| {
            at += 1;
            live >> (at - 1) & 1 == 1
        });
        self.live = ones(self.entries.len());
    }

    /// Cuts off the entries from `at` on.
    fn split_off(&mut self, at: usize) -> Leaf<K, V> {
        let entries = self.entries.split_off(at);
        self.entries.shrink_to(LEAF / 2 + LEAF / 4);
        let live = self.live >> at;
        self.live &= ones(at);
        Leaf { live, entries }
    }
}

/// The mask with the lowest `n` bits set.
fn ones(n: usize) -> u128 {
    u128::MAX.checked_shr((LEAF - n) as u32).unwrap_or(0)
}

/// The bounds of the keys of a node. The parent knows them, so a search need not read the two ends of the node.
struct Span<'a, Q: ?Sized> {
    /// No key of the node is less than this one.
    first: &'a Q,
    /// All keys of the node are less than this one. `None` for the last node of a level.
    end: Option<&'a Q>,
}

/// Counts the sorted `items` for which `before` is true. It is true for all items up to some place near `key`, and false for
/// the rest.
#[inline]
fn partition<K: Key, T>(
    items: &[(K, T)],
    key: &K::View,
    span: Span<'_, K::View>,
    before: impl Fn(&K::View) -> bool,
) -> usize {
    let end = match (span.end, items.last()) {
        (Some(end), _) => end,
        // At the end of the map, a key usually comes after the last item.
        (None, Some((last, _))) if !before(last.view()) => last.view(),
        _ => return items.len(),
    };
    let guess = K::fraction(key, span.first, end) * items.len() as f64;
    gallop(guess as usize, items.len(), |i| before(items[i].0.view()))
}

/// The first index below `len` for which `before` is false, or `len`. The search starts at `guess`.
#[inline]
fn gallop(guess: usize, len: usize, before: impl Fn(usize) -> bool) -> usize {
    // The result is in low..=high.
    let (mut low, mut high, mut step) = (0, len, 1);
    if guess < len && before(guess) {
        low = guess + 1;
        while low + step <= len {
            let probe = low + step - 1;
            if !before(probe) {
                high = probe;
                break;
            }
            low = probe + 1;
            step *= 2;
        }
    } else {
        high = guess.min(len);
        while high >= step {
            let probe = high - step;
            if before(probe) {
                low = probe + 1;
                break;
            }
            high = probe;
            step *= 2;
        }
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The child that contains `key`, if any child does: the last one that does not begin after `key`. Returns its index, the
/// child, and the bounds of its keys. `None` if there are no children.
#[inline]
fn child_of<'a, K: Key, T>(
    children: &'a [(K, T)],
    key: &K::View,
    span: Span<'a, K::View>,
) -> Option<(usize, &'a T, Span<'a, K::View>)> {
    let end = span.end;
    let at = partition(children, key, span, |first| first <= key).saturating_sub(1);
    let (first, child) = children.get(at)?;
    let span = Span {
        first: first.view(),
        end: children.get(at + 1).map(|(next, _)| next.view()).or(end),
    };
    Some((at, child, span))
}

impl<K: Key, V: Clone> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of `key`, or the place at which it would be inserted, and whether the map contains `key`. `None` if the map
    /// has no leaf yet.
    #[inline]
    fn locate(&self, key: &K::View) -> Option<(Position, bool)> {
        let first = self.branches.first()?.0.view();
        let (branch, node, span) = child_of(&self.branches, key, Span { first, end: None })?;
        let (leaf, node, span) = child_of(&node.leaves, key, span)?;
        let entry = node.lower_bound(key, span);
        let own = node.entries.get(entry);
        let found = own.is_some_and(|(own, _)| own.view() == key) && node.is_live(entry);
        let place = Position {
            branch,
            leaf,
            entry,
        };
        Some((place, found))
    }

    /// The place of `key`.
    #[inline]
    fn find(&self, key: &K::View) -> Option<Position> {
        self.locate(key)
            .and_then(|(place, found)| found.then_some(place))
    }

    /// The leaf at `place`.
    fn leaf(&self, place: Position) -> &Leaf<K, V> {
        &self.branches[place.branch].1.leaves[place.leaf].1
    }

    /// The leaf at `place`, copied first if a snapshot shares it.
    fn leaf_mut(&mut self, place: Position) -> &mut Leaf<K, V> {
        let branch = Arc::make_mut(&mut self.branches[place.branch].1);
        Arc::make_mut(&mut branch.leaves[place.leaf].1)
    }

    /// The value of `key`.
    pub fn get(&self, key: &K::View) -> Option<&V> {
        let place = self.find(key)?;
        Some(&self.leaf(place).entries[place.entry].1)
    }

    /// The value of `key`, to be changed.
    pub fn get_mut(&mut self, key: &K::View) -> Option<&mut V> {
        let place = self.find(key)?;
        Some(&mut self.leaf_mut(place).entries[place.entry].1)
    }

    /// Sets the value of `key`. Returns the old value.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = match self.locate(key.view()) {
            Some((place, _)) => place,
            None => {
                let leaves = vec![(key.clone(), Arc::new(Leaf::with_capacity(0)))];
                self.branches
                    .push((key.clone(), Arc::new(Branch { leaves })));
                Position::default()
            }
        };
        let at = place.branch;
        let is_last = at + 1 == self.branches.len();
        let (first, branch) = &mut self.branches[at];
        if key.view() < first.view() {
            *first = key.clone();
        }
        let branch = Arc::make_mut(branch);
        let old = branch.insert(place, key, value, is_last);
        if branch.leaves.len() > BRANCH {
            // The last branch stays full: the next key usually comes after it, and goes to the new branch.
            let keep = if is_last { BRANCH } else { BRANCH / 2 };
            let leaves = branch.leaves.split_off(keep);
            let first = leaves[0].0.clone();
            self.branches
                .insert(at + 1, (first, Arc::new(Branch { leaves })));
        }
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes an entry and returns its value.
    pub fn remove(&mut self, key: &K::View) -> Option<V> {
        let place = self.find(key)?;
        self.len -= 1;
        let is_empty = self.is_empty();
        let leaf = self.leaf_mut(place);
        leaf.live &= !(1 << place.entry);
        let value = leaf.entries[place.entry].1.clone();
        let (live, stored) = (leaf.live_len(), leaf.entries.len());
        if is_empty {
            leaf.entries.clear();
            leaf.entries.shrink_to(LEAF / 2);
        } else if live == 0 {
            self.remove_leaf(place);
        } else if live * 2 <= stored {
            leaf.compact();
            leaf.entries.shrink_to((live + live / 2).max(4));
            if live <= LEAF / 4 {
                self.merge_leaf(place);
            }
        }
        Some(value)
    }

    /// Removes a leaf that has no live entry. The map has other leaves.
    fn remove_leaf(&mut self, place: Position) {
        let branch = Arc::make_mut(&mut self.branches[place.branch].1);
        branch.leaves.remove(place.leaf);
        if branch.leaves.is_empty() {
            self.branches.remove(place.branch);
        } else if branch.leaves.len() <= BRANCH / 4 {
            self.merge_branch(place.branch);
        }
    }

    /// Joins a leaf that has become small with its neighbour, if both together fill half a leaf at most.
    fn merge_leaf(&mut self, place: Position) {
        let branch = Arc::make_mut(&mut self.branches[place.branch].1);
        let left = place.leaf.min(branch.leaves.len().saturating_sub(2));
        let Some([(_, one), (_, other)]) = branch.leaves.get_mut(left..left + 2) else {
            return;
        };
        if one.live_len() + other.live_len() > LEAF / 2 {
            return;
        }
        let (one, other) = (Arc::make_mut(one), Arc::make_mut(other));
        one.compact();
        other.compact();
        one.entries.append(&mut other.entries);
        one.live = ones(one.entries.len());
        let right = Position {
            leaf: left + 1,
            ..place
        };
        self.remove_leaf(right);
    }

    /// Joins a branch that has become small with its neighbour, if both together fill half a branch at most.
    fn merge_branch(&mut self, at: usize) {
        let left = at.min(self.branches.len().saturating_sub(2));
        let Some([(_, one), (_, other)]) = self.branches.get_mut(left..left + 2) else {
            return;
        };
        if one.leaves.len() + other.leaves.len() <= BRANCH / 2 {
            let other = std::mem::take(&mut Arc::make_mut(other).leaves);
            Arc::make_mut(one).leaves.extend(other);
            self.branches.remove(left + 1);
        }
    }

    /// The entry with the smallest key.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The entry with the largest key.
    pub fn last(&self) -> Option<(&K, &V)> {
        let leaf = &*self.branches.last()?.1.leaves.last()?.1;
        let at = leaf.live.checked_ilog2()? as usize;
        let (key, value) = &leaf.entries[at];
        Some((key, value))
    }

    /// All entries in order.
    pub fn iter(&self) -> MapIter<'_, K, V> {
        MapIter::new(self, Position::default())
    }

    /// The entries from `start` on, in order.
    pub fn range_from(&self, start: &K::View) -> MapIter<'_, K, V> {
        match self.locate(start) {
            Some((place, _)) => MapIter::new(self, place),
            None => self.iter(),
        }
    }

    /// The entries from `start` to `end`, both included, in order.
    pub fn range<'a>(
        &'a self,
        start: &K::View,
        end: &'a K::View,
    ) -> impl Iterator<Item = (&'a K, &'a V)> {
        self.range_from(start)
            .take_while(move |(key, _)| key.view() <= end)
    }

    /// How many bytes are allocated for the map, without those to which keys and values point. O(n / 128).
    pub fn memory(&self) -> usize {
        let counts = 2 * size_of::<usize>(); // the two counters of an `Arc`
        let leaf = |leaf: &Leaf<K, V>| {
            counts + size_of::<Leaf<K, V>>() + leaf.entries.capacity() * size_of::<(K, V)>()
        };
        let branch = |branch: &Branch<K, V>| {
            let slots = branch.leaves.capacity() * size_of::<(K, Arc<Leaf<K, V>>)>();
            let leaves = branch.leaves.iter().map(|(_, l)| leaf(l)).sum::<usize>();
            counts + size_of::<Branch<K, V>>() + slots + leaves
        };
        let branches = self.branches.iter().map(|(_, b)| branch(b)).sum::<usize>();
        self.branches.capacity() * size_of::<(K, Arc<Branch<K, V>>)>() + branches
    }
}

impl<K: Key, V: Clone> Branch<K, V> {
    /// Sets the value of a key whose place in this branch is `place`. Returns the old value. Afterwards the branch may have
    /// one leaf more than [`BRANCH`]. `is_last` says whether this is the last branch of the map.
    fn insert(&mut self, place: Position, key: K, value: V, is_last: bool) -> Option<V> {
        let (mut at, mut entry) = (place.leaf, place.entry);
        let is_last = is_last && at + 1 == self.leaves.len();
        let (first, leaf) = &mut self.leaves[at];
        if key.view() < first.view() {
            *first = key.clone();
        }
        let mut leaf = Arc::make_mut(leaf);
        if let Some((own, held)) = leaf.entries.get_mut(entry)
            && own.view() == key.view()
        {
            let old = std::mem::replace(held, value);
            let was_live = leaf.is_live(entry);
            leaf.live |= 1 << entry;
            return was_live.then_some(old);
        }
        if leaf.entries.len() == LEAF {
            if is_last && entry == LEAF {
                let mut fresh = Leaf::with_capacity(LEAF);
                fresh.insert(0, key.clone(), value);
                self.leaves.push((key, Arc::new(fresh)));
                return None;
            }
            if leaf.live_len() <= LEAF / 4 * 3 {
                leaf.compact();
            } else {
                let right = leaf.split_off(LEAF / 2);
                let first = right.entries[0].0.clone();
                let is_right = key.view() > first.view();
                self.leaves.insert(at + 1, (first, Arc::new(right)));
                at += usize::from(is_right);
                leaf = Arc::make_mut(&mut self.leaves[at].1);
            }
            entry = leaf
                .entries
                .partition_point(|(own, _)| own.view() < key.view());
        }
        leaf.insert(entry, key, value);
        None
    }
}

/// Entries in order, see [`SharedMap::iter`] and [`SharedMap::range_from`].
pub struct MapIter<'a, K, V> {
    branches: std::slice::Iter<'a, (K, Arc<Branch<K, V>>)>,
    leaves: std::slice::Iter<'a, (K, Arc<Leaf<K, V>>)>,
    entries: &'a [(K, V)],
    /// The bits of the live `entries` that are still to be returned.
    live: u128,
}

impl<'a, K, V> MapIter<'a, K, V> {
    /// The entries of `map` from `place` on.
    fn new(map: &'a SharedMap<K, V>, place: Position) -> MapIter<'a, K, V> {
        let mut iter = MapIter {
            branches: map.branches[place.branch..].iter(),
            leaves: [].iter(),
            entries: &[],
            live: 0,
        };
        if let Some((_, branch)) = iter.branches.next() {
            iter.leaves = branch.leaves[place.leaf..].iter();
        }
        iter.next_leaf();
        iter.live &= u128::MAX.checked_shl(place.entry as u32).unwrap_or(0);
        iter
    }

    /// Goes to the next leaf of the branch. Returns whether there is one.
    fn next_leaf(&mut self) -> bool {
        let Some((_, leaf)) = self.leaves.next() else {
            return false;
        };
        (self.entries, self.live) = (&leaf.entries, leaf.live);
        true
    }
}

impl<'a, K, V> Iterator for MapIter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        while self.live == 0 {
            if !self.next_leaf() {
                self.leaves = self.branches.next()?.1.leaves.iter();
            }
        }
        let at = self.live.trailing_zeros() as usize;
        self.live &= self.live - 1;
        let (key, value) = &self.entries[at];
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stream::StreamId;
    use std::collections::BTreeMap;

    type Ours = SharedMap<StreamId, u32>;
    type Model = BTreeMap<StreamId, u32>;

    fn check(ours: &Ours, model: &Model) {
        assert!(ours.iter().eq(model.iter()));
        assert_eq!(ours.len(), model.len());
        assert_eq!(ours.first(), model.first_key_value());
        assert_eq!(ours.last(), model.last_key_value());
        let mut bound: Option<StreamId> = None;
        for (first, branch) in &ours.branches {
            assert!((1..=BRANCH).contains(&branch.leaves.len()));
            assert!(*first <= branch.leaves[0].0);
            for (first, leaf) in &branch.leaves {
                assert!(leaf.live != 0 || ours.is_empty());
                assert!(leaf.live & !ones(leaf.entries.len()) == 0);
                assert!(bound.is_none_or(|bound| bound < *first));
                assert!(leaf.entries.is_sorted_by(|a, b| a.0 < b.0));
                assert!(leaf.entries.first().is_none_or(|e| *first <= e.0));
                bound = leaf.entries.last().map_or(bound, |e| Some(e.0));
            }
        }
    }

    /// Runs random operations against the model. IDs are `spread` apart, so that they come in bursts or evenly.
    fn run(seed: u64, id: impl Fn(u64) -> StreamId, steps: u64, keys: u64) {
        let (mut ours, mut model) = (Ours::default(), Model::new());
        let mut snapshots: Vec<(Ours, Model)> = vec![];
        let mut x = seed;
        let mut random = |n: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) % n
        };
        for step in 0..steps {
            let wave = step % (steps / 3) < steps / 5;
            let key = id(random(keys));
            match random(10) {
                0..8 if wave => {
                    assert_eq!(
                        ours.insert(key, step as u32),
                        model.insert(key, step as u32)
                    );
                }
                0..8 => assert_eq!(ours.remove(&key), model.remove(&key)),
                8 => assert_eq!(
                    ours.get_mut(&key).map(|v| *v += 1),
                    model.get_mut(&key).map(|v| *v += 1)
                ),
                _ => {
                    assert_eq!(ours.get(&key), model.get(&key));
                    let end = id(random(keys)).max(key);
                    let some = ours.range(&key, &end).take(300);
                    assert!(some.eq(model.range(key..=end).take(300)));
                }
            }
            if step % (steps / 7) == 0 {
                check(&ours, &model);
                snapshots.push((ours.clone(), model.clone()));
            }
        }
        for key in model.keys().copied().collect::<Vec<_>>() {
            assert_eq!(ours.remove(&key), model.remove(&key));
        }
        check(&ours, &model);
        // What a snapshot shares did not change.
        snapshots
            .iter()
            .for_each(|(ours, model)| check(ours, model));
    }

    #[test]
    fn behaves_as_the_standard_map_does() {
        run(1, |n| StreamId::new(n, 0), 60_000, 20_000);
        run(2, |n| StreamId::new(1, n * n), 30_000, 500);
        run(3, |n| StreamId::new(n / 1000, n % 7 * n), 60_000, 5_000);
        run(4, |n| StreamId::new(u64::MAX - n, u64::MAX), 3_000, 3);
    }

    #[test]
    fn branches_split_and_join() {
        let (mut ours, mut model) = (Ours::default(), Model::new());
        for n in 0..100_000u64 {
            ours.insert(StreamId::new(n, 0), 7);
            model.insert(StreamId::new(n, 0), 7);
        }
        let full = 100_000usize.div_ceil(LEAF).div_ceil(BRANCH);
        assert_eq!(ours.branches.len(), full);
        assert!(ours.memory() < 100_000 * 34);
        for n in 0..50_000u64 {
            ours.insert(StreamId::new(n * 7919 % 100_000, 1), 8);
            model.insert(StreamId::new(n * 7919 % 100_000, 1), 8);
        }
        check(&ours, &model);
        for n in 0..99_990u64 {
            let id = StreamId::new(n * 7919 % 100_000, 0);
            assert_eq!(ours.remove(&id), model.remove(&id));
            ours.remove(&StreamId { seq: 1, ..id });
            model.remove(&StreamId { seq: 1, ..id });
            if n % 20_000 == 0 {
                check(&ours, &model);
            }
        }
        check(&ours, &model);
        assert!(
            ours.branches.len() <= 2 && ours.memory() < 30_000,
            "{}",
            ours.memory()
        );
    }

    #[test]
    fn a_key_may_be_searched_by_what_it_points_to() {
        let mut map = SharedMap::<Arc<[u8]>, u32>::default();
        for n in 0..1000u32 {
            map.insert(n.to_string().as_bytes().into(), n);
        }
        assert_eq!((map.get(b"777"), map.get(b"x")), (Some(&777), None));
        assert_eq!(map.range_from(b"5").next().map(|(_, n)| *n), Some(5));
    }
}
