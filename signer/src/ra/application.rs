//! 业务申请表: one row, attested and sealed. `Sheet → Application`, or every fault it has.

use jiff::civil::Date;

use super::cell::{Cells, digits, email};
use super::column as col;
use super::row::FilingUnit;
use super::rule::{FormRefused, RowRefusal, Rule, SubmissionRefused};
use super::sheet::Sheet;
use crate::registry::audit::same_person;
use crate::registry::{Business, SubjectKind};

const KINDS: &[&str] = &["个人", "单位", "设备"];
const BUSINESSES: &[&str] = &["申请", "更新", "撤销", "补换", "解锁"];
const RENEWAL_MODES: &[&str] = &["集中", "网上"];

/// A checked application form.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Application {
    /// Its line in the file, for what is found later.
    #[serde(skip)]
    pub line: u64,
    /// 申请编号.
    pub application_no: Option<String>,
    /// Who files it.
    #[serde(skip)]
    pub filing_unit: FilingUnit,
    /// 单位地址.
    pub address: String,
    /// 邮政编码.
    pub postcode: Option<String>,
    /// 经办人.
    pub handler: String,
    /// 经办人身份证号.
    pub handler_id: super::identity::IdentityNumber,
    /// 联系电话.
    pub phone: String,
    /// 电子邮件.
    pub email: Option<String>,
    /// 代办系统.
    pub operated_system: Option<String>,
    /// 证书类型.
    pub cert_type: SubjectKind,
    /// 业务类型.
    pub business: Business,
    /// 数量.
    pub count: usize,
    /// 申请日期.
    #[serde(serialize_with = "as_text")]
    pub date: Date,
    /// 扫描件: the file name of the scanned, sealed form.
    pub scan: String,
    /// 受理日期, as the point filled it in.
    pub received: Option<String>,
    /// 结果, as the point filled it in.
    pub result: Option<String>,
}

/// Reads and checks an application form. `clerk` is who submits it.
pub fn read(octets: &[u8], clerk: &str, today: Date) -> Result<Application, SubmissionRefused> {
    let form = &col::APPLICATION;
    let refused = |source| SubmissionRefused::Form {
        form: form.name,
        source,
    };
    let sheet = Sheet::read(form, octets).map_err(refused)?;
    let [line] = sheet.lines() else {
        return Err(refused(FormRefused::NotOneRow(sheet.lines().len())));
    };
    let mut cells = Cells::new(&sheet, line, today)
        .map_err(|refusal| SubmissionRefused::Application(vec![refusal]))?;
    let application = application(&mut cells, line.number, clerk);
    let refusals = cells.into_refusals();
    match application {
        Some(application) if refusals.is_empty() => Ok(application),
        _ => Err(SubmissionRefused::Application(refusals)),
    }
}

fn application(cells: &mut Cells<'_>, line: u64, clerk: &str) -> Option<Application> {
    // Every cell is read before the first `?`, so that every fault is named.
    let application_no = cells.optional(&col::APPLICATION_NO);
    let unit_name = cells.name(&col::UNIT_NAME);
    let unit_code = cells.unit_code(&col::FILING_CODE);
    let address = cells.text(&col::ADDRESS);
    let postcode = cells.parsed_optional(&col::POSTCODE, |text| {
        digits(text, 6..=6).ok_or(Rule::Postcode)
    });
    let handler = cells.text(&col::HANDLER);
    let handler_id = cells.identity(&col::HANDLER_ID);
    let phone = cells.phone(&col::HANDLER_PHONE);
    let email = cells.parsed_optional(&col::EMAIL, email);
    let operated_system = cells.optional(&col::OPERATED_SYSTEM);
    let cert_type = cells.one_of(&col::CERT_TYPE, KINDS, SubjectKind::ALL);
    let business = cells.one_of(&col::BUSINESS, BUSINESSES, Business::ALL);
    let count = cells.parsed(&col::COUNT, |text| {
        digits(text, 1..=9)
            .and_then(|n| n.parse().ok())
            .ok_or(Rule::Number)
    });
    let date = cells.past_date(&col::DATE);
    let attested = cells.yes(&col::ATTESTED);
    let sealed = cells.yes(&col::SEALED);
    let scan = cells.text(&col::SCAN);
    let received = cells.parsed_optional(&col::RECEIVED, |text| {
        super::cell::date(text)
            .map(|day| day.to_string())
            .ok_or(Rule::Date)
    });
    let result = cells.optional(&col::RESULT);
    if business.is_some_and(|b| b != Business::Issue) {
        cells.refuse(&col::BUSINESS, Rule::OtherBusiness);
    }
    renewal_mode(cells, business);
    point(cells, clerk);
    // The two cells hold no more than that they were there.
    let ((), ()) = (attested?, sealed?);
    Some(Application {
        line,
        application_no: application_no?,
        filing_unit: FilingUnit {
            name: unit_name?,
            code: unit_code?,
        },
        address: address?,
        postcode: postcode?,
        handler: handler?,
        handler_id: handler_id?,
        phone: phone?,
        email: email?,
        operated_system: operated_system?,
        cert_type: cert_type?,
        business: business?,
        count: count?,
        date: date?,
        scan: scan?,
        received: received?,
        result: result?,
    })
}

/// 更新方式 must be filled in for 更新, and be one of the list wherever it is filled in.
fn renewal_mode(cells: &mut Cells<'_>, business: Option<Business>) {
    if business == Some(Business::Renew) {
        cells.one_of(&col::RENEWAL_MODE, RENEWAL_MODES, &[(), ()]);
    } else {
        let known = |text: &str| RENEWAL_MODES.contains(&text);
        cells.parsed_optional(&col::RENEWAL_MODE, |text| {
            if known(text) {
                Ok(())
            } else {
                Err(Rule::NotOneOf(RENEWAL_MODES))
            }
        });
    }
}

/// What the point may have filled in must not contradict who submits.
fn point(cells: &mut Cells<'_>, clerk: &str) {
    if let Some(Some(named)) = cells.optional(&col::CLERK)
        && !same_person(&named, clerk)
    {
        cells.refuse(&col::CLERK, Rule::OtherClerk);
    }
    if let Some(Some(approver)) = cells.optional(&col::APPROVER)
        && same_person(&approver, clerk)
    {
        cells.refuse(&col::APPROVER, Rule::ApproverIsClerk);
    }
}

impl Application {
    /// Whether the application and its schedule speak of the same thing.
    pub fn fits(&self, kind: SubjectKind, rows: usize) -> Result<(), SubmissionRefused> {
        let refusal = |column, rule, value: String| RowRefusal {
            line: self.line,
            column: Some(column),
            rule,
            value,
        };
        let mut refusals = Vec::new();
        if self.cert_type != kind {
            refusals.push(refusal(
                &col::CERT_TYPE,
                Rule::OtherKind,
                self.cert_type.name().to_owned(),
            ));
        }
        if self.count != rows {
            refusals.push(refusal(
                &col::COUNT,
                Rule::Count { rows },
                self.count.to_string(),
            ));
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(SubmissionRefused::Application(refusals))
        }
    }
}

fn as_text<S: serde::Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}
