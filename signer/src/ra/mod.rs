//! The registration authority: what may enter the registry, and who may say yes to it.
//!
//! The life of an application, each step's type wanted by the next:
//!
//! 1. [`sheet`]: octets of a form → text → named cells (`Sheet`); unknown columns end it here.
//! 2. [`application`]: one row → `Application`, attested and sealed.
//! 3. [`schedule`]: lines → [`row::Row`], or a `RowRefusal` by line, column, rule and value.
//! 4. [`csr`]: the key a row brings, its possession proven.
//! 5. [`submit`]: count, duplicates, the registry's own judgement; the submission gets its number.
//! 6. [`approval`]: a second officer; [`approval::Approved`] is what [`crate::ca`] issues on.
//!
//! [`ground`] maps the regulations' grounds of revocation to RFC 5280 reasons. The RA signs nothing and
//! knows no key but the applicant's public one.

pub mod application;
pub mod approval;
mod cell;
pub mod column;
pub mod csr;
pub mod ground;
pub mod identity;
pub mod row;
pub mod rule;
pub mod schedule;
pub mod sheet;
pub mod submit;
pub mod unit_code;

pub(crate) use cell::is_name;
