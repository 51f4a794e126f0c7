//! The table of commands.
//!
//! A row has two parts. The first is what the server needs to run the command: its name, how many
//! words it has (-n is "n or more", the name counted), its handler, its flags, the ACL categories that do not
//! follow from them, and where its keys are. The second is for people: group, the Redis version that
//! brought it, complexity, syntax and a summary. Arity, flags, categories and key positions are those of
//! Redis 7.0, since clients route and retry by them.

use super::Handler::{Container, Exec, Plain, Read, ReadAll, Write, WriteAll};
use super::flags::*;
use super::{Begin, Command, Flags, Handler, KeySpec, acl};
use super::{
    client, config, connection, counters, expire, groups, info, introspect, keys, lcs, memory,
    object, pending, replication, server, streams, strings, transactions, xinfo,
};

/// The first part of a row.
const fn cmd(
    name: &'static str,
    arity: i32,
    handler: Handler,
    flags: Flags,
    acl: u32,
    keys: &'static [KeySpec],
) -> Command {
    Command {
        name,
        arity,
        handler,
        flags,
        acl,
        keys,
        tips: &[],
        group: "",
        since: "",
        complexity: "",
        syntax: "",
        summary: "",
        subcommands: &[],
    }
}

impl Command {
    /// The second part of a row.
    const fn doc(
        self,
        group: &'static str,
        since: &'static str,
        complexity: &'static str,
        syntax: &'static str,
        summary: &'static str,
    ) -> Command {
        Command {
            group,
            since,
            complexity,
            syntax,
            summary,
            ..self
        }
    }

    /// Hints for clients that talk to several servers.
    const fn tips(self, tips: &'static [&'static str]) -> Command {
        Command { tips, ..self }
    }

    const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command {
            subcommands,
            ..self
        }
    }
}

/// One key, at a position.
const fn key(at: usize, flags: &'static str) -> KeySpec {
    keys(at, 0, 1, flags)
}

/// Keys from a position on.
const fn keys(at: usize, last: i32, step: i32, flags: &'static str) -> KeySpec {
    KeySpec {
        flags,
        note: None,
        begin: Begin::Index(at),
        last,
        step,
        limit: 0,
    }
}

/// Keys after a word: the first half of what follows it.
const fn after(word: &'static str, from: usize, flags: &'static str) -> KeySpec {
    KeySpec {
        flags,
        note: None,
        begin: Begin::After(word, from),
        last: -1,
        step: 1,
        limit: 2,
    }
}

impl KeySpec {
    const fn note(self, note: &'static str) -> KeySpec {
        KeySpec {
            note: Some(note),
            ..self
        }
    }
}

/// Every command, by group.
#[rustfmt::skip]
pub static TABLE: &[Command] = &[
    // connection
    cmd("ping", -1, Plain(connection::ping), FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "[message]",
             "Answers PONG, or the message it was given.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("echo", 2, Plain(connection::echo), LOADING | STALE | FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "message",
             "Sends the message back."),
    cmd("quit", -1, Plain(connection::quit), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "",
             "Says OK and closes the connection."),
    cmd("reset", 1, Plain(connection::reset), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "6.2.0", "O(1)", "",
             "Puts the connection back into the state it was born in."),
    cmd("select", 2, Plain(connection::select), LOADING | STALE | FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "index",
             "Chooses the database that later commands of this connection work on."),
    cmd("client", -2, Container, NONE, 0, &[])
        .doc("connection", "2.4.0", "Depends on subcommand.", "",
             "Looks at connections and steers them.")
        .subcommands(CLIENT),
    cmd("hello", -1, Plain(connection::hello), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "6.0.0", "O(1)", "[protover [AUTH username password] [SETNAME clientname]]",
             "Negotiates the protocol version, and can log in and name the connection too."),
    cmd("auth", -2, Plain(connection::auth), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(N)", "[username] password",
             "Logs the connection in."),
    // server
    cmd("command", -1, Plain(introspect::command), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "",
             "Describes every command of this server.")
        .tips(&["nondeterministic_output_order"])
        .subcommands(COMMAND),
    cmd("info", -1, ReadAll(info::info), LOADING | STALE, acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(1)", "[section]...",
             "Reports what the server is and does, section by section.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    cmd("config", -2, Container, NONE, 0, &[])
        .doc("server", "2.0.0", "Depends on subcommand.", "",
             "Reads and changes the server's settings.")
        .subcommands(CONFIG),
    cmd("time", 1, Plain(server::time), LOADING | STALE | FAST, 0, &[])
        .doc("server", "2.6.0", "O(1)", "",
             "Tells the server's clock in seconds and microseconds.")
        .tips(&["nondeterministic_output"]),
    cmd("dbsize", 1, Read(server::dbsize), READONLY | FAST, acl::KEYSPACE, &[])
        .doc("server", "1.0.0", "O(1)", "",
             "Counts the keys of the database.")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    cmd("flushall", -1, WriteAll(server::flushall), WRITE, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(N)", "[ASYNC|SYNC]",
             "Empties every database.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("flushdb", -1, WriteAll(server::flushdb), WRITE, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(N)", "[ASYNC|SYNC]",
             "Empties the database.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("swapdb", 3, WriteAll(server::swapdb), WRITE | FAST, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "4.0.0", "O(N)", "index1 index2",
             "Exchanges two databases for all clients at once."),
    cmd("memory", -2, Container, NONE, 0, &[])
        .doc("server", "4.0.0", "Depends on subcommand.", "",
             "Looks into the use of memory.")
        .subcommands(MEMORY),
    cmd("shutdown", -1, Plain(server::shutdown), ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, 0, &[])
        .doc("server", "1.0.0", "O(N)", "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
             "Stops the server."),
    cmd("replicaof", 3, WriteAll(replication::replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "5.0.0", "O(1)", "host port",
             "Makes the server a replica of another one, or a primary with NO ONE."),
    cmd("slaveof", 3, WriteAll(replication::replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "1.0.0", "O(1)", "host port",
             "The old name of REPLICAOF."),
    cmd("failover", -1, WriteAll(replication::failover), ADMIN | NOSCRIPT | STALE, 0, &[])
        .doc("server", "6.2.0", "O(1)", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
             "Hands over to a replica that has everything."),
    cmd("role", 1, Plain(replication::role), NOSCRIPT | LOADING | STALE | FAST, acl::ADMIN | acl::DANGEROUS, &[])
        .doc("server", "2.8.12", "O(1)", "",
             "Tells whether the server is a primary or a replica, and of whom."),
    cmd("psync", -3, WriteAll(replication::psync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "2.8.0", "", "replicationid offset",
             "What a replica says to be sent the data, or what it has missed."),
    cmd("sync", 1, Plain(replication::sync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "1.0.0", "", "",
             "What an old replica says to be sent the data."),
    cmd("replconf", -1, Plain(replication::replconf), ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY, 0, &[])
        .doc("server", "3.0.0", "O(1)", "",
             "What a replica tells its primary about itself."),
    cmd("wait", 3, Plain(replication::wait), NOSCRIPT, acl::CONNECTION, &[])
        .doc("generic", "3.0.0", "O(1)", "numreplicas timeout",
             "Waits until so many replicas have everything that this connection has written.")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    cmd("debug", -2, WriteAll(server::debug), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "1.0.0", "Depends on subcommand.", "",
             "Tools for testing the server."),
    // transactions
    cmd("multi", 1, Plain(transactions::multi), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl::TRANSACTION, &[])
        .doc("transactions", "1.2.0", "O(1)", "",
             "Opens a transaction: commands are queued from here on."),
    cmd("exec", 1, Exec, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG, acl::TRANSACTION, &[])
        .doc("transactions", "1.2.0", "O(1)", "",
             "Runs the queued commands, with nothing in between."),
    cmd("discard", 1, Plain(transactions::discard), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl::TRANSACTION, &[])
        .doc("transactions", "2.0.0", "O(N)", "",
             "Forgets the queued commands and closes the transaction."),
    cmd("watch", -2, WriteAll(transactions::watch), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl::TRANSACTION, &[keys(1, -1, 1, "RO")])
        .doc("transactions", "2.2.0", "O(1) for every key.", "key...",
             "Makes the next EXEC depend on these keys staying as they are."),
    cmd("unwatch", 1, Plain(transactions::unwatch), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl::TRANSACTION, &[])
        .doc("transactions", "2.2.0", "O(1)", "",
             "Forgets all watched keys."),
    // generic
    cmd("del", -2, Write(keys::del), WRITE, acl::KEYSPACE, &[keys(1, -1, 1, "RM delete")])
        .doc("generic", "1.0.0", "O(N)", "key...",
             "Removes keys.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("unlink", -2, Write(keys::unlink), WRITE | FAST, acl::KEYSPACE, &[keys(1, -1, 1, "RM delete")])
        .doc("generic", "4.0.0", "O(1)", "key...",
             "Removes keys.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("exists", -2, Read(keys::exists), READONLY | FAST, acl::KEYSPACE, &[keys(1, -1, 1, "RO")])
        .doc("generic", "1.0.0", "O(N)", "key...",
             "Counts how many of the keys exist.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("touch", -2, Read(keys::touch), READONLY | FAST, acl::KEYSPACE, &[keys(1, -1, 1, "RO")])
        .doc("generic", "3.2.1", "O(N)", "key...",
             "Marks keys as just used and counts how many exist.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("type", 2, Read(keys::type_of), READONLY | FAST, acl::KEYSPACE, &[key(1, "RO")])
        .doc("generic", "1.0.0", "O(1)", "key",
             "Tells the type of the value at a key."),
    cmd("keys", 2, Read(keys::keys), READONLY, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("generic", "1.0.0", "O(N)", "pattern",
             "Lists all keys that match a pattern.")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    cmd("scan", -2, Read(keys::scan), READONLY, acl::KEYSPACE, &[])
        .doc("generic", "2.8.0", "O(1)", "cursor [MATCH pattern] [COUNT count] [TYPE type]",
             "Walks over all keys, some at each call.")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    cmd("randomkey", 1, Read(keys::randomkey), READONLY, acl::KEYSPACE, &[])
        .doc("generic", "1.0.0", "O(1)", "",
             "Picks a key at random.")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    cmd("rename", 3, Write(keys::rename), WRITE, acl::KEYSPACE, &[key(1, "RW access delete"), key(2, "OW update")])
        .doc("generic", "1.0.0", "O(1)", "key newkey",
             "Gives a key another name, replacing what had that name."),
    cmd("renamenx", 3, Write(keys::renamenx), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW access delete"), key(2, "OW insert")])
        .doc("generic", "1.0.0", "O(1)", "key newkey",
             "Gives a key another name unless that name is taken."),
    cmd("copy", -3, WriteAll(keys::copy), WRITE | DENYOOM, acl::KEYSPACE, &[key(1, "RO access"), key(2, "OW update")])
        .doc("generic", "6.2.0", "O(N)", "source destination [DB destination-db] [REPLACE]",
             "Copies a value to another key, also across databases."),
    cmd("move", 3, WriteAll(keys::move_key), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW access update")])
        .doc("generic", "1.0.0", "O(1)", "key db",
             "Moves a key to another database."),
    cmd("expire", -3, Write(expire::expire), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW update")])
        .doc("generic", "1.0.0", "O(1)", "key seconds [NX|XX|GT|LT]",
             "Lets a key live for a number of seconds."),
    cmd("pexpire", -3, Write(expire::pexpire), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW update")])
        .doc("generic", "2.6.0", "O(1)", "key milliseconds [NX|XX|GT|LT]",
             "Lets a key live for a number of milliseconds."),
    cmd("expireat", -3, Write(expire::expireat), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW update")])
        .doc("generic", "1.2.0", "O(1)", "key unix-time-seconds [NX|XX|GT|LT]",
             "Lets a key live until a Unix time in seconds."),
    cmd("pexpireat", -3, Write(expire::pexpireat), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW update")])
        .doc("generic", "2.6.0", "O(1)", "key unix-time-milliseconds [NX|XX|GT|LT]",
             "Lets a key live until a Unix time in milliseconds."),
    cmd("ttl", 2, Read(expire::ttl), READONLY | FAST, acl::KEYSPACE, &[key(1, "RO access")])
        .doc("generic", "1.0.0", "O(1)", "key",
             "Tells how many seconds a key has left.")
        .tips(&["nondeterministic_output"]),
    cmd("pttl", 2, Read(expire::pttl), READONLY | FAST, acl::KEYSPACE, &[key(1, "RO access")])
        .doc("generic", "2.6.0", "O(1)", "key",
             "Tells how many milliseconds a key has left.")
        .tips(&["nondeterministic_output"]),
    cmd("expiretime", 2, Read(expire::expiretime), READONLY | FAST, acl::KEYSPACE, &[key(1, "RO access")])
        .doc("generic", "7.0.0", "O(1)", "key",
             "Tells the Unix time in seconds at which a key will expire."),
    cmd("pexpiretime", 2, Read(expire::pexpiretime), READONLY | FAST, acl::KEYSPACE, &[key(1, "RO access")])
        .doc("generic", "7.0.0", "O(1)", "key",
             "Tells the Unix time in milliseconds at which a key will expire."),
    cmd("persist", 2, Write(expire::persist), WRITE | FAST, acl::KEYSPACE, &[key(1, "RW update")])
        .doc("generic", "2.2.0", "O(1)", "key",
             "Takes a key's expiry away."),
    cmd("object", -2, Container, NONE, 0, &[])
        .doc("generic", "2.2.3", "Depends on subcommand.", "",
             "Looks at how a value is kept.")
        .subcommands(OBJECT),
    // string
    cmd("set", -3, Write(strings::set), WRITE | DENYOOM, acl::STRING, &[key(1, "RW access update variable_flags").note("reads too when GET is given")])
        .doc("string", "1.0.0", "O(1)", "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
             "Stores a string at a key, whatever was there before."),
    cmd("get", 2, Read(strings::get), READONLY | FAST, acl::STRING, &[key(1, "RO access")])
        .doc("string", "1.0.0", "O(1)", "key",
             "Reads the string at a key."),
    cmd("getset", 3, Write(strings::getset), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a new string and returns the old one."),
    cmd("getex", -2, Write(strings::getex), WRITE | FAST, acl::STRING, &[key(1, "RW access update").note("writes because the expiry changes")])
        .doc("string", "6.2.0", "O(1)", "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
             "Reads a string and sets or removes its expiry."),
    cmd("getdel", 2, Write(strings::getdel), WRITE | FAST, acl::STRING, &[key(1, "RW access delete")])
        .doc("string", "6.2.0", "O(1)", "key",
             "Reads a string and removes the key."),
    cmd("setnx", 3, Write(strings::setnx), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "OW insert")])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a string unless the key exists."),
    cmd("setex", 4, Write(strings::setex), WRITE | DENYOOM, acl::STRING, &[key(1, "OW update")])
        .doc("string", "2.0.0", "O(1)", "key seconds value",
             "Stores a string that lives for a number of seconds."),
    cmd("psetex", 4, Write(strings::psetex), WRITE | DENYOOM, acl::STRING, &[key(1, "OW update")])
        .doc("string", "2.6.0", "O(1)", "key milliseconds value",
             "Stores a string that lives for a number of milliseconds."),
    cmd("mset", -3, Write(strings::mset), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, "OW update")])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    cmd("msetnx", -3, Write(strings::msetnx), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, "OW insert")])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once unless one of the keys exists.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    cmd("mget", -2, Read(strings::mget), READONLY | FAST, acl::STRING, &[keys(1, -1, 1, "RO access")])
        .doc("string", "1.0.0", "O(N)", "key...",
             "Reads several strings at once.")
        .tips(&["request_policy:multi_shard"]),
    cmd("append", 3, Write(strings::append), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW insert")])
        .doc("string", "2.0.0", "O(1)", "key value",
             "Adds to the end of a string."),
    cmd("strlen", 2, Read(strings::strlen), READONLY | FAST, acl::STRING, &[key(1, "RO")])
        .doc("string", "2.2.0", "O(1)", "key",
             "Tells the length of a string."),
    cmd("setrange", 4, Write(strings::setrange), WRITE | DENYOOM, acl::STRING, &[key(1, "RW update")])
        .doc("string", "2.2.0", "O(1)", "key offset value",
             "Overwrites part of a string, padding with zero bytes where needed."),
    cmd("getrange", 4, Read(strings::getrange), READONLY, acl::STRING, &[key(1, "RO access")])
        .doc("string", "2.4.0", "O(N)", "key start end",
             "Reads part of a string."),
    cmd("substr", 4, Read(strings::substr), READONLY, acl::STRING, &[key(1, "RO access")])
        .doc("string", "1.0.0", "O(N)", "key start end",
             "Reads part of a string (the old name of GETRANGE)."),
    cmd("incr", 2, Write(counters::incr), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "1.0.0", "O(1)", "key",
             "Adds one to the integer at a key."),
    cmd("decr", 2, Write(counters::decr), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "1.0.0", "O(1)", "key",
             "Takes one from the integer at a key."),
    cmd("incrby", 3, Write(counters::incrby), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "1.0.0", "O(1)", "key increment",
             "Adds to the integer at a key."),
    cmd("decrby", 3, Write(counters::decrby), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "1.0.0", "O(1)", "key decrement",
             "Subtracts from the integer at a key."),
    cmd("incrbyfloat", 3, Write(counters::incrbyfloat), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, "RW access update")])
        .doc("string", "2.6.0", "O(1)", "key increment",
             "Adds to the floating point number at a key."),
    cmd("lcs", -3, Read(lcs::lcs), READONLY, acl::STRING, &[keys(1, 1, 1, "RO access")])
        .doc("string", "7.0.0", "O(N*M)", "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
             "Finds the longest common subsequence of two strings."),
    // stream
    cmd("xadd", -5, Write(streams::xadd), WRITE | DENYOOM | FAST, acl::STREAM, &[key(1, "RW update").note("may trim as well as add")])
        .doc("stream", "5.0.0", "O(1)", "key [NOMKSTREAM] [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> <field value>...",
             "Appends an entry to a stream.")
        .tips(&["nondeterministic_output"]),
    cmd("xlen", 2, Read(streams::xlen), READONLY | FAST, acl::STREAM, &[key(1, "RO")])
        .doc("stream", "5.0.0", "O(1)", "key",
             "Counts the entries of a stream."),
    cmd("xrange", -4, Read(streams::xrange), READONLY, acl::STREAM, &[key(1, "RO access")])
        .doc("stream", "5.0.0", "O(N)", "key start end [COUNT count]",
             "Reads the entries between two IDs, oldest first."),
    cmd("xrevrange", -4, Read(streams::xrevrange), READONLY, acl::STREAM, &[key(1, "RO access")])
        .doc("stream", "5.0.0", "O(N)", "key end start [COUNT count]",
             "Reads the entries between two IDs, newest first."),
    cmd("xread", -4, Read(streams::xread), READONLY | BLOCKING, acl::STREAM, &[after("STREAMS", 1, "RO access")])
        .doc("stream", "5.0.0", "O(N)", "[COUNT count] [BLOCK milliseconds] STREAMS key... id...",
             "Reads what came after given IDs from one or more streams, and can wait for it."),
    cmd("xdel", -3, Write(streams::xdel), WRITE | FAST, acl::STREAM, &[key(1, "RW delete")])
        .doc("stream", "5.0.0", "O(1)", "key id...",
             "Removes entries from a stream."),
    cmd("xtrim", -4, Write(streams::xtrim), WRITE, acl::STREAM, &[key(1, "RW delete")])
        .doc("stream", "5.0.0", "O(N)", "key <MAXLEN|MINID> [=|~] threshold [LIMIT count]",
             "Cuts old entries off a stream.")
        .tips(&["nondeterministic_output"]),
    cmd("xsetid", -3, Write(xinfo::xsetid), WRITE | DENYOOM | FAST, acl::STREAM, &[key(1, "RW update")])
        .doc("stream", "5.0.0", "O(1)", "key last-id [ENTRIESADDED entries_added] [MAXDELETEDID max_deleted_entry_id]",
             "Sets the counters of a stream by hand."),
    cmd("xinfo", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Looks into streams, groups and consumers.")
        .subcommands(XINFO),
    cmd("xgroup", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Manages consumer groups.")
        .subcommands(XGROUP),
    cmd("xreadgroup", -7, Write(groups::xreadgroup), WRITE | BLOCKING, acl::STREAM, &[after("STREAMS", 4, "RO access")])
        .doc("stream", "5.0.0", "O(M)", "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...",
             "Reads from streams as a consumer of a group, and can wait."),
    cmd("xack", -4, Write(groups::xack), WRITE | FAST, acl::STREAM, &[key(1, "RW update")])
        .doc("stream", "5.0.0", "O(1)", "key group id...",
             "Acknowledges entries, which are pending no more."),
    cmd("xpending", -3, Read(pending::xpending), READONLY, acl::STREAM, &[key(1, "RO access")])
        .doc("stream", "5.0.0", "O(N)", "key group [[IDLE min-idle-time] start end count [consumer]]",
             "Looks at the entries that were delivered and not acknowledged.")
        .tips(&["nondeterministic_output"]),
    cmd("xclaim", -6, Write(pending::xclaim), WRITE | FAST, acl::STREAM, &[key(1, "RW update")])
        .doc("stream", "5.0.0", "O(log N)", "key group consumer min-idle-time id... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
             "Takes pending entries over from another consumer.")
        .tips(&["nondeterministic_output"]),
    cmd("xautoclaim", -6, Write(pending::xautoclaim), WRITE | FAST, acl::STREAM, &[key(1, "RW delete")])
        .doc("stream", "6.2.0", "O(1) if COUNT is small.", "key group consumer min-idle-time start [COUNT count] [JUSTID]",
             "Takes over pending entries that have been idle for long.")
        .tips(&["nondeterministic_output"]),
];

#[rustfmt::skip]
static CLIENT: &[Command] = &[
    cmd("getname", 2, Plain(client::getname), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.6.9", "O(1)", "",
             "Tells the name this connection was given."),
    cmd("help", 2, Plain(client::help), LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(1)", "",
             "Explains the subcommands of CLIENT."),
    cmd("id", 2, Plain(client::id), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(1)", "",
             "Tells the number of this connection; numbers are never used twice."),
    cmd("info", 2, Plain(client::info), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "6.2.0", "O(1)", "",
             "Describes this connection in one line.")
        .tips(&["nondeterministic_output"]),
    cmd("kill", -3, Plain(client::kill), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "<ip:port|<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME yes/no]>...>",
             "Closes the connections that match."),
    cmd("list", -2, Plain(client::list), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id...]",
             "Describes every connection, a line each.")
        .tips(&["nondeterministic_output"]),
    cmd("no-evict", 3, Plain(client::no_evict), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.0.0", "O(1)", "<ON|OFF>",
             "Spares this connection, or stops sparing it, when clients are closed for want of memory."),
    cmd("no-touch", 3, Plain(client::no_touch), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.2.0", "O(1)", "<ON|OFF>",
             "Lets this connection read keys without marking them as recently used."),
    cmd("reply", 3, Plain(client::reply), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "3.2.0", "O(1)", "<ON|OFF|SKIP>",
             "Turns the replies to this connection off and on."),
    cmd("setinfo", 4, Plain(client::setinfo), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.2.0", "O(1)", "<LIB-NAME libname|LIB-VER libver>",
             "Notes the name or version of the client library in use."),
    cmd("setname", 3, Plain(client::setname), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.6.9", "O(1)", "connection-name",
             "Gives this connection a name."),
    cmd("unblock", -3, Plain(client::unblock), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(log N)", "client-id [TIMEOUT|ERROR]",
             "Wakes another connection from its blocking command."),
];

#[rustfmt::skip]
static COMMAND: &[Command] = &[
    cmd("count", 2, Plain(introspect::count), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(1)", "",
             "Counts the commands of this server."),
    cmd("docs", -2, Plain(introspect::docs), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "[command-name]...",
             "Tells what commands are for and what arguments they take.")
        .tips(&["nondeterministic_output_order"]),
    cmd("getkeys", -4, Plain(introspect::getkeys), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "",
             "Picks the keys out of a whole command."),
    cmd("getkeysandflags", -4, Plain(introspect::getkeysandflags), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "",
             "Picks the keys out of a whole command and tells what it does to each."),
    cmd("help", 2, Plain(introspect::help), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "5.0.0", "O(1)", "",
             "Explains the subcommands of COMMAND."),
    cmd("info", -2, Plain(introspect::info), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "[command-name]...",
             "Describes the commands that are named.")
        .tips(&["nondeterministic_output_order"]),
    cmd("list", -2, Plain(introspect::list), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]",
             "Lists command names, all or filtered.")
        .tips(&["nondeterministic_output_order"]),
];

#[rustfmt::skip]
static CONFIG: &[Command] = &[
    cmd("get", -3, Plain(config::get), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(N)", "parameter...",
             "Reads every setting that matches a pattern."),
    cmd("help", 2, Plain(config::help), LOADING | STALE, 0, &[])
        .doc("server", "5.0.0", "O(1)", "",
             "Explains the subcommands of CONFIG."),
    cmd("resetstat", 2, Plain(config::resetstat), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(1)", "",
             "Sets the statistics back to zero."),
    cmd("rewrite", 2, Plain(config::rewrite), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.8.0", "O(1)", "",
             "Writes the settings in force back to the configuration file."),
    cmd("set", -4, Plain(config::set), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(N)", "<parameter value>...",
             "Changes settings, all of them or none.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

#[rustfmt::skip]
static MEMORY: &[Command] = &[
    cmd("help", 2, Plain(memory::help), LOADING | STALE, 0, &[])
        .doc("server", "4.0.0", "O(1)", "",
             "Explains the subcommands of MEMORY."),
    cmd("usage", -3, Read(memory::usage), READONLY, 0, &[key(2, "RO")])
        .doc("server", "4.0.0", "O(N)", "key [SAMPLES count]",
             "Estimates the bytes that a key and its value take."),
];

#[rustfmt::skip]
static OBJECT: &[Command] = &[
    cmd("encoding", 3, Read(object::encoding), READONLY, acl::KEYSPACE, &[key(2, "RO")])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the representation of a value in memory.")
        .tips(&["nondeterministic_output"]),
    cmd("freq", 3, Read(object::freq), READONLY, acl::KEYSPACE, &[key(2, "RO")])
        .doc("generic", "4.0.0", "O(1)", "key",
             "Tells how often a key is used, on a logarithmic scale.")
        .tips(&["nondeterministic_output"]),
    cmd("help", 2, Plain(object::help), LOADING | STALE, acl::KEYSPACE, &[])
        .doc("generic", "6.2.0", "O(1)", "",
             "Explains the subcommands of OBJECT."),
    cmd("idletime", 3, Read(object::idletime), READONLY, acl::KEYSPACE, &[key(2, "RO")])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the seconds since a key was last used.")
        .tips(&["nondeterministic_output"]),
    cmd("refcount", 3, Read(object::refcount), READONLY, acl::KEYSPACE, &[key(2, "RO")])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the number of references to a value.")
        .tips(&["nondeterministic_output"]),
];

#[rustfmt::skip]
static XINFO: &[Command] = &[
    cmd("consumers", 4, Read(xinfo::consumers), READONLY, acl::STREAM, &[key(2, "RO access")])
        .doc("stream", "5.0.0", "O(1)", "key groupname",
             "Lists the consumers of a group.")
        .tips(&["nondeterministic_output"]),
    cmd("groups", 3, Read(xinfo::groups), READONLY, acl::STREAM, &[key(2, "RO access")])
        .doc("stream", "5.0.0", "O(1)", "key",
             "Lists the groups of a stream."),
    cmd("help", 2, Plain(xinfo::help), LOADING | STALE, acl::STREAM, &[])
        .doc("stream", "5.0.0", "O(1)", "",
             "Explains the subcommands of XINFO."),
    cmd("stream", -3, Read(xinfo::stream), READONLY, acl::STREAM, &[key(2, "RO access")])
        .doc("stream", "5.0.0", "O(1)", "key [FULL [COUNT count]]",
             "Describes a stream, in short or in full."),
];

#[rustfmt::skip]
static XGROUP: &[Command] = &[
    cmd("create", -5, Write(groups::create), WRITE | DENYOOM, acl::STREAM, &[key(2, "RW insert")])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [MKSTREAM] [ENTRIESREAD entries_read]",
             "Creates a consumer group."),
    cmd("createconsumer", 5, Write(groups::createconsumer), WRITE | DENYOOM, acl::STREAM, &[key(2, "RW insert")])
        .doc("stream", "6.2.0", "O(1)", "key groupname consumername",
             "Adds a consumer to a group."),
    cmd("delconsumer", 5, Write(groups::delconsumer), WRITE, acl::STREAM, &[key(2, "RW delete")])
        .doc("stream", "5.0.0", "O(1)", "key groupname consumername",
             "Removes a consumer and its pending entries."),
    cmd("destroy", 4, Write(groups::destroy), WRITE, acl::STREAM, &[key(2, "RW delete")])
        .doc("stream", "5.0.0", "O(N)", "key groupname",
             "Removes a consumer group."),
    cmd("help", 2, Plain(groups::help), LOADING | STALE, acl::STREAM, &[])
        .doc("stream", "5.0.0", "O(1)", "",
             "Explains the subcommands of XGROUP."),
    cmd("setid", -5, Write(groups::setid), WRITE, acl::STREAM, &[key(2, "RW update")])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [ENTRIESREAD entries_read]",
             "Sets where a group reads on from."),
];
