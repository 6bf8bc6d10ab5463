//! Devices whose keys lie beside their certificates, as whoever serves or asks over TLS needs them; and a small authority of
//! `openssl ca` with two of its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::judge::openssl;
use crate::office::Office;
use crate::pki::Certificate;

/// A certificate for TLS, of servers and of clients, with its key.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Its DNS name; its address is 127.0.0.1.
    pub host: String,
    /// The certificate alone, PEM.
    pub certificate: PathBuf,
    /// The certificate and its issuer's, PEM.
    pub chain: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl Holder {
    /// Its serial number as INTEGER content.
    ///
    /// # Panics
    /// If the certificate cannot be read.
    #[must_use]
    pub fn serial(&self) -> Vec<u8> {
        Certificate::open(&self.certificate).serial
    }

    /// The same in hex.
    #[must_use]
    pub fn hex(&self) -> String {
        let octets = self.serial();
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// Has the P-256 authority certify a device for each of these names; keys and certificates come to lie in `folder`.
///
/// # Panics
/// If a command fails.
#[must_use]
pub fn enrol(office: &Office, folder: &Path, names: &[&str]) -> Vec<Holder> {
    fs::create_dir_all(folder).expect("a folder can be made");
    let mut schedule = format!("{COLUMNS}\n");
    for (row, name) in names.iter().enumerate() {
        request(folder, name);
        schedule += &format!(
            "{},{name},服务器,{name}.huxi.example,127.0.0.1,{OWNER},卢美玲,19900001701,{name}.csr,\n",
            row + 1
        );
    }
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).expect("a form can be written");
        folder.join(name)
    };
    let schedule = write("schedule.csv", &schedule);
    let application = write(
        "application.csv",
        &APPLICATION.replace("COUNT", &names.len().to_string()),
    );
    let submitted = office
        .submit("p256", "device", &application, &schedule, folder)
        .ok();
    let answer: Value = serde_json::from_str(&submitted.stdout).expect("JSON");
    let number = answer["submission"].to_string();
    let _ = office
        .signer(&["approve", &number, "--officer", "Grace"])
        .ok();
    let _ = office.signer(&["issue", &number]).ok();
    let _ = office.certificate("p256", "issuer");
    let issuer = fs::read_to_string(office.data.join("p256-issuer.pem")).expect("just exported");
    let holder = |name: &&str| {
        let certificate = folder.join(format!("{name}.pem"));
        let out = certificate.to_str().expect("UTF-8");
        let _ = office
            .signer(&["export", "--ca", "p256", "--name", name, "--out", out])
            .ok();
        let alone = fs::read_to_string(&certificate).expect("just exported");
        Holder {
            host: format!("{name}.huxi.example"),
            chain: write(&format!("{name}-chain.pem"), &(alone + &issuer)),
            key: folder.join(format!("{name}.key")),
            certificate,
        }
    };
    names.iter().map(holder).collect()
}

/// Makes a key and a request for it.
fn request(folder: &Path, name: &str) {
    let words = format!(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
    );
    let _ = openssl(folder, words.split_whitespace()).ok();
}

/// An authority that `openssl ca` runs: `ca.pem`, a list of it (`list.pem`), and two certificates, the second revoked
/// for keyCompromise. They say that OCSP is at `url`.
///
/// # Panics
/// If OpenSSL cannot.
#[must_use]
pub fn foreign(folder: &Path, url: &str) -> [Holder; 2] {
    fs::create_dir_all(folder).expect("a folder can be made");
    let config = format!(
        "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\nnew_certs_dir = .\ncertificate = ca.pem\n\
         private_key = ca.key\nserial = serial\ncrlnumber = number\ndefault_md = sha256\ndefault_days = 30\n\
         default_crl_days = 20\npolicy = p\nx509_extensions = leaf\n[p]\ncommonName = supplied\n\
         [leaf]\nbasicConstraints = CA:FALSE\nkeyUsage = digitalSignature\n\
         extendedKeyUsage = serverAuth,clientAuth\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n\
         authorityInfoAccess = OCSP;URI:{url}\n"
    );
    for (name, text) in [
        ("ca.cnf", &*config),
        ("index.txt", ""),
        ("serial", "1000\n"),
        ("number", "01\n"),
    ] {
        fs::write(folder.join(name), text).expect("a file can be written");
    }
    for name in ["one", "two"] {
        request(folder, name);
    }
    for words in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 90 -subj /CN=foreign -addext keyUsage=keyCertSign,cRLSign",
        "ca -batch -config ca.cnf -in one.csr -out one.pem -notext",
        "ca -batch -config ca.cnf -in two.csr -out two.pem -notext",
        "ca -config ca.cnf -revoke two.pem -crl_reason keyCompromise",
        "ca -config ca.cnf -gencrl -out list.pem",
    ] {
        let _ = openssl(folder, words.split_whitespace()).ok();
    }
    ["one", "two"].map(|name| Holder {
        host: "localhost".to_owned(),
        certificate: folder.join(format!("{name}.pem")),
        chain: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    })
}

const COLUMNS: &str =
    "no,device_name,device_kind,dns_name,ip,owner,owner_code,responsible,phone,csr,remarks";
const OWNER: &str = "虎溪市税务局,11379901HUF000019U";
const APPLICATION: &str = "\
申请编号,单位名称,组织机构代码/统一社会信用代码,单位地址,邮政编码,经办人,经办人身份证号,联系电话,电子邮件,代办系统,证书类型,业务类型,数量,申请日期,真实性声明,单位公章,扫描件,受理人,受理日期
HX-2025-0009,虎溪市税务局,11379901HUF000019U,虎溪市东溪区市民大道1号,379901,彭敏,379901198209171796,19900001900,ra@tax.huxi.example,统一身份认证平台,设备,申请,COUNT,2025-03-17,是,是,scan-0009.pdf,,
";
