//! Owns the names of the lints: what `check` says by name, and `[lints] allow` silences.

use std::fmt;

macro_rules! lints {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $weight:ident;)*) => {
        /// A mistake that is known from the field. Its page is a section of `docs/lints.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lint {
            $($(#[$doc])* $id,)*
        }

        impl Lint {
            /// Every lint.
            pub const ALL: &'static [Lint] = &[$(Lint::$id,)*];

            /// As `check` prints it and `[lints] allow` takes it; it never changes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Lint::$id => $name,)*
                }
            }

            /// What it does to a build.
            pub fn weight(self) -> Weight {
                match self {
                    $(Lint::$id => Weight::$weight,)*
                }
            }
        }
    };
}

/// What a finding does to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The build is refused: what it made could not work.
    Refused,
    /// The build goes on; a reason in `[lints] allow` silences it.
    Doubtful,
}

lints! {
    /// A unit executes something that the release doesn't hold.
    ExecMissing = "exec-missing", Refused;
    /// A unit executes a file without the executable bit.
    ExecNotExecutable = "exec-not-executable", Refused;
    /// A unit executes a script whose interpreter is the release's own, by the place where it was built.
    ExecInterpreterMoved = "exec-interpreter-moved", Refused;
    /// `X-Relpack.Drain` isn't below the time after which systemd kills.
    DrainTooLong = "drain-too-long", Refused;
    /// A timer, path or socket starts a unit that the package doesn't have.
    TriggerWithoutUnit = "trigger-without-unit", Refused;
    /// A health check names a variable that nothing sets.
    HealthVariableUnset = "health-variable-unset", Refused;
    /// A health check asks a port that nothing in the package sets.
    HealthPortUnset = "health-port-unset", Doubtful;
    /// A health check that no deploy asks.
    HealthNeverAsked = "health-never-asked", Doubtful;
    /// A `$` in an environment file, where systemd expands nothing.
    EnvFileDollar = "env-file-dollar", Doubtful;
    /// A command line holds what only a shell would understand.
    ExecShellSyntax = "exec-shell-syntax", Doubtful;
    /// A Python environment imports from where it was built.
    PythonEditableInstall = "python-editable-install", Doubtful;
    /// `After=network-online.target` alone.
    NetworkOnlineNotWanted = "network-online-not-wanted", Doubtful;
    /// A directive or value that the target's systemd doesn't know yet.
    DirectiveTooNew = "directive-too-new", Doubtful;
    /// A directive that newer systemd no longer knows.
    DirectiveGone = "directive-gone", Doubtful;
    /// A directive of which only the last assignment counts is set again.
    SetTwice = "set-twice", Doubtful;
    /// `MemoryDenyWriteExecute=` for a runtime that compiles while it runs.
    WriteExecuteJit = "write-execute-jit", Doubtful;
    /// A service runs as root.
    ServiceAsRoot = "service-as-root", Doubtful;
    /// A service runs as somebody whom the package doesn't make.
    UserNotMade = "user-not-made", Doubtful;
    /// A service may write to a place that is neither shared nor its state.
    WritableElsewhere = "writable-elsewhere", Doubtful;
    /// A timer starts a service that doesn't end.
    TimerStartsServer = "timer-starts-server", Doubtful;
    /// `systemd-analyze security` calls a service exposed.
    Exposure = "exposure", Doubtful;
    /// `systemd-analyze verify` has something to say.
    SystemdVerify = "systemd-verify", Doubtful;
    /// A lint is allowed that finds nothing.
    AllowUnused = "allow-unused", Doubtful;
}

impl Lint {
    /// The lint of this name.
    pub fn find(name: &str) -> Option<Lint> {
        Lint::ALL.iter().copied().find(|lint| lint.name() == name)
    }

    /// Whether `[lints] allow` takes it: what it finds works on a host.
    pub fn may_be_allowed(self) -> bool {
        self.weight() == Weight::Doubtful && self != Lint::AllowUnused
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_lead_back() {
        for lint in Lint::ALL {
            assert_eq!(Lint::find(lint.name()), Some(*lint));
            assert!(
                lint.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{lint}"
            );
        }
        assert_eq!(Lint::find("none"), None);
    }
}
