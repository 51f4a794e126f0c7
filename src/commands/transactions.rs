//! MULTI, DISCARD, WATCH, UNWATCH. EXEC is in [`crate::execute`], since it runs commands.

use std::sync::atomic::Ordering::Relaxed;

use super::{Cx, Done};
use crate::resp::Error;
use crate::state::session::{Multi, Watched};
use crate::store::Store;

pub fn multi(cx: &mut Cx) -> Done {
    if cx.session.multi.is_some() {
        return Err(Error::text("ERR MULTI calls can not be nested"));
    }
    cx.session.set_multi(Some(Multi::default()));
    cx.reply.ok();
    Ok(())
}

pub fn discard(cx: &mut Cx) -> Done {
    if cx.session.set_multi(None).is_none() {
        return Err(Error::text("ERR DISCARD without MULTI"));
    }
    cx.session.unwatch(cx.shared);
    cx.reply.ok();
    Ok(())
}

/// Changes nothing, but needs the keys as they really are: one that has expired is deleted before it is watched, so
/// that its deletion is not a change later. Hence a handler that may write.
pub fn watch(cx: &mut Cx, store: &mut Store) -> Done {
    if cx.session.multi.is_some() {
        return Err(Error::text("ERR WATCH inside MULTI is not allowed"));
    }
    let index = cx.session.db;
    for key in cx.args.iter_from(1) {
        if cx
            .session
            .watched
            .iter()
            .any(|w| w.db == index && w.key == key)
        {
            continue;
        }
        store.dbs[index].get_mut(key, cx.now);
        cx.shared.watches.add(index, key, &cx.session.watch_flag);
        cx.session.watched.push(Watched {
            db: index,
            key: key.to_vec(),
        });
    }
    cx.session.client.watching.store(true, Relaxed);
    cx.reply.ok();
    Ok(())
}

pub fn unwatch(cx: &mut Cx) -> Done {
    cx.session.unwatch(cx.shared);
    cx.reply.ok();
    Ok(())
}
