//! The few facts of `Cargo.toml` and `Cargo.lock` that the rules judge.
//!
//! Owns a line-wise reading of the subset of TOML that this workspace writes: headers, one key a
//! line, inline tables, arrays of strings over several lines. It never resolves versions or
//! features. Decision: no TOML library, for the reason given in `source`.

/// In which table a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `[dependencies]`, also under `[target.…]`.
    Normal,
    /// `[dev-dependencies]`.
    Dev,
    /// `[build-dependencies]`.
    Build,
    /// `[workspace.dependencies]`.
    Workspace,
}

/// One dependency: the name in the code's sense of the registry, where it stands, its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) line: usize,
    /// It is a package of this repository.
    pub(crate) local: bool,
}

/// A parsed `Cargo.toml`.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// Path of the file relative to the root.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// `[lints] workspace = true` is there.
    pub(crate) inherits_lints: bool,
}

impl Manifest {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut manifest = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut section = String::new();
        let mut in_members = false;
        for (index, raw) in text.lines().enumerate() {
            let line = raw.split(" #").next().unwrap_or(raw).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if in_members {
                manifest.members.extend(strings(line));
                in_members = !line.contains(']');
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                section = header
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned();
                manifest.header(&section, index + 1);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match (section.as_str(), key) {
                ("package", "name") => manifest.name = unquote(value),
                ("lints", "workspace") => manifest.inherits_lints = value == "true",
                ("workspace", "members") => {
                    manifest.members.extend(strings(value));
                    in_members = !value.contains(']');
                }
                _ => manifest.dependency(&section, key, value, index + 1),
            }
        }
        manifest
    }

    /// A header such as `[dependencies.bytes]` names a dependency by itself.
    fn header(&mut self, section: &str, line: usize) {
        if let Some((table, name)) = section.rsplit_once('.')
            && let Some(scope) = scope(table)
        {
            let name = unquote(name);
            self.dependencies.push(Dependency {
                name,
                scope,
                line,
                local: false,
            });
        }
    }

    fn dependency(&mut self, section: &str, key: &str, value: &str, line: usize) {
        let Some(scope) = scope(section) else { return };
        let name = unquote(key.split('.').next().unwrap_or(key));
        let renamed = value
            .split("package")
            .nth(1)
            .map(strings)
            .and_then(|mut s| s.pop());
        let local = value.contains("path");
        self.dependencies.push(Dependency {
            name: renamed.unwrap_or(name),
            scope,
            line,
            local,
        });
    }
}

fn scope(section: &str) -> Option<Scope> {
    if section == "workspace.dependencies" {
        return Some(Scope::Workspace);
    }
    match section.rsplit('.').next()? {
        "dependencies" => Some(Scope::Normal),
        "dev-dependencies" => Some(Scope::Dev),
        "build-dependencies" => Some(Scope::Build),
        _ => None,
    }
}

/// The double-quoted strings of a line.
fn strings(line: &str) -> Vec<String> {
    line.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn unquote(value: &str) -> String {
    value.trim_matches('"').to_owned()
}

/// Every `(name, version)` of a `Cargo.lock`, in its order.
pub(crate) fn locked(text: &str) -> Vec<(String, String)> {
    let mut packages = Vec::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = unquote(value);
        } else if let Some(value) = line.strip_prefix("version = ")
            && !name.is_empty()
        {
            packages.push((std::mem::take(&mut name), unquote(value)));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_names_and_every_kind_of_dependency_are_read() {
        let manifest = Manifest::parse(
            "Cargo.toml",
            "[workspace]\nmembers = [\n \"a\",\n \"b\",\n]\n[package]\nname = \"p\"\n\
             [dependencies]\nbytes.workspace = true # why\nx = { package = \"real-x\" }\n\
             own = { path = \"own\" }\n[target.'cfg(loom)'.dependencies]\nloom = \"1\"\n\
             [dev-dependencies.proptest]\nversion = \"1\"\n[lints]\nworkspace = true\n",
        );
        assert_eq!(manifest.members, ["a", "b"]);
        assert_eq!(manifest.name, "p");
        assert!(manifest.inherits_lints);
        let found: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|d| (d.name.as_str(), d.scope, d.local))
            .collect();
        assert_eq!(
            found,
            [
                ("bytes", Scope::Normal, false),
                ("real-x", Scope::Normal, false),
                ("own", Scope::Normal, true),
                ("loom", Scope::Normal, false),
                ("proptest", Scope::Dev, false),
            ]
        );
    }

    #[test]
    fn a_lock_file_gives_names_with_versions() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.0\"\n\
                    dependencies = [\n \"b\",\n]\n\n\
                    [[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let expected = [("a", "1.2.0"), ("b", "2.0.0")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(locked(text), expected);
    }
}
