//! 业务申请明细表: lines → [`Row`]s and refusals. One row's fault never stops another.

use jiff::civil::Date;

use super::cell::{Cells, digits, dns_name, email, ip};
use super::column as col;
use super::row::{Device, Identity, Medium, Person, Relation, Row, StaffKind, Unit};
use super::rule::{RowRefusal, Rule};
use super::sheet::{Line, Sheet};
use crate::registry::SubjectKind;

const ID_TYPES: &[&str] = &["身份证", "军官证", "护照"];
const STAFF_KINDS: &[&str] = &["在编", "外聘"];
const MEDIA: &[&str] = &["USBKey", "社保卡"];
const RELATIONS: &[&str] = &["本单位", "下属", "相关"];

/// A line that passed every check of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedLine {
    /// Line in the file.
    pub line: u64,
    /// 序号.
    pub no: u64,
    /// The row.
    pub row: Row,
    /// The CSR's file name; none: demo, the signer makes the key.
    pub csr: Option<String>,
}

/// Checks one line of a schedule; all its faults at once if it has any.
pub fn check(
    kind: SubjectKind,
    sheet: &Sheet,
    line: &Line,
    today: Date,
) -> Result<CheckedLine, Vec<RowRefusal>> {
    let mut cells = Cells::new(sheet, line, today).map_err(|refusal| vec![refusal])?;
    let no = cells.parsed(&col::NO, |text| {
        digits(text, 1..=9)
            .and_then(|n| n.parse().ok())
            .ok_or(Rule::Number)
    });
    let (row, csr) = match kind {
        SubjectKind::Person => (
            person(&mut cells).map(Row::Person),
            cells.optional(&col::CSR),
        ),
        SubjectKind::Unit => (unit(&mut cells).map(Row::Unit), cells.optional(&col::CSR)),
        SubjectKind::Device => (
            device(&mut cells).map(Row::Device),
            cells.text(&col::DEVICE_CSR).map(Some),
        ),
    };
    let refusals = cells.into_refusals();
    match (no, row, csr) {
        (Some(no), Some(row), Some(csr)) if refusals.is_empty() => Ok(CheckedLine {
            line: line.number,
            no,
            row,
            csr,
        }),
        _ => Err(refusals),
    }
}

fn person(cells: &mut Cells<'_>) -> Option<Person> {
    let name = cells.name(&col::NAME);
    let identity = identity(cells);
    let department = cells.name(&col::DEPARTMENT);
    let title = cells.optional(&col::TITLE);
    let mobile = cells.phone(&col::MOBILE);
    let email = cells.parsed_optional(&col::EMAIL, email);
    let staff_kind = cells.one_of(
        &col::STAFF_KIND,
        STAFF_KINDS,
        &[StaffKind::Regular, StaffKind::Contracted],
    );
    let applications = cells.optional(&col::APPLICATIONS);
    let medium = medium(cells);
    let medium_no = cells.optional(&col::MEDIUM_NO);
    let remarks = cells.optional(&col::REMARKS);
    Some(Person {
        name: name?,
        identity: identity?,
        department: department?,
        title: title?,
        mobile: mobile?,
        email: email?,
        staff_kind: staff_kind?,
        applications: applications?,
        medium: medium?,
        medium_no: medium_no?,
        remarks: remarks?,
    })
}

/// 证件号码, judged by 证件类型.
fn identity(cells: &mut Cells<'_>) -> Option<Identity> {
    match cells.one_of(&col::ID_TYPE, ID_TYPES, &[0, 1, 2]) {
        Some(0) => cells.identity(&col::ID_NO).map(Identity::IdentityCard),
        Some(1) => {
            let number = cells.text(&col::ID_NO)?;
            if (4..=30).contains(&number.chars().count()) {
                return Some(Identity::OfficerCard(number));
            }
            cells.refuse(&col::ID_NO, Rule::OfficerCard);
            None
        }
        Some(_) => cells.parsed(&col::ID_NO, passport).map(Identity::Passport),
        // Without a type the number cannot be judged, but an empty one can.
        None => cells.text(&col::ID_NO).and(None),
    }
}

fn passport(text: &str) -> Result<String, Rule> {
    let good = (5..=17).contains(&text.len()) && text.bytes().all(|o| o.is_ascii_alphanumeric());
    if good {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(Rule::Passport)
    }
}

fn medium(cells: &mut Cells<'_>) -> Option<Medium> {
    cells.one_of(
        &col::MEDIUM,
        MEDIA,
        &[Medium::UsbKey, Medium::SocialSecurityCard],
    )
}

fn unit(cells: &mut Cells<'_>) -> Option<Unit> {
    let name = cells.name(&col::UNIT_NAME);
    let code = cells.unit_code(&col::UNIT_CODE);
    let relations = [Relation::Own, Relation::Subordinate, Relation::Related];
    let relation = cells.one_of(&col::RELATION, RELATIONS, &relations);
    let address = cells.optional(&col::UNIT_ADDRESS);
    let custodian = cells.text(&col::CUSTODIAN);
    let custodian_id = cells.identity(&col::CUSTODIAN_ID);
    let phone = cells.phone(&col::PHONE);
    let medium = medium(cells);
    let remarks = cells.optional(&col::REMARKS);
    Some(Unit {
        name: name?,
        code: code?,
        relation: relation?,
        address: address?,
        custodian: custodian?,
        custodian_id: custodian_id?,
        phone: phone?,
        medium: medium?,
        remarks: remarks?,
    })
}

fn device(cells: &mut Cells<'_>) -> Option<Device> {
    let name = cells.name(&col::DEVICE_NAME);
    let device_kind = cells.name(&col::DEVICE_KIND);
    let dns_name = cells.parsed_optional(&col::DNS_NAME, dns_name);
    let ip = cells.parsed_optional(&col::IP, ip);
    let owner = cells.name(&col::OWNER);
    let owner_code = cells.unit_code(&col::OWNER_CODE);
    let responsible = cells.text(&col::RESPONSIBLE);
    let phone = cells.phone(&col::PHONE);
    let remarks = cells.optional(&col::REMARKS);
    if (&dns_name, ip) == (&Some(None), Some(None)) {
        cells.refuse(&col::DNS_NAME, Rule::Unaddressed);
    }
    Some(Device {
        name: name?,
        device_kind: device_kind?,
        dns_name: dns_name?,
        ip: ip?,
        owner: owner?,
        owner_code: owner_code?,
        responsible: responsible?,
        phone: phone?,
        remarks: remarks?,
    })
}
