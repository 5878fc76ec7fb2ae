//! Puts the parts of the file together in the order in which they depend on each other.

use std::path::Path;

use toml::de::DeTable;

use super::diagnostics::Problem;
use super::files::Place;
use super::lints::Lints;
use super::places::Layout;
use super::reader::{Doc, Table};
use super::tree_places::ScanPlaces;
use super::unit_places::{Places, UnitPlaces};
use super::units::Written;
use super::{Check, Config, Deploy, Directory, Env, Migrate, Overrides, Package, Proxy, Shared, Strategy, User};
use super::{deploy, documents, files, instances, lints, package, places, ready_made, strategies};
use crate::model::{AbsPath, UnitName};
use crate::systemd::{self, Context, DeployInput, DropIn, Instances, MigrateInput, Origin};

/// Reads everything that can be read, whatever else is wrong; `None` when something is missing for the whole. With
/// `intact` false (syntax errors), what needs the whole file is left out.
pub(super) fn config<'d>(
    doc: &'d Doc,
    root: &'d DeTable<'d>,
    path: &Path,
    dir: &Path,
    overrides: &Overrides,
    intact: bool,
) -> Option<Config> {
    let root = Table::new(doc, root, String::new(), 0..0);
    root.need_table("package", "name, maintainer and description");
    root.need_table("release", "source = \"…\", the directory of the finished build");
    let package_table = root.table("package");
    let release_table = root.table("release");
    let user_table = root.table("user");
    let env_table = root.table("env");
    let migrate_table = root.table("migrate");

    let package = package_table.as_ref().and_then(|t| package::read(t, dir, overrides));
    let name = package.as_ref().map(|p| p.name.clone());
    let prefix = places::prefix(release_table.as_ref(), name.as_ref())?;
    let layout = Layout::new(name.clone(), prefix)?;
    let target = package.as_ref().map(|p| p.target).unwrap_or_default();
    let release = release_table
        .as_ref()
        .and_then(|t| places::release(t, dir, layout.prefix.clone(), target));
    let name_span = package_table.as_ref().map_or(0..0, |t| t.span_of("name"));
    let user = places::user(doc, user_table.as_ref(), &layout, name_span);
    let env = places::env(doc, env_table.as_ref(), &layout);
    let directories = root
        .table("directories")
        .map(|t| places::directories(&t, &layout, user.as_ref()))
        .unwrap_or_default();
    let shown = path.parent().unwrap_or(Path::new(""));
    let place = Place { dir, shown };
    let completions_table = root.table("completions");
    let documents = documents::documents(
        package_table.as_ref(),
        completions_table.as_ref(),
        layout.own_name(),
        place,
    );
    let files_table = root.table("files");
    let files = files_table
        .as_ref()
        .map(|t| files::files(t, &layout, env.as_ref().map(|env| &env.file), place))
        .unwrap_or_default();
    let shared_table = root.table("shared");
    let shared = shared_table.as_ref().map(places::shared).unwrap_or_default();
    let secrets_table = root.table("secrets");
    let scan_tables = [&package_table, &release_table, &shared_table, &secrets_table].map(Option::as_ref);
    let scan_places = ScanPlaces::new(doc, scan_tables);
    let secrets = secrets_table.as_ref().map(places::secrets).unwrap_or_default();
    let optional = root.table("lock").map(places::optional).unwrap_or_default();
    let deploy_table = root.table("deploy");
    let deploy = deploy_table.as_ref().map(deploy::deploy).unwrap_or_default();
    let instances_table = root.table("instances");
    let instances = instances_table.as_ref().map(instances::instances).unwrap_or_default();
    let tables = strategies::Tables {
        instances: instances_table.as_ref(),
        deploy: deploy_table.as_ref(),
    };

    let lints = root
        .table("lints")
        .map(|t| lints::lints(doc, t))
        .unwrap_or_else(|| Lints::new(doc));

    let mut written = written(doc, &root, release_table.as_ref(), place);
    let migrate = migrate_table
        .as_ref()
        .and_then(|t| deploy::migrate(t, name.as_ref(), &written.names, &deploy));
    let unit_tables = [&migrate_table, &deploy_table, &files_table, &instances_table];
    add_places(&mut written.places, unit_tables.map(Option::as_ref));
    if let Some(name) = &name {
        strategies::check(&tables, &instances, name, &written.names, &deploy, migrate.as_ref());
    }
    if written.names.is_empty() {
        warn_of_no_units(doc);
    }
    root.finish();

    let units = match (&package, intact) {
        (Some(package), true) => units(UnitParts {
            doc,
            written,
            package,
            layout: &layout,
            user: user.as_ref(),
            env: env.as_ref().filter(|_| env_table.is_some()),
            directories: &directories,
            shared: &shared,
            instances: &instances,
            deploy: &deploy,
            migrate: migrate.as_ref(),
        }),
        _ => None,
    };
    if let (Some(name), Some((units, ..))) = (&name, &units) {
        strategies::check_units(&tables, &instances, name, units, &deploy, migrate.as_ref());
    }
    for table in [
        package_table,
        release_table,
        user_table,
        env_table,
        migrate_table,
        deploy_table,
        shared_table,
        secrets_table,
    ] {
        table.into_iter().for_each(Table::finish);
    }

    let (mut env, (units, drop_ins, places)) = (env?, units?);
    env.present |= is_read(&env.file, &units);
    Some(Config {
        file: path.to_owned(),
        dir: dir.to_owned(),
        package: package?,
        release: release?,
        user: user?,
        directories,
        env,
        shared,
        secrets,
        units,
        instances,
        drop_ins,
        files: files.sources,
        links: files.links,
        documents,
        migrate,
        deploy,
        lints,
        optional,
        lock: None,
        warnings: Vec::new(),
        places,
        scan_places,
    })
}

/// What is written about units: `[defaults]`, `[units]`, and the ready-made files of `[release] units`.
fn written(doc: &Doc, root: &Table<'_>, release: Option<&Table<'_>>, place: Place<'_>) -> Written {
    let mut written = Written::new(&doc.source);
    if let Some(table) = root.table("defaults") {
        written.add_defaults(table);
    }
    if let Some(table) = root.table("units") {
        written.add_units(table);
    }
    if let Some(at) = release
        .and_then(|t| t.string("units"))
        .filter(|at| !at.value.is_empty())
    {
        let shown = place.shown.join(&at.value);
        let files = ready_made::read(doc, &at, &place.dir.join(&at.value), &shown);
        written.add_ready_made(doc, files);
    }
    written
}

/// Where the other tables stand of which something may be said with the units.
fn add_places(places: &mut UnitPlaces, [migrate, deploy, files, instances]: [Option<&Table<'_>>; 4]) {
    let of_keys = [
        (Origin::Migrate, migrate),
        (Origin::Deploy, deploy),
        (Origin::Files, files),
    ];
    for (origin, table) in of_keys {
        if let Some(table) = table {
            places.insert(&origin, Places::of_table(table));
        }
    }
    if let Some(table) = instances {
        instances::add_places(table, places);
    }
}

fn warn_of_no_units(doc: &Doc) {
    doc.push(
        Problem::new(0..0, "there are no units: the package will start nothing")
            .help("add [units.\"NAME.service\"] with Service.ExecStart = \"…\"")
            .contextual()
            .warning(),
    );
}

/// Whether a unit reads this environment file.
fn is_read(file: &AbsPath, units: &[systemd::Unit]) -> bool {
    units.iter().any(|unit| {
        let files = unit.file.get_list("Service", "EnvironmentFile");
        files.iter().any(|given| given.trim_start_matches('-') == file.as_str())
    })
}

/// All that the units depend on.
struct UnitParts<'a> {
    doc: &'a Doc,
    written: Written,
    package: &'a Package,
    layout: &'a Layout,
    user: Option<&'a User>,
    /// When `[env]` is given.
    env: Option<&'a Env>,
    directories: &'a [Directory],
    shared: &'a Shared,
    instances: &'a Instances,
    deploy: &'a Deploy,
    migrate: Option<&'a Migrate>,
}

/// The complete units; `None` when something is wrong with one (then it was reported).
fn units(mut parts: UnitParts<'_>) -> Option<(Vec<systemd::Unit>, Vec<DropIn>, UnitPlaces)> {
    // Where the user is wrong, the units are still worth checking.
    let someone = "app".parse().ok();
    let user = parts.user.map(|u| u.name.clone()).or(someone.clone())?;
    let group = parts.user.map(|u| u.group.clone()).or(someone)?;
    let context = Context {
        package: parts.package.name.clone(),
        synopsis: parts.package.synopsis.clone(),
        prefix: parts.layout.prefix.clone(),
        user,
        group,
        env_file: parts.env.map(|env| env.file.clone()),
        env_required: parts.env.map_or(Vec::new(), |env| env.required.clone()),
        writable: writable(parts.directories, parts.shared, &parts),
        defaults: std::mem::take(&mut parts.written.defaults),
        instances: parts.instances.clone(),
        deploy: deploy_input(parts.deploy),
        migrate: parts.migrate.map(|migrate| MigrateInput {
            exec: migrate.exec.clone(),
            like: migrate.like.clone(),
            timeout: migrate.timeout,
        }),
        systemd: parts.package.target.systemd(),
    };
    let inputs = std::mem::take(&mut parts.written.inputs);
    let mut drop_ins = std::mem::take(&mut parts.written.drop_ins);
    // Where the unit's own text could not be read, that was said.
    drop_ins.retain(|drop_in| {
        let template = drop_in.unit.template();
        let of = |name: &UnitName| *name == drop_in.unit || Some(name) == template.as_ref();
        inputs.iter().any(|unit| of(&unit.name)) || !parts.written.names.iter().any(of)
    });
    let resolved = systemd::resolve(inputs, &context).and_then(|(units, mut warnings)| {
        let (drop_ins, more) = systemd::resolve_drop_ins(drop_ins, &units, &context)?;
        warnings.extend(more);
        Ok((units, drop_ins, warnings))
    });
    match resolved {
        Ok((units, drop_ins, warnings)) => {
            for warning in &warnings {
                parts.written.report(parts.doc, &warning.0, true);
            }
            Some((units, drop_ins, parts.written.places))
        }
        Err(errors) => {
            for error in &errors {
                parts.written.report(parts.doc, error, false);
            }
            None
        }
    }
}

fn deploy_input(deploy: &Deploy) -> DeployInput {
    let server = match &deploy.proxy {
        Proxy::None => None,
        Proxy::Nginx { server } => Some(("server", server.clone())),
    };
    let check = deploy.check.as_ref().and_then(Check::url);
    DeployInput {
        timeout: deploy.timeout,
        one_at_a_time: deploy.strategy == Strategy::BlueGreen,
        reload: deploy.strategy == Strategy::Reload,
        lame_duck: deploy.lame_duck.is_some(),
        addresses: server
            .into_iter()
            .chain(check.map(|url| ("check", url.to_owned())))
            .collect(),
    }
}

/// Directories below which the services keep their data, each once; not the env file, which a link may show too.
fn writable(directories: &[Directory], shared: &Shared, parts: &UnitParts<'_>) -> Vec<AbsPath> {
    let below = &parts.layout.shared;
    let links = shared.links.values().filter_map(|link| below.join(link).ok());
    let mut all: Vec<_> = directories
        .iter()
        .map(|d| d.path.clone())
        .chain(links.filter(|link| Some(link) != parts.env.map(|env| &env.file)))
        .collect();
    all.sort();
    all.dedup();
    all
}
