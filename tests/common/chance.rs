//! Random commands.
//!
//! A template such as `SET $KEY $VALUE [$SETOPT]` becomes, for example, `SET a hello PX`. The choices hold valid and invalid
//! words, so that tests also reach errors, and the order in which a command checks for errors.
//!
//! [`command`] makes commands whose replies and effects are the same on every server. [`any_command`] makes others, too:
//! commands whose replies hold times or have no order, commands about the connection, and commands that meet expired keys.

/// A generator of random numbers. The same seed gives the same numbers.
pub struct Dice(pub u64);

impl Dice {
    /// A number from 0 to `n` - 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    /// One of the words.
    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Templates of commands. A `$NAME` becomes one of the [`choices`] of that name. A part in brackets is included one time in
/// three. All other words, and `$` alone, stay as they are.
const TEMPLATES: &[&str] = &[
    "SET $KEY $VALUE",
    "SET $KEY $VALUE [$SETOPT] [$SETOPT]",
    "GET $KEY",
    "GETSET $KEY $VALUE",
    "GETDEL $KEY",
    "GETEX $KEY [$SETOPT]",
    "SETNX $KEY $VALUE",
    "MSET $KEY $VALUE $KEY $VALUE [$VALUE]",
    "MSETNX $KEY $VALUE $KEY $VALUE",
    "MGET $KEY $KEY $STREAM",
    "APPEND $KEY $VALUE",
    "STRLEN $KEY",
    "SETRANGE $KEY $INT $VALUE",
    "GETRANGE $KEY $INT $INT",
    "INCR $KEY",
    "DECRBY $KEY $INT",
    "INCRBY $KEY $INT",
    "INCRBYFLOAT $KEY $VALUE",
    "LCS $KEY $KEY [LEN] [IDX] [WITHMATCHLEN]",
    "DEL $ANY $ANY",
    "EXISTS $ANY $ANY",
    "TYPE $ANY",
    "RENAME $ANY $ANY",
    "RENAMENX $ANY $ANY",
    "COPY $ANY $ANY [REPLACE] [DB $INT]",
    "EXPIRE $ANY $LATER [$WHEN] [$WHEN]",
    "EXPIRE $ANY $INT0",
    "EXPIREAT $ANY $INT0 [$WHEN] [$WHEN]",
    "PERSIST $ANY",
    "SETEX $KEY $INT0 $VALUE",
    "TOUCH $ANY $ANY",
    "SUBSTR $KEY $INT $INT",
    "MOVE $ANY $INT",
    "OBJECT ENCODING $ANY",
    "SELECT $INT",
    "SELECT 0",
    "XADD $STREAM $NEWID $FIELD $VALUE [$FIELD]",
    "XADD $STREAM $NEWID $FIELD $VALUE",
    "XADD $STREAM $NEWID $FIELD $VALUE g 7",
    "XADD $STREAM [$TRIM] [$TRIM] $NEWID f $VALUE",
    "XLEN $ANY",
    "XRANGE $ANY $ID $ID [COUNT $INT]",
    "XREVRANGE $ANY $ID $ID",
    "XRANGE $STREAM - +",
    "XDEL $STREAM $ID $ID",
    "XTRIM $STREAM $TRIM",
    "XREAD [COUNT $INT] STREAMS $STREAM $STREAM $ID0 $ID0",
    "XSETID $STREAM $ID0 [ENTRIESADDED $INT]",
    "XGROUP CREATE $STREAM $GROUP $ID0 [MKSTREAM]",
    "XGROUP SETID $STREAM $GROUP $ID0",
    "XGROUP DELCONSUMER $STREAM $GROUP $WHO",
    "XGROUP CREATECONSUMER $STREAM $GROUP $WHO",
    "XREADGROUP GROUP $GROUP $WHO [COUNT $INT] [NOACK] STREAMS $STREAM >",
    "XREADGROUP GROUP $GROUP $WHO COUNT 2 STREAMS $STREAM >",
    "XREADGROUP GROUP $GROUP $WHO STREAMS $STREAM $ID0",
    "XACK $STREAM $GROUP $ID0 $ID0",
    "XPENDING $STREAM $GROUP",
    "XCLAIM $STREAM $GROUP $WHO 0 $ID0 $ID0 [FORCE] [JUSTID] [RETRYCOUNT $INT]",
    "XAUTOCLAIM $STREAM $GROUP $WHO 0 $ID0 [COUNT $INT] [JUSTID]",
    "XINFO STREAM $STREAM",
    "XINFO GROUPS $STREAM",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH $KEY",
    "UNWATCH",
    "DBSIZE",
    "COMMAND GETKEYS GET $KEY [$KEY]",
    "NOSUCH $VALUE",
    "GET",
    "FLUSHDB [$VALUE]",
];

/// More templates, for servers that are compared reply by reply. A mark at the beginning tells how to compare the replies
/// (see [`Compare`]).
const MORE: &[&str] = &[
    "SET $KEY $VALUE $SETOPT $SETOPT [$SETOPT]",
    "SET $ANY $VALUE $SETOPT",
    "SET $KEY $VALUE PXAT 1",
    "SET $KEY $VALUE EXAT 99999999999",
    "SETEX $KEY $SECONDS $VALUE",
    "PSETEX $KEY $SECONDS $VALUE",
    "GETEX $ANY $SETOPT $SETOPT",
    "GETDEL $ANY",
    "GETSET $ANY $VALUE",
    "SUBSTR $ANY $INT $INT",
    "GETRANGE $ANY $INT $INT",
    "SETRANGE $ANY $INT [\"\"]",
    "SETRANGE $ANY 0 \"\"",
    "APPEND $ANY \"\"",
    "INCRBYFLOAT $KEY $FLOAT",
    "DECR $ANY",
    "DECRBY $KEY -9223372036854775808",
    "MSETNX $ANY $VALUE $ANY $VALUE",
    "LCS $KEY $KEY $LCSOPT $LCSOPT [$LCSOPT]",
    "MOVE $ANY $DB",
    "SWAPDB $DB $DB",
    "COPY $ANY $ANY $COPYOPT [$COPYOPT] [$COPYOPT]",
    "SELECT $DB",
    "SELECT 0",
    "SELECT 0",
    "UNLINK $ANY $ANY",
    "TOUCH $ANY $ANY $ANY",
    "EXISTS $ANY $ANY $ANY",
    "PEXPIRE $ANY 1",
    "PEXPIRE $ANY 1",
    "PEXPIRE $ANY 1",
    "PEXPIREAT $ANY $MOMENT [$WHEN] [$WHEN]",
    "EXPIREAT $ANY $MOMENT [$WHEN]",
    "EXPIRE $ANY $SECONDS",
    "EXPIRE $ANY $LATER $WHEN",
    "EXPIRE $ANY $INT0 $WHEN",
    "~TTL $ANY",
    "~PTTL $ANY",
    "~EXPIRETIME $ANY",
    "~PEXPIRETIME $ANY",
    "DBSIZE",
    "DBSIZE",
    "%SCAN 0 COUNT 1000",
    "%SCAN 0 COUNT 1000 MATCH $PATTERN",
    "%SCAN 0 MATCH $PATTERN TYPE $TYPE COUNT 1000",
    "SCAN 0 $SCANOPT $SCANOPT COUNT 0",
    "%KEYS $PATTERN",
    "?MEMORY USAGE $ANY",
    "?DEBUG OBJECT $ANY",
    "?OBJECT REFCOUNT $ANY",
    "OBJECT FREQ $ANY",
    "?OBJECT IDLETIME $ANY",
    "OBJECT $JUNK $ANY",
    "XADD $STREAM $XADDOPT $XADDOPT [$XADDOPT] $NEWID $FIELD $VALUE",
    "XADD $STREAM $XADDOPT $NEWID f $VALUE",
    "XADD $STREAM $NEWID f $VALUE",
    "XADD $STREAM $NEWID f $VALUE",
    "XADD $STREAM MAXLEN 0 $NEWID f $VALUE",
    "XADD $STREAM $ID f $VALUE",
    "XTRIM $STREAM $XADDOPT [$XADDOPT]",
    "XDEL $STREAM $ID0 [$ID0]",
    "XRANGE $STREAM $ID $ID COUNT $INT",
    "XREVRANGE $STREAM + - COUNT $INT",
    "XREAD $READOPT [$READOPT] STREAMS $STREAM $ID0",
    "XREAD STREAMS $STREAM $STREAM $ID0",
    "XREADGROUP GROUP $GROUP $WHO $READOPT [$READOPT] STREAMS $STREAM >",
    "XREADGROUP GROUP $GROUP $WHO $READOPT STREAMS $STREAM $STREAM > $ID0",
    "XREADGROUP $READOPT GROUP $GROUP $WHO STREAMS $STREAM $ID0",
    "XSETID $STREAM $ID0 [ENTRIESADDED $INT] [MAXDELETEDID $ID0]",
    "XGROUP CREATE $STREAM $GROUP $ID0 [ENTRIESREAD $INT] [MKSTREAM]",
    "XGROUP CREATE $STREAM g $ID0 MKSTREAM",
    "XGROUP CREATE $STREAM h 0 MKSTREAM",
    "XGROUP SETID $STREAM $GROUP $ID0 [ENTRIESREAD $INT]",
    "XGROUP DESTROY $STREAM $GROUP",
    "XGROUP $JUNK $STREAM $GROUP",
    "XCLAIM $STREAM $GROUP $WHO $MINIDLE $ID0 $CLAIMOPT [$CLAIMOPT] [$CLAIMOPT]",
    "XCLAIM $STREAM $GROUP $WHO 0 $ID0 $ID0 $CLAIMOPT [$CLAIMOPT] [$CLAIMOPT]",
    "XAUTOCLAIM $STREAM $GROUP $WHO 0 $ID [$CLAIMOPT] [COUNT $INT]",
    "XACK $STREAM $GROUP $ID",
    "#XPENDING $STREAM $GROUP [IDLE 0] $ID $ID $INT [$WHO]",
    "#XPENDING $STREAM $GROUP - + 10",
    "~XINFO STREAM $STREAM FULL [COUNT $INT]",
    "#XINFO CONSUMERS $STREAM $GROUP",
    "XINFO $JUNK $STREAM",
    "XLEN $STREAM",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "EXEC",
    "EXEC $VALUE",
    "DISCARD",
    "WATCH $ANY $ANY",
    "WATCH $ANY",
    "WATCH $ANY",
    "UNWATCH",
    "RESET",
    "!HELLO $PROTOCOL",
    "!HELLO 3 [SETNAME $NAME] [AUTH default x] [$JUNK]",
    "HELLO $JUNK $JUNK",
    "CLIENT GETNAME",
    "CLIENT SETNAME $NAME",
    "CLIENT $JUNK",
    "CLIENT REPLY $JUNK",
    "CLIENT NO-EVICT $JUNK",
    "CLIENT UNBLOCK {C} [$UNBLOCK]",
    "CLIENT UNBLOCK {C}",
    "CLIENT UNBLOCK $NOCLIENT $UNBLOCK",
    "%COMMAND INFO $JUNK $INFOED",
    "COMMAND GETKEYS $NAMED $ANY $ANY $ANY",
    "COMMAND GETKEYSANDFLAGS $NAMED $ANY $ANY [GET]",
    "COMMAND DOCS nosuch",
    "COMMAND LIST FILTERBY $JUNK $JUNK",
    "$NAMED $ANY [$ANY] [$INT]",
    "$NAMED",
    "$JUNK $ANY",
    "ECHO $VALUE",
    "PING [$VALUE] [$VALUE]",
    "WAIT 0 $INT",
    "WAIT $INT 1",
    "TYPE $ANY",
    "GET $ANY",
    "MGET $ANY $ANY",
    "FLUSHALL [$FLUSH]",
    "FLUSHDB [$FLUSH] [$FLUSH]",
];

/// Templates of commands that may block the client.
const WAITING: &[&str] = &[
    "XREAD [COUNT $INT] BLOCK 0 STREAMS $STREAM $",
    "XREAD BLOCK 0 STREAMS $STREAM $ID0",
    "XREAD BLOCK 0 STREAMS s t $ID0 $",
    "XREAD BLOCK $INT STREAMS $STREAM 9",
    "XREADGROUP GROUP $GROUP $WHO BLOCK 0 STREAMS $STREAM >",
    "XREADGROUP GROUP g $WHO [COUNT 1] [NOACK] BLOCK 0 STREAMS $STREAM >",
    "XREADGROUP GROUP h $WHO [NOACK] [COUNT $INT] BLOCK 0 STREAMS s t > >",
    "XREADGROUP GROUP g $WHO BLOCK 0 STREAMS s t > $ID0",
];

/// How the replies to a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compare {
    /// No mark: the replies must be equal.
    Exactly,
    /// `~`: numbers of more than two digits are times and may differ.
    WithoutTimes,
    /// `#`: all numbers are times and may differ.
    WithoutNumbers,
    /// `%`: the elements of lists may have any order.
    Sorted,
    /// `?`: both replies are an error, or both are null, or both are something else.
    ByKind,
    /// `!`: the replies are not compared.
    Never,
}

/// The words that a `$NAME` may become.
fn choices(name: &str) -> &'static [&'static str] {
    match name {
        "DB" => &["0", "0", "1", "1", "2", "16", "-1", "abc", ""],
        "SECONDS" => &[
            "100000",
            "-1",
            "0",
            "abc",
            "9223372036854775807",
            "9223372036854775",
            "100000000000",
        ],
        "MOMENT" => &[
            "9999999999999",
            "9999999999998",
            "99999999999",
            "1",
            "0",
            "-1",
            "abc",
            "9223372036854775807",
        ],
        "FLOAT" => &[
            "0",
            "0.1",
            "-1.5",
            "1e5",
            "1e400",
            "inf",
            "-inf",
            "nan",
            "abc",
            "3.0e-3",
            "\" 1\"",
            "1 ",
            "0x10",
            "5.",
            ".5",
            "+1",
            "99999999999999999999",
            "0.1e-20",
        ],
        "LCSOPT" => &[
            "LEN",
            "IDX",
            "WITHMATCHLEN",
            "MINMATCHLEN 2",
            "MINMATCHLEN -1",
            "MINMATCHLEN abc",
            "MINMATCHLEN",
            "FOO",
        ],
        "COPYOPT" => &["REPLACE", "DB 1", "DB 0", "DB abc", "DB 99", "DB", "FOO"],
        "PATTERN" => &[
            "*", "**", "?", "[a-c]", "[^a]", "a", "s*", "\\a", "[", "\"\"", "x*",
        ],
        "TYPE" => &["string", "stream", "list", "nosuch", "STRING"],
        "SCANOPT" => &[
            "MATCH *",
            "COUNT abc",
            "TYPE string",
            "COUNT",
            "FOO",
            "COUNT -1",
        ],
        "JUNK" => &[
            "FOO",
            "\"\"",
            "get",
            "HELP me",
            "\"a\\r\\nb\"",
            "1",
            "on",
            "x|y",
            "SETNAME",
            "ACLCAT",
            "PATTERN",
        ],
        "INFOED" => &[
            "GET",
            "get",
            "XDEL",
            "XREAD",
            "XREADGROUP",
            "MSET",
            "RENAME",
            "COPY",
            "PING",
            "XCLAIM",
            "EXPIRE",
            "EXEC",
            "xgroup|create",
        ],
        "NAMED" => &[
            "GET",
            "set",
            "XADD",
            "XREAD",
            "XREADGROUP",
            "xgroup",
            "XGROUP CREATE",
            "MSET",
            "RENAME",
            "COPY",
            "OBJECT ENCODING",
            "client|id",
            "PING",
            "XCLAIM",
            "SETRANGE",
            "EXPIRE",
            "EXEC",
        ],
        "NAME" => &["ann", "\"\"", "\"a b\"", "\"a\\n\"", "~", "bob"],
        "PROTOCOL" => &["2", "3", "2", "4", "abc", "\"\""],
        // Integers that are not the ID of a client, because two servers count their clients differently. And none is a few
        // milliseconds, because an entry is idle for so long at different times on the two servers.
        "NOCLIENT" | "MINIDLE" => &[
            "0",
            "-1",
            "abc",
            "9223372036854775807",
            "9223372036854775808",
            "1.5",
            "\"\"",
            "007",
        ],
        "UNBLOCK" => &["TIMEOUT", "ERROR", "FOO", "timeout"],
        "FLUSH" => &["ASYNC", "SYNC", "FOO"],
        "XADDOPT" => &[
            "MAXLEN 3",
            "MAXLEN ~ 5",
            "MINID 5",
            "MINID ~ 9",
            "MAXLEN = 0",
            "MAXLEN 0",
            "LIMIT 3",
            "NOMKSTREAM",
            "NOMKSTREAM",
            "MAXLEN abc",
            "MAXLEN -1",
            "MAXLEN",
            "MINID abc",
            "MINID 7-2",
            "MAXLEN ~ 2 LIMIT 0",
            "MAXLEN ~ 2 LIMIT 1",
            "MAXLEN 2 LIMIT 1",
            "FOO",
        ],
        "READOPT" => &[
            "COUNT 1",
            "COUNT 2",
            "COUNT 0",
            "COUNT -1",
            "COUNT abc",
            "BLOCK 1",
            "BLOCK -1",
            "BLOCK abc",
            "NOACK",
            "GROUP g ann",
            "FOO",
            "COUNT",
        ],
        "CLAIMOPT" => &[
            "IDLE 0",
            "IDLE abc",
            "IDLE -1",
            "TIME 0",
            "TIME abc",
            "RETRYCOUNT 3",
            "RETRYCOUNT -1",
            "FORCE",
            "JUSTID",
            "LASTID 9",
            "LASTID abc",
            "FOO",
            "IDLE",
            "12-0",
        ],
        "KEY" => &["a", "b", "c", "d"],
        "STREAM" => &["s", "t", "s", "t", "a"],
        "ANY" => &["a", "b", "c", "d", "s", "t"],
        "GROUP" => &["g", "h", "g", "nosuch"],
        "WHO" => &["ann", "bob", "cid"],
        "VALUE" => &[
            "v",
            "",
            "12",
            "-7",
            "0.1",
            "1e5",
            "hello",
            "ohmytext",
            "9223372036854775807",
            "007",
            "\"a b\"",
            "nan",
            "\"\\x00\\xff\"",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ],
        "FIELD" => &["f", "g", "12", "f"],
        "INT" => &[
            "0",
            "1",
            "2",
            "3",
            "10",
            "-1",
            "-3",
            "abc",
            "9223372036854775807",
            "9223372036854775808",
            "1.5",
            "\"\"",
            "007",
        ],
        "INT0" => &[
            "-1",
            "0",
            "abc",
            "9223372036854775807",
            "-9223372036854775808",
        ],
        "SETOPT" => &[
            "NX",
            "XX",
            "GET",
            "KEEPTTL",
            "PERSIST",
            "FOO",
            "EX 100000",
            "PX 100000000",
            "EX 0",
            "EXAT abc",
            "PX",
        ],
        "WHEN" => &["NX", "XX", "GT", "LT", "FOO"],
        "TRIM" => &[
            "MAXLEN 3",
            "MAXLEN ~ 5",
            "MINID 5",
            "MINID ~ 9",
            "MAXLEN = 0",
            "LIMIT 3",
            "NOMKSTREAM",
            "MAXLEN abc",
            "MAXLEN -1",
        ],
        "ID" => &[
            "-",
            "+",
            "0",
            "5",
            "9-1",
            "(3",
            "(7-2",
            "12-0",
            "abc",
            "3-",
            "18446744073709551615-18446744073709551615",
        ],
        "ID0" => &["0", "3", "5-1", "7-2", "9", "12-0", "$", ">", "abc"],
        _ => panic!("no choices for {name}"),
    }
}

/// A random command line. `clock` is the current time part of new stream IDs, so that the IDs mostly grow.
pub fn command(dice: &mut Dice, clock: &mut usize) -> String {
    let template = TEMPLATES[dice.below(TEMPLATES.len())];
    fill(template, dice, clock)
}

/// A random command line from all templates, and how to compare the replies to it.
pub fn any_command(dice: &mut Dice, clock: &mut usize) -> (String, Compare) {
    let number = dice.below(TEMPLATES.len() + MORE.len());
    let template = match number.checked_sub(TEMPLATES.len()) {
        Some(number) => MORE[number],
        None => TEMPLATES[number],
    };
    let compare = match template.as_bytes()[0] {
        b'~' => Compare::WithoutTimes,
        b'#' => Compare::WithoutNumbers,
        b'%' => Compare::Sorted,
        b'?' => Compare::ByKind,
        b'!' => Compare::Never,
        _ => Compare::Exactly,
    };
    let template = template.trim_start_matches(['~', '#', '%', '?', '!']);
    (fill(template, dice, clock), compare)
}

/// A random command line that may block the client.
pub fn waiting_command(dice: &mut Dice, clock: &mut usize) -> String {
    let template = WAITING[dice.below(WAITING.len())];
    fill(template, dice, clock)
}

/// Makes a command line from a template.
fn fill(template: &str, dice: &mut Dice, clock: &mut usize) -> String {
    let mut template = template.to_string();
    while let Some(open) = template.find('[') {
        let close = template.find(']').unwrap();
        let inside = if dice.below(3) == 0 {
            template[open + 1..close].to_string()
        } else {
            String::new()
        };
        template.replace_range(open..=close, &inside);
    }
    let fill = |word: &str| match word.strip_prefix('$') {
        Some("") => "$".to_string(),
        Some("NEWID") => {
            *clock += dice.below(3);
            match dice.below(8) {
                0 => dice.pick(choices("ID")).to_string(),
                1 => format!("{clock}-*"),
                _ => format!("{clock}-{}", dice.below(4)),
            }
        }
        // GT and LT compare with the expiry time that the key has. If both were set with the same number of seconds, the
        // answer would depend on the millisecond in which a server gets the command.
        Some("LATER") => (100_000 + dice.below(1_000_000)).to_string(),
        Some(name) => dice.pick(choices(name)).to_string(),
        None => word.to_string(),
    };
    template
        .split_whitespace()
        .map(fill)
        .collect::<Vec<_>>()
        .join(" ")
}
