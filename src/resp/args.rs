//! The arguments of one command, without copying them.
//!
//! A request lies in the client's read buffer. An argument is a [`Span`] of this buffer, and [`Args`] is the buffer
//! and the spans together. Handlers index it like a list of byte strings: `&args[0]` is the command's name.
//!
//! A *big* argument has a `Vec` of its own (see [`super::request`]). A handler that stores the argument takes this `Vec`
//! with [`Args::take_big`]. So a value of 512 MB is stored without a copy.
//!
//! A command that must outlive its buffer, for example one that MULTI queues, is copied into [`OwnedArgs`].
//!
//! Invariant: every span lies inside its buffer, or is an index into `big`.

use std::ops::Index;

/// The place of one argument.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The position of the first byte in the buffer. For a big argument, its index in the list of big arguments.
    pub start: usize,
    /// The length in bytes.
    pub len: usize,
    /// Whether the argument has a `Vec` of its own.
    pub big: bool,
}

/// The arguments of one command. The first is the command's name.
pub struct Args<'a> {
    /// The client's read buffer.
    buffer: &'a [u8],
    /// The place of each argument.
    spans: &'a [Span],
    /// The big arguments of all requests of the batch.
    big: &'a mut [Vec<u8>],
}

impl<'a> Args<'a> {
    /// The arguments at `spans` of `buffer` and `big`.
    pub fn new(buffer: &'a [u8], spans: &'a [Span], big: &'a mut [Vec<u8>]) -> Args<'a> {
        Args { buffer, spans, big }
    }

    /// The number of arguments, including the command's name.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`, or `None` if there are fewer arguments.
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        (i < self.len()).then(|| &self[i])
    }

    /// All arguments from `from` on.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        (from..self.len()).map(|i| &self[i])
    }

    /// A copy that owns its bytes.
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs::from_slices(self.iter_from(0))
    }

    /// True if argument `i` is `word`, in upper or lower case. Panics if there are fewer arguments.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self[i].eq_ignore_ascii_case(word.as_bytes())
    }

    /// Takes the `Vec` of big argument `i` and leaves an empty one in its place. `None` if the argument is not big; then
    /// the caller must copy it. Panics if there are fewer arguments.
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

/// Arguments that own their bytes. One buffer holds all of them.
#[derive(Default)]
pub struct OwnedArgs {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// Copies the arguments.
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

    /// The view that handlers get.
    pub fn as_args(&self) -> Args<'_> {
        Args {
            buffer: &self.buffer,
            spans: &self.spans,
            big: &mut [],
        }
    }

    /// The allocated memory in bytes.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}
