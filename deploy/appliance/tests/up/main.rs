//! What `hufu up` promises, asked of the real program. One binary, so that all its tests share one founding.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it is"
)]

mod answers;
mod founding;
mod life;
mod pasted;
mod rig;
