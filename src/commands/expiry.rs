//! When a key expires: the one place that turns what a client writes into a Unix time.
//!
//! A client writes an expiry in seconds or milliseconds, as a time from now on or as a Unix time. These are four forms.
//! SET and GETEX have an option for each; other commands have one form each:
//!
//! | form | options of SET, GETEX | commands |
//! |---|---|---|
//! | [`Form::EX`] | `EX seconds` | SETEX, EXPIRE |
//! | [`Form::PX`] | `PX milliseconds` | PSETEX, PEXPIRE |
//! | [`Form::EXAT`] | `EXAT unix-time-seconds` | EXPIREAT |
//! | [`Form::PXAT`] | `PXAT unix-time-milliseconds` | PEXPIREAT |
//!
//! The result is always a Unix time in milliseconds. It also goes to the log, because a replica runs the log later, and
//! there a time from now on would end later. Example: at 1,700,000,000 seconds of Unix time, `EX 10` becomes
//! 1,700,000,010,000, and the log gets `PXAT 1700000010000`.
//!
//! SET, SETEX, PSETEX and GETEX refuse zero and negative numbers. The EXPIRE family accepts them: the time has passed,
//! so it deletes the key.
//!
//! # Invariant
//!
//! * A time that this file returns is less than [`NEVER`], which stands for "does not expire".

use crate::resp::Error;
use crate::store::NEVER;

/// How a client writes an expiry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Form {
    /// The milliseconds in one unit of the number.
    unit: i64,
    /// The number counts from now on; otherwise it is a Unix time.
    is_relative: bool,
}

impl Form {
    /// Seconds from now on.
    pub const EX: Form = Form::new(1000, true);
    /// Milliseconds from now on.
    pub const PX: Form = Form::new(1, true);
    /// Unix time in seconds.
    pub const EXAT: Form = Form::new(1000, false);
    /// Unix time in milliseconds.
    pub const PXAT: Form = Form::new(1, false);

    const fn new(unit: i64, is_relative: bool) -> Form {
        Form { unit, is_relative }
    }

    /// The form of an option of SET or GETEX; `None` if `word` is another option.
    pub fn of_option(word: &[u8]) -> Option<Form> {
        match word.to_ascii_uppercase().as_slice() {
            b"EX" => Some(Form::EX),
            b"PX" => Some(Form::PX),
            b"EXAT" => Some(Form::EXAT),
            b"PXAT" => Some(Form::PXAT),
            _ => None,
        }
    }

    /// The Unix time in milliseconds that the number `n` stands for. `now` is Unix time in milliseconds. The error
    /// names the command.
    ///
    /// # Errors
    ///
    /// `ERR invalid expire time` if the result does not fit into 64 bits.
    pub fn deadline(self, n: i64, now: i64, command: &str) -> Result<i64, Error> {
        let base = if self.is_relative { now } else { 0 };
        let ms = n.checked_mul(self.unit);
        let at = ms.and_then(|ms| ms.checked_add(base));
        Ok(at.ok_or_else(|| invalid(command))?.min(NEVER - 1))
    }

    /// As [`Form::deadline`], for commands that refuse zero and negative numbers.
    ///
    /// # Errors
    ///
    /// `ERR invalid expire time` for such a number, or if the result does not fit into 64 bits.
    pub fn positive_deadline(self, n: i64, now: i64, command: &str) -> Result<i64, Error> {
        if n <= 0 {
            return Err(invalid(command));
        }
        self.deadline(n, now, command)
    }
}

/// Redis's error for an expiry that is out of range.
fn invalid(command: &str) -> Error {
    Error::new(format!("ERR invalid expire time in '{command}' command"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_forms_of_one_time() {
        let at = |form: Form, n| form.deadline(n, 5_000, "set").ok();
        assert_eq!(at(Form::EX, 2), Some(7_000));
        assert_eq!(at(Form::PX, 2_000), Some(7_000));
        assert_eq!(at(Form::EXAT, 7), Some(7_000));
        assert_eq!(at(Form::PXAT, 7_000), Some(7_000));
        assert_eq!(Form::of_option(b"pxat"), Some(Form::PXAT));
        assert_eq!(Form::of_option(b"persist"), None);
    }

    #[test]
    fn times_out_of_range_are_refused() {
        let at = |form: Form, n| form.deadline(n, 5_000, "expire");
        assert_eq!(at(Form::EX, -6).ok(), Some(-1_000));
        assert!(at(Form::EX, i64::MAX / 1000).is_err());
        assert!(at(Form::EXAT, i64::MIN / 1000 - 1).is_err());
        assert!(at(Form::PX, i64::MAX).is_err());
        assert_eq!(at(Form::PXAT, i64::MAX).ok(), Some(NEVER - 1));
        let error = Form::PX
            .positive_deadline(0, 5_000, "psetex")
            .err()
            .unwrap();
        assert_eq!(&*error.0, b"ERR invalid expire time in 'psetex' command");
    }
}
