//! Rows of a schedule: one fault each.

use super::*;

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
        ("网关,gw", &format!("{},gw", "长".repeat(65)), "device_kind"),
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
fn a_device_in_capital_letters_is_another_device() {
    let rig = rig();
    let row = "1,Gateway-1,网关,gw.example.cn,,税务局,M000100Y-4,张三,0532888888,p256.csr";
    rig.accepted(&device(row));
    let again = row
        .replace("Gateway-1", "GATEWAY-1")
        .replace("p256", "p384");
    let receipt = rig.hand_in(&device(&again)).unwrap();
    assert_eq!(receipt.refused[0].column_english, "device_name");
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

#[test]
fn another_unit_passes_for_the_one_that_files() {
    let header = "序号,单位名称,代码,关系,保管人,保管人身份证号,电话,介质类型";
    for (name, code, relation, column) in [
        ("测试市税务局", "91350100M000100Y43", "本单位", None),
        ("测试市税务局", "M000100Y-4", "本单位", None),
        ("税务所", "M000100Y-4", "下属", None),
        ("税务所", "M000100Y-4", "本单位", Some("unit_name")),
        ("测试市税务局", "HF00001X-5", "本单位", Some("unit_code")),
    ] {
        let rig = rig();
        let mut own = form(&[WANG]).with("个人,申请", "单位,申请");
        own.kind = SubjectKind::Unit;
        let row = format!("1,{name},{code},{relation},张三,11010519491231002X,0532888888,USBKey");
        own.schedule = format!("{header}\n{row}\n").into_bytes();
        let receipt = rig.hand_in(&own).unwrap();
        let refused = receipt.refused.first().map(|r| r.column_english.as_str());
        assert_eq!(refused, column, "{row}: {receipt:?}");
        let not_own = |r: &RefusedRow| r.rule.contains("本单位");
        assert!(receipt.refused.iter().all(not_own), "{receipt:?}");
    }
}
