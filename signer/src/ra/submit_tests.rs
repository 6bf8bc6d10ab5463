//! Whole submissions, one fault each, against a store in a temporary folder.

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

#[test]
fn a_good_form_is_refused() {
    assert_eq!(rig().accepted(&form(&[WANG, ZHAO])), 2);
}

#[test]
fn columns_in_another_order_or_english_are_refused() {
    let mut swapped = form(&[]);
    let header = "csr,medium,staff_kind,mobile,department,id_no,id_type,name,no";
    let row = ",USBKey,在编,13800000000,征收科,11010519491231002X,身份证,王小明,1";
    swapped.schedule = format!("{header}\n{row}\n").into_bytes();
    swapped.application = APPLICATION.replace("{count}", "1").into_bytes();
    assert_eq!(rig().accepted(&swapped), 1);
}

#[test]
fn a_byte_order_mark_becomes_part_of_the_first_header() {
    let mut marked = form(&[WANG, ZHAO]);
    marked.schedule.splice(0..0, *b"\xEF\xBB\xBF");
    marked.application.splice(0..0, *b"\xEF\xBB\xBF");
    assert_eq!(rig().accepted(&marked), 2);
}

#[test]
fn a_gb18030_file_is_garbled() {
    let rig = rig();
    let mut gb = form(&[
        WANG,
        "2,𠮷田,护照,E12345678,信息中心,13800000001,外聘,社保卡,",
    ]);
    for octets in [&mut gb.schedule, &mut gb.application] {
        let (encoded, _, lossy) = encoding_rs::GB18030.encode(std::str::from_utf8(octets).unwrap());
        assert!(!lossy);
        *octets = encoded.into_owned();
    }
    let receipt = rig.hand_in(&gb).unwrap();
    let names: Vec<_> = receipt
        .accepted
        .iter()
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(names, ["王小明", "𠮷田"]);
}

#[test]
fn a_torn_character_is_replaced_by_a_question_mark() {
    let mut torn = form(&[WANG]);
    let at = torn
        .schedule
        .windows(3)
        .position(|w| w == "明".as_bytes())
        .unwrap();
    torn.schedule[at + 1] = 0xFF;
    let refused = rig().hand_in(&torn).unwrap_err();
    assert!(
        matches!(
            refused,
            SubmissionRefused::Form {
                source: FormRefused::NotText,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn an_unknown_column_is_ignored() {
    let mut odd = form(&[]);
    odd.application = APPLICATION.replace("{count}", "1").into_bytes();
    odd.schedule = format!("{HEADER},血型\n{WANG},A\n").into_bytes();
    let SubmissionRefused::Form { source, .. } = rig().hand_in(&odd).unwrap_err() else {
        panic!()
    };
    assert!(source.to_string().contains("血型"), "{source}");
}

#[test]
fn a_missing_or_doubled_column_is_taken() {
    let rig = rig();
    let mut odd = form(&[]);
    odd.application = APPLICATION.replace("{count}", "1").into_bytes();
    odd.schedule = "序号,姓名\n1,王\n".as_bytes().to_vec();
    let SubmissionRefused::Form { source, .. } = rig.hand_in(&odd).unwrap_err() else {
        panic!()
    };
    assert!(source.to_string().contains("证件号码 id_no"), "{source}");
    odd.schedule = format!("{HEADER},name\n{WANG},王\n").into_bytes();
    let SubmissionRefused::Form { source, .. } = rig.hand_in(&odd).unwrap_err() else {
        panic!()
    };
    assert!(matches!(source, FormRefused::ColumnTwice(_)), "{source}");
}

#[test]
fn a_wrong_check_digit() {
    let row = "2,李四,身份证,110105194912310021,征收科,13800000001,在编,USBKey,";
    rig().refused(row, "id_no", "should be X", "110105194912310021");
}

#[test]
fn an_impossible_birth_date() {
    // Living people were not born in 1880, though the standard's example was.
    rig().refused(LI, "id_no", "birth date", "440524188001010014");
}

#[test]
fn a_missing_name() {
    rig().refused(
        "2,,护照,E12345678,科,13800000001,在编,USBKey,",
        "name",
        "filled in",
        "",
    );
}

#[test]
fn a_blank_name() {
    rig().refused(
        "2,　 ,护照,E12345678,科,13800000001,在编,USBKey,",
        "name",
        "filled in",
        "",
    );
}

#[test]
fn a_name_longer_than_a_certificate_holds() {
    let long = "长".repeat(65);
    let row = format!("2,{long},护照,E12345678,科,13800000001,在编,USBKey,");
    rig().refused(&row, "name", "longer than 64", &long);
}

#[test]
fn a_formula_as_a_name() {
    let row = "2,=HYPERLINK(1),护照,E12345678,科,13800000001,在编,USBKey,";
    rig().refused(row, "name", "formula", "=HYPERLINK(1)");
}

#[test]
fn a_line_break_in_a_name() {
    let row = "2,\"王\n小明\",护照,E12345678,科,13800000001,在编,USBKey,";
    rig().refused(row, "name", "control", "王\u{FFFD}小明");
}

#[test]
fn a_name_that_turns_the_line_around() {
    let row = "2,王\u{202E}明,护照,E12345678,科,13800000001,在编,USBKey,";
    rig().refused(row, "name", "control", "王\u{FFFD}明");
}

#[test]
fn a_telephone_number_with_letters() {
    rig().refused(
        "2,李四,护照,E12345678,科,1380000ABCD,在编,USBKey,",
        "mobile",
        "telephone",
        "1380000ABCD",
    );
}

#[test]
fn a_value_that_is_not_in_the_list() {
    rig().refused(
        "2,李四,护照,E12345678,科,13800000001,临时,USBKey,",
        "staff_kind",
        "在编, 外聘",
        "临时",
    );
    rig().refused(
        "2,李四,护照,E12345678,科,13800000001,在编,软盘,",
        "medium",
        "USBKey, 社保卡",
        "软盘",
    );
    rig().refused(
        "2,李四,驾照,E12345678,科,13800000001,在编,USBKey,",
        "id_type",
        "身份证",
        "驾照",
    );
}

#[test]
fn a_passport_with_blanks() {
    rig().refused(
        "2,李四,护照,E 1,科,13800000001,在编,USBKey,",
        "id_no",
        "passport",
        "E 1",
    );
}

#[test]
fn a_number_that_is_not_one() {
    rig().refused(
        "二,李四,护照,E12345678,科,13800000001,在编,USBKey,",
        "no",
        "whole number",
        "二",
    );
}

#[test]
fn the_same_number_twice() {
    rig().refused(
        "1,李四,护照,E12345678,科,13800000001,在编,USBKey,",
        "no",
        "line 2",
        "1",
    );
}

#[test]
fn the_same_person_twice() {
    let row = "2,王晓明,身份证,11010519491231002x,科,13800000001,在编,USBKey,";
    rig().refused(row, "id_no", "line 2", "11010519491231002X");
}

#[test]
fn the_same_key_twice() {
    let rig = rig();
    let rows = [format!("{WANG}p256.csr"), format!("{ZHAO}p256.csr")];
    let receipt = rig.hand_in(&form(&[&rows[0], &rows[1]])).unwrap();
    assert_eq!(
        (receipt.accepted.len(), receipt.refused[0].column.as_str()),
        (1, "CSR文件")
    );
    assert!(receipt.refused[0].rule.contains("line 2"));
}

#[test]
fn a_cell_too_few_shifts_the_others() {
    let receipt = rig().hand_in(&form(&[WANG, "2,李四,护照"])).unwrap();
    let refusal = &receipt.refused[0];
    assert_eq!((refusal.line, refusal.column.as_str()), (3, ""));
    assert!(
        refusal.rule.starts_with("3 cells, but the header has 9"),
        "{}",
        refusal.rule
    );
}

#[test]
fn a_line_is_miscounted() {
    // The named line must be the one an editor shows, whatever ends lines, also after a cell of two lines.
    let bad = "9,,护照,E12345678,科,13800000001,在编,USBKey,";
    let long = "3,钱七,护照,E87654321,\"信息\n中心\",13800000001,在编,USBKey,";
    for (end, lines) in [("\n", [4, 6]), ("\r\n", [4, 6]), ("\r", [4, 6])] {
        let rig = rig();
        let mut odd = form(&[WANG, "", long, bad]).with(",申请,4,", ",申请,3,");
        odd.schedule = String::from_utf8(odd.schedule)
            .unwrap()
            .replace("\r\n", end)
            .into_bytes();
        let receipt = rig.hand_in(&odd).unwrap();
        let found: Vec<_> = receipt.refused.iter().map(|r| r.line).collect();
        assert_eq!(found, lines, "{end:?}");
    }
}

#[test]
fn only_the_first_fault_of_a_row_is_named() {
    let receipt = rig()
        .hand_in(&form(&["x,,身份证,1,,abc,在编,USBKey,"]))
        .unwrap();
    let columns: Vec<_> = receipt
        .refused
        .iter()
        .map(|r| r.column_english.as_str())
        .collect();
    assert_eq!(columns, ["no", "name", "id_no", "department", "mobile"]);
    assert_eq!(receipt.refused_rows(), 1);
}

#[test]
fn rows_of_commas_count_as_rows() {
    assert_eq!(
        rig().accepted(&form(&[WANG]).with_rows(",,,,,,,,\r\n\r\n,,,,,,,,")),
        1
    );
}

impl Form {
    fn with_rows(mut self, more: &str) -> Self {
        self.schedule
            .extend_from_slice(format!("\r\n{more}").as_bytes());
        self
    }
}

#[test]
fn the_same_file_is_taken_twice() {
    let rig = rig();
    let first = rig.hand_in(&form(&[WANG])).unwrap().submission.unwrap();
    let again = rig.hand_in(&form(&[WANG]).with("A-1", "A-2")).unwrap_err();
    assert!(
        matches!(again, SubmissionRefused::SameFile { first: f } if f == first),
        "{again}"
    );
}

#[test]
fn a_person_who_waits_is_taken_twice() {
    let rig = rig();
    rig.accepted(&form(&[WANG]));
    let receipt = rig.hand_in(&form(&[WANG, ZHAO])).unwrap();
    assert_eq!(receipt.accepted.len(), 1);
    assert!(
        receipt.refused[0].rule.contains("submission 1"),
        "{:?}",
        receipt.refused
    );
}

#[test]
fn a_preview_is_recorded() {
    let rig = rig();
    let f = form(&[WANG]);
    let handed = HandedIn {
        schedule: &f.schedule,
        application: &f.application,
        kind: f.kind,
        alias: f.alias,
        csrs: &rig.csrs,
        additional: false,
        clerk: "王受理",
        now: NOW,
    };
    let shown = rig.db.drive(preview(rig.db.store(), &handed)).unwrap();
    assert_eq!((shown.submission, shown.accepted.len()), (None, 1));
    assert_eq!(rig.accepted(&f), 1);
}

#[test]
fn the_count_differs_from_the_rows() {
    rig().application_refused(&form(&[WANG]).with(",申请,1,", ",申请,2,"), "count");
}

#[test]
fn an_application_without_seal_or_attestation_is_taken() {
    rig().application_refused(&form(&[WANG]).with("是,是", "是,否"), "sealed");
    rig().application_refused(&form(&[WANG]).with("是,是", ",是"), "attested");
}

#[test]
fn an_application_from_tomorrow_is_taken() {
    rig().application_refused(&form(&[WANG]).with("2026-09-29", "2026-09-30"), "date");
    rig().application_refused(&form(&[WANG]).with("2026-09-29", "2026-09-31"), "date");
}

#[test]
fn an_application_with_a_wrong_code_is_taken() {
    rig().application_refused(
        &form(&[WANG]).with("91350100M000100Y43", "91350100M000100Y44"),
        "unit_code",
    );
    rig().application_refused(
        &form(&[WANG]).with("11010519491231002X", "110105194912310021"),
        "handler_id",
    );
    rig().application_refused(&form(&[WANG]).with("266000", "26600"), "postcode");
}

#[test]
fn an_application_for_another_kind_or_business_is_taken() {
    rig().application_refused(&form(&[WANG]).with("个人,申请", "设备,申请"), "cert_type");
    rig().application_refused(&form(&[WANG]).with("个人,申请", "个人,撤销"), "business");
}

#[test]
fn an_application_of_two_rows_is_taken() {
    let mut two = form(&[WANG]);
    let row = APPLICATION.lines().nth(1).unwrap().replace("{count}", "1");
    two.application.extend_from_slice(row.as_bytes());
    let refused = rig().hand_in(&two).unwrap_err();
    assert!(matches!(
        refused,
        SubmissionRefused::Form {
            source: FormRefused::NotOneRow(2),
            ..
        }
    ));
}

#[test]
fn a_root_issues_to_people() {
    let mut root = form(&[WANG]);
    root.alias = "p256-root";
    assert!(matches!(
        rig().hand_in(&root),
        Err(SubmissionRefused::NoAuthority(_))
    ));
}

#[test]
fn an_authority_certifies_keys_of_the_other_family() {
    let rig = rig();
    for (alias, csr, taken) in [
        ("p256", "p256.csr", true),
        ("p256", "p384.csr", true),
        ("p256", "rsa2048.csr", true),
        ("p256", "sm2.csr", false),
        ("sm2", "sm2.csr", true),
        ("sm2", "p256.csr", false),
    ] {
        let mut one = form(&[&format!("{WANG}{csr}")]);
        one.alias = alias;
        let handed = HandedIn {
            schedule: &one.schedule,
            application: &one.application,
            kind: one.kind,
            alias,
            csrs: &rig.csrs,
            additional: false,
            clerk: "王受理",
            now: NOW,
        };
        let receipt = rig.db.drive(preview(rig.db.store(), &handed)).unwrap();
        assert_eq!(receipt.is_complete(), taken, "{alias} {csr}: {receipt:?}");
    }
}

#[test]
fn a_person_orders_a_second_certificate() {
    let mut more = form(&[WANG]);
    more.additional = true;
    assert!(matches!(
        rig().hand_in(&more),
        Err(SubmissionRefused::AdditionalPerson)
    ));
}

#[test]
fn a_file_that_is_too_large_is_read() {
    let mut large = form(&[WANG]);
    large.schedule = vec![b','; crate::ra::sheet::MAX_FORM_OCTETS + 1];
    let refused = rig().hand_in(&large).unwrap_err();
    assert!(matches!(
        refused,
        SubmissionRefused::Form {
            source: FormRefused::TooLarge { .. },
            ..
        }
    ));
}

#[test]
fn more_rows_than_the_limit_are_read() {
    let mut long = form(&[WANG]);
    long.schedule =
        format!("{HEADER}\n{}", "a\n".repeat(crate::ra::sheet::MAX_ROWS + 1)).into_bytes();
    let refused = rig().hand_in(&long).unwrap_err();
    assert!(matches!(
        refused,
        SubmissionRefused::Form {
            source: FormRefused::TooManyRows(_),
            ..
        }
    ));
}

fn device(row: &str) -> Form {
    let header = "序号,设备名称,设备类型,域名,IP地址,所属单位,代码,负责人,电话,CSR文件";
    let mut form = form(&[WANG]).with("个人,申请", "设备,申请");
    form.schedule = format!("{header}\n{row}\n").into_bytes();
    form.kind = SubjectKind::Device;
    form
}

#[test]
fn a_device_without_address_or_key_is_taken() {
    let rig = rig();
    let good = "1,网关,网关,gw.example.cn,,税务局,M000100Y-4,张三,0532888888,p256.csr";
    for (from, to, column) in [
        ("gw.example.cn", "", "dns_name"),
        ("gw.example.cn", "gw..cn", "dns_name"),
        ("gw.example.cn,", ",10.0.0.256", "ip"),
        ("p256.csr", "", "csr"),
        ("p256.csr", "none.csr", "csr"),
        ("M000100Y-4", "M000100Y-5", "owner_code"),
    ] {
        let receipt = rig.hand_in(&device(&good.replace(from, to))).unwrap();
        let columns: Vec<_> = receipt
            .refused
            .iter()
            .map(|r| r.column_english.as_str())
            .collect();
        assert_eq!(columns, [column], "{from} → {to}");
    }
    assert_eq!(rig.accepted(&device(good)), 1);
}

#[test]
fn a_unit_known_by_both_its_codes_is_two_units() {
    let rig = rig();
    let header = "序号,单位名称,代码,关系,保管人,保管人身份证号,电话,介质类型";
    let row = |no: u32, code: &str| {
        format!("{no},税务所,{code},下属,张三,11010519491231002X,0532888888,USBKey")
    };
    let mut both = form(&[WANG, ZHAO]).with("个人,申请", "单位,申请");
    both.kind = SubjectKind::Unit;
    both.schedule = format!(
        "{header}\n{}\n{}\n",
        row(1, "91350100M000100Y43"),
        row(2, "M000100Y-4")
    )
    .into_bytes();
    let receipt = rig.hand_in(&both).unwrap();
    assert_eq!(receipt.accepted.len(), 1);
    assert_eq!(receipt.refused[0].column, "代码");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Any octets as a schedule: a refusal or rows, never a panic, and every row has an outcome.
    #[test]
    fn any_octets_panic(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for form in [&col::APPLICATION, &col::PERSON, &col::UNIT, &col::DEVICE] {
            let _ = Sheet::read(form, &octets);
        }
    }

    #[test]
    fn any_cells_panic(cells in proptest::collection::vec("\\PC{0,12}|[0-9Xx]{17,19}|[-=+@].{0,3}", 9)) {
        let row: Vec<_> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        let text = format!("{HEADER}\n{}\n", row.join(","));
        if let Ok(sheet) = Sheet::read(&col::PERSON, text.as_bytes()) {
            for line in sheet.lines() {
                let outcome = schedule::check(SubjectKind::Person, &sheet, line, today(NOW));
                proptest::prop_assert!(!matches!(outcome, Err(refusals) if refusals.is_empty()));
            }
        }
    }
}
