//! Where a store is, as it is said on the command line: a folder, `s3://bucket/prefix`, or `https://host/prefix`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder here, or mounted.
    Folder(PathBuf),
    /// A bucket that speaks S3.
    Bucket {
        /// Its name.
        name: String,
        /// What all keys begin with; may be empty.
        prefix: String,
    },
    /// A web server, or a content delivery network, that shows a store: for reading only.
    Web(String),
}

/// Words that name no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("say a folder, s3://bucket/prefix or https://host/prefix")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Place, NoPlace> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Place::Folder(PathBuf::from(text)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => {
                let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if name.is_empty() {
                    return Err(NoPlace);
                }
                Ok(Place::Bucket {
                    name: name.to_owned(),
                    prefix: prefix.trim_matches('/').to_owned(),
                })
            }
            scheme @ ("https" | "http") => {
                let rest = rest.trim_end_matches('/');
                Ok(Place::Web(format!("{scheme}://{rest}")))
            }
            // A folder of that name would be empty for ever, and nobody the wiser.
            _ => Err(NoPlace),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) => write!(f, "{}", path.display()),
            Place::Bucket { name, prefix } if prefix.is_empty() => write!(f, "s3://{name}"),
            Place::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
            // Not the password: this goes into logs, and into a file that anyone may read.
            Place::Web(url) => match url.split_once("://") {
                Some((scheme, rest)) => {
                    let host = rest.find('/').unwrap_or(rest.len());
                    let from = rest[..host].rfind('@').map_or(0, |at| at + 1);
                    write!(f, "{scheme}://{}", &rest[from..])
                }
                None => f.write_str(url),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_is_lost_or_doubled() {
        let bucket = |name: &str, prefix: &str| Place::Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(place("s3://city"), bucket("city", ""));
        assert_eq!(place("s3://city/"), bucket("city", ""));
        assert_eq!(place("s3://city/status/p/"), bucket("city", "status/p"));
        assert_eq!(place("s3://city/status/").to_string(), "s3://city/status");
        assert_eq!(
            place("https://cdn.example/s/"),
            Place::Web("https://cdn.example/s".to_owned())
        );
        assert_eq!(place("/srv/store"), Place::Folder("/srv/store".into()));
    }

    #[test]
    fn a_store_of_an_unknown_kind_is_an_empty_folder() {
        for text in ["gs://city/status", "s3:///status", "file://x"] {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text}");
        }
        assert_eq!(place("S3://city/p"), place("s3://city/p"));
        assert_eq!(
            place("HTTPS://Cdn.example/S"),
            Place::Web("https://Cdn.example/S".to_owned())
        );
    }

    #[test]
    fn a_password_is_told_to_the_log() {
        let web = place("https://edge:secret@cdn.example/s/a@b");
        assert_eq!(web.to_string(), "https://cdn.example/s/a@b");
        assert_eq!(
            place("https://cdn.example").to_string(),
            "https://cdn.example"
        );
    }
}
