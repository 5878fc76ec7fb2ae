//! What of a Python project a server serves, and the servers that there are.

use super::exec_word;
use super::look::Dir;

/// How a server calls an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    Wsgi,
    Asgi,
}

/// An application that a server imports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct App {
    /// Its file.
    pub(super) file: String,
    /// As Python imports it.
    pub(super) module: String,
    /// The directory in which Python has to look for that, if it is not the top.
    pub(super) below: Option<&'static str>,
    callable: &'static str,
    /// Whether that makes the application instead of being it.
    makes: bool,
    /// Where the code tells.
    pub(super) gateway: Option<Gateway>,
}

/// A server that runs as a module.
pub(super) struct Server {
    pub(super) module: &'static str,
    gateway: Gateway,
    listen: &'static str,
    /// The option that says that a callable makes the application, where a call in its name does not.
    makes: Option<&'static str>,
}

const SERVERS: &[Server] = &[
    Server {
        module: "gunicorn",
        gateway: Gateway::Wsgi,
        listen: "--bind 127.0.0.1:${PORT}",
        makes: None,
    },
    Server {
        module: "uvicorn",
        gateway: Gateway::Asgi,
        listen: "--host 127.0.0.1 --port ${PORT}",
        makes: Some("--factory"),
    },
    Server {
        module: "waitress",
        gateway: Gateway::Wsgi,
        listen: "--listen=127.0.0.1:${PORT}",
        makes: Some("--call"),
    },
    Server {
        module: "hypercorn",
        gateway: Gateway::Asgi,
        listen: "--bind 127.0.0.1:${PORT}",
        makes: None,
    },
    Server {
        module: "daphne",
        gateway: Gateway::Asgi,
        listen: "-b 127.0.0.1 -p ${PORT}",
        makes: None,
    },
];

impl Server {
    /// The first that is had and that can serve it.
    pub(super) fn of(app: &App, has: impl Fn(&Self) -> bool) -> Option<&'static Self> {
        let mut fitting = SERVERS.iter().filter(|server| {
            let gateway = app.gateway.unwrap_or(server.gateway);
            server.gateway == gateway
        });
        fitting.find(|server| has(server))
    }

    /// The arguments of Python.
    pub(super) fn arguments(&self, app: &App) -> String {
        let target = format!("{}:{}", app.module, app.callable);
        let target = match (app.makes, self.makes) {
            (false, _) => exec_word(&target),
            (true, None) => exec_word(&format!("{target}()")),
            (true, Some(option)) => format!("{option} {}", exec_word(&target)),
        };
        format!("-m {} {} {target}", self.module, self.listen)
    }
}

/// The server that is usual for an application.
pub(super) fn usual(app: &App) -> &'static str {
    match app.gateway {
        Some(Gateway::Asgi) => "uvicorn",
        Some(Gateway::Wsgi) | None => "gunicorn",
    }
}

const FILES: &[&str] = &[
    "wsgi.py",
    "asgi.py",
    "app.py",
    "main.py",
    "application.py",
    "api.py",
    "__init__.py",
];

/// The application of a project; `package` is the directory that its own name suggests.
pub(super) fn find(dir: &Dir, package: Option<&str>) -> Option<App> {
    let mut places: Vec<String> = vec![".".to_owned(), "app".to_owned()];
    places.extend(package.map(str::to_owned));
    places.extend(["src".to_owned(), "src/app".to_owned()]);
    places.extend(package.map(|package| format!("src/{package}")));
    let files = || {
        places
            .iter()
            .flat_map(|place| FILES.iter().map(move |file| (place.as_str(), *file)))
    };
    let found = |makes: bool| files().find_map(|(place, file)| app(dir, place, file, makes));
    found(false).or_else(|| found(true))
}

/// What a Django project has beside its settings.
pub(super) fn django(dir: &Dir) -> Vec<App> {
    let said = dir.text("manage.py").and_then(|text| {
        let (_, rest) = text.split_once("DJANGO_SETTINGS_MODULE")?;
        let mut words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.find(|word| !word.is_empty()).map(str::to_owned)
    });
    let is_module = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let others = dir.names(".").into_iter().filter(is_module);
    let names: Vec<String> = said.into_iter().chain(others).collect();
    let of = |file: &str, gateway: Gateway| {
        let name = names.iter().find(|name| dir.has_file(&format!("{name}/{file}.py")))?;
        Some(App {
            file: format!("{name}/{file}.py"),
            module: format!("{name}.{file}"),
            below: None,
            callable: "application",
            makes: false,
            gateway: Some(gateway),
        })
    };
    let both = [of("wsgi", Gateway::Wsgi), of("asgi", Gateway::Asgi)];
    both.into_iter().flatten().collect()
}

fn app(dir: &Dir, place: &str, file: &str, makes: bool) -> Option<App> {
    let path = match place {
        "." => file.to_owned(),
        place => format!("{place}/{file}"),
    };
    let text = dir.text(&path)?;
    let callable = match makes {
        false => ["application", "app", "api"]
            .into_iter()
            .find(|name| has_object(&text, name)),
        true => ["create_app", "make_app", "create_application"]
            .into_iter()
            .find(|name| text.lines().any(|line| line.starts_with(&format!("def {name}(")))),
    }?;
    // A src that is a package itself is imported by that name.
    let in_src = path.starts_with("src/") && !dir.has_file("src/__init__.py");
    let module = path.strip_suffix(".py")?;
    let module = module.strip_prefix("src/").filter(|_| in_src).unwrap_or(module);
    let module = module.strip_suffix("/__init__").unwrap_or(module).replace('/', ".");
    // The top is no package, and neither is src.
    if module == "__init__" {
        return None;
    }
    Some(App {
        gateway: gateway(file, &text),
        file: path,
        module,
        below: in_src.then_some("src"),
        callable,
        makes,
    })
}

/// Whether a module has a name at its top that may be an application: assigned, defined or imported.
fn has_object(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let own = |start: &str| line.strip_prefix(start).and_then(|rest| rest.strip_prefix(name));
        let assigned = own("").is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with(':') || (rest.starts_with('=') && !rest.starts_with("=="))
        });
        let defined = ["def ", "async def "]
            .iter()
            .any(|start| own(start).is_some_and(|rest| rest.starts_with('(')));
        let imported = line
            .strip_prefix("from ")
            .and_then(|rest| rest.split_once(" import "))
            .is_some_and(|(_, names)| {
                let names = names.split('#').next().unwrap_or_default();
                let mut names = names.split(',').map(|word| word.rsplit(" as ").next().unwrap_or(word));
                names.any(|word| word.trim() == name)
            });
        assigned || defined || imported
    })
}

fn gateway(file: &str, text: &str) -> Option<Gateway> {
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    const ASGI: &[&str] = &[
        "FastAPI(",
        "Starlette(",
        "Quart(",
        "Litestar(",
        "get_asgi_application",
        "async def app(",
        "async def application(",
    ];
    if file == "asgi.py" || has(ASGI) {
        Some(Gateway::Asgi)
    } else if file == "wsgi.py" || has(&["Flask(", "Bottle(", "get_wsgi_application", "start_response"]) {
        Some(Gateway::Wsgi)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_has_at_its_top() {
        for text in [
            "app = Flask(__name__)",
            "app: FastAPI = FastAPI()",
            "def app(environ, start):",
            "async def app(scope, receive, send):",
            "from acme import db, app  # served",
            "from acme import create as app",
        ] {
            assert!(has_object(text, "app"), "{text}");
        }
        for text in [
            "    app = 1",
            "application = 1",
            "app == 1",
            "app.run()",
            "from app import main",
            "from acme import app as main",
            "import app",
        ] {
            assert!(!has_object(text, "app"), "{text}");
        }
    }
}
