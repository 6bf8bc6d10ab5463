//! The first start: from an empty folder to a sealed generation, by the same commands an operator would type.
//!
//! 1. lay out the forms · 2. found two authorities · 3. make the loader's seal · 4. submit, approve, issue each form ·
//! 5. revoke some · 6. adopt staged CRLs · 7. sign · 8. publish, follow · 9. write the PEM files to try with.

use std::path::Path;

use serde_json::Value;

use crate::data::{Data, Recorded};
use crate::demo::{self, SUBMISSIONS, Submission};
use crate::error::UpError;
use crate::program::words;
use crate::step::{Done, Steps};

/// Founds the demo in a folder that holds no registry.
pub(crate) fn found(steps: &Steps, data: &Data, settings: &Recorded) -> Result<(), UpError> {
    let root = data.root();
    steps.title("the demo's forms");
    demo::lay_out(&root.join("demo"))?;
    steps.say(&format!(
        "   written to {}",
        root.join("demo/forms").display()
    ));

    steps.title("two authorities (P-256 and SM2), each a root and an issuing CA");
    let _ = steps.run(&words(
        "signer found --data {} --public-url {}",
        &[&root, &settings.public_url],
    ))?;

    make_seal(steps, root)?;

    for submission in SUBMISSIONS {
        enrol(steps, root, submission)?;
    }
    for ca in ["p256", "sm2"] {
        revoke_some(steps, root, ca)?;
    }
    publish(steps, data)?;
    for ca in ["p256", "sm2"] {
        write_pem(steps, root, ca)?;
    }
    Ok(())
}

/// The loader's own key, unless it has one.
pub(crate) fn make_seal(steps: &Steps, root: &Path) -> Result<(), UpError> {
    if root.join("loader/seal.pub").exists() {
        return Ok(());
    }
    steps.title("the loader's seal, and the signer's key it will trust");
    let key = root.join("signer/batch.pub");
    let _ = steps.run(&words(
        "loader init --data {} --batch-key {}",
        &[&root, &key],
    ))?;
    Ok(())
}

/// Signs, seals and fetches for the first time.
fn publish(steps: &Steps, data: &Data) -> Result<(), UpError> {
    let root = data.root();
    if data.has_staged() {
        steps.title("adopt the staged CRLs of other authorities");
        // A CRL that is refused must not keep our own status from being served.
        if let Err(error) = steps.run(&words("signer adopt --data {}", &[&root])) {
            steps.say(&format!("   {error}"));
        }
    }
    steps.title("sign CRLs and responses ahead of time");
    let _ = steps.run(&words("signer sign --data {}", &[&root]))?;
    steps.title("pack, seal and publish them");
    let _ = steps.run(&words("loader publish --data {}", &[&root]))?;
    steps.title("fetch and verify them, as every responder's machine does");
    let mut follow = follow_words(root);
    follow.push("--once".into());
    let _ = steps.run(&follow)?;
    Ok(())
}

/// `loader follow` for the folder's own store.
pub(crate) fn follow_words(root: &Path) -> Vec<std::ffi::OsString> {
    let pin = root.join("loader/seal.pub");
    words(
        "loader follow --store {} --edge {} --pin {}",
        &[&root.join("store"), &root.join("edge"), &pin],
    )
}

/// One application with its schedule: submitted by a clerk, approved by another officer, issued.
fn enrol(steps: &Steps, root: &Path, Submission { ca, kind }: Submission) -> Result<(), UpError> {
    steps.title(&format!("{ca}: enrol a schedule of {kind}s"));
    let forms = root.join("demo/forms");
    let (application, schedule) = (
        forms.join(format!("{ca}-{kind}/application.csv")),
        forms.join(format!("{ca}-{kind}/schedule.csv")),
    );
    let submit = words(
        "signer submit --ca {} --kind {} --application {} --form {} --csr-dir {} --clerk {} --json --data {}",
        &[
            &ca,
            &kind,
            &application,
            &schedule,
            &forms.join("csr"),
            &CLERK,
            &root,
        ],
    );
    let done = steps.run_quietly(&submit)?;
    let answer: Value = serde_json::from_str(done.output())
        .map_err(|error| steps.unusable(&submit, error.to_string()))?;
    let number = answer["submission"]
        .as_u64()
        .ok_or_else(|| steps.unusable(&submit, "no submission number"))?
        .to_string();
    steps.say(&format!(
        "   submission {number}: {} rows accepted",
        answer["accepted"]
    ));
    if matches!(done, Done::Partial(_)) {
        for refused in answer["refused"].as_array().into_iter().flatten() {
            steps.say(&format!(
                "   REFUSED line {}, {}",
                refused["line"],
                refusal(refused)
            ));
        }
        steps.say("   (that row is wrong on purpose; the other rows go on)");
    }
    let _ = steps.run(&words(
        "signer approve {} --officer {} --data {}",
        &[&number, &OFFICER, &root],
    ))?;
    let _ = steps.run(&words("signer issue {} --data {}", &[&number, &root]))?;
    Ok(())
}

fn refusal(refused: &Value) -> String {
    let text = |key: &str| refused[key].as_str().unwrap_or_default().to_owned();
    format!(
        "column {}, value {:?}: {}",
        text("column"),
        text("value"),
        text("rule")
    )
}

/// Three people of an authority lose their certificates, each on another ground.
fn revoke_some(steps: &Steps, root: &Path, ca: &str) -> Result<(), UpError> {
    steps.title(&format!("{ca}: revoke three certificates"));
    let serials = serials(steps, root, ca)?;
    for (serial, ground) in serials.iter().skip(1).zip(GROUNDS) {
        let revoke = words(
            "signer revoke --data {} --ca {} --serial {} --ground {} --officer {}",
            &[&root, &ca, &serial, &ground, &OFFICER],
        );
        let _ = steps.run(&revoke)?;
    }
    Ok(())
}

/// The first person's certificate stays good, the second one's key is compromised: these two are left to try with.
fn write_pem(steps: &Steps, root: &Path, ca: &str) -> Result<(), UpError> {
    steps.title(&format!("{ca}: files to try with"));
    let serials = serials(steps, root, ca)?;
    let demo = root.join("demo");
    let file = |name: &str| demo.join(format!("{ca}-{name}.pem"));
    for what in ["root", "issuer", "chain"] {
        let _ = steps.run(&words(
            "signer export --data {} --ca {} --what {} --out {}",
            &[&root, &ca, &what, &file(what)],
        ))?;
    }
    for (serial, name) in serials.iter().zip(["good", "revoked"]) {
        let _ = steps.run(&words(
            "signer export --data {} --ca {} --serial {} --out {}",
            &[&root, &ca, &serial, &file(name)],
        ))?;
    }
    Ok(())
}

/// Serials of an authority's subjects, in the order they were issued.
fn serials(steps: &Steps, root: &Path, ca: &str) -> Result<Vec<String>, UpError> {
    let list = words("signer list --data {} --ca {} --json", &[&root, &ca]);
    let answer = steps.json(&list)?;
    let serials: Vec<String> = answer
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| Some(row["serial"].as_str()?.to_owned()))
        .collect();
    if serials.len() <= GROUNDS.len() {
        return Err(steps.unusable(&list, format!("only {} certificates", serials.len())));
    }
    Ok(serials)
}

/// About how many commands founding runs, for the bar.
pub(crate) const COMMANDS: u64 = 2 + 3 * SUBMISSIONS.len() as u64 + 2 * 4 + 3 + 2 * 6;

const CLERK: &str = "王受理";
/// Approves what the clerk accepted; the registry refuses the same name for both.
const OFFICER: &str = "李审核";
const GROUNDS: [&str; 3] = ["私钥泄露", "离职", "信息变更"];
