//! Rows that passed: what the rest of the signer may rely on without checking again.
//!
//! Stored as JSON with the item; field names are stored state: add, never change.

use std::net::IpAddr;

use super::identity::IdentityNumber;
use super::unit_code::UnitCode;
use crate::registry::SubjectKind;

/// A checked line of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Row {
    /// 个人.
    Person(Person),
    /// 单位.
    Unit(Unit),
    /// 设备.
    Device(Device),
}

/// A person of the filing unit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// 姓名.
    pub name: String,
    /// 证件类型 and 证件号码.
    pub identity: Identity,
    /// 部门.
    pub department: String,
    /// 职务.
    pub title: Option<String>,
    /// 手机.
    pub mobile: String,
    /// 电子邮件.
    pub email: Option<String>,
    /// 人员类别.
    pub staff_kind: StaffKind,
    /// 应用系统.
    pub applications: Option<String>,
    /// 介质类型.
    pub medium: Medium,
    /// 介质编号.
    pub medium_no: Option<String>,
    /// 备注.
    pub remarks: Option<String>,
}

/// A unit, subordinate or related to the filing unit or itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    /// 单位名称.
    pub name: String,
    /// 代码.
    pub code: UnitCode,
    /// 关系.
    pub relation: Relation,
    /// 地址.
    pub address: Option<String>,
    /// 保管人.
    pub custodian: String,
    /// 保管人身份证号.
    pub custodian_id: IdentityNumber,
    /// 电话.
    pub phone: String,
    /// 介质类型.
    pub medium: Medium,
    /// 备注.
    pub remarks: Option<String>,
}

/// A device. At least one of `dns_name` and `ip` is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Device {
    /// 设备名称.
    pub name: String,
    /// 设备类型, as the unit calls it.
    pub device_kind: String,
    /// 域名, lower case.
    pub dns_name: Option<String>,
    /// IP地址.
    pub ip: Option<IpAddr>,
    /// 所属单位.
    pub owner: String,
    /// 代码.
    pub owner_code: UnitCode,
    /// 负责人.
    pub responsible: String,
    /// 电话.
    pub phone: String,
    /// 备注.
    pub remarks: Option<String>,
}

/// By which document a person is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "number", rename_all = "kebab-case")]
pub enum Identity {
    /// 身份证.
    IdentityCard(IdentityNumber),
    /// 军官证.
    OfficerCard(String),
    /// 护照.
    Passport(String),
}

impl Identity {
    /// The number on the document.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::IdentityCard(number) => number.as_str(),
            Self::OfficerCard(number) | Self::Passport(number) => number,
        }
    }
}

/// 人员类别.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaffKind {
    /// 在编.
    Regular,
    /// 外聘.
    Contracted,
}

/// 介质类型.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// `USBKey`.
    UsbKey,
    /// 社保卡.
    SocialSecurityCard,
}

/// 关系 of a unit to the filing unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// 本单位.
    Own,
    /// 下属.
    Subordinate,
    /// 相关.
    Related,
}

impl Row {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::Person(_) => SubjectKind::Person,
            Self::Unit(_) => SubjectKind::Unit,
            Self::Device(_) => SubjectKind::Device,
        }
    }

    /// The subject's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person(person) => &person.name,
            Self::Unit(unit) => &unit.name,
            Self::Device(device) => &device.name,
        }
    }

    /// The subject's number as people know it.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Person(person) => person.identity.number(),
            Self::Unit(unit) => unit.code.as_str(),
            Self::Device(device) => &device.name,
        }
    }

    /// What identifies the subject, whoever submits it (一人一证). Stored: never change.
    #[must_use]
    pub fn subject_key(&self) -> String {
        match self {
            Self::Person(person) => match &person.identity {
                Identity::IdentityCard(number) => format!("person:identity-card:{number}"),
                Identity::OfficerCard(number) => format!("person:officer-card:{number}"),
                Identity::Passport(number) => format!("person:passport:{number}"),
            },
            Self::Unit(unit) => unit_key(&unit.code),
            Self::Device(device) => {
                format!(
                    "device:{}:{}",
                    device.owner_code.organisation(),
                    device.name.to_lowercase()
                )
            }
        }
    }
}

/// What identifies a unit: the part that both of its codes have. Stored: never change.
#[must_use]
pub fn unit_key(code: &UnitCode) -> String {
    format!("unit:{}", code.organisation())
}

/// The unit that filed an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilingUnit {
    /// 单位名称.
    pub name: String,
    /// 组织机构代码/统一社会信用代码.
    pub code: UnitCode,
}
