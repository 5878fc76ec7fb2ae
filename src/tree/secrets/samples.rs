//! A sample for each alternative of each sign, so that none can be lost unseen.

use globset::GlobBuilder;
use regex::bytes::Regex;

use super::kinds::{KINDS, Sign};
use super::tests::{kind, pem};
use super::{SETTINGS_MAX, ascii, of_dir};

const LETTERS: &str = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";

fn of(letters: &str, length: usize) -> String {
    letters.chars().cycle().take(length).collect()
}

/// Put together here, so that this file holds none.
pub(super) fn token(prefix: &str, length: usize) -> String {
    format!("token: {prefix}{}\n", of(LETTERS, length))
}

/// Kind, directories.
const DIRS: &[(&str, &[&str])] = &[
    (
        "the history of a version control system",
        &[".git", "a/.svn", ".hg", ".bzr", "CVS"],
    ),
    ("a person's SSH or GnuPG directory", &[".ssh", "home/.gnupg"]),
];

/// Kind, files that are known by their name.
const NAMES: &[(&str, &[&str])] = &[
    (
        "an environment file",
        &[
            ".env",
            "config/.env.production",
            ".envrc",
            "prod.env",
            "deploy/app.prod.env",
            "production.env",
            "env-production.env",
            "staging.env",
            "secret.env",
            "acme_secrets.env",
        ],
    ),
    (
        "Google credentials",
        &[
            "gcloud/application_default_credentials.json",
            ".config/gcloud/credentials.db",
            "home/.config/gcloud/access_tokens.db",
        ],
    ),
    (
        "an OpenSSH private key",
        &[
            "deploy/id_rsa",
            "id_dsa",
            "id_ecdsa",
            "id_ed25519",
            "id_ed25519_sk",
            "id_ecdsa_sk",
        ],
    ),
    (
        "a key store",
        &["tls/server.p12", "a.pfx", "a.jks", "a.keystore", "a.kdbx"],
    ),
    ("Git's stored passwords", &[".git-credentials"]),
    (
        "a token of Cargo, RubyGems or Composer",
        &[".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials"],
    ),
    (
        "passwords of a person's programs",
        &[
            "home/.netrc",
            "_netrc",
            ".pgpass",
            ".my.cnf",
            ".mylogin.cnf",
            ".htpasswd",
            ".s3cfg",
            ".boto",
        ],
    ),
    (
        "a shell's or database's history",
        &[
            ".bash_history",
            ".zsh_history",
            ".python_history",
            ".psql_history",
            ".mysql_history",
        ],
    ),
    ("AWS credentials", &[".aws/credentials"]),
    (
        "Azure credentials",
        &[
            ".azure/accessTokens.json",
            ".azure/msal_token_cache.bin",
            ".azure/service_principal_entries.json",
        ],
    ),
    ("a login of a container registry", &[".dockercfg", ".dockerconfigjson"]),
    ("a kubeconfig with credentials", &[".kube/config", "deploy/kubeconfig"]),
    (
        "Terraform's state or credentials",
        &[
            "infra/prod.tfstate",
            "a.tfstate.backup",
            "a.tfstate.1700000000.backup",
            ".terraformrc",
            "credentials.tfrc.json",
        ],
    ),
    (
        "a vault's password or token",
        &[
            ".vault-token",
            ".vault_pass.txt",
            ".vault-password",
            "config/master.key",
            "app/config/credentials/production.key",
        ],
    ),
];

/// Kind, path, content.
fn contents() -> Vec<(&'static str, &'static str, String)> {
    let mut all = Vec::new();
    let mut add = |name, path, samples: Vec<String>| all.extend(samples.into_iter().map(|text| (name, path, text)));
    let hex = |prefix: &str, length: usize| format!("token: {prefix}{}\n", of(HEX, length));
    let one_line = |text: String| text.replace('\n', "\\n");
    add(
        "Google credentials",
        "deploy/account.json",
        vec![
            format!(
                "{{\"type\": \"service_account\", \"private_key\": \"{}\"}}",
                one_line(pem("PRIVATE KEY"))
            ),
            token("AIza", 35),
            token("AIza", 35).trim_end().to_owned(),
            token("GOCSPX-", 28),
        ],
    );
    add(
        "an OpenSSH private key",
        "deploy/key",
        vec![pem("OPENSSH PRIVATE KEY"), one_line(pem("OPENSSH PRIVATE KEY"))],
    );
    let kinds_of_pem = ["", "RSA ", "EC ", "DSA ", "ENCRYPTED "];
    add(
        "a private key in PEM",
        "server",
        kinds_of_pem
            .iter()
            .map(|kind| pem(&format!("{kind}PRIVATE KEY")))
            .collect(),
    );
    add(
        "a private key in PEM",
        "tls/both.pem",
        vec![
            pem("CERTIFICATE").repeat(30) + &pem("EC PRIVATE KEY"),
            one_line(pem("PRIVATE KEY")),
            pem("PRIVATE KEY").replace('\n', "\\r\\n"),
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".into(),
            format!("key: |\n  {}", pem("ENCRYPTED PRIVATE KEY").replace('\n', "\n  ")),
        ],
    );
    let putty = ["1", "2", "3"].map(|version| format!("PuTTY-User-Key-File-{version}: ssh-ed25519\n"));
    add("a PuTTY private key", "deploy.ppk", putty.to_vec());
    add(
        "an OpenPGP private key",
        "sign.asc",
        vec![
            pem("PGP PRIVATE KEY BLOCK"),
            pem("PGP PRIVATE KEY BLOCK").replace('\n', "\r\n"),
        ],
    );
    add(
        "an age or WireGuard private key",
        "keys.txt",
        vec![
            format!("AGE-SECRET-KEY-1{}\n", of(UPPER, 58)),
            format!("[Interface]\n PrivateKey = {}=\n", of(LETTERS, 43)),
        ],
    );
    add(
        "a private JSON web key",
        "jwk.json",
        vec![
            format!(
                "{{\"kty\": \"EC\", \"crv\": \"P-256\", \"d\": \"{}\"}}",
                of(LETTERS, 43)
            ),
            format!(
                "{{\"d\": \"{}\", \"crv\": \"P-256\", \"kty\": \"EC\"}}",
                of(LETTERS, 43)
            ),
        ],
    );
    for path in [".npmrc", "etc/npmrc", ".yarnrc"] {
        add(
            "a token or password of npm, Yarn or pnpm",
            path,
            vec![
                "//registry/:_authToken=abc\n".into(),
                "_auth = abc\n".into(),
                "\"//registry/:_password\" \"abc\"\n".into(),
            ],
        );
    }
    add(
        "a token or password of npm, Yarn or pnpm",
        ".yarnrc.yml",
        vec!["npmAuthToken: abc\n".into(), "npmAuthIdent: \"a:b\"\n".into()],
    );
    add(
        "a token or password of npm, Yarn or pnpm",
        "app.json",
        vec![token("npm_", 36)],
    );
    for path in ["venv/pip.conf", "pip.ini", "uv.toml", "requirements-dev.txt"] {
        add(
            "a token or password of pip or PyPI",
            path,
            vec![
                "index-url = https://me:secret@pypi.example/".into(),
                "index-url = https://:secret@pypi.example/".into(),
                format!("index-url = https://{}@pypi.example/simple", of("glpat0123456789", 15)),
                format!("index-url = http://{}@pypi.example/simple", of("abcdefgh", 24)),
            ],
        );
    }
    add(
        "a token or password of pip or PyPI",
        ".pypirc",
        vec!["[pypi]\npassword = x".into(), "password: x".into()],
    );
    add(
        "a token or password of pip or PyPI",
        "app.ini",
        vec![token("pypi-AgEIcHlwaS5vcmc", 20)],
    );
    let logins = ["http-basic", "github-oauth", "gitlab-token", "bearer"];
    add(
        "a token of Cargo, RubyGems or Composer",
        "auth.json",
        logins
            .map(|login| format!("{{\"{login}\": {{\"host.example\": \"x\"}}}}"))
            .to_vec(),
    );
    for path in ["settings.xml", "settings-security.xml"] {
        let words = ["password", "passphrase", "master"];
        add(
            "passwords of Maven or Gradle",
            path,
            words.map(|word| format!("<server><{word}>x</{word}>")).to_vec(),
        );
    }
    add(
        "passwords of Maven or Gradle",
        "gradle.properties",
        vec!["a.repoPassword=x".into(), "TOKEN : x".into()],
    );
    let names = ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "awsSecretAccessKey"];
    let mut aws: Vec<String> = names
        .map(|name| format!("\"{name}\": \"{}\"\n", of(LETTERS, 40)))
        .to_vec();
    aws.push(format!("id = AKIA{}\n", of(UPPER, 16)));
    add("AWS credentials", "app.ini", aws);
    add(
        "Azure credentials",
        "app.json",
        vec![
            format!("DefaultEndpointsProtocol=https;AccountKey={}==", of(LETTERS, 86)),
            format!("SharedAccessKeyName=x;SharedAccessKey={}=", of(LETTERS, 43)),
        ],
    );
    add(
        "a login of a container registry",
        "config.json",
        vec![
            "{\"auths\": {\"r\": {\"auth\": \"dXNlcjpwYXNz\"}}}".into(),
            token("dckr_pat_", 27),
        ],
    );
    add(
        "a kubeconfig with credentials",
        "cluster.yaml",
        vec![
            token("    client-key-data: ", 40),
            format!("kind: Config\nusers:\n- user:\n    token: {}\n", of(LETTERS, 16)),
        ],
    );
    add("a vault's password or token", "app.yml", vec![token("hvs.", 24)]);
    let mut github = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]
        .map(|prefix| token(prefix, 36))
        .to_vec();
    github.push(format!("github_pat_{}_{}\n", of(LETTERS, 22), of(LETTERS, 59)));
    add("a GitHub token", "app.yaml", github);
    let gitlab = ["glpat-", "gldt-", "glrt-", "glcbt-"].map(|prefix| token(prefix, 20));
    add("a GitLab token", "ci.yml", gitlab.to_vec());
    let mut slack = ["xoxa", "xoxb", "xoxe", "xoxp", "xoxr", "xoxs"]
        .map(|prefix| token(&format!("{prefix}-123456789012-"), 24))
        .to_vec();
    slack.push(token("xapp-1-A0123456789-123456789012-", 64));
    slack.push(format!(
        "https://hooks.slack.com/services/T01234567/B01234567/{}",
        of(LETTERS, 24)
    ));
    add("a Slack token or webhook", "app.conf", slack);
    add(
        "a Stripe key",
        "app.properties",
        vec![token("sk_live_", 24), token("rk_live_", 24), token("whsec_", 32)],
    );
    add(
        "a key of a mail service",
        "app.cfg",
        vec![
            format!("SG.{}.{}\n", of(LETTERS, 22), of(LETTERS, 43)),
            format!("api_key = key-{}\n", of(HEX, 32)),
            format!("apiKey: \"{}-us12\"\n", of(HEX, 32)),
        ],
    );
    add(
        "a key of an AI service",
        "settings.json",
        vec![
            token("sk-ant-", 40),
            token("sk-proj-", 40),
            format!("sk-{}T3BlbkFJ{}\n", of(LETTERS, 20), of(LETTERS, 20)),
            format!("token: hf_{}\n", of("aBcDeFgH", 34)),
        ],
    );
    let mut hosting = ["shpat_", "shpss_", "shpca_", "shppa_"]
        .map(|prefix| hex(prefix, 32))
        .to_vec();
    hosting.push(hex("dop_v1_", 64));
    hosting.push(token("FlyV1 fm2_", 20));
    hosting.push(token("lin_api_", 40));
    add("a token of a hosting provider", "app.json", hosting);
    all
}

#[test]
fn each_sample_is_of_its_kind() {
    let mut otherwise = Vec::new();
    for (name, dirs) in DIRS {
        let told = dirs.iter().map(|dir| (dir, of_dir(&dir.parse().unwrap())));
        otherwise.extend(
            told.filter(|(_, kind)| kind.is_none_or(|kind| kind.name != *name))
                .map(|(dir, _)| format!("{name}: {dir}")),
        );
    }
    for (name, paths) in NAMES {
        let told = paths.iter().filter(|path| kind(path, "") != Some(*name));
        otherwise.extend(told.map(|path| format!("{name}: {path}: {:?}", kind(path, ""))));
    }
    for (name, path, text) in contents() {
        let told = kind(path, &text);
        if told != Some(name) {
            otherwise.push(format!("{name}: {path}: {text}: {told:?}"));
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

/// Removing one from the table fails above; adding one without a sample fails here.
#[test]
fn each_sign_has_a_sample() {
    let contents = contents();
    let of_kind = |all: &[(&str, &'static [&'static str])], name: &str| {
        let of_kind = all.iter().filter(|(kind, _)| *kind == name);
        of_kind.flat_map(|(_, samples)| *samples).copied().collect::<Vec<_>>()
    };
    let mut without: Vec<&str> = Vec::new();
    for kind in KINDS {
        let texts = || contents.iter().filter(|(name, ..)| *name == kind.name);
        let mut paths = of_kind(NAMES, kind.name);
        paths.extend(texts().map(|(_, path, _)| *path));
        for sign in kind.signs {
            match sign {
                Sign::Dir(names) => {
                    let dirs = of_kind(DIRS, kind.name);
                    without.extend(
                        names
                            .iter()
                            .filter(|name| !dirs.iter().any(|dir| dir.ends_with(**name))),
                    );
                }
                Sign::Named(globs) | Sign::NamedWith(globs, _) => without.extend(globs.iter().filter(|glob| {
                    let built = GlobBuilder::new(glob)
                        .literal_separator(true)
                        .empty_alternates(true)
                        .build();
                    let matcher = built.unwrap().compile_matcher();
                    !paths.iter().any(|path| matcher.is_match(path))
                })),
                Sign::Content(patterns) => without.extend(patterns.iter().filter(|pattern| {
                    let regex = Regex::new(&ascii(pattern)).unwrap();
                    !texts().any(|(_, _, text)| regex.is_match(text.as_bytes()))
                })),
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
    assert!(contents.iter().all(|(_, _, text)| (text.len() as u64) < SETTINGS_MAX));
}
