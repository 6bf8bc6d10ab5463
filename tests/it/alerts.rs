//! The alert rules fire when they should and are silent when they should, by Prometheus' own word; the example
//! configuration loads them; and they speak of metrics that exist.

use std::fs;
use std::process::Command;

use hufu_tests::process::run;
use hufu_tests::root;

fn promtool(words: &[&str]) {
    let folder = root().join("deploy/prometheus");
    let ran = run(Command::new("promtool").args(words).current_dir(folder)).ok();
    assert!(!ran.both().contains("FAILED"), "{}", ran.both());
}

#[test]
fn alert_is_silent_when_it_should_fire_or_fires_when_all_is_well() {
    promtool(&["test", "rules", "hufu.rules.test.yml"]);
}

#[test]
fn example_configuration_is_refused_by_prometheus() {
    promtool(&["check", "config", "prometheus.yml"]);
}

#[test]
fn alert_waits_for_a_metric_that_nobody_tells() {
    let rules = fs::read_to_string(root().join("deploy/prometheus/hufu.rules.yml")).unwrap();
    let page = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("hufu_")) {
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(page.contains(&format!("| `{name}` |")), "{word}");
    }
}

#[test]
fn alert_has_no_test_or_no_words_for_whoever_is_woken() {
    let read =
        |name: &str| fs::read_to_string(root().join("deploy/prometheus").join(name)).unwrap();
    let (rules, tests) = (read("hufu.rules.yml"), read("hufu.rules.test.yml"));
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10);
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in ["severity:", "summary:", "runbook:"] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        assert!(
            tests.contains(&format!("    name: {name}\n")),
            "{name} has no test"
        );
    }
}
