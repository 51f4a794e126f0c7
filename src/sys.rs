//! System calls that the standard library lacks. This is the only file with `unsafe` code.
//!
//! The functions call the C library directly, with declarations written here, because this server has no dependencies.
//! The numbers are those of Linux. The functions are for:
//!
//! * signals: SIGTERM and Ctrl-C start an orderly shutdown;
//! * sockets without blocking: `poll` with a timeout, and `send` and `recv` that never wait;
//! * the core that runs a thread;
//! * options of sockets: keepalive probes, the backlog of a listener;
//! * the limit on open files, and the priority of a thread;
//! * a count of the allocated memory, for INFO ([`Counting`]).
//!
//! # Invariants
//!
//! * No function keeps a pointer or a file descriptor longer than its call.
//! * The only global state is what belongs to the whole process: the last signal, and the count of allocated bytes.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{c_int, c_ulong, c_void};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicIsize, Ordering::Relaxed};

/// C's `struct pollfd`.
#[repr(C)]
struct PollFd {
    fd: c_int,
    events: i16,
    revents: i16,
}

/// C's `struct rlimit`.
#[repr(C)]
struct RLimit {
    current: u64,
    maximum: u64,
}

unsafe extern "C" {
    fn signal(number: c_int, handler: usize) -> usize;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
    fn recv(fd: c_int, bytes: *mut c_void, len: usize, flags: c_int) -> isize;
    fn send(fd: c_int, bytes: *const c_void, len: usize, flags: c_int) -> isize;
    fn listen(fd: c_int, backlog: c_int) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut RLimit) -> c_int;
    fn setpriority(which: c_int, who: u32, nice: c_int) -> c_int;
    fn sched_getcpu() -> c_int;
    fn sched_getaffinity(pid: c_int, size: usize, cores: *mut CoreSet) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, cores: *const CoreSet) -> c_int;
    fn setrlimit(resource: c_int, limit: *const RLimit) -> c_int;
}

// From the C headers of Linux: signal.h, poll.h, sys/socket.h, netinet/tcp.h, sys/resource.h.
const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIG_IGN: usize = 1;
const POLLIN: i16 = 0x001;
const POLLOUT: i16 = 0x004;
const POLLERR: i16 = 0x008;
const POLLHUP: i16 = 0x010;
const POLLRDHUP: i16 = 0x2000;
const SOL_SOCKET: c_int = 1;
const SO_KEEPALIVE: c_int = 9;
const IPPROTO_TCP: c_int = 6;
const TCP_KEEPIDLE: c_int = 4;
const TCP_KEEPINTVL: c_int = 5;
const TCP_KEEPCNT: c_int = 6;
const MSG_DONTWAIT: c_int = 0x40;
const MSG_NOSIGNAL: c_int = 0x4000;
const RLIMIT_NOFILE: c_int = 7;

/// The last SIGTERM or SIGINT that arrived, or 0. A signal goes to the process, so this cannot belong to one server.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The signal handler.
extern "C" fn on_signal(number: c_int) {
    SIGNAL.store(number, Relaxed);
}

/// From now on SIGTERM and SIGINT do not end the process but are recorded for [`take_signal`], and SIGHUP is ignored.
pub fn watch_signals() {
    let handler = on_signal as extern "C" fn(c_int) as usize;
    // SAFETY: the handler only stores to an atomic, which a signal handler may do.
    unsafe {
        signal(SIGTERM, handler);
        signal(SIGINT, handler);
        signal(SIGHUP, SIG_IGN);
    }
}

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

/// Returns the last signal that has arrived since the previous call, if any.
pub fn take_signal() -> Option<Signal> {
    match SIGNAL.swap(0, Relaxed) {
        0 => None,
        SIGINT => Some(Signal::Interrupt),
        _ => Some(Signal::Terminate),
    }
}

/// Waits for `events` of one descriptor, at most `timeout_ms` milliseconds (-1: without limit). Returns the events that
/// have happened: none if the time is over or a signal ended the wait.
fn poll_one(fd: c_int, events: i16, timeout_ms: i32) -> i16 {
    let mut entry = PollFd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one entry, which lives through the call.
    let ready = unsafe { poll(&mut entry, 1, timeout_ms) };
    if ready > 0 { entry.revents } else { 0 }
}

/// Whether the peer has closed its end, or the connection is broken. Does not wait.
pub fn has_hung_up(stream: &TcpStream) -> bool {
    poll_one(stream.as_raw_fd(), POLLRDHUP, 0) & (POLLRDHUP | POLLHUP | POLLERR) != 0
}

/// Waits until a connection can be accepted, at most `timeout_ms` milliseconds. Returns whether one can.
pub fn wait_for_connection(listener: &TcpListener, timeout_ms: i32) -> bool {
    poll_one(listener.as_raw_fd(), POLLIN, timeout_ms) != 0
}

/// Waits until the stream can take bytes, at most `timeout_ms` milliseconds. With `or_read`, bytes that arrive end the wait
/// too. Returns whether there are bytes to read.
pub fn wait_to_write(stream: &TcpStream, or_read: bool, timeout_ms: i32) -> bool {
    let events = if or_read { POLLIN | POLLOUT } else { POLLOUT };
    poll_one(stream.as_raw_fd(), events, timeout_ms) & POLLIN != 0
}

/// The same as [`try_send`], but an error counts as 0 bytes sent.
pub fn send_now(stream: &TcpStream, bytes: &[u8]) -> usize {
    try_send(stream, bytes).unwrap_or(0)
}

/// Sends as many bytes as the socket takes without waiting, and returns their number: 0 if the socket's buffer is full.
///
/// # Errors
///
/// Those of the socket, for example a connection that the peer has reset.
pub fn try_send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    loop {
        // SAFETY: the bytes live through the call.
        let sent = unsafe {
            send(
                stream.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                flags,
            )
        };
        if let Ok(sent) = usize::try_from(sent) {
            return Ok(sent);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock => return Ok(0),
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}

/// Reads what has arrived, without waiting. Returns the number of bytes, which is 0 at the end of the stream, or `None` if
/// nothing has arrived.
///
/// # Errors
///
/// Those of the socket.
pub fn try_receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the call writes at most `len` bytes into the buffer, which lives through the call.
    let received = unsafe {
        recv(
            stream.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            MSG_DONTWAIT,
        )
    };
    if let Ok(received) = usize::try_from(received) {
        return Ok(Some(received));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

/// A set of cores: bit `n % 64` of word `n / 64` stands for core `n`.
type CoreSet = [u64; 16];

/// The number of the core that runs the calling thread.
pub fn current_core() -> usize {
    // SAFETY: no memory is involved.
    usize::try_from(unsafe { sched_getcpu() }).unwrap_or(0)
}

/// Moves the calling thread to another core, if it may use another one. Afterwards it may use the same cores as before: the
/// function forbids `core` for a moment, in which the system moves the thread.
///
/// A thread whose set was chosen by nobody gets all cores back, and not only those that it can use now. So it follows when
/// the system gives the process more cores later: a larger cpuset of its container, or a core that comes back.
pub fn leave_core(core: usize) {
    const CALLER: c_int = 0;
    const SIZE: usize = size_of::<CoreSet>();
    const ALL: CoreSet = [u64::MAX; 16];
    let (mut allowed, mut usable): (CoreSet, CoreSet) = ([0; 16], [0; 16]);
    // SAFETY: the call writes at most `SIZE` bytes into the set.
    if unsafe { sched_getaffinity(CALLER, SIZE, &mut allowed) } < 0 {
        return;
    }
    let mut others = allowed;
    if let Some(word) = others.get_mut(core / 64) {
        *word &= !(1 << (core % 64));
    }
    // SAFETY: the calls read or write at most `SIZE` bytes, which live through them. The system refuses an empty set.
    unsafe {
        if sched_setaffinity(CALLER, SIZE, &others) != 0 {
            return;
        }
        sched_setaffinity(CALLER, SIZE, &ALL);
        // The system takes those of all cores that the process can use at all. If the thread had fewer, it gets them back.
        sched_getaffinity(CALLER, SIZE, &mut usable);
        if usable != allowed {
            sched_setaffinity(CALLER, SIZE, &allowed);
        }
    }
}

/// Sets the nice value of the calling thread: from -20, the highest priority, to 19, the lowest. Without privileges a
/// thread can only lower its priority; a refusal by the system is ignored.
pub fn set_nice(nice: i32) {
    const PROCESS: c_int = 0; // Linux sets it for one thread, and thread 0 is the caller.
    // SAFETY: no memory is involved.
    unsafe {
        setpriority(PROCESS, 0, nice);
    }
}

/// Sets one option of a socket. A failure is ignored: the connection works without the option.
fn set_option(stream: &TcpStream, level: c_int, name: c_int, value: c_int) {
    // SAFETY: the value is an int, as all options set here have, and lives through the call.
    unsafe {
        setsockopt(
            stream.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as u32,
        )
    };
}

/// Makes the system probe a connection that was silent for `seconds`, and close it when three probes in a row get no
/// answer. With 0 seconds, there are no probes.
pub fn set_keepalive(stream: &TcpStream, seconds: u32) {
    if seconds == 0 {
        return;
    }
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    set_option(stream, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(stream, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    set_option(stream, IPPROTO_TCP, TCP_KEEPINTVL, (seconds / 3).max(1));
    set_option(stream, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

/// Sets how many connections may wait to be accepted. The standard library has chosen a number of its own.
pub fn set_backlog(listener: &TcpListener, backlog: i32) {
    // SAFETY: the descriptor is a listening socket's; listening again only changes the number.
    unsafe { listen(listener.as_raw_fd(), backlog) };
}

/// Raises the limit on open files to `wanted`, or as far as the system allows. Returns the limit after that; `wanted` if
/// the system does not tell.
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limit = RLimit {
        current: 0,
        maximum: 0,
    };
    // SAFETY: both calls get a limit that lives through them.
    unsafe {
        if getrlimit(RLIMIT_NOFILE, &mut limit) != 0 {
            return wanted;
        }
        if limit.current < wanted {
            let raised = RLimit {
                current: wanted.min(limit.maximum),
                maximum: limit.maximum,
            };
            if setrlimit(RLIMIT_NOFILE, &raised) == 0 {
                limit.current = raised.current;
            }
        }
    }
    limit.current
}

/// The system's allocator with a count of the allocated bytes. `main.rs` makes it the global allocator.
///
/// Each thread counts for itself and adds its figure to the common sum when it reaches 4 KB, so that threads do not compete
/// for one cache line. The sum is therefore wrong by up to 4 KB per thread. (The C library can report the figure, too. But
/// it holds its lock while it visits every free block, and all other threads wait.)
pub struct Counting;

/// The common sum: the bytes that all threads have allocated, less the freed bytes, without the [`NOT_ADDED`] of each.
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// The bytes that this thread has allocated, less the freed bytes, since it last added to the sum.
    static NOT_ADDED: Cell<isize> = const { Cell::new(0) };
}

/// A thread adds to the sum when its own figure reaches this many bytes, in either direction.
const ADD_AT: usize = 4096;

/// Counts `bytes` that the calling thread has allocated, or freed if negative.
fn count(bytes: isize) {
    NOT_ADDED.with(|not_added| {
        let sum = not_added.get() + bytes;
        if sum.unsigned_abs() < ADD_AT {
            not_added.set(sum);
        } else {
            not_added.set(0);
            ALLOCATED.fetch_add(sum, Relaxed);
        }
    });
}

/// The memory that an allocation of `size` bytes takes. The C library stores 8 bytes before the block, rounds up to a
/// multiple of 16, and takes 32 bytes at least.
fn taken(size: usize) -> isize {
    ((size + 8).next_multiple_of(16)).max(32) as isize
}

/// Adds the calling thread's figure to the sum. A thread calls this when it is about to end.
pub fn add_allocated() {
    let rest = NOT_ADDED.with(Cell::take);
    ALLOCATED.fetch_add(rest, Relaxed);
}

// SAFETY: the system's allocator does the work. The count allocates nothing and touches no allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(taken(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System` too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(taken(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-taken(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(taken(size) - taken(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The allocated bytes of the process. `None` in a program without [`Counting`] as its allocator.
pub fn allocated_bytes() -> Option<u64> {
    u64::try_from(ALLOCATED.load(Relaxed))
        .ok()
        .filter(|&n| n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(wait_for_connection(&listener, 1000));
        let (far, _) = listener.accept().unwrap();
        set_keepalive(&far, 60);
        set_backlog(&listener, 10);
        assert!(!has_hung_up(&far));
        assert_eq!(send_now(&far, b"hello"), 5);
        assert!(send_now(&far, &vec![0; 100 << 20]) < 100 << 20);
        drop(near);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(has_hung_up(&far));
    }

    #[test]
    fn a_thread_that_leaves_a_core_may_use_the_same_cores_as_before() {
        const SIZE: usize = size_of::<CoreSet>();
        let allowed = || {
            let mut cores: CoreSet = [0; 16];
            // SAFETY: the call writes at most `SIZE` bytes into the set.
            assert!(unsafe { sched_getaffinity(0, SIZE, &mut cores) } >= 0);
            cores
        };
        let before = allowed();
        let core = current_core();
        leave_core(core);
        assert_eq!(allowed(), before);
        // A core that no set has.
        leave_core(usize::MAX);
        assert_eq!(allowed(), before);

        // A thread that may use one core only stays there.
        let mut one: CoreSet = [0; 16];
        let core = current_core();
        one[core / 64] = 1 << (core % 64);
        // SAFETY: the call reads `SIZE` bytes, which live through it.
        assert_eq!(unsafe { sched_setaffinity(0, SIZE, &one) }, 0);
        leave_core(core);
        assert_eq!((allowed(), current_core()), (one, core));
    }

    #[test]
    fn allocation_and_file_limit_are_plausible() {
        assert!(allocated_bytes() != Some(0) && raise_open_files(64) >= 64);
    }
}
