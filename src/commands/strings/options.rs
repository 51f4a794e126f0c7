//! The options that SET and GETEX share.
//!
//! The options of GETEX are those of SET, as far as a command that stores nothing can have them:
//!
//! ```text
//!   SET    [NX | XX] [GET] [KEEPTTL | EX n | PX n | EXAT n | PXAT n]
//!   GETEX                  [PERSIST | EX n | PX n | EXAT n | PXAT n]
//! ```
//!
//! # Invariant
//!
//! * All options are read before the key is looked at, so a syntax error has no effect. A number that is wrong is found
//!   later, by [`SetOptions::deadline`], because GETEX replies null for an absent key whatever the number is.

use crate::commands::args::{Cursor, int};
use crate::commands::expiry::Form;
use crate::resp::Error;

/// Which command's options are read.
#[derive(Clone, Copy, PartialEq)]
pub enum SetSyntax {
    Set,
    GetEx,
}

/// An expiry among the options.
struct TtlOption {
    form: Form,
    /// The number, or the error for something that is not one. GETEX looks at the key before it complains.
    amount: Result<i64, Error>,
}

/// The options of SET and GETEX.
#[derive(Default)]
pub struct SetOptions {
    /// NX: only if the key does not exist. XX: only if it does.
    pub only_new: bool,
    pub only_existing: bool,
    /// GET: reply with the old value.
    pub get: bool,
    pub keep_ttl: bool,
    pub persist: bool,
    expiry: Option<TtlOption>,
}

impl SetOptions {
    /// Reads the options from `options` on.
    ///
    /// # Errors
    ///
    /// A syntax error for an unknown option, one without its number, and options that exclude each other.
    pub fn read(mut options: Cursor, syntax: SetSyntax) -> Result<SetOptions, Error> {
        let mut o = SetOptions::default();
        let is_set = syntax == SetSyntax::Set;
        while let Some(word) = options.next() {
            if let Some(form) = Form::of_option(word) {
                // The same form may be given again, and then the last one counts; a second form may not.
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

    /// Whether there is an expiry, and it is a Unix time.
    pub fn has_unix_time(&self) -> bool {
        let form = self.expiry.as_ref().map(|expiry| expiry.form);
        matches!(form, Some(Form::EXAT | Form::PXAT))
    }

    /// When the key expires: Unix time in milliseconds, if there is an expiry.
    ///
    /// # Errors
    ///
    /// Redis's errors for something that is not an integer, is not positive, or is too large.
    pub fn deadline(&self, now: i64, command: &str) -> Result<Option<i64>, Error> {
        let Some(TtlOption { form, amount }) = &self.expiry else {
            return Ok(None);
        };
        let amount = amount.clone()?;
        form.positive_deadline(amount, now, command).map(Some)
    }
}
