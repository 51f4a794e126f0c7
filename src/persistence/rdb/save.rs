//! Writes an RDB.
//!
//! The input is a snapshot of each database, which does not change while clients go on working. So no lock is held, a slow
//! receiver delays no client, and several threads can write the same snapshots at once. The same input gives the same
//! bytes. So the length of an RDB can be found by writing it twice, the first time only to count the bytes ([`len`]).
//!
//! Read next: [`super`] for the format, [`super::load`] for reading it.

use std::io::{self, Write};

use super::{VERSION, kind, opcode};
use crate::store::stream::{Group, Stream, StreamId};
use crate::store::{Keyspace, Object, StringValue, Value};
use crate::util::{crc64, lzf, number};

/// What an RDB holds besides the keys: the values of its aux fields.
pub struct Notes<'a> {
    /// When the snapshots were taken: Unix time in milliseconds.
    pub taken_at: i64,
    /// The allocated memory in bytes.
    pub used_memory: u64,
    /// Whether objects hold LFU counters, and not times of their last use. (This is no aux field.)
    pub lfu: bool,
    /// The replication ID.
    pub replid: &'a str,
    /// The replication offset of the snapshots.
    pub offset: u64,
    /// The database that the replication stream has selected at this offset.
    pub selected: usize,
}

/// A string of more than this many bytes is compressed, if that makes it shorter. (A shorter string rarely becomes shorter.)
const WORTH_COMPRESSING: usize = 64;

/// The bytes are collected, and written when there are this many.
const BUFFER: usize = 64 * 1024;

/// Writes an RDB to `out`. `dbs[i]` is the snapshot of database `i`. Cost: O(size of the data).
///
/// # Errors
///
/// Those of `out`.
pub fn write(dbs: &[Keyspace], notes: &Notes<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut w = RdbWriter {
        out,
        crc: 0,
        buffer: Vec::with_capacity(2 * BUFFER),
    };
    w.header(notes);
    for (number, keyspace) in dbs.iter().enumerate() {
        if keyspace.is_empty() {
            continue;
        }
        w.byte(opcode::SELECT_DB);
        w.length(number as u64);
        w.byte(opcode::RESIZE_DB);
        w.length(keyspace.len() as u64);
        w.length(keyspace.volatile_len() as u64);
        for (key, object) in keyspace.keys() {
            w.key(key, object, notes.lfu);
            w.flush_if_full()?;
        }
    }
    w.byte(opcode::END);
    w.flush()?;
    w.out.write_all(&w.crc.to_le_bytes())
}

/// The number of bytes that [`write()`] writes for the same input. Costs as much as [`write()`].
pub fn len(dbs: &[Keyspace], notes: &Notes<'_>) -> u64 {
    let mut counter = ByteCounter(0);
    // `ByteCounter` returns no errors.
    let _ = write(dbs, notes, &mut counter);
    counter.0
}

/// Counts the bytes that are written to it.
struct ByteCounter(u64);

impl Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An RDB that is being written.
struct RdbWriter<'a, W> {
    /// The receiver of the bytes.
    out: &'a mut W,
    /// The checksum of the bytes that `out` has received.
    crc: u64,
    /// The bytes that `out` has not received yet.
    buffer: Vec<u8>,
}

impl<W: Write> RdbWriter<'_, W> {
    /// Passes the buffered bytes on to `out`.
    fn flush(&mut self) -> io::Result<()> {
        self.crc = crc64::update(self.crc, &self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BUFFER);
        Ok(())
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// The version and the aux fields.
    fn header(&mut self, notes: &Notes<'_>) {
        self.bytes(format!("REDIS{VERSION:04}").as_bytes());
        let seconds = notes.taken_at / 1000;
        self.aux(b"redis-ver", crate::VERSION.as_bytes());
        self.aux(b"redis-bits", usize::BITS.to_string().as_bytes());
        self.aux(b"ctime", seconds.to_string().as_bytes());
        self.aux(b"used-mem", notes.used_memory.to_string().as_bytes());
        self.aux(b"repl-stream-db", notes.selected.to_string().as_bytes());
        self.aux(b"repl-id", notes.replid.as_bytes());
        self.aux(b"repl-offset", notes.offset.to_string().as_bytes());
        self.aux(b"aof-base", b"0");
    }

    fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A length, in as few bytes as possible.
    fn length(&mut self, n: u64) {
        match n {
            0..0x40 => self.byte(n as u8),
            0x40..0x4000 => self.bytes(&(n as u16 | 0x4000).to_be_bytes()),
            0x4000..=0xFFFF_FFFF => {
                self.byte(0x80);
                self.bytes(&(n as u32).to_be_bytes());
            }
            _ => {
                self.byte(0x81);
                self.bytes(&n.to_be_bytes());
            }
        }
    }

    /// A string. The decimal form of an integer of 32 bits is written as the integer, and a long string is compressed.
    fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= 11
            && let Some(n) = number::parse_i64(bytes)
            && i32::try_from(n).is_ok()
        {
            return self.integer(n);
        }
        if bytes.len() > WORTH_COMPRESSING
            && let Some(short) = lzf::compress(bytes)
        {
            self.byte(0xC3);
            self.length(short.len() as u64);
            self.length(bytes.len() as u64);
            return self.bytes(&short);
        }
        self.plain(bytes);
    }

    /// A string as its length and its bytes.
    fn plain(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// The string that is the decimal form of `n`: as an integer if this fits 32 bits, or else as text.
    fn integer(&mut self, n: i64) {
        match n {
            -0x80..=0x7F => self.bytes(&[0xC0, n as u8]),
            -0x8000..=0x7FFF => {
                self.byte(0xC1);
                self.bytes(&(n as i16).to_le_bytes());
            }
            -0x8000_0000..=0x7FFF_FFFF => {
                self.byte(0xC2);
                self.bytes(&(n as i32).to_le_bytes());
            }
            _ => self.plain(n.to_string().as_bytes()),
        }
    }

    /// An aux field.
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.byte(opcode::AUX);
        self.string(name);
        self.string(value);
    }

    /// A key with its expiry, its LFU counter if `lfu`, and its value.
    fn key(&mut self, key: &[u8], object: &Object, lfu: bool) {
        if let Some(at) = object.expiry() {
            self.byte(opcode::EXPIRE_MS);
            self.bytes(&at.to_le_bytes());
        }
        if lfu {
            self.bytes(&[opcode::FREQ, object.used() as u8]);
        }
        match &object.value {
            Value::String(string) => {
                self.kind_and_key(kind::STRING, key);
                self.string_value(string);
            }
            Value::Stream(stream) => {
                self.kind_and_key(kind::STREAM_2, key);
                self.stream(stream);
            }
        }
    }

    fn kind_and_key(&mut self, kind: u8, key: &[u8]) {
        self.byte(kind);
        self.string(key);
    }

    fn string_value(&mut self, string: &StringValue) {
        match string {
            StringValue::Int(n) => self.integer(*n),
            StringValue::Bytes(bytes) => self.string(bytes),
            StringValue::Raw(bytes) => self.string(bytes),
        }
    }

    /// A stream. Its nodes are copied as they are in memory.
    fn stream(&mut self, stream: &Stream) {
        self.length(stream.node_count() as u64);
        for node in stream.nodes() {
            self.plain(&node.master_id.to_bytes());
            self.string(node.list.as_bytes());
        }
        self.length(stream.len());
        self.id(stream.last_id);
        self.id(stream.first_id);
        self.id(stream.max_deleted_id);
        self.length(stream.entries_added);
        self.length(stream.group_count() as u64);
        for (name, group) in stream.groups() {
            self.group(name, group);
        }
    }

    /// A stream ID as two lengths.
    fn id(&mut self, id: StreamId) {
        self.length(id.ms);
        self.length(id.seq);
    }

    /// A consumer group: its pending entries, then its consumers, each with the IDs of the entries that are pending with it.
    fn group(&mut self, name: &[u8], group: &Group) {
        self.string(name);
        self.id(group.last_id);
        self.length(group.entries_read.unwrap_or(u64::MAX));
        self.length(group.pel().len() as u64);
        for (id, nack) in group.pel().iter() {
            self.bytes(&id.to_bytes());
            self.bytes(&nack.delivered.to_le_bytes());
            self.length(nack.count);
        }
        self.length(group.consumer_count() as u64);
        for consumer in group.consumers() {
            self.string(&consumer.name);
            self.bytes(&consumer.seen.to_le_bytes());
            self.length(consumer.pending() as u64);
            for id in consumer.pending_from(StreamId::MIN) {
                self.bytes(&id.to_bytes());
            }
        }
    }
}
