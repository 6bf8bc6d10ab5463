//! What `--help` shows of each verb: examples to copy.

pub(super) const EXAMPLES: &str = "\
The straight way, from an empty folder:
  hufu signer found   --data hufu-data --public-url http://127.0.0.1:2560
  hufu signer submit  --data hufu-data --ca p256 --kind person --application application.csv --form schedule.csv --clerk 王受理
  hufu signer approve --data hufu-data 1 --officer 李审核
  hufu signer issue   --data hufu-data 1
  hufu signer sign    --data hufu-data
Then `hufu loader publish --data hufu-data` publishes what was signed.

Exit codes: 0 done, 1 refused or failed, 2 not a command, 3 some rows refused while others went on.";

pub(super) const FOUND: &str = "\
Example:
  hufu signer found --data hufu-data --public-url http://127.0.0.1:2560";

pub(super) const SUBMIT: &str = "\
Example:
  hufu signer submit --data hufu-data --ca sm2 --kind device --application application.csv --form schedule.csv --csr-dir csr --clerk 王受理

Both files are CSV in UTF-8 or GB18030, headers Chinese or English, columns in any order. An authority on P-256
certifies P-256, P-384 and RSA keys, one on SM2 only SM2 keys. A row without a CSR is for demonstrations: the signer
makes the key and delivers PKCS#12. Rows that fail are named by line, column and rule; the others go on (exit 3).";

pub(super) const APPROVE: &str = "\
Example:
  hufu signer show --data hufu-data --submission 1
  hufu signer approve --data hufu-data 1 --officer 李审核";

pub(super) const TURN_AWAY: &str = "\
Examples:
  hufu signer refuse   --data hufu-data 1 --officer 李审核 --why 公章不清
  hufu signer return   --data hufu-data 1 --officer 王受理 --why 缺少部门
  hufu signer withdraw --data hufu-data 1 --officer 王受理 --why 单位来函撤回

Rows without a certificate are dropped, and their subjects may be submitted again; certificates that were made stay,
and are revoked by `revoke`. A file of which nothing came may be submitted again.";

pub(super) const ISSUE: &str = "\
Example:
  hufu signer issue --data hufu-data 1

Killed half-way, run it again: what was reserved is finished, nothing is issued twice.";

pub(super) const REVOKE: &str = "\
Examples:
  hufu signer revoke --data hufu-data --serial 4f3a… --ground 私钥泄露 --officer 李审核
  hufu signer revoke --data hufu-data --name 王小明 --number 11010519491231002X --ground resigned --officer 李审核";

pub(super) const HOLD: &str = "\
Examples:
  hufu signer hold    --data hufu-data --serial 4f3a… --why 介质挂失 --officer 李审核
  hufu signer release --data hufu-data --serial 4f3a… --officer 李审核

On hold it is answered revoked, certificateHold, and stands on the CRL; released it is good, leaves the CRL, and a delta
CRL says so. A held certificate may be revoked for good by `revoke`.";

pub(super) const SIGN: &str = "\
Example:
  hufu signer sign --data hufu-data && hufu loader publish --data hufu-data";

pub(super) const SERVE: &str = "\
Example:
  hufu signer serve --data hufu-data

A revocation is in the spool within a fraction of a second; responses and CRLs are signed again at half of their life. The tables
[signing.issuer.ALIAS] of the configuration file say what is otherwise for one authority:
  [signing.issuer.p256]
  refresh-secs = 3600
  ocsp-algorithms = [\"rsa-2048-sha256\"]   # responses by these too (RFC 6960 §4.4.7), the own one first";

pub(super) const LIVE: &str = "\
Example, beside `hufu signer serve`:
  hufu signer live --data hufu-data
  hufu responder --live 127.0.0.1:2562 --nonce live --edge hufu-data/edge --pin hufu-data/loader/seal.pub

On a machine of its own it asks responders for a certificate:
  hufu signer live --data hufu-data --listen 10.0.0.5:2562 --tls-cert lane.pem --tls-key lane.key --client-ca edges.pem

Statuses are read from the registry for each answer; metrics are at /metrics of the same port, and at --metrics. The table [live] of the
configuration file has the limits, and what is said of serials that were never issued:
  [live]
  queue = 256
  never-issued = \"unauthorized\"      # or unknown, extended-revoke; for one issuer: [live.issuers.<id>]";

pub(super) const ADOPT: &str = "\
Example:
  hufu loader import --data hufu-data --crl other.crl --issuer other.pem
  hufu signer adopt --data hufu-data";

pub(super) const LIST: &str = "\
Examples:
  hufu signer list --data hufu-data --ca p256 --state revoked
  hufu signer list --data hufu-data --submissions
  hufu signer list --data hufu-data --authorities --json";

pub(super) const SHOW: &str = "\
Examples:
  hufu signer show --data hufu-data --submission 1
  hufu signer show --data hufu-data --serial 4f3a…
  hufu signer show --data hufu-data --audit --after 100";

pub(super) const EXPORT: &str = "\
Examples:
  hufu signer export --data hufu-data --ca p256 --what chain --out p256-chain.pem
  hufu signer export --data hufu-data --serial 4f3a… --out wang.pem";
