//! Reads an RDB.
//!
//! An RDB may come from any version of Redis, or from an attacker. So the loader trusts no length and no format in it.
//!
//! # Invariants
//!
//! * Memory for a string grows with the bytes that have arrived, not with the length that the file claims. (At most 1 MB is
//!   allocated ahead.)
//! * The data is read into databases of its own. If some of it cannot be understood, the loader drops all of it and returns
//!   an error with the reason. The server's data is unchanged.
//!
//! Read next: [`super`] for the format, [`crate::store::stream::restore`] for the checks of a stream.

use std::io::{self, Read};

use super::{NEWEST, kind, opcode};
use crate::store::stream::restore::Parts;
use crate::store::stream::{Group, Stream, StreamId};
use crate::store::{Db, NEVER, Object, Type, Value};
use crate::util::{crc64, lzf, number};

/// The contents of an RDB.
pub struct Loaded {
    /// The databases, by number.
    pub dbs: Vec<Db>,
    /// The number of keys in all databases.
    pub keys: u64,
    /// The database that the replication stream has selected where the RDB ends. `None` if the RDB does not tell.
    pub stream_db: Option<usize>,
    /// One text for the log for each part of the RDB that was skipped.
    pub warnings: Vec<String>,
}

/// Reads an RDB up to its end and no byte further, and keeps keys that have expired. `databases` is the number of databases
/// of this server. `fresh` is the mark of last use for keys without one in the file (see [`Object::used`]).
///
/// # Errors
///
/// Those of `source`, and [`io::ErrorKind::InvalidData`] with the reason if the RDB cannot be understood.
pub fn load(source: &mut impl Read, databases: usize, fresh: u32) -> io::Result<Loaded> {
    let mut reader = RdbReader::new(source)?;
    let mut loaded = Loaded {
        dbs: (0..databases).map(|_| Db::default()).collect(),
        keys: 0,
        stream_db: None,
        warnings: vec![],
    };
    // The current database, and the expiry and the mark of last use of the next key.
    let (mut db, mut expire, mut used) = (0, NEVER, fresh);
    loop {
        match reader.byte()? {
            opcode::END => break,
            opcode::EXPIRE_MS => expire = i64::from_le_bytes(reader.array()?),
            opcode::EXPIRE_SECONDS => {
                expire = i64::from(i32::from_le_bytes(reader.array()?)).saturating_mul(1000);
            }
            opcode::FREQ => used = u32::from(reader.byte()?),
            opcode::IDLE => used = fresh.wrapping_sub(reader.length()? as u32),
            opcode::SELECT_DB => db = reader.database(databases)?,
            opcode::RESIZE_DB => reader.skip_lengths(2)?,
            opcode::SLOT_INFO => reader.skip_lengths(3)?,
            opcode::AUX => loaded.note(&reader.string()?, &reader.string()?),
            opcode::MODULE_AUX => {
                reader.skip_module()?;
                loaded.warn("The data of a module was skipped");
            }
            opcode::FUNCTION2 => {
                reader.string()?;
                loaded.warn("A library of functions was skipped");
            }
            opcode::FUNCTION_OLD => return flaw("functions of a pre-release of Redis 7"),
            kind => {
                let (key, value) = reader.key(kind)?;
                let object = Object::new(value, expire);
                object.set_used(used);
                loaded.insert(db, &key, object)?;
                (expire, used) = (NEVER, fresh);
            }
        }
    }
    reader.check_crc()?;
    Ok(loaded)
}

impl Loaded {
    /// Reads an aux field. Only one of them matters here.
    fn note(&mut self, name: &[u8], value: &[u8]) {
        if name == b"repl-stream-db" {
            let db = number::parse_i64(value).and_then(|n| usize::try_from(n).ok());
            self.stream_db = db.filter(|&db| db < self.dbs.len());
        }
    }

    fn warn(&mut self, text: &str) {
        self.warnings.push(text.into());
    }

    /// Adds a key to a database. It is an error if the key is already there.
    fn insert(&mut self, db: usize, key: &[u8], object: Object) -> io::Result<()> {
        let db = &mut self.dbs[db];
        if db.contains(key, i64::MIN) {
            let key = String::from_utf8_lossy(key);
            return flaw(format!("key '{key}' comes twice"));
        }
        db.insert(key, object);
        self.keys += 1;
        Ok(())
    }
}

/// The error for data that cannot be understood.
fn flaw<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, why.into()))
}

/// A length, or one of the other forms of a string that the first byte of a length can announce.
enum Length {
    /// A length.
    Of(u64),
    /// The string is the decimal form of this integer.
    Int(i64),
    /// The string is compressed by LZF.
    Compressed,
}

/// An RDB that is being read.
struct RdbReader<'a, R> {
    /// Where the bytes come from.
    source: &'a mut R,
    /// The checksum of the bytes read so far.
    crc: u64,
    /// The version of the format.
    version: u32,
}

impl<'a, R: Read> RdbReader<'a, R> {
    /// Reads the first nine bytes, which name the version.
    fn new(source: &'a mut R) -> io::Result<RdbReader<'a, R>> {
        let mut reader = RdbReader {
            source,
            crc: 0,
            version: 0,
        };
        let header = reader.array::<9>()?;
        let version = std::str::from_utf8(&header[5..])
            .ok()
            .and_then(|v| v.parse().ok());
        match version {
            Some(version @ 1..=NEWEST) if header.starts_with(b"REDIS") => reader.version = version,
            Some(version) if header.starts_with(b"REDIS") => {
                return flaw(format!("Can't handle RDB format version {version}"));
            }
            _ => return flaw("Wrong signature trying to load DB"),
        }
        Ok(reader)
    }

    /// Reads the checksum at the end and compares. Versions before 5 have none, and 0 means that the writer computed none.
    fn check_crc(&mut self) -> io::Result<()> {
        if self.version < 5 {
            return Ok(());
        }
        let computed = self.crc;
        let expected = u64::from_le_bytes(self.array()?);
        if expected != 0 && expected != computed {
            return flaw("Wrong RDB checksum");
        }
        Ok(())
    }

    /// Reads the number of a database. It is an error if this server has no such database.
    fn database(&mut self, databases: usize) -> io::Result<usize> {
        let number = self.length()?;
        let db = usize::try_from(number).ok().filter(|&db| db < databases);
        let why = || format!("this server has {databases} databases, but no database {number}");
        db.map_or_else(|| flaw(why()), Ok)
    }

    /// Skips `count` lengths.
    fn skip_lengths(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.length().map(drop))
    }

    /// Reads a key and its value of type `kind`. An error names the key.
    fn key(&mut self, kind: u8) -> io::Result<(Vec<u8>, Value)> {
        let key = self.string()?;
        match self.value(kind) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                flaw(format!("key '{}': {e}", String::from_utf8_lossy(&key)))
            }
            value => Ok((key, value?)),
        }
    }

    /// Reads `N` bytes.
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.crc = crc64::update(self.crc, &bytes);
        Ok(bytes)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads `len` bytes. Memory grows as the bytes arrive.
    fn bytes(&mut self, len: u64) -> io::Result<Vec<u8>> {
        const PIECE: u64 = 1 << 20;
        let mut bytes = Vec::with_capacity(len.min(PIECE) as usize);
        let n = Read::take(&mut *self.source, len).read_to_end(&mut bytes)?;
        if (n as u64) < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc = crc64::update(self.crc, &bytes);
        Ok(bytes)
    }

    /// Reads a length, or the announcement of another form of a string. An integer is read completely.
    fn length_or_form(&mut self) -> io::Result<Length> {
        let first = self.byte()?;
        Ok(match first {
            0..0x40 => Length::Of(first.into()),
            0x40..0x80 => Length::Of(u64::from(first & 0x3F) << 8 | u64::from(self.byte()?)),
            0x80 => Length::Of(u32::from_be_bytes(self.array()?).into()),
            0x81 => Length::Of(u64::from_be_bytes(self.array()?)),
            0xC0 => Length::Int(i8::from_le_bytes(self.array()?).into()),
            0xC1 => Length::Int(i16::from_le_bytes(self.array()?).into()),
            0xC2 => Length::Int(i32::from_le_bytes(self.array()?).into()),
            0xC3 => Length::Compressed,
            _ => return flaw(format!("Unknown length encoding {first}")),
        })
    }

    /// Reads a length. It is an error if a string in another form is announced.
    fn length(&mut self) -> io::Result<u64> {
        match self.length_or_form()? {
            Length::Of(n) => Ok(n),
            _ => flaw("expected a length, found a string"),
        }
    }

    /// Reads a string in any form.
    fn string(&mut self) -> io::Result<Vec<u8>> {
        match self.length_or_form()? {
            Length::Of(len) => self.bytes(len),
            Length::Int(n) => Ok(n.to_string().into_bytes()),
            Length::Compressed => {
                let (short, long) = (self.length()?, self.length()?);
                let bytes = self.bytes(short)?;
                let long = usize::try_from(long).ok();
                let restored = long.and_then(|long| lzf::decompress(&bytes, long));
                restored.map_or_else(|| flaw("Invalid LZF compressed string"), Ok)
            }
        }
    }

    /// Reads a value of type `kind`.
    fn value(&mut self, kind: u8) -> io::Result<Value> {
        match kind {
            kind::STRING => Ok(Value::string_owned(self.string()?)),
            kind::STREAM_1 | kind::STREAM_2 | kind::STREAM_3 => Ok(self.stream(kind)?.into_value()),
            1 | 10 | 14 | 18 => flaw("it is a list, which this server does not have"),
            2 | 11 | 20 => flaw("it is a set, which this server does not have"),
            3 | 5 | 12 | 17 => flaw("it is a sorted set, which this server does not have"),
            4 | 9 | 13 | 16 | 22..=25 => flaw("it is a hash, which this server does not have"),
            6 | 7 => flaw("it belongs to a module, which this server does not have"),
            _ => flaw(format!("Unknown RDB encoding type {kind}")),
        }
    }

    /// Skips the data of a module that belongs to no key.
    fn skip_module(&mut self) -> io::Result<()> {
        self.length()?; // the module's ID
        loop {
            match self.length()? {
                0 => return Ok(()),
                1 | 2 => drop(self.length()?),
                3 => drop(self.array::<4>()?),
                4 => drop(self.array::<8>()?),
                5 => drop(self.string()?),
                other => return flaw(format!("Unknown module opcode {other}")),
            }
        }
    }

    /// Reads a stream ID as two lengths.
    fn id(&mut self) -> io::Result<StreamId> {
        Ok(StreamId {
            ms: self.length()?,
            seq: self.length()?,
        })
    }

    /// Reads a stream ID as 16 bytes, big-endian.
    fn raw_id(&mut self) -> io::Result<StreamId> {
        let both = u128::from_be_bytes(self.array()?);
        Ok(StreamId {
            ms: (both >> 64) as u64,
            seq: both as u64,
        })
    }

    /// Reads a stream with its groups.
    fn stream(&mut self, kind: u8) -> io::Result<Stream> {
        let mut nodes = vec![];
        for _ in 0..self.length()? {
            let master = self.string()?;
            let Ok(master) = <[u8; 16]>::try_from(master) else {
                return flaw("the ID of a stream node does not have 16 bytes");
            };
            let both = u128::from_be_bytes(master);
            let master = StreamId {
                ms: (both >> 64) as u64,
                seq: both as u64,
            };
            nodes.push((master, self.string()?));
        }
        let (len, last_id) = (self.length()?, self.id()?);
        let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, None);
        if kind >= kind::STREAM_2 {
            self.id()?; // the first entry's ID, which `Stream::restore` finds in the nodes
            max_deleted_id = self.id()?;
            entries_added = Some(self.length()?);
        }
        let parts = Parts {
            nodes,
            len,
            last_id,
            max_deleted_id,
            entries_added,
        };
        let mut stream = Stream::restore(parts).or_else(flaw)?;
        for _ in 0..self.length()? {
            let name = self.string()?;
            let group = self.group(kind, &stream)?;
            stream.restore_group(&name, group).or_else(flaw)?;
        }
        Ok(stream)
    }

    /// Reads a consumer group: its pending entries, then its consumers with the IDs of their pending entries.
    fn group(&mut self, kind: u8, stream: &Stream) -> io::Result<Group> {
        let last_id = self.id()?;
        let entries_read = match kind {
            kind::STREAM_1 => stream.entries_up_to(last_id),
            _ => Some(self.length()?).filter(|&n| n != u64::MAX),
        };
        let mut group = Group::new(last_id, entries_read);
        for _ in 0..self.length()? {
            let id = self.raw_id()?;
            let (delivered, count) = (i64::from_le_bytes(self.array()?), self.length()?);
            group.restore_pending(id, delivered, count).or_else(flaw)?;
        }
        for _ in 0..self.length()? {
            let name = self.string()?;
            let seen = i64::from_le_bytes(self.array()?);
            if kind >= kind::STREAM_3 {
                self.array::<8>()?; // when the consumer was last active, which Redis 7.0 does not record
            }
            let (consumer, is_new) = group.find_or_create_consumer(&name, seen);
            if !is_new {
                return flaw("a group has two consumers of the same name");
            }
            for _ in 0..self.length()? {
                let id = self.raw_id()?;
                group.restore_owner(consumer, id).or_else(flaw)?;
            }
        }
        Ok(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::save::{self, Notes};
    use super::*;
    use crate::store::stream::{NewId, NodeLimits};
    use crate::store::{AccessPolicy, Store, Ttl, Type};

    const USAGE: AccessPolicy = AccessPolicy::Lru { now: 7 };

    fn store() -> Store {
        let mut store = Store::new(4);
        let mut set = |db: usize, key: &[u8], value: &[u8], until| {
            let value = Value::string(value);
            store.dbs[db].set(key, value, Ttl::At(until), USAGE, 0);
        };
        for n in [0, 1, -1, 127, 128, -129, 40_000, -40_000, 1 << 31, i64::MIN] {
            set(0, n.to_string().as_bytes(), n.to_string().as_bytes(), NEVER);
        }
        for len in [0, 1, 20, 21, 63, 64, 16_383, 16_384, 70_000] {
            let value: Vec<u8> = (0..len).map(|i| (i * i / 7) as u8).collect();
            set(3, &value, &vec![b'a'; len], 1 << 40);
        }
        let mut stream = Stream::default();
        for i in 1..=500u64 {
            let value = (i * 7919).to_string();
            let fields = [(&b"field"[..], value.as_bytes()), (b"other", b"text")];
            let limits = NodeLimits {
                bytes: 4096,
                entries: 100,
            };
            let id = NewId::Exact(StreamId::new(i, 0));
            stream.add(id, 0, fields.iter().copied(), limits).unwrap();
        }
        stream.delete(StreamId::new(77, 0));
        stream.add_group(b"g", Group::new(StreamId::MIN, Some(0)));
        stream.add_group(b"empty", Group::new(StreamId::MAX, None));
        for (consumer, count) in [(&b"ann"[..], 3), (b"bob", 250), (b"zoe", 0)] {
            let (consumer, _) = stream
                .group_mut(b"g")
                .unwrap()
                .find_or_create_consumer(consumer, 99);
            stream.deliver(b"g", consumer, count, false, 1234, |_| {});
        }
        let value = stream.into_value();
        store.dbs[1].set(b"stream", value, Ttl::Clear, USAGE, 0);
        store
    }

    fn written(store: &mut Store) -> Vec<u8> {
        let dbs: Vec<_> = store.dbs.iter().map(Db::snapshot).collect();
        let notes = Notes {
            taken_at: 1_700_000_000_000,
            used_memory: 1,
            lfu: false,
            replid: &"a".repeat(40),
            offset: 123,
            selected: 3,
        };
        let mut bytes = vec![];
        save::write(&dbs, &notes, &mut bytes).unwrap();
        assert_eq!(save::len(&dbs, &notes), bytes.len() as u64);
        bytes
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let mut store = store();
        let bytes = written(&mut store);
        let mut with_more = bytes.clone();
        with_more.extend_from_slice(b"more");
        let mut source = with_more.as_slice();
        let loaded = load(&mut source, 4, 7).unwrap();
        assert!(source == b"more" && loaded.warnings.is_empty());
        assert_eq!((loaded.keys, loaded.stream_db), (20, Some(3)));
        for (old, new) in store.dbs.iter().zip(&loaded.dbs) {
            assert_eq!(
                (old.len(), old.volatile_len()),
                (new.len(), new.volatile_len())
            );
            for (key, object) in old.keys() {
                let other = new.get_any(key).unwrap();
                assert_eq!(
                    (object.expiry(), object.used()),
                    (other.expiry(), other.used())
                );
                if let Ok(text) = object.value.as_string() {
                    assert_eq!(text, other.value.as_string().unwrap());
                    assert_eq!(
                        object.value.as_type().encoding(),
                        other.value.as_type().encoding()
                    );
                }
            }
        }
        let mut again = Store::new(0);
        again.dbs = loaded.dbs;
        let stream = |s: &Store| {
            let object = s.dbs[1].get_any(b"stream").unwrap();
            let stream = Stream::of(&object.value).unwrap();
            let group = stream.group(b"g").unwrap();
            let pel: Vec<_> = group
                .pel()
                .iter()
                .map(|(id, n)| (*id, group.owner(n).to_vec(), n.delivered, n.count))
                .collect();
            (
                stream.len(),
                stream.first_id,
                group.entries_read,
                group.last_id,
                pel,
                stream.lag(group),
            )
        };
        assert_eq!(stream(&again), stream(&store));
    }

    #[test]
    fn a_changed_or_cut_rdb_is_rejected() {
        let bytes = written(&mut store());
        for at in (0..bytes.len()).step_by(3) {
            for change in [0x01, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                // The checksum finds the changes that no other check finds.
                assert!(load(&mut bytes.as_slice(), 4, 0).is_err(), "{at}");
            }
        }
        for len in 0..bytes.len().min(3000) {
            assert!(load(&mut &bytes[..len], 4, 0).is_err());
        }
    }

    #[test]
    fn an_error_names_an_unsupported_type_or_version() {
        let list = b"REDIS0010\xFE\x00\x01\x01k\x01\x01a\xFF\0\0\0\0\0\0\0\0";
        let error = load(&mut &list[..], 1, 0).err().unwrap().to_string();
        assert!(
            error.contains("key 'k'") && error.contains("list"),
            "{error}"
        );
        let newer = b"REDIS0013\xFF\0\0\0\0\0\0\0\0";
        let error = load(&mut &newer[..], 1, 0).err().unwrap().to_string();
        assert_eq!(error, "Can't handle RDB format version 13");
    }
}
