//! `ocsp-algorithms`: what an authority's responses are signed with beside its own algorithm.

use super::Terms;
use wire::algorithm::SignatureAlgorithm;
use wire::record::MAX_VARIANTS;

/// Why `ocsp-algorithms` is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlgorithmsError {
    /// There is no such algorithm.
    #[error("it names `{name}`; there are {known}")]
    Unknown {
        /// What it says.
        name: String,
        /// What it may say.
        known: String,
    },
    /// Every response is signed once more for each.
    #[error("it names {0}; name at most {MOST}")]
    TooMany(usize),
    /// No client could ask for the second one.
    #[error(
        "it names `{one}` and `{other}`, which clients ask for by one identifier; leave one out"
    )]
    Alike {
        /// The first.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
    /// The authority's own algorithm is always there.
    #[error("it names `{name}`, and the authority signs with {own} in any case; leave it out")]
    Own {
        /// What it says.
        name: &'static str,
        /// What the authority signs with.
        own: &'static str,
    },
    /// The authority certifies no such key (GB/T 20518 §5).
    #[error(
        "it names `{name}` for an authority of {own}; SM2 authorities certify SM2 keys and no others do: leave it out"
    )]
    OtherFamily {
        /// What it says.
        name: &'static str,
        /// What the authority signs with.
        own: &'static str,
    },
    /// More signatures than a record holds.
    #[error(
        "with {forms} forms and the authority's own algorithm each response is signed {variants} times; leave some out: at most {MAX_VARIANTS}"
    )]
    TooManyVariants {
        /// CertID forms.
        forms: usize,
        /// Forms × algorithms.
        variants: usize,
    },
}

/// Algorithms by their names, in the order of their codes: what stands in which place does not depend on how they are written.
pub(super) fn read(names: &[String]) -> Result<Vec<SignatureAlgorithm>, AlgorithmsError> {
    if names.len() > MOST {
        return Err(AlgorithmsError::TooMany(names.len()));
    }
    let mut read: Vec<SignatureAlgorithm> = Vec::with_capacity(names.len());
    for name in names {
        let one = SignatureAlgorithm::from_name(name).ok_or_else(|| AlgorithmsError::Unknown {
            name: name.clone(),
            known: SignatureAlgorithm::ALL.map(|one| one.name()).join(", "),
        })?;
        if let Some(before) = read.iter().find(|before| are_alike(**before, one)) {
            return Err(AlgorithmsError::Alike {
                one: before.name(),
                other: one.name(),
            });
        }
        read.push(one);
    }
    read.sort_unstable();
    Ok(read)
}

/// Whether a record holds that many signatures.
pub(super) fn check(terms: &Terms) -> Result<(), AlgorithmsError> {
    let forms = terms.forms.as_ref().map_or(0, Vec::len);
    let variants = forms * (1 + terms.further.len());
    if terms.further.is_empty() || variants <= MAX_VARIANTS {
        return Ok(());
    }
    Err(AlgorithmsError::TooManyVariants { forms, variants })
}

/// Whether they can stand beside an authority's own.
pub(super) fn check_beside(
    further: &[SignatureAlgorithm],
    own: SignatureAlgorithm,
) -> Result<(), AlgorithmsError> {
    for one in further {
        let (name, own_name) = (one.name(), own.name());
        if are_alike(*one, own) {
            return Err(AlgorithmsError::Own {
                name,
                own: own_name,
            });
        }
        // They are not alike, so one of them is enough.
        if [*one, own].contains(&SignatureAlgorithm::Sm2Sm3) {
            return Err(AlgorithmsError::OtherFamily {
                name,
                own: own_name,
            });
        }
    }
    Ok(())
}

/// RFC 6960 §4.4.7.1: a client names an algorithm by its identifier, which does not tell the size of an RSA key.
pub(super) fn are_alike(one: SignatureAlgorithm, other: SignatureAlgorithm) -> bool {
    one.identifier() == other.identifier()
}

/// Beside the own one. Each takes as many signatures as that.
const MOST: usize = 3;
