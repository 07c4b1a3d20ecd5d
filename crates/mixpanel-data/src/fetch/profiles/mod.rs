//! The rules of the profile export: which pages exist.

pub(super) mod layout;
