//! Each rule is broken once.
