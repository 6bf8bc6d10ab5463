//! Requests, one fault each.
