//! Files: encodings, headers, sizes; any octets at all.

use super::*;

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
fn rows_of_commas_count_as_rows() {
    assert_eq!(
        rig().accepted(&form(&[WANG]).with_rows(",,,,,,,,\r\n\r\n,,,,,,,,")),
        1
    );
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
