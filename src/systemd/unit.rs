//! Owns `Unit`: a complete unit text and what the host has to know to deploy it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::model::{EnvName, Seconds, UnitName};

use super::unit_file::UnitFile;

/// What stands in a unit's text where the release id will be; the id is computed over texts that hold it.
pub const RELEASE_PLACEHOLDER: &str = "@RELPACK_RELEASE@";

/// A unit as it is delivered, but for the release id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its file name.
    pub name: UnitName,
    /// Its whole text, defaults applied, with `@RELPACK_RELEASE@` where the id belongs.
    pub file: UnitFile,
    /// What a deploy does with it.
    pub relpack: UnitSettings,
    /// Made by relpack (migration, first start, trial), not written by the user.
    pub generated: bool,
}

impl Unit {
    /// Whether it is made for a trial: it says what its service says, so whoever looks for mistakes finds them there.
    pub fn is_trial(&self) -> bool {
        self.generated && self.name.stem().ends_with("-trial")
    }
}

/// What a deploy does with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSettings {
    /// How the host asks whether it is healthy; without it: active with the same main process for the settle time.
    pub health: Option<Health>,
    /// How long it may take to get healthy; `None`: the `[deploy]` setting.
    pub health_timeout: Option<Seconds>,
    /// Values that the unit's own `Environment=` gives to the variables of the health template.
    pub health_env: BTreeMap<EnvName, String>,
    /// What happens to it when the release changes.
    pub on_upgrade: OnUpgrade,
    /// Where a release is tried beside the one that serves, before anything is switched.
    pub trial: Option<SocketAddr>,
    /// How long the application itself may take to drain.
    pub drain: Option<Seconds>,
    /// It has an `[Install]` section that `systemctl enable` can use by this name.
    pub enable: bool,
    /// A deploy waits for its health and reverts without it.
    pub gated: bool,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// A GET of the URL answers with a success; the template may hold `{env.NAME}`.
    Http {
        /// `http://127.0.0.1:{env.PORT}/healthz`
        url: String,
    },
    /// A GET over a socket file.
    Unix {
        /// Absolute path of the socket.
        socket: String,
        /// The request's path.
        path: String,
    },
    /// A command that exits 0.
    Exec {
        /// The command line, its first word absolute.
        command: String,
    },
}

impl Health {
    /// `http`, `unix` or `exec`.
    pub fn word(&self) -> &'static str {
        match self {
            Health::Http { .. } => "http",
            Health::Unix { .. } => "unix",
            Health::Exec { .. } => "exec",
        }
    }

    /// What follows the word in the release's settings: the URL, `socket:path`, or the command line.
    pub fn target(&self) -> String {
        match self {
            Health::Http { url } => url.clone(),
            Health::Unix { socket, path } => format!("{socket}:{path}"),
            Health::Exec { command } => command.clone(),
        }
    }
}

/// What happens to a unit when the release changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUpgrade {
    /// `systemctl restart`
    Restart,
    /// `systemctl reload`
    Reload,
    /// `systemctl try-restart`
    TryRestart,
    /// `systemctl --no-block restart`
    NoBlock,
    /// Nothing.
    None,
}

impl OnUpgrade {
    /// Every choice.
    pub const ALL: &'static [OnUpgrade] = &[
        OnUpgrade::Restart,
        OnUpgrade::Reload,
        OnUpgrade::TryRestart,
        OnUpgrade::NoBlock,
        OnUpgrade::None,
    ];

    /// The word of `X-Relpack.OnUpgrade` and of the release's settings.
    pub fn word(self) -> &'static str {
        match self {
            OnUpgrade::Restart => "restart",
            OnUpgrade::Reload => "reload",
            OnUpgrade::TryRestart => "try-restart",
            OnUpgrade::NoBlock => "no-block",
            OnUpgrade::None => "none",
        }
    }
}

impl fmt::Display for OnUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
