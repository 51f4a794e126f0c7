//! What every type of values offers.
//!
//! Each type implements [`Contents`] in its own file. Code that works on values of all types calls these methods through
//! [`Value::as_type`](super::Value::as_type), so it need not know the types.

/// The contents of a key, of whatever type.
pub trait Contents {
    /// The name of the type. TYPE replies this.
    fn name(&self) -> &'static str;

    /// The name of the representation in memory. OBJECT ENCODING replies this.
    fn encoding(&self) -> &'static str;

    /// Bytes allocated for the value, without the 24 bytes of [`Value`](super::Value) itself.
    fn memory(&self) -> usize;

    /// About how many bytes the value takes in an RDB file. DEBUG OBJECT shows this.
    fn serialized_len(&self) -> usize;

    /// Whether a blocking command can wait for keys of this type.
    fn can_be_awaited(&self) -> bool;

    /// Whether dropping the value takes so long that it is done after the lock is released.
    fn is_costly_to_drop(&self) -> bool;

    /// Feeds `hasher` with what identifies the contents, so that debug builds notice unreported changes. It need not read
    /// all of a large value.
    #[cfg(debug_assertions)]
    fn fingerprint(&self, hasher: &mut dyn std::hash::Hasher);
}
