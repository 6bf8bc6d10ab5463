//! Where a store is, as it is said on the command line: a folder, `s3://bucket/prefix`, or `https://host/prefix`.

use std::convert::Infallible;
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

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Place, Infallible> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return Ok(Place::Bucket {
                name: name.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            });
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Place::Web(text.trim_end_matches('/').to_owned()));
        }
        Ok(Place::Folder(PathBuf::from(text)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) => write!(f, "{}", path.display()),
            Place::Bucket { name, prefix } if prefix.is_empty() => write!(f, "s3://{name}"),
            Place::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
            Place::Web(url) => f.write_str(url),
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
}
