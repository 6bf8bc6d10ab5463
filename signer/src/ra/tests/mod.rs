//! Whole submissions, one fault each, against a store in a temporary folder.

mod applications;
mod files;
mod rows;

use std::collections::HashMap;

use super::*;
use crate::ra::rule::FormRefused;
use crate::registry::{Blocking, NewAuthority, SqliteStore};

/// 2026-09-29 00:30 in China, still the 28th in Greenwich.
const NOW: u64 = 1_790_613_000;

const APPLICATION: &str = "\
申请编号,单位名称,组织机构代码/统一社会信用代码,单位地址,邮政编码,经办人,经办人身份证号,联系电话,证书类型,业务类型,数量,申请日期,真实性声明,单位公章,扫描件
A-1,测试市税务局,91350100M000100Y43,测试路1号,266000,张三,11010519491231002X,0532888888,个人,申请,{count},2026-09-29,是,是,a.pdf
";
const HEADER: &str = "序号,姓名,证件类型,证件号码,部门,手机,人员类别,介质类型,CSR文件";
const WANG: &str = "1,王小明,身份证,11010519491231002X,征收科,13800000000,在编,USBKey,";
const LI: &str = "2,李四,身份证,440524188001010014,征收科,13800000001,外聘,社保卡,";
const ZHAO: &str = "2,赵六,护照,E12345678,信息中心,13800000001,外聘,社保卡,";

struct Memory(HashMap<&'static str, Vec<u8>>);

impl CsrSource for Memory {
    fn read(&self, name: &str) -> Result<Vec<u8>, CsrRefused> {
        self.0.get(name).cloned().ok_or(CsrRefused::Unreadable)
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    db: Blocking<SqliteStore>,
    csrs: Memory,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.sqlite");
    let db = Blocking::open(|| async move { SqliteStore::open(&file).await }).unwrap();
    for (seed, (alias, parent, algorithm)) in (0..).zip([
        ("p256-root", None, 1),
        ("p256", Some("p256-root"), 1),
        ("sm2", Some("p256-root"), 7),
    ]) {
        let new = NewAuthority {
            alias: alias.to_owned(),
            parent: parent.map(str::to_owned),
            algorithm,
            certificate: vec![0x30],
            key_file: String::new(),
            issuer_id: [seed; 16],
            hash_key: [seed; 16],
            shards: 1,
            public_url: String::new(),
        };
        db.drive(db.store().add_authority(&new, By::signer(NOW)))
            .unwrap();
    }
    let fixture = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/csr")
            .join(name);
        std::fs::read(path).unwrap()
    };
    let names = ["p256.csr", "p384.csr", "rsa2048.csr", "sm2.csr"];
    let csrs = Memory(
        names
            .into_iter()
            .map(|name| (name, fixture(name)))
            .collect(),
    );
    Rig {
        _folder: folder,
        db,
        csrs,
    }
}

/// What differs from the ordinary.
struct Form {
    application: Vec<u8>,
    schedule: Vec<u8>,
    kind: SubjectKind,
    alias: &'static str,
    additional: bool,
}

fn form(rows: &[&str]) -> Form {
    let schedule = [&[HEADER], rows].concat().join("\r\n");
    Form {
        application: APPLICATION
            .replace("{count}", &rows.len().to_string())
            .into_bytes(),
        schedule: schedule.into_bytes(),
        kind: SubjectKind::Person,
        alias: "p256",
        additional: false,
    }
}

impl Form {
    /// Another text in the application form.
    fn with(mut self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.application).unwrap();
        assert!(text.contains(from), "{from}");
        self.application = text.replace(from, to).into_bytes();
        self
    }
}

impl Rig {
    fn hand_in(&self, form: &Form) -> Result<Receipt, SubmissionRefused> {
        let handed = HandedIn {
            schedule: &form.schedule,
            application: &form.application,
            kind: form.kind,
            alias: form.alias,
            csrs: &self.csrs,
            additional: form.additional,
            clerk: "王受理",
            now: NOW,
        };
        self.db.drive(submit(self.db.store(), &handed))
    }

    fn accepted(&self, form: &Form) -> usize {
        let receipt = self.hand_in(form).unwrap();
        assert_eq!(receipt.refused, [], "{receipt:?}");
        receipt.accepted.len()
    }

    /// The schedule's row is refused alone, the ordinary one before it goes on.
    #[track_caller]
    fn refused(&self, row: &str, column: &str, rule: &str, value: &str) {
        let receipt = self.hand_in(&form(&[WANG, row])).unwrap();
        assert_eq!(receipt.accepted.len(), 1, "{receipt:?}");
        let [refusal] = &receipt.refused[..] else {
            panic!("{receipt:?}")
        };
        assert_eq!(
            (refusal.line, refusal.column_english.as_str()),
            (3, column),
            "{refusal:?}"
        );
        assert!(refusal.rule.contains(rule), "{refusal:?}");
        assert_eq!(refusal.value, value, "{refusal:?}");
    }

    /// The application form is refused, nothing is recorded.
    #[track_caller]
    fn application_refused(&self, form: &Form, column: &str) {
        let Err(SubmissionRefused::Application(refusals)) = self.hand_in(form) else {
            panic!("taken");
        };
        let columns: Vec<_> = refusals.iter().map(|r| r.column.unwrap().english).collect();
        assert_eq!(columns, [column], "{refusals:?}");
        assert!(self.db.wait(|s| s.submissions()).unwrap().is_empty());
    }
}

impl Form {
    fn with_rows(mut self, more: &str) -> Self {
        self.schedule
            .extend_from_slice(format!("\r\n{more}").as_bytes());
        self
    }
}

fn device(row: &str) -> Form {
    let header = "序号,设备名称,设备类型,域名,IP地址,所属单位,代码,负责人,电话,CSR文件";
    let mut form = form(&[WANG]).with("个人,申请", "设备,申请");
    form.schedule = format!("{header}\n{row}\n").into_bytes();
    form.kind = SubjectKind::Device;
    form
}
