//! Which manager of packages a Node.js project has, and what its user types.

use super::look::Dir;

/// By the lock file that it keeps.
pub(super) struct Manager {
    lock: &'static str,
    install: &'static str,
    run: &'static str,
    /// What brings only what runs.
    pub(super) install_production: &'static str,
    /// What takes away all else.
    pub(super) prune: &'static str,
}

const MANAGERS: &[Manager] = &[
    Manager {
        lock: "pnpm-lock.yaml",
        install: "pnpm install",
        run: "pnpm run",
        install_production: "pnpm install --prod",
        prune: "pnpm prune --prod",
    },
    Manager {
        lock: "yarn.lock",
        install: "yarn install",
        run: "yarn run",
        install_production: "yarn install --production",
        prune: "yarn install --production",
    },
    Manager {
        lock: "package-lock.json",
        install: "npm ci",
        ..NPM
    },
];

/// Every project's where no lock file says otherwise.
const NPM: Manager = Manager {
    lock: "",
    install: "npm install",
    run: "npm run",
    install_production: "npm ci --omit=dev",
    prune: "npm prune --omit=dev",
};

pub(super) fn of(dir: &Dir) -> &'static Manager {
    let mut known = MANAGERS.iter();
    known.find(|manager| dir.has_file(manager.lock)).unwrap_or(&NPM)
}

/// What runs `scripts.build`, with what has to come before.
pub(super) fn build(dir: &Dir) -> String {
    let manager = of(dir);
    let run = format!("{} build", manager.run);
    match dir.has_dir("node_modules") {
        true => run,
        false => format!("{} && {run}", manager.install),
    }
}
