//! The grounds of revocation that the regulations name, and the RFC 5280 reasons they become.

use wire::status::RevocationReason;

/// A ground of revocation (撤销原因).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// 私钥泄露.
    KeyCompromise,
    /// 私钥遗失.
    KeyLost,
    /// 被冒用.
    Misused,
    /// 信息变更.
    InformationChanged,
    /// 调动.
    Moved,
    /// 离职.
    Resigned,
    /// 合并重组.
    Merged,
}

impl Ground {
    /// All grounds, as the form lists them.
    pub const ALL: [Self; 7] = [
        Self::KeyCompromise,
        Self::KeyLost,
        Self::Misused,
        Self::InformationChanged,
        Self::Moved,
        Self::Resigned,
        Self::Merged,
    ];

    /// As the form has it. Stored: never change.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Self::KeyCompromise => "私钥泄露",
            Self::KeyLost => "私钥遗失",
            Self::Misused => "被冒用",
            Self::InformationChanged => "信息变更",
            Self::Moved => "调动",
            Self::Resigned => "离职",
            Self::Merged => "合并重组",
        }
    }

    /// In English, as typed on a command line.
    #[must_use]
    pub fn english(self) -> &'static str {
        match self {
            Self::KeyCompromise => "key-compromise",
            Self::KeyLost => "key-lost",
            Self::Misused => "misused",
            Self::InformationChanged => "information-changed",
            Self::Moved => "moved",
            Self::Resigned => "resigned",
            Self::Merged => "merged",
        }
    }

    /// RFC 5280 §5.3.1. A lost key may be in any hands, and so may one that was misused.
    #[must_use]
    pub fn reason(self) -> RevocationReason {
        match self {
            Self::KeyCompromise | Self::KeyLost | Self::Misused => RevocationReason::KeyCompromise,
            Self::InformationChanged | Self::Moved => RevocationReason::AffiliationChanged,
            Self::Resigned | Self::Merged => RevocationReason::CessationOfOperation,
        }
    }

    /// From Chinese or English. The RFC's own names of the reasons are not taken where several grounds have
    /// one: which of them it was is for the officer to say.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = text.replace(['-', '_', ' '], "").to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|ground| ground.chinese() == text || ground.english().replace('-', "") == plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ground_is_not_understood() {
        for ground in Ground::ALL {
            assert_eq!(Ground::parse(ground.chinese()), Some(ground));
            assert_eq!(Ground::parse(ground.english()), Some(ground));
        }
        assert_eq!(Ground::parse("keyCompromise"), Some(Ground::KeyCompromise));
        for text in [
            "",
            "私钥",
            "superseded",
            "removeFromCRL",
            "affiliationChanged",
            "cessationOfOperation",
        ] {
            assert_eq!(Ground::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ground_becomes_another_reason() {
        use RevocationReason as R;
        let reasons = [
            ("私钥泄露", R::KeyCompromise),
            ("私钥遗失", R::KeyCompromise),
            ("被冒用", R::KeyCompromise),
            ("信息变更", R::AffiliationChanged),
            ("调动", R::AffiliationChanged),
            ("离职", R::CessationOfOperation),
            ("合并重组", R::CessationOfOperation),
        ];
        assert_eq!(reasons.len(), Ground::ALL.len());
        for (ground, reason) in reasons {
            assert_eq!(
                Ground::parse(ground).map(Ground::reason),
                Some(reason),
                "{ground}"
            );
        }
    }
}
