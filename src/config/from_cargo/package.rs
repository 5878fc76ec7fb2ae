//! Lays the fields of a Cargo project under `[package]`.

use std::fs;

use toml::de::DeTable;

use super::super::documents::is_finished;
use super::overlay::Overlay;
use crate::cargo::Project;

impl Overlay<'_> {
    /// All that control file, copyright and changelog say.
    pub(super) fn package(&self, root: &mut DeTable<'_>, project: &Project) {
        let Some(table) = self.table(root, "package") else {
            return;
        };
        let description = description(&project.description, project.extended.as_deref());
        let texts = [
            ("name", Some(project.name.clone())),
            ("version", Some(project.version.clone())),
            ("maintainer", project.maintainer.clone()),
            ("description", Some(description)),
            ("section", project.section.clone()),
            ("priority", Some(project.priority.clone())),
            ("homepage", project.homepage.clone()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                self.put(table, key, self.text(text));
            }
        }
        self.documents(table, project);
        for (key, entries) in &project.relations {
            self.put(table, key, self.list(entries.clone()));
        }
    }

    /// Licence and changelog.
    fn documents(&self, table: &mut DeTable<'_>, project: &Project) {
        let mut license = project.license.clone();
        let mut copyright = project.copyright.clone();
        if let Some(text) = project.license_text.as_deref().filter(|text| !text.trim().is_empty()) {
            let path = project.staging.path().join("license");
            match fs::write(&path, text) {
                Ok(()) => self.put(table, "license_file", self.text(path.to_string_lossy())),
                Err(error) => self.io("write", &path, &error),
            }
            // A finished copyright file says both; a licence has a name, if only this one.
            if is_finished(text) {
                (license, copyright) = (None, None);
            } else {
                license.get_or_insert_with(|| "custom".to_owned());
            }
        }
        for (key, text) in [("license", license), ("copyright", copyright)] {
            if let Some(text) = text {
                self.put(table, key, self.text(text));
            }
        }
        match &project.changelog {
            Some(path) if path.extension().is_some_and(|end| end == "gz") => {
                self.warn("the changelog is compressed, and not taken (hint: name the text itself)".to_owned());
            }
            Some(path) => self.put(table, "changelog", self.text(path.to_string_lossy())),
            None => {}
        }
    }
}

/// Longest synopsis that package tools show whole.
const SYNOPSIS_MAX: usize = 80;

/// The description with its first line as a synopsis: cut at a word where it is too long for one.
fn description(text: &str, extended: Option<&str>) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut synopsis = String::new();
    let mut used = 0;
    for word in &words {
        if !synopsis.is_empty() && synopsis.chars().count() + 1 + word.chars().count() > SYNOPSIS_MAX {
            break;
        }
        if !synopsis.is_empty() {
            synopsis.push(' ');
        }
        synopsis.push_str(word);
        used += 1;
    }
    let rest = words[used..].join(" ");
    let mut lines = vec![synopsis];
    lines.extend((!rest.is_empty()).then_some(rest));
    if let Some(extended) = extended {
        let printed = extended.replace('\t', " ").replace('\r', "");
        lines.extend(printed.trim().lines().map(|line| line.trim_end().to_owned()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_is_cut_at_a_word() {
        assert_eq!(description(" A\n b ", None), "A b");
        let long = "word ".repeat(20);
        let text = description(&long, Some("\tMore.\r\n\nEnd.\n"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].len(), 79);
        assert_eq!(lines[1..], ["word word word word", "More.", "", "End."]);
        assert_eq!(description(&"x".repeat(90), None).len(), 90, "refused where it is read");
    }
}
