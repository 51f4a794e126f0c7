//! Random commands: put together from words that mean something and words that do not, so that errors, and the order in
//! which they are found, come up as well.

/// Chance, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Templates of commands: a word in capitals with a `$` stands for a choice, `[…]` is there or not, everything else is
/// itself.
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
    "EXPIRE $ANY 100000 [$WHEN] [$WHEN]",
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

fn choices(name: &str) -> &'static [&'static str] {
    match name {
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

/// A random command line. IDs of new entries mostly grow.
pub fn command(dice: &mut Dice, clock: &mut usize) -> String {
    let mut template = TEMPLATES[dice.below(TEMPLATES.len())].to_string();
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
        Some("NEWID") => {
            *clock += dice.below(3);
            match dice.below(8) {
                0 => dice.pick(choices("ID")).to_string(),
                1 => format!("{clock}-*"),
                _ => format!("{clock}-{}", dice.below(4)),
            }
        }
        Some(name) => dice.pick(choices(name)).to_string(),
        None => word.to_string(),
    };
    template
        .split_whitespace()
        .map(fill)
        .collect::<Vec<_>>()
        .join(" ")
}
