//! Why a row, or a whole form, was refused: closed sets, each said in English and Chinese, because a clerk
//! of a registration point reads it.

use super::column::Column;
use super::csr::CsrRefused;
use super::identity::NotIdentity;
use super::unit_code::NotUnitCode;
use crate::registry::{RefusedRow, SubmissionNumber};

/// The rule that a cell, or a whole row, broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A required cell is empty.
    #[error("must be filled in (必填)")]
    Missing,
    /// Too many characters.
    #[error("longer than {0} characters (超过 {0} 个字符)")]
    TooLong(usize),
    /// A spreadsheet would run it.
    #[error("begins with a sign that a spreadsheet takes for a formula: = + - @ (疑似公式)")]
    Formula,
    /// Control or direction characters.
    #[error("holds control or invisible characters (含控制字符)")]
    Control,
    /// Not in the list.
    #[error("must be one of {} (只能填其中之一)", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    /// GB 11643.
    #[error("{0} (身份证号码有误)")]
    Identity(NotIdentity),
    /// GB 11714 or GB 32100.
    #[error("{0} (组织机构代码或统一社会信用代码有误)")]
    UnitCode(NotUnitCode),
    /// Officer card number.
    #[error("an officer card number has 4 to 30 characters (军官证号码有误)")]
    OfficerCard,
    /// Passport number.
    #[error("a passport number has 5 to 17 letters and digits (护照号码有误)")]
    Passport,
    /// Telephone.
    #[error("a telephone number has 5 to 15 digits and nothing else (电话号码有误)")]
    Phone,
    /// Postcode.
    #[error("a postcode has 6 digits (邮政编码有误)")]
    Postcode,
    /// Mail address.
    #[error("not a mail address (电子邮件有误)")]
    Email,
    /// DNS name.
    #[error("not a DNS name (域名有误)")]
    DnsName,
    /// IP address.
    #[error("not an IP address (IP地址有误)")]
    Ip,
    /// A device without any address.
    #[error("a DNS name or an IP address is needed (域名与IP地址至少填一项)")]
    Unaddressed,
    /// Not a number.
    #[error("must be a whole number (必须为整数)")]
    Number,
    /// Not a date.
    #[error("not a date of the calendar, YYYY-MM-DD (日期有误)")]
    Date,
    /// A date to come.
    #[error("must not be in the future (日期不得晚于今日)")]
    Future,
    /// Attested or sealed is not 是.
    #[error("must be 是")]
    NotYes,
    /// Not as many cells as the header.
    #[error("{found} cells, but the header has {wanted} (列数不符)")]
    Cells {
        /// In this row.
        found: usize,
        /// In the header.
        wanted: usize,
    },
    /// The same number twice in a file.
    #[error("the same number as line {0} (序号与第 {0} 行重复)")]
    SameNo(u64),
    /// The same subject twice in a file.
    #[error("the same subject as line {0} (与第 {0} 行为同一主体，一人一证)")]
    SameSubject(u64),
    /// The same key twice in a file.
    #[error("the same public key as line {0} (与第 {0} 行公钥相同)")]
    SameKey(u64),
    /// 本单位, but another unit than the one that files.
    #[error("is not that of the filing unit, though the relation is 本单位 (与申请单位不符)")]
    NotOwn,
    /// The CSR.
    #[error("{0}")]
    Csr(CsrRefused),
    /// The application's count and the schedule's rows.
    #[error("the schedule has {rows} rows (与明细表的 {rows} 行不符)")]
    Count {
        /// Rows of the schedule.
        rows: usize,
    },
    /// The application's certificate type and the schedule's kind.
    #[error("the schedule is of another kind (与明细表类型不符)")]
    OtherKind,
    /// A business that comes in another way.
    #[error("`submit` takes 申请 only; revoke by `revoke` (此处仅受理申请)")]
    OtherBusiness,
    /// The approver is the clerk.
    #[error("the approver must not be the clerk (审核人不得为受理人)")]
    ApproverIsClerk,
    /// The clerk on the form is another.
    #[error("the form names another clerk than the one who submits (受理人不符)")]
    OtherClerk,
}

/// A refused cell or row, by line, column, rule and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRefusal {
    /// Line in the file; 1 is the header.
    pub line: u64,
    /// The column; none if the whole row is meant.
    pub column: Option<&'static Column>,
    /// The rule.
    pub rule: Rule,
    /// What stood there.
    pub value: String,
}

impl RowRefusal {
    /// As the registry keeps it and the receipt shows it.
    #[must_use]
    pub fn to_row(&self) -> RefusedRow {
        RefusedRow {
            line: self.line,
            column: self.column.map_or("", |c| c.chinese).to_owned(),
            column_english: self.column.map_or("", |c| c.english).to_owned(),
            rule: self.rule.to_string(),
            value: printable(&self.value),
        }
    }
}

/// What stood in a cell, fit for a terminal and a log: control characters replaced, cut at 80 characters.
fn printable(value: &str) -> String {
    let clean = |c: char| {
        if c.is_control() || super::cell::is_invisible(c) {
            '\u{FFFD}'
        } else {
            c
        }
    };
    let mut shown: String = value.chars().map(clean).take(80).collect();
    if value.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// Why a file could not be read as its form at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormRefused {
    /// Too many octets.
    #[error("the file has {found} octets, more than {most} (文件过大)")]
    TooLarge {
        /// In the file.
        found: usize,
        /// Allowed.
        most: usize,
    },
    /// Neither UTF-8 nor GB18030.
    #[error("the file is neither UTF-8 nor GB18030 text (编码既非 UTF-8 也非 GB18030)")]
    NotText,
    /// No header line, or nothing below it.
    #[error("the file has no rows below its header (没有数据行)")]
    Empty,
    /// Too many rows.
    #[error("the file has more than {0} rows (行数过多)")]
    TooManyRows(usize),
    /// Columns this form does not have.
    #[error("unknown column {} (未知的列)", .0.join(", "))]
    UnknownColumns(Vec<String>),
    /// A column twice.
    #[error("the column {0} is there twice (列重复)")]
    ColumnTwice(String),
    /// Required columns that are not there.
    #[error("missing column {} (缺少必填列)", .0.join(", "))]
    MissingColumns(Vec<String>),
    /// Not one row but several, or none.
    #[error("an application form has one row, this has {0} (申请表应只有一行)")]
    NotOneRow(usize),
    /// The CSV itself.
    #[error("line {line} cannot be read as CSV (第 {line} 行不是合法的 CSV)")]
    Csv {
        /// Where.
        line: u64,
    },
}

/// Why nothing of a submission was taken. A caller's fault but for `Registry`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmissionRefused {
    /// One of the files is not its form.
    #[error("the {form} was refused")]
    Form {
        /// Which.
        form: &'static str,
        /// Why.
        source: FormRefused,
    },
    /// The application form itself does not hold.
    #[error("the application form was refused (业务申请表不予受理)")]
    Application(Vec<RowRefusal>),
    /// The same schedule again.
    #[error(
        "this file was submitted before: it is submission {first} (该文件已提交过，受理号 {first})"
    )]
    SameFile {
        /// The submission that holds it.
        first: SubmissionNumber,
    },
    /// No such authority.
    #[error("there is no authority {0:?}; `list` shows those founded")]
    NoAuthority(String),
    /// Another certificate for a person.
    #[error("a person holds one certificate (一人一证): --additional is for units and devices")]
    AdditionalPerson,
    /// No name.
    #[error("the clerk needs a name that can be read")]
    NoClerk,
    /// The database.
    #[error("the registry refused the submission")]
    Registry(#[from] crate::registry::RegistryError),
}
