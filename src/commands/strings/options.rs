//! The options that SET and GETEX share.
//!
//! ```text
//!   SET    [NX | XX] [GET] [KEEPTTL | EX n | PX n | EXAT n | PXAT n]
//!   GETEX                  [PERSIST | EX n | PX n | EXAT n | PXAT n]
//! ```
//!
//! # Invariant
//!
//! * [`SetOptions::read`] finds every syntax error, and a handler calls it before it looks at the key. A wrong number
//!   is found later, by [`SetOptions::deadline`]: GETEX of an absent key replies null even if the number is wrong.

use crate::commands::args::{Cursor, int};
use crate::commands::expiry::Form;
use crate::resp::Error;

/// The command whose options are read.
#[derive(Clone, Copy, PartialEq)]
pub enum SetSyntax {
    /// SET: all options but PERSIST.
    Set,
    /// GETEX: PERSIST, or an expiry.
    GetEx,
}

/// An expiry among the options.
struct TtlOption {
    /// The option: EX, PX, EXAT or PXAT.
    form: Form,
    /// The option's number, or the error if it is not an integer.
    amount: Result<i64, Error>,
}

/// The options of SET and GETEX.
#[derive(Default)]
pub struct SetOptions {
    /// NX: set only if the key does not exist.
    pub only_new: bool,
    /// XX: set only if the key exists.
    pub only_existing: bool,
    /// GET: reply with the old value.
    pub get: bool,
    /// KEEPTTL: keep the key's expiry.
    pub keep_ttl: bool,
    /// PERSIST: remove the key's expiry.
    pub persist: bool,
    /// EX, PX, EXAT or PXAT: the key's new expiry.
    expiry: Option<TtlOption>,
}

impl SetOptions {
    /// Reads all arguments that are left in `options`.
    ///
    /// # Errors
    ///
    /// A syntax error for an unknown option, an option without its number, and options that exclude each other.
    pub fn read(mut options: Cursor, syntax: SetSyntax) -> Result<SetOptions, Error> {
        let mut o = SetOptions::default();
        let is_set = syntax == SetSyntax::Set;
        while let Some(word) = options.next() {
            if let Some(form) = Form::of_option(word) {
                // As in Redis, EX may be given twice, and the last one counts; but EX and PX exclude each other.
                let fits = o.expiry.as_ref().is_none_or(|e| e.form == form);
                if !fits || o.keep_ttl || o.persist {
                    return Err(Error::SYNTAX);
                }
                let amount = int(options.value()?);
                o.expiry = Some(TtlOption { form, amount });
                continue;
            }
            match word.to_ascii_uppercase().as_slice() {
                b"NX" if is_set && !o.only_existing => o.only_new = true,
                b"XX" if is_set && !o.only_new => o.only_existing = true,
                b"GET" if is_set => o.get = true,
                b"KEEPTTL" if is_set && o.expiry.is_none() => o.keep_ttl = true,
                b"PERSIST" if !is_set && o.expiry.is_none() => o.persist = true,
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(o)
    }

    /// Whether EXAT or PXAT was given.
    pub fn has_unix_time(&self) -> bool {
        let form = self.expiry.as_ref().map(|expiry| expiry.form);
        matches!(form, Some(Form::EXAT | Form::PXAT))
    }

    /// The Unix time in milliseconds at which the key shall expire; `None` if the options have no expiry. `now` is Unix
    /// time in milliseconds. The error names the command.
    ///
    /// # Errors
    ///
    /// Redis's errors for an expiry that is not an integer, is not positive, or is too large.
    pub fn deadline(&self, now: i64, command: &str) -> Result<Option<i64>, Error> {
        let Some(TtlOption { form, amount }) = &self.expiry else {
            return Ok(None);
        };
        let amount = amount.clone()?;
        form.positive_deadline(amount, now, command).map(Some)
    }
}
