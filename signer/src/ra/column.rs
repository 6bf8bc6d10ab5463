//! The forms, column by column: both headers of each, and whether it must be there.
//!
//! The regulations' annexes are not public; these are the columns practitioners expect. What a cell may
//! hold is judged where the row is read ([`super::application`], [`super::schedule`]).

use crate::registry::SubjectKind;

/// A column of a form. Two are the same if their English headers are.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Chinese header, as in the regulations.
    pub chinese: &'static str,
    /// English header.
    pub english: &'static str,
    /// Whether the column must be there and every row must fill it.
    pub required: bool,
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.english == other.english
    }
}

impl Eq for Column {}

/// A form: its name and its columns.
#[derive(Debug)]
pub struct Form {
    /// What it is called.
    pub name: &'static str,
    /// Its columns, in the order of the paper form; files may have any order.
    pub columns: &'static [&'static Column],
}

impl Form {
    /// The column of that header, in either language; surrounding blanks and a trailing asterisk are
    /// decoration, case does not matter.
    #[must_use]
    pub fn column(&self, header: &str) -> Option<&'static Column> {
        let header = header.trim().trim_end_matches(['*', '＊']).trim_end();
        let alternative = |column: &Column| {
            // 组织机构代码/统一社会信用代码 is one column with two names.
            column.chinese.contains('/') && column.chinese.split('/').any(|name| name == header)
        };
        self.columns.iter().copied().find(|column| {
            column.chinese == header
                || column.english.eq_ignore_ascii_case(header)
                || alternative(column)
        })
    }
}

/// The schedule form of a kind of subject.
#[must_use]
pub fn schedule_form(kind: SubjectKind) -> &'static Form {
    match kind {
        SubjectKind::Person => &PERSON,
        SubjectKind::Unit => &UNIT,
        SubjectKind::Device => &DEVICE,
    }
}

macro_rules! columns {
    ($($name:ident $chinese:literal $english:literal $required:literal;)+) => {
        $(
            #[doc = $chinese]
            pub const $name: Column = Column { chinese: $chinese, english: $english, required: !$required.is_empty() };
        )+
    };
}

columns! {
    ADDRESS "单位地址" "address" "*";
    APPLICATION_NO "申请编号" "application_no" "";
    APPLICATIONS "应用系统" "applications" "";
    APPROVER "审核人" "approver" "";
    ATTESTED "真实性声明" "attested" "*";
    BUSINESS "业务类型" "business" "*";
    CERT_TYPE "证书类型" "cert_type" "*";
    CLERK "受理人" "clerk" "";
    COUNT "数量" "count" "*";
    CSR "CSR文件" "csr" "";
    CUSTODIAN "保管人" "custodian" "*";
    CUSTODIAN_ID "保管人身份证号" "custodian_id" "*";
    DATE "申请日期" "date" "*";
    DEPARTMENT "部门" "department" "*";
    DEVICE_CSR "CSR文件" "csr" "*";
    DEVICE_KIND "设备类型" "device_kind" "*";
    DEVICE_NAME "设备名称" "device_name" "*";
    DNS_NAME "域名" "dns_name" "";
    EMAIL "电子邮件" "email" "";
    FILING_CODE "组织机构代码/统一社会信用代码" "unit_code" "*";
    HANDLER "经办人" "handler" "*";
    HANDLER_ID "经办人身份证号" "handler_id" "*";
    HANDLER_PHONE "联系电话" "phone" "*";
    ID_NO "证件号码" "id_no" "*";
    ID_TYPE "证件类型" "id_type" "*";
    IP "IP地址" "ip" "";
    MEDIUM "介质类型" "medium" "*";
    MEDIUM_NO "介质编号" "medium_no" "";
    MOBILE "手机" "mobile" "*";
    NAME "姓名" "name" "*";
    NO "序号" "no" "*";
    OPERATED_SYSTEM "代办系统" "operated_system" "";
    OWNER "所属单位" "owner" "*";
    OWNER_CODE "代码" "owner_code" "*";
    PHONE "电话" "phone" "*";
    POSTCODE "邮政编码" "postcode" "";
    RECEIVED "受理日期" "received" "";
    RELATION "关系" "relation" "*";
    REMARKS "备注" "remarks" "";
    RENEWAL_MODE "更新方式" "renewal_mode" "";
    RESPONSIBLE "负责人" "responsible" "*";
    RESULT "结果" "result" "";
    SCAN "扫描件" "scan" "*";
    SEALED "单位公章" "sealed" "*";
    STAFF_KIND "人员类别" "staff_kind" "*";
    TITLE "职务" "title" "";
    UNIT_ADDRESS "地址" "address" "";
    UNIT_CODE "代码" "unit_code" "*";
    UNIT_NAME "单位名称" "unit_name" "*";
}

/// 业务申请表.
pub static APPLICATION: Form = Form {
    name: "application form (业务申请表)",
    columns: &[
        &APPLICATION_NO,
        &UNIT_NAME,
        &FILING_CODE,
        &ADDRESS,
        &POSTCODE,
        &HANDLER,
        &HANDLER_ID,
        &HANDLER_PHONE,
        &EMAIL,
        &OPERATED_SYSTEM,
        &CERT_TYPE,
        &BUSINESS,
        &RENEWAL_MODE,
        &COUNT,
        &DATE,
        &ATTESTED,
        &SEALED,
        &SCAN,
        &CLERK,
        &RECEIVED,
        &APPROVER,
        &RESULT,
    ],
};

/// 业务申请明细表, 个人.
pub static PERSON: Form = Form {
    name: "schedule of persons (个人明细表)",
    columns: &[
        &NO,
        &NAME,
        &ID_TYPE,
        &ID_NO,
        &DEPARTMENT,
        &TITLE,
        &MOBILE,
        &EMAIL,
        &STAFF_KIND,
        &APPLICATIONS,
        &MEDIUM,
        &MEDIUM_NO,
        &CSR,
        &REMARKS,
    ],
};

/// 业务申请明细表, 单位.
pub static UNIT: Form = Form {
    name: "schedule of units (单位明细表)",
    columns: &[
        &NO,
        &UNIT_NAME,
        &UNIT_CODE,
        &RELATION,
        &UNIT_ADDRESS,
        &CUSTODIAN,
        &CUSTODIAN_ID,
        &PHONE,
        &MEDIUM,
        &CSR,
        &REMARKS,
    ],
};

/// 业务申请明细表, 设备.
pub static DEVICE: Form = Form {
    name: "schedule of devices (设备明细表)",
    columns: &[
        &NO,
        &DEVICE_NAME,
        &DEVICE_KIND,
        &DNS_NAME,
        &IP,
        &OWNER,
        &OWNER_CODE,
        &RESPONSIBLE,
        &PHONE,
        &DEVICE_CSR,
        &REMARKS,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_columns_of_a_form_share_a_header() {
        for form in [&APPLICATION, &PERSON, &UNIT, &DEVICE] {
            for column in form.columns {
                for header in [column.chinese, column.english] {
                    let found = form
                        .columns
                        .iter()
                        .filter(|c| c.chinese == header || c.english == header);
                    assert_eq!(found.count(), 1, "{header} of {}", form.name);
                }
            }
        }
    }

    #[test]
    fn a_decorated_header_is_unknown() {
        for header in ["姓名", " 姓名* ", "name", "NAME", "Name＊"] {
            assert_eq!(PERSON.column(header), Some(&NAME), "{header}");
        }
        for header in [
            "组织机构代码",
            "统一社会信用代码",
            "unit_code",
            "组织机构代码/统一社会信用代码",
        ] {
            assert_eq!(APPLICATION.column(header), Some(&FILING_CODE), "{header}");
        }
        for header in ["姓 名", "", "代码"] {
            assert_eq!(PERSON.column(header), None, "{header}");
        }
    }
}
