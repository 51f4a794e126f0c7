//! MEMORY: what a key costs.

use super::args::{help as reply_help, int};
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::Db;

pub fn usage(cx: &mut Cx, db: &Db) -> Done {
    // SAMPLES bounds how many elements of a collection are measured; here nothing is that costly to measure whole.
    let mut i = 3;
    while i < cx.args.len() {
        if !cx.args.is(i, "SAMPLES") || i + 1 >= cx.args.len() {
            return Err(Error::SYNTAX);
        }
        if int(&cx.args[i + 1])? < 0 {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    match cx.peek(db, 2) {
        Some(object) => {
            let bytes = Db::key_overhead(&cx.args[2]) + object.value.heap_size();
            cx.reply.int(bytes as i64);
        }
        None => cx.reply.null(),
    }
    Ok(())
}

pub fn help(cx: &mut Cx) -> Done {
    reply_help(cx, "memory");
    Ok(())
}
