//! How a client's thread waits for its next request: it looks a few times, and sleeps only then.
//!
//! A thread that sleeps in `read` has to be woken: the sender's `send` takes longer, because it must interrupt the other
//! core, and this thread starts with a cold cache. For a request of 5 µs that is most of the cost. But under load the next
//! request usually comes within the time that the other threads of this core need for theirs. So the thread *looks*: it reads
//! without waiting; if nothing has come, it yields the core to the next runnable thread, and looks again when its turn
//! comes back. After [`LOOKS`] looks in vain it sleeps. An idle server sleeps in all its threads; a client that sends once a
//! second costs some microseconds more per request.
//!
//! # The core of another program
//!
//! Yielding is slow if another program uses the same core and never sleeps, for example a benchmark client that sends
//! without a pause. Linux ends a thread's turn on a core only when that thread sleeps, when a thread wakes up that has the
//! better claim, or at a tick of the clock, which is every 4 ms. So a thread that yields to such a program waits for the
//! tick, and so do all the threads behind it. A thread that has waited for [`STUCK_AFTER`], while few other threads of this
//! server had a turn on its core, therefore moves to another core. Linux keeps a thread where it ran last, so moves are
//! rare.
//!
//! If other programs use all cores, there is no better core. So a thread that was stuck sleeps at once for its next reads,
//! because Linux lets a thread that wakes up go first. Each time that it is stuck again, it does so for twice as many reads,
//! until a look finds a request.
//!
//! # What it gains
//!
//! Ratios of requests per second to Redis 7.0.15, and the 99th percentile in ms, for redis-benchmark with SETs on a machine
//! with 2 cores; all variants in turn in one run, medians of five:
//!
//! ```text
//!                                         4 clients     50 clients    50 clients, pipelines of 16
//!   Redis                                 1     0.10    1     0.60    1     1.4
//!   sleeps at once                        0.81  0.11    0.76  0.72    1.06  0.9
//!   4 looks                               1.16  0.10    0.99  3.85    1.40  2.7
//!   4 looks, leaves a core when stuck     1.16  0.08    0.81  1.40    1.32  2.0
//! ```
//!
//! The figures of 50 clients vary most from run to run: seven more rounds of the last variant had a median of 1.08 and 0.58
//! ms, and `tests/bench/run.sh speed` gave 1.07. With pipelines of 16 the price of the gain is a longer 99th percentile,
//! because threads that yield wait for each other's batches. `tests/bench/run.sh light` measures what a light client sees.
//!
//! # Invariants
//!
//! * A thread that looks holds no lock.
//! * The set of cores that a thread may use is the same after a move as before it.

use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::state::cores::Cores;
use crate::sys;

/// How often a thread looks for the next request before it sleeps.
const LOOKS: usize = 4;
/// A thread that read more bytes than this sleeps at once: a wake-up costs little beside so many requests.
const MANY_BYTES: usize = 4000;
/// A thread that had to wait longer for its turn may be on the core of another program.
const STUCK_AFTER: Duration = Duration::from_millis(1);
/// The turn of a thread of this server takes less time than this, unless the thread reads many bytes.
const LONG_TURN: Duration = Duration::from_micros(100);
/// A thread that was stuck for the first time sleeps at once for so many reads.
const FIRST_SLEEPS: u32 = 4;
/// A thread that was stuck often sleeps at once for so many reads.
const MOST_SLEEPS: u32 = 4096;

/// The looks of one client's thread.
pub struct Looker<'a> {
    cores: &'a Cores,
    /// Bytes of the last read that found some.
    last_read: usize,
    /// Reads that are still to sleep at once.
    sleeps: u32,
    /// What `sleeps` becomes when this thread is stuck the next time.
    next_sleeps: u32,
}

impl<'a> Looker<'a> {
    /// A looker for one client's thread, which has not read yet.
    pub fn new(cores: &'a Cores) -> Looker<'a> {
        Looker {
            cores,
            last_read: 0,
            sleeps: 0,
            next_sleeps: FIRST_SLEEPS,
        }
    }

    /// Reads from `stream` into `buffer`: looks first, and sleeps if nothing comes. Returns the number of bytes, which is
    /// 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the socket, a read timeout included.
    pub fn read(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.look(stream, buffer)? {
            Some(n) => n,
            None => io::Read::read(&mut &*stream, buffer)?,
        };
        self.last_read = n;
        Ok(n)
    }

    /// Looks up to [`LOOKS`] times. Returns the number of bytes that were read, or `None` if nothing came.
    fn look(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.sleeps > 0 || self.last_read > MANY_BYTES {
            self.sleeps = self.sleeps.saturating_sub(1);
            return Ok(None);
        }
        for look in 0..LOOKS {
            if look > 0 {
                self.yield_core();
            }
            let found = sys::try_receive(stream, buffer)?;
            if found.is_some() {
                if look > 0 && self.sleeps == 0 {
                    self.next_sleeps = FIRST_SLEEPS; // yielding was worth it, and the thread was not stuck
                }
                return Ok(found);
            }
            if self.sleeps > 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Lets other threads use the core, and moves to another core if this thread was stuck here.
    fn yield_core(&mut self) {
        let (core, start) = (sys::current_core(), Instant::now());
        let turns = self.cores.turns(core);
        thread::yield_now();
        let (waited, turns) = (start.elapsed(), self.cores.turns(core).wrapping_sub(turns));
        self.cores.count_turn(core);
        if waited > STUCK_AFTER && waited > LONG_TURN * turns && core == sys::current_core() {
            sys::leave_core(core);
            self.sleep_at_once();
        }
    }

    /// This thread was stuck: the next reads sleep at once.
    fn sleep_at_once(&mut self) {
        self.sleeps = self.next_sleeps;
        self.next_sleeps = (2 * self.next_sleeps).min(MOST_SLEEPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn a_thread_that_is_stuck_again_sleeps_at_once_for_twice_as_many_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let cores = Cores::default();
        let mut looker = Looker::new(&cores);
        let mut read = |looker: &mut Looker<'_>| {
            peer.write_all(b"x").unwrap();
            assert_eq!(looker.read(&stream, &mut [0; 10]).unwrap(), 1);
        };
        for sleeps in [FIRST_SLEEPS, 2 * FIRST_SLEEPS, 4 * FIRST_SLEEPS] {
            looker.sleep_at_once();
            assert_eq!(looker.sleeps, sleeps);
            (0..sleeps).for_each(|_| read(&mut looker));
            assert_eq!(looker.sleeps, 0);
        }
        read(&mut looker);
        (0..20).for_each(|_| looker.sleep_at_once());
        assert_eq!(looker.sleeps, MOST_SLEEPS);
        (0..MOST_SLEEPS).for_each(|_| read(&mut looker));
        drop(peer);
        assert_eq!(looker.read(&stream, &mut [0; 10]).unwrap(), 0);
    }
}
