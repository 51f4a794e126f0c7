//! OBJECT: how a value is kept, and how it is used.

use super::args::help as reply_help;
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::{Db, Object, Value};

/// Redis shares the integers below this; their reference count is a constant.
const SHARED_INTEGERS: i64 = 10_000;

/// What `body` replies for the object at the key, or null.
fn with_object(cx: &mut Cx, db: &Db, body: impl FnOnce(&mut Cx, &Object) -> Done) -> Done {
    match cx.peek(db, 2) {
        Some(object) => body(cx, object),
        None => {
            cx.reply.null();
            Ok(())
        }
    }
}

pub fn encoding(cx: &mut Cx, db: &Db) -> Done {
    with_object(cx, db, |cx, object| {
        cx.reply.bulk(object.value.encoding().as_bytes());
        Ok(())
    })
}

pub fn refcount(cx: &mut Cx, db: &Db) -> Done {
    with_object(cx, db, |cx, object| {
        let shared = matches!(object.value, Value::Int(n) if (0..SHARED_INTEGERS).contains(&n));
        cx.reply.int(if shared { i64::from(i32::MAX) } else { 1 });
        Ok(())
    })
}

pub fn idletime(cx: &mut Cx, db: &Db) -> Done {
    with_object(cx, db, |cx, object| {
        if cx.config.is_lfu() {
            return Err(Error::text(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        cx.reply.int(idle_seconds(cx, object));
        Ok(())
    })
}

/// Seconds since the object was last used.
pub fn idle_seconds(cx: &Cx, object: &Object) -> i64 {
    (cx.now / 1000 - i64::from(object.used())).max(0)
}

pub fn freq(cx: &mut Cx, db: &Db) -> Done {
    with_object(cx, db, |cx, object| {
        if !cx.config.is_lfu() {
            return Err(Error::text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        cx.reply.int(i64::from(cx.usage.frequency(object.used())));
        Ok(())
    })
}

pub fn help(cx: &mut Cx) -> Done {
    reply_help(cx, "object");
    Ok(())
}
