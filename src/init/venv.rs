//! A virtual environment: whose Python it runs, and what is installed in it.

use super::look::Dir;

/// Where one usually lies.
const PLACES: &[&str] = &["venv", ".venv", "env"];

/// Where the Python of Debian's packages lies.
const DEBIAN: &[&str] = &["/usr/bin", "/bin"];

/// The project's own.
pub(super) struct Environment {
    pub(super) place: String,
    /// The directory of the Python that made it.
    home: Option<String>,
    /// Of Python 3: it works with no other.
    pub(super) minor: Option<u32>,
}

impl Environment {
    pub(super) fn of(dir: &Dir) -> Option<Self> {
        let usual = PLACES.iter().map(|place| (*place).to_owned());
        let place = usual
            .chain(dir.names("."))
            .find(|place| dir.has_file(&config_of(place)))?;
        let config = dir.text(&config_of(&place)).unwrap_or_default();
        let mut lines = config.lines().filter_map(|line| line.split_once('='));
        let home = lines
            .find(|(key, _)| key.trim() == "home")
            .map(|(_, value)| value.trim().trim_end_matches('/').to_owned());
        let versions = dir.names(&format!("{place}/lib")).into_iter();
        let minor = versions
            .filter_map(|version| version.strip_prefix("python3.")?.parse().ok())
            .next();
        Some(Self { place, home, minor })
    }

    /// Its interpreter, as a path in the release.
    pub(super) fn python(&self) -> String {
        format!("{}/bin/python", self.place)
    }

    /// The directory of the Python that made it, where that is not Debian's.
    pub(super) fn foreign_home(&self) -> Option<&str> {
        self.home.as_deref().filter(|home| !DEBIAN.contains(home))
    }

    /// Whether a module is installed.
    pub(super) fn has(&self, dir: &Dir, module: &str) -> bool {
        let lib = format!("{}/lib", self.place);
        let versions = dir.names(&lib).into_iter();
        versions
            .map(|version| format!("{lib}/{version}/site-packages/{module}"))
            .any(|place| dir.has_dir(&place) || dir.has_file(&format!("{place}.py")))
    }
}

fn config_of(place: &str) -> String {
    format!("{place}/pyvenv.cfg")
}
