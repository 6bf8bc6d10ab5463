//! The relying parties, each set up as its manual says, in a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hufu_tests::holders::Holder;
use hufu_tests::process::Running;

use super::PATIENCE;

/// A program that is asked to end before it is killed: nginx, killed outright, leaves its workers behind.
pub(super) struct Party(Running);

impl Deref for Party {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if self.0.ended().is_none() {
            self.0.signal("TERM");
            let end = Instant::now() + Duration::from_secs(10);
            while self.0.ended().is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Starts it and waits until it listens at all of these.
fn start(command: &Command, folder: &Path, addresses: impl Iterator<Item = SocketAddr>) -> Party {
    let mut program = Running::start(command, &folder.join("log"));
    for address in addresses {
        program.until(&format!("{address} is listened at"), PATIENCE, || {
            TcpStream::connect(address).is_ok()
        });
    }
    Party(program)
}

/// nginx with a server at each address, with that certificate and these further directives; it says 204.
pub(super) fn nginx(folder: &Path, servers: &[(SocketAddr, &Holder, &str)]) -> Party {
    let mut text = "worker_processes 1;\nerror_log stderr info;\npid nginx.pid;\n\
                    events { worker_connections 64; }\nhttp {\naccess_log off;\n"
        .to_owned();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text += &format!("{kind}_temp_path {kind};\n");
    }
    for (address, holder, further) in servers {
        text += &format!(
            "server {{ listen {address} ssl; ssl_certificate {}; ssl_certificate_key {}; {further} return 204; }}\n",
            holder.chain.display(),
            holder.key.display()
        );
    }
    let file = folder.join("nginx.conf");
    fs::write(&file, text + "}\n").unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(folder).arg("-c").arg(file);
    nginx.args(["-e", "stderr", "-g", "daemon off;"]);
    start(&nginx, folder, servers.iter().map(|server| server.0))
}

/// Apache with a host at each address, with that certificate and these further directives.
pub(super) fn apache(folder: &Path, hosts: &[(SocketAddr, &Holder, &str)]) -> Party {
    let here = folder.display();
    let mut text = format!("ServerRoot {here}\nServerName 127.0.0.1\nPidFile {here}/pid\n");
    for module in ["mpm_event", "authz_core", "socache_shmcb", "ssl"] {
        text += &format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n");
    }
    text += &format!(
        "Mutex file:{here}\nUser www-data\nGroup www-data\nErrorLog /dev/stderr\nLogLevel info\n\
         ServerLimit 1\nStartServers 1\nThreadsPerChild 8\nMaxRequestWorkers 8\nMinSpareThreads 1\n\
         MaxSpareThreads 8\nDocumentRoot {here}\nSSLSessionCache none\n\
         SSLStaplingCache shmcb:{here}/staples(128000)\nSSLStaplingStandardCacheTimeout 1\n\
         SSLStaplingErrorCacheTimeout 1\nSSLStaplingFakeTryLater off\nSSLStaplingResponderTimeout 60\n\
         SSLOCSPResponderTimeout 60\n"
    );
    for (address, holder, further) in hosts {
        text += &format!(
            "Listen {address}\n<VirtualHost {address}>\nSSLEngine on\nSSLCertificateFile {}\n\
             SSLCertificateKeyFile {}\n{further}\n</VirtualHost>\n",
            holder.chain.display(),
            holder.key.display()
        );
    }
    let file = folder.join("apache.conf");
    fs::write(&file, text).unwrap();
    let mut apache = Command::new("apache2");
    // One process: whoever kills it has killed all of it.
    apache.arg("-X").arg("-f").arg(file);
    start(&apache, folder, hosts.iter().map(|host| host.0))
}

/// stunnel with a service at each address.
pub(super) fn stunnel(folder: &Path, services: &[(SocketAddr, String)]) -> Party {
    let mut text = "foreground = yes\npid =\ndebug = info\n".to_owned();
    for (address, service) in services {
        text += &format!("[{}]\naccept = {address}\n{service}\n", address.port());
    }
    let file = folder.join("stunnel.conf");
    fs::write(&file, text).unwrap();
    let mut stunnel = Command::new("stunnel4");
    stunnel.arg(file);
    start(&stunnel, folder, services.iter().map(|service| service.0))
}

/// Caddy with a site at each address, by certificates loaded from files.
pub(super) fn caddy(folder: &Path, sites: &[(SocketAddr, &Holder)]) -> Party {
    let here = folder.display();
    let mut text = format!("{{\nadmin off\nauto_https off\nstorage file_system {here}/store\n}}\n");
    for (address, holder) in sites {
        text += &format!(
            "https://{}:{} {{\nbind 127.0.0.1\ntls {} {}\nrespond \"here\"\n}}\n",
            holder.host,
            address.port(),
            holder.chain.display(),
            holder.key.display()
        );
    }
    let file = folder.join("Caddyfile");
    fs::write(&file, text).unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]);
    caddy.arg(file).env("HOME", folder);
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        caddy.env(name, folder);
    }
    start(&caddy, folder, sites.iter().map(|site| site.0))
}
