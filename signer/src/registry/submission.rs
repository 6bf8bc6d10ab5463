//! Submissions: an application form with its schedule, row by row.

use wire::time::UnixSeconds;

/// Number of a submission, printed on receipts. 1 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct SubmissionNumber(pub u64);

impl std::fmt::Display for SubmissionNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Row number of an accepted item (a line of a schedule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ItemId(pub i64);

/// Gives a persisted enum its stored names, both ways.
macro_rules! stored_names {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As stored and shown.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// From what is stored or typed.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    };
}

/// What a schedule's rows are about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// 个人.
    Person,
    /// 单位.
    Unit,
    /// 设备.
    Device,
}

stored_names!(SubjectKind { Person = "person", Unit = "unit", Device = "device" });

/// What an application asks for (业务类型).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Business {
    /// 申请.
    Issue,
    /// 更新.
    Renew,
    /// 撤销.
    Revoke,
    /// 补换.
    Replace,
    /// 解锁.
    Unlock,
}

stored_names!(Business {
    Issue = "issue",
    Renew = "renew",
    Revoke = "revoke",
    Replace = "replace",
    Unlock = "unlock",
});

/// Where an application is in its life. Stored state: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplicationState {
    /// Being filled in by the filing unit.
    Drafted,
    /// 提交: handed in.
    Submitted,
    /// 受理: taken in by the clerk.
    Accepted,
    /// Sent back to the filing unit to be corrected.
    Returned,
    /// Every row judged.
    Checked,
    /// 审批: a second officer said yes.
    Approved,
    /// Certificates are being made.
    Producing,
    /// Every item has its certificate.
    Delivered,
    /// 备案.
    OnRecord,
    /// 归档.
    Archived,
    /// Said no to.
    Refused,
    /// Taken back by the filing unit.
    Withdrawn,
}

stored_names!(ApplicationState {
    Drafted = "drafted",
    Submitted = "submitted",
    Accepted = "accepted",
    Returned = "returned",
    Checked = "checked",
    Approved = "approved",
    Producing = "producing",
    Delivered = "delivered",
    OnRecord = "on-record",
    Archived = "archived",
    Refused = "refused",
    Withdrawn = "withdrawn",
});

impl ApplicationState {
    /// Whether `next` may follow. Approving is not here: it needs [`crate::ra::approval`]; nor is
    /// [`Self::may_be_turned_away`].
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use ApplicationState as S;
        matches!(
            (self, next),
            (S::Drafted, S::Submitted)
                | (S::Submitted, S::Accepted)
                | (S::Accepted, S::Checked)
                | (S::Returned, S::Submitted)
                | (S::Approved, S::Producing)
                | (S::Producing, S::Delivered)
                | (S::Delivered, S::OnRecord)
                | (S::OnRecord, S::Archived)
        )
    }

    /// Whether it may end so: until certificates are made any way; while they are, and even after an item
    /// turned out not to be issuable, the rest is dropped.
    #[must_use]
    pub fn may_be_turned_away(self, how: TurnAway) -> bool {
        use ApplicationState as S;
        match self {
            S::Submitted | S::Accepted | S::Checked | S::Approved | S::Producing => true,
            S::Drafted | S::Returned => how == TurnAway::Withdraw,
            S::Delivered | S::OnRecord | S::Archived | S::Refused | S::Withdrawn => false,
        }
    }
}

/// How an application ends without its certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnAway {
    /// 不予受理, 审批不通过: said no to.
    Refuse,
    /// 退回: sent back to be corrected.
    Return,
    /// 撤回: the filing unit takes it back.
    Withdraw,
}

impl TurnAway {
    /// The state it ends in, if no certificate was made.
    #[must_use]
    pub fn state(self) -> ApplicationState {
        match self {
            Self::Refuse => ApplicationState::Refused,
            Self::Return => ApplicationState::Returned,
            Self::Withdraw => ApplicationState::Withdrawn,
        }
    }

    /// As the audit trail has it.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Return => "return",
            Self::Withdraw => "withdraw",
        }
    }
}

/// What became of an application that was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// Its state: one with certificates made or being made goes on with those.
    pub state: ApplicationState,
    /// Items that will have no certificate.
    pub dropped: u64,
}

/// Where one item is. Stored state: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// Accepted, no certificate yet.
    Open,
    /// A certificate is reserved for it.
    Reserved,
    /// It has its certificate.
    Issued,
    /// Its submission was refused, returned or withdrawn.
    Dropped,
}

stored_names!(ItemState {
    Open = "open",
    Reserved = "reserved",
    Issued = "issued",
    Dropped = "dropped",
});

/// A submission about to be recorded: what the registration authority checked.
#[derive(Clone, Debug)]
pub struct NewSubmission {
    /// BLAKE3 of the schedule's octets as they came.
    pub file_blake3: [u8; 32],
    /// BLAKE3 of the application form's octets.
    pub application_blake3: [u8; 32],
    /// What the rows are about.
    pub kind: SubjectKind,
    /// What is asked for.
    pub business: Business,
    /// Authority chosen at submission, never a column.
    pub alias: String,
    /// The filing unit's name.
    pub unit_name: String,
    /// The filing unit's code.
    pub unit_code: String,
    /// The application form's checked fields, JSON.
    pub application: String,
    /// Subjects that hold a certificate may be given another (units and devices that order and pay for more).
    pub additional: bool,
    /// Rows that passed.
    pub items: Vec<NewItem>,
    /// Rows that did not.
    pub refused: Vec<RefusedRow>,
}

/// A row that passed every check of its own.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// Line in the schedule file, 1 is the header.
    pub line: u64,
    /// What identifies the subject: `person:身份证:1101…`; the same subject always has the same key.
    pub subject_key: String,
    /// The subject's name.
    pub name: String,
    /// The subject's number as people know it.
    pub number: String,
    /// Checked fields, JSON.
    pub fields: String,
    /// SubjectPublicKeyInfo DER out of the verified CSR; none: demo, the signer makes the key.
    pub spki: Option<Vec<u8>>,
}

/// A row that was refused, with the rule it broke.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RefusedRow {
    /// Line in the schedule file, 1 is the header.
    pub line: u64,
    /// Chinese header of the column, empty if the whole row is meant.
    pub column: String,
    /// English header of the column.
    pub column_english: String,
    /// The rule, in a sentence.
    pub rule: String,
    /// What stood there.
    pub value: String,
}

/// What became of the items of a submission, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its number.
    pub number: SubmissionNumber,
    /// One for each item.
    pub items: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ItemOutcome {
    /// Recorded.
    Accepted(ItemId),
    /// 一人一证: the subject holds a live certificate.
    AlreadyHolds {
        /// Authority alias.
        alias: String,
        /// Serial, hexadecimal.
        serial: String,
    },
    /// 一人一证: the subject waits for one in another submission.
    AlreadyWaits {
        /// That submission.
        number: SubmissionNumber,
    },
    /// The public key is another subject's.
    KeyOfAnother {
        /// Its submission.
        number: SubmissionNumber,
    },
    /// A certificate of the public key was revoked because the private key may be in other hands.
    KeyCompromised {
        /// The submission it came with.
        number: SubmissionNumber,
    },
}

impl ItemOutcome {
    /// The refusal this outcome means for its row, if it does: 一人一证.
    #[must_use]
    pub fn refusal(&self, kind: SubjectKind, item: &NewItem) -> Option<RefusedRow> {
        let rule = match self {
            Self::Accepted(_) => return None,
            Self::AlreadyHolds { alias, serial } => format!(
                "the subject already holds a live certificate, {alias} serial {serial} (一人一证)"
            ),
            Self::AlreadyWaits { number } => {
                format!(
                    "the subject already waits for a certificate in submission {number} (一人一证)"
                )
            }
            Self::KeyOfAnother { number } => format!(
                "the public key is that of another subject, of submission {number} (公钥已属其他主体)"
            ),
            Self::KeyCompromised { number } => format!(
                "a certificate of this public key, of submission {number}, was revoked as compromised (公钥对应的私钥已泄露)"
            ),
        };
        if matches!(
            self,
            Self::KeyOfAnother { .. } | Self::KeyCompromised { .. }
        ) {
            return Some(RefusedRow {
                line: item.line,
                column: "CSR文件".to_owned(),
                column_english: "csr".to_owned(),
                rule,
                value: String::new(),
            });
        }
        let (column, column_english) = match kind {
            SubjectKind::Person => ("证件号码", "id_no"),
            SubjectKind::Unit => ("代码", "unit_code"),
            SubjectKind::Device => ("设备名称", "device_name"),
        };
        Some(RefusedRow {
            line: item.line,
            column: column.to_owned(),
            column_english: column_english.to_owned(),
            rule,
            value: item.number.clone(),
        })
    }
}

/// A submission as stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Submission {
    /// Its number.
    pub number: SubmissionNumber,
    /// What the rows are about.
    pub kind: SubjectKind,
    /// What is asked for.
    pub business: Business,
    /// Authority alias.
    pub alias: String,
    /// The filing unit's name.
    pub unit_name: String,
    /// The filing unit's code.
    pub unit_code: String,
    /// Where it is in its life.
    pub state: ApplicationState,
    /// Who took it in.
    pub clerk: String,
    /// When.
    pub received_at: UnixSeconds,
    /// Who approved it.
    pub officer: Option<String>,
    /// When.
    pub approved_at: Option<UnixSeconds>,
    /// Rows accepted.
    pub accepted: u64,
    /// Rows refused.
    pub refused: u64,
    /// Items that have their certificate.
    pub issued: u64,
}

/// An accepted item as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Row number.
    pub id: ItemId,
    /// Its submission.
    pub submission: SubmissionNumber,
    /// Line in the schedule file.
    pub line: u64,
    /// What it is about.
    pub kind: SubjectKind,
    /// Where it is.
    pub state: ItemState,
    /// The subject's name.
    pub name: String,
    /// Checked fields, JSON.
    pub fields: String,
    /// SubjectPublicKeyInfo DER; none: demo, the signer makes the key.
    pub spki: Option<Vec<u8>>,
}
