//! Commands that are printed for people to paste, for a machine that is busier than theirs.
//! (The tests of `hufu up` itself include this very file.)

/// The same commands, but what comes after a `sleep`, and what is signed live, is asked again until it is as it should be:
/// a second is enough for a reader's machine, not for one that runs every test at once.
#[must_use]
pub fn patient(lines: &str) -> String {
    let mut wanted = ": good";
    let mut patient = String::new();
    for line in lines.lines() {
        if line.contains("signer revoke") || line.contains("loader import") {
            wanted = ": revoked";
        }
        let slept = line.strip_prefix("sleep ").and_then(|l| l.split_once("; "));
        let asked_live = line.matches(" -cert ").count() > 1;
        match slept.map(|(_, asked)| asked).or(asked_live.then_some(line)) {
            Some(asked) => patient.push_str(&format!(
                "for try in $(seq 120); do said=$({asked} 2>&1) || true; case $said in *'{wanted}'*) break;; esac; \
                 sleep 1; done; printf '%s\\n' \"$said\"\n"
            )),
            None => patient.push_str(&format!("{line}\n")),
        }
    }
    patient
}
