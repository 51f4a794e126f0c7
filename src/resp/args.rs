//! The arguments of one command, seen without copying them.
//!
//! A request that has arrived lies in the client's read buffer. An argument is a [`Span`] of that
//! buffer, and [`Args`] is the buffer and the spans together: handlers index it as if it were a list
//! of byte strings. The exception is a *big* argument (see [`super::request`]): it was read from
//! the socket into a `Vec` of its own, and a handler that wants to keep it can [`Args::take_big`] it
//! whole instead of copying it, which is how a 512 MB value is stored without moving it.
//!
//! A command that has to outlive its buffer, because it is queued by MULTI, becomes [`OwnedArgs`].

use std::ops::Index;

/// Where an argument lies: `len` bytes from `start`, or, for a big one, the index `start` in the list of
/// big arguments.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start: usize,
    pub len: usize,
    pub big: bool,
}

/// The arguments of one command, the command's name being the first.
pub struct Args<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
    big: &'a mut [Vec<u8>],
}

impl<'a> Args<'a> {
    pub fn new(buffer: &'a [u8], spans: &'a [Span], big: &'a mut [Vec<u8>]) -> Args<'a> {
        Args { buffer, spans, big }
    }

    /// How many arguments there are, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `i`, if there are so many.
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        (i < self.len()).then(|| &self[i])
    }

    /// All arguments from `from` on.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        (from..self.len()).map(|i| &self[i])
    }

    /// The same arguments, with bytes of their own.
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs::from_slices(self.iter_from(0))
    }

    /// Tells whether argument `i` is this word, in any case.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self[i].eq_ignore_ascii_case(word.as_bytes())
    }

    /// The big argument at `i` itself, leaving an empty one behind; `None` if it is not a big one, and
    /// then has to be copied.
    pub fn take_big(&mut self, i: usize) -> Option<Vec<u8>> {
        let span = self.spans[i];
        span.big.then(|| std::mem::take(&mut self.big[span.start]))
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        let span = self.spans[i];
        if span.big {
            &self.big[span.start]
        } else {
            &self.buffer[span.start..span.start + span.len]
        }
    }
}

/// Arguments that own their bytes, all in one buffer.
#[derive(Default)]
pub struct OwnedArgs {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    pub fn from_slices<'s>(slices: impl IntoIterator<Item = &'s [u8]>) -> OwnedArgs {
        let mut owned = OwnedArgs::default();
        for slice in slices {
            owned.spans.push(Span {
                start: owned.buffer.len(),
                len: slice.len(),
                big: false,
            });
            owned.buffer.extend_from_slice(slice);
        }
        owned
    }

    /// The view that handlers take.
    pub fn as_args(&self) -> Args<'_> {
        Args {
            buffer: &self.buffer,
            spans: &self.spans,
            big: &mut [],
        }
    }

    /// How many bytes the arguments take.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}
